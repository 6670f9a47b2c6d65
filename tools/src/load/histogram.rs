//! Times in microseconds, to three digits.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram as Hdr;

/// Counted times: small, and exact to 0.1 %.
#[derive(Clone)]
pub struct Histogram {
    counts: Hdr<u64>,
    /// To the microsecond.
    max: u64,
}

/// An hour: what takes longer is counted as one, so that a histogram stays small.
const LONGEST: u64 = 3_600_000_000;

/// The shares of a curve, in percent.
const CURVE: [f64; 16] = [
    0.0, 10.0, 25.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.99, 99.999,
    100.0,
];

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Hdr::new(3).expect("three digits are possible"), max: 0 }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} times, at most {} us", self.total(), self.max())
    }
}

impl Histogram {
    /// Adds one time.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        self.max = self.max.max(micros);
        self.counts.record(micros).expect("a histogram that grows takes any time");
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        self.counts.add(&other.counts).expect("a histogram that grows takes any other");
    }

    /// How many times it holds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.len()
    }

    /// The longest time, in microseconds; 0 if there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Microseconds that this share (in ten thousandths) of all times does not exceed.
    #[must_use]
    pub fn at(&self, share: u32) -> u64 {
        self.at_percent(f64::from(share) / 100.0)
    }

    fn at_percent(&self, percent: f64) -> u64 {
        self.counts.value_at_percentile(percent).min(self.max())
    }

    /// Percentages and the microseconds that so many times do not exceed.
    pub fn curve(&self) -> impl Iterator<Item = (f64, u64)> {
        CURVE.iter().map(|percent| (*percent, self.at_percent(*percent)))
    }

    /// Writes the percentile distribution as every `HdrHistogram` does (`.hgrm`), in milliseconds, so
    /// that its plotters read it.
    ///
    /// # Errors
    /// If `out` does not take it.
    pub fn write_percentiles(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "       Value     Percentile TotalCount 1/(1-Percentile)\n")?;
        for step in self.counts.iter_quantiles(5) {
            let quantile = step.quantile_iterated_to();
            let value = millis(step.value_iterated_to().min(self.max()));
            let count = self.counts.count_between(0, step.value_iterated_to());
            write!(out, "{value} {quantile:2.12} {count:10}")?;
            if quantile < 1.0 {
                write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
            }
            writeln!(out)?;
        }
        let (mean, deviation) = (self.counts.mean() / 1000.0, self.counts.stdev() / 1000.0);
        writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
        writeln!(out, "#[Max     = {}, Total count    = {:12}]", millis(self.max()), self.total())?;
        let (buckets, sub) = (self.counts.buckets(), self.counts.distinct_values());
        writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub:12}]")
    }
}

/// Microseconds as milliseconds with three decimals, twelve wide.
fn millis(micros: u64) -> String {
    format!("{:8}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousands() -> Histogram {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        histogram
    }

    #[test]
    fn percentiles_are_within_a_bucket() {
        let histogram = thousands();
        for (share, exact) in [(5_000, 5_000_u64), (9_900, 9_900), (10_000, 10_000)] {
            let found = histogram.at(share);
            assert!(found >= exact && found * 1000 <= exact * 1002, "{share}: {found}");
        }
        assert_eq!(Histogram::default().at(9_900), 0);
    }

    #[test]
    fn merged_histograms_hold_both() {
        let (mut one, mut other) = (thousands(), Histogram::default());
        other.record(Duration::from_secs(70));
        one.merge(&other);
        assert_eq!((one.total(), one.max() / 1_000_000), (10_001, 70));
    }

    #[test]
    fn the_distribution_is_written_to_its_end() {
        let mut out = Vec::new();
        thousands().write_percentiles(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<&str> = text.lines().skip(2).filter(|line| !line.starts_with('#')).collect();
        let last: Vec<&str> = rows.last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["10.000", "1.000000000000", "10000"]);
        assert!(rows.iter().any(|row| row.contains("5.0") && row.contains(" 0.500000000000 ")));
        assert!(text.contains("Total count    =        10000]"), "{text}");
    }
}
