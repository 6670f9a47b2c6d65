//! Metric families as plain data, and as text.
//!
//! In: names, labels and values. Out: what Prometheus reads. OpenMetrics if it asks for that, else the
//! older text format, in which a counter's family is called as its samples are.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use crate::report::histogram::Spread;

/// The media type of OpenMetrics.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the older format.
pub(crate) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Plain,
}

/// Names and values of labels.
pub(crate) type LabelSet = Vec<(&'static str, String)>;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// It only grows.
    Counter(f64),
    /// It goes up and down.
    Gauge(f64),
    /// Values by bucket (upper bound, count of it alone), and their sum.
    Histogram(Vec<(f64, u64)>, f64),
}

/// A family of metrics.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Its name; that of a counter without `_total`.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    kind: Kind,
    samples: Vec<(LabelSet, Value)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    /// A counter.
    pub(crate) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, samples: Vec::new() }
    }

    /// A gauge.
    pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, samples: Vec::new() }
    }

    /// A histogram.
    pub(crate) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Histogram, samples: Vec::new() }
    }

    /// Its name as users see it.
    pub(crate) fn shown_name(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }

    /// What kind it is, in one word.
    pub(crate) const fn kind_word(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// Adds a sample of a counter or a gauge.
    pub(crate) fn push(&mut self, labels: LabelSet, value: f64) {
        debug_assert!(self.kind != Kind::Histogram);
        let value = match self.kind {
            Kind::Counter => Value::Counter(value),
            Kind::Gauge | Kind::Histogram => Value::Gauge(value),
        };
        self.samples.push((labels, value));
    }

    /// Adds a sample of a histogram.
    pub(crate) fn push_spread(&mut self, labels: LabelSet, buckets: Vec<(f64, u64)>, sum: f64) {
        debug_assert!(self.kind == Kind::Histogram);
        self.samples.push((labels, Value::Histogram(buckets, sum)));
    }

    /// With one sample without labels.
    pub(crate) fn of(mut self, value: f64) -> Self {
        self.push(Vec::new(), value);
        self
    }

    /// With these samples, each with one label of this name.
    pub(crate) fn by<L: Into<String>>(
        mut self,
        label: &'static str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) -> Self {
        for (name, value) in samples {
            self.push(vec![(label, name.into())], value);
        }
        self
    }
}

/// All families at one moment.
#[derive(Debug)]
struct Snapshot(Vec<Family>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in &family.samples {
                if labels.is_empty() {
                    write_value(&mut metric, value)?;
                } else {
                    write_value(&mut metric.encode_family(labels)?, value)?;
                }
            }
        }
        Ok(())
    }
}

fn write_value(metric: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Counter(value) => {
            metric.encode_counter(value, None::<&Exemplar<[(&str, &str); 0], f64>>)
        }
        Value::Gauge(value) => metric.encode_gauge(value),
        Value::Histogram(buckets, sum) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            metric.encode_histogram::<[(&str, &str); 0]>(*sum, count, buckets, None)
        }
    }
}

/// Families as text.
pub(crate) fn render(families: Vec<Family>, format: Format) -> String {
    let counters: Vec<&'static str> = families
        .iter()
        .filter(|family| family.kind == Kind::Counter)
        .map(|family| family.name)
        .collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(families)));
    let mut text = String::new();
    if text::encode(&mut text, &registry).is_err() {
        // Writing into a String does not fail.
        return String::new();
    }
    match format {
        Format::OpenMetrics => text,
        Format::Plain => plain(&text, &counters),
    }
}

/// The older format knows no `_total` that is not part of the name, and no end mark.
fn plain(text: &str, counters: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let (mark, what, name) = (words.next(), words.next(), words.next());
        match (mark, what, name, words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest))
                if counters.contains(&name) =>
            {
                for piece in ["# ", what, " ", name, "_total ", rest] {
                    out.push_str(piece);
                }
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Numbers above 2^53 lose their last digits, as in Prometheus itself.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
pub(super) const fn number(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
pub(super) const fn signed(value: i64) -> f64 {
    value as f64
}

pub(super) fn buckets<const N: usize>(
    spread: &Spread<N>,
    bounds: &[u64],
    unit: f64,
) -> (Vec<(f64, u64)>, f64) {
    let bounds = bounds.iter().map(|bound| number(*bound) / unit).chain([f64::INFINITY]);
    (bounds.zip(spread.counts).collect(), number(spread.sum) / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let mut spread = Family::histogram("t_seconds", "Times");
        spread.push_spread(
            vec![("part", "own".to_owned())],
            vec![(0.5, 2), (f64::INFINITY, 1)],
            3.5,
        );
        vec![
            Family::counter("t_requests", "Requests").by("route", [("a\"\\\n", 2.0), ("b", 3.0)]),
            Family::gauge("t_up", "Up").of(1.0),
            spread,
        ]
    }

    #[test]
    fn both_formats_are_as_they_should_be() {
        let wanted = "# HELP t_requests_total Requests\n# TYPE t_requests_total counter\n\
             t_requests_total{route=\"a\\\"\\\\\\n\"} 2.0\nt_requests_total{route=\"b\"} 3.0\n\
             # HELP t_up Up\n# TYPE t_up gauge\nt_up 1.0\n\
             # HELP t_seconds Times\n# TYPE t_seconds histogram\n\
             t_seconds_sum{part=\"own\"} 3.5\nt_seconds_count{part=\"own\"} 3\n\
             t_seconds_bucket{le=\"0.5\",part=\"own\"} 2\n\
             t_seconds_bucket{le=\"+Inf\",part=\"own\"} 3\n";
        let text = render(families(), Format::Plain);
        assert_eq!(text, wanted);
        let open = render(families(), Format::OpenMetrics);
        assert!(
            open.ends_with("# EOF\n") && open.contains("# TYPE t_requests counter\n"),
            "{open}"
        );
    }
}
