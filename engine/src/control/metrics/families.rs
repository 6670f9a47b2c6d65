//! Metric families as plain data, and their text.
//!
//! In: names, labels and values. Out: text for Prometheus, as OpenMetrics if it asks for that, otherwise
//! in the older text format, in which the family of a counter has the name of its samples.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use crate::report::histogram::HistogramSums;

/// The media type of OpenMetrics.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the older format.
pub(crate) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The format of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ExpositionFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Plain,
}

/// Names and values of labels.
pub(crate) type LabelSet = Vec<(&'static str, String)>;

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SampleValue {
    /// A count, which never goes down.
    Counter(f64),
    /// A value that goes up and down.
    Gauge(f64),
    /// How many observations each bucket holds, and their sum.
    Histogram(HistogramValue),
}

/// The value of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramValue {
    buckets: Vec<Bucket>,
    /// The sum of all observations.
    sum: f64,
}

/// A bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    upper_bound: f64,
    /// The observations in this bucket alone.
    count: u64,
}

/// A value with its labels.
#[derive(Clone, Debug)]
struct Sample {
    labels: LabelSet,
    value: SampleValue,
}

/// A family of metrics.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Its name; without `_total` if it is a counter.
    pub(crate) name: &'static str,
    /// Its meaning in one sentence.
    pub(crate) help: &'static str,
    /// The names of its labels, without `le` of a histogram.
    pub(crate) label_names: Vec<&'static str>,
    kind: FamilyKind,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    const fn new(name: &'static str, help: &'static str, kind: FamilyKind) -> Self {
        Self { name, help, label_names: Vec::new(), kind, samples: Vec::new() }
    }

    /// A family of counters, without samples.
    pub(crate) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, FamilyKind::Counter)
    }

    /// A family of gauges, without samples.
    pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, FamilyKind::Gauge)
    }

    /// A family of histograms, without samples.
    pub(crate) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, FamilyKind::Histogram)
    }

    /// Its name as users see it.
    pub(crate) fn shown_name(&self) -> String {
        let suffix = if self.kind == FamilyKind::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }

    /// Its kind in one word.
    pub(crate) const fn kind_text(&self) -> &'static str {
        match self.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        }
    }

    /// Its samples have these labels, if there are any samples.
    pub(crate) fn labelled(mut self, names: &[&'static str]) -> Self {
        self.label_names = names.to_vec();
        self
    }

    fn name_labels(&mut self, labels: &LabelSet) {
        for (name, _) in labels {
            if !self.label_names.contains(name) {
                self.label_names.push(name);
            }
        }
    }

    /// Adds a sample of a counter or a gauge.
    pub(crate) fn push(&mut self, labels: LabelSet, value: f64) {
        debug_assert!(self.kind != FamilyKind::Histogram);
        let value = match self.kind {
            FamilyKind::Counter => SampleValue::Counter(value),
            FamilyKind::Gauge | FamilyKind::Histogram => SampleValue::Gauge(value),
        };
        self.name_labels(&labels);
        self.samples.push(Sample { labels, value });
    }

    /// Adds a sample of a histogram.
    pub(crate) fn push_histogram(&mut self, labels: LabelSet, value: HistogramValue) {
        debug_assert!(self.kind == FamilyKind::Histogram);
        self.name_labels(&labels);
        self.samples.push(Sample { labels, value: SampleValue::Histogram(value) });
    }

    /// Adds one sample without labels.
    pub(crate) fn with_value(mut self, value: f64) -> Self {
        self.push(Vec::new(), value);
        self
    }

    /// Adds samples that differ in the value of one label.
    pub(crate) fn with_label<L: Into<String>>(
        mut self,
        label: &'static str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) -> Self {
        self = self.labelled(&[label]);
        for (name, value) in samples {
            self.push(vec![(label, name.into())], value);
        }
        self
    }
}

/// Bytes of one family, about.
const FAMILY_BYTES_MAX: usize = 3 << 20;
/// Bytes of all families, about.
const BYTES_MAX: usize = 10 << 20;

impl Sample {
    /// Bytes of its text, about.
    fn bytes(&self, name: &str) -> usize {
        let labels = self.labels.iter().map(|(name, value)| {
            let escaped = value.bytes().filter(|byte| b"\"\\\n".contains(byte)).count();
            name.len() + value.len() + escaped + 4
        });
        let lines = match &self.value {
            SampleValue::Counter(_) | SampleValue::Gauge(_) => 1,
            SampleValue::Histogram(HistogramValue { buckets, .. }) => buckets.len() + 2,
        };
        (name.len() + 24 + labels.sum::<usize>()) * lines
    }
}

/// Leaves out the samples for which there is no room. Returns how many.
pub(super) fn leave_out_surplus(families: &mut [Family]) -> usize {
    let (mut left, mut left_out) = (BYTES_MAX, 0);
    for Family { name, samples, .. } in families {
        let (all, mut room) = (samples.len(), left.min(FAMILY_BYTES_MAX));
        let fits = samples.iter().take_while(|sample| {
            let bytes = sample.bytes(name);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        let kept = fits.count();
        left = left.saturating_sub(samples.iter().take(kept).map(|one| one.bytes(name)).sum());
        samples.truncate(kept);
        left_out += all - kept;
    }
    left_out
}

/// All families at one moment.
#[derive(Debug)]
struct FamilySet(Vec<Family>);

impl Collector for FamilySet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.kind {
                FamilyKind::Counter => MetricType::Counter,
                FamilyKind::Gauge => MetricType::Gauge,
                FamilyKind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for Sample { labels, value } in &family.samples {
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

fn write_value(metric: &mut MetricEncoder<'_>, value: &SampleValue) -> fmt::Result {
    match value {
        SampleValue::Counter(value) => {
            metric.encode_counter(value, None::<&Exemplar<[(&str, &str); 0], f64>>)
        }
        SampleValue::Gauge(value) => metric.encode_gauge(value),
        SampleValue::Histogram(HistogramValue { buckets, sum }) => {
            let count = buckets.iter().map(|bucket| bucket.count).sum();
            let buckets: Vec<(f64, u64)> =
                buckets.iter().map(|bucket| (bucket.upper_bound, bucket.count)).collect();
            metric.encode_histogram::<[(&str, &str); 0]>(*sum, count, &buckets, None)
        }
    }
}

/// Writes families as text.
pub(crate) fn render(families: Vec<Family>, format: ExpositionFormat) -> String {
    let counters: Vec<&'static str> = families
        .iter()
        .filter(|family| family.kind == FamilyKind::Counter)
        .map(|family| family.name)
        .collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(FamilySet(families)));
    let mut text = String::new();
    if text::encode(&mut text, &registry).is_err() {
        // Writing into a String does not fail.
        return String::new();
    }
    match format {
        ExpositionFormat::OpenMetrics => text,
        ExpositionFormat::Plain => plain(&text, &counters),
    }
}

/// OpenMetrics as the older format: there `_total` is part of a counter's name, and there is no end mark.
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

impl HistogramValue {
    /// The counts of a histogram whose bounds and sum are in parts of a unit.
    pub(super) fn of<const N: usize>(spread: &HistogramSums<N>, bounds: &[u64], unit: f64) -> Self {
        let bounds = bounds.iter().map(|bound| number(*bound) / unit).chain([f64::INFINITY]);
        let buckets = bounds.zip(spread.counts);
        Self {
            buckets: buckets.map(|(upper_bound, count)| Bucket { upper_bound, count }).collect(),
            sum: number(spread.sum) / unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let mut spread = Family::histogram("t_seconds", "Times");
        spread.push_histogram(
            vec![("part", "own".to_owned())],
            HistogramValue {
                buckets: vec![
                    Bucket { upper_bound: 0.5, count: 2 },
                    Bucket { upper_bound: f64::INFINITY, count: 1 },
                ],
                sum: 3.5,
            },
        );
        vec![
            Family::counter("t_requests", "Requests")
                .with_label("route", [("a\"\\\n", 2.0), ("b", 3.0)]),
            Family::gauge("t_up", "Up").with_value(1.0),
            spread,
        ]
    }

    #[test]
    fn the_text_is_bounded_and_says_so() {
        let label = "\\".repeat(500);
        let big = |name| {
            let samples = (0..10_000).map(|at| (format!("{at}{label}"), 1.0));
            Family::gauge(name, "Big").with_label("x", samples)
        };
        let mut all = vec![Family::gauge("t_up", "Up").with_value(1.0)];
        all.extend(["t_a", "t_b", "t_c", "t_d", "t_e"].map(big));
        let left_out = leave_out_surplus(&mut all);
        let text = render(all, ExpositionFormat::Plain);
        assert!(text.len() > BYTES_MAX / 2 && text.len() < BYTES_MAX + (1 << 20), "{}", text.len());
        assert_eq!(text.lines().filter(|line| line.contains("{x=")).count() + left_out, 50_000);
        assert!(text.contains("t_up 1.0\n"));
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
        let text = render(families(), ExpositionFormat::Plain);
        assert_eq!(text, wanted);
        let open = render(families(), ExpositionFormat::OpenMetrics);
        assert!(
            open.ends_with("# EOF\n") && open.contains("# TYPE t_requests counter\n"),
            "{open}"
        );
    }
}
