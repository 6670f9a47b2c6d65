//! How often something took how long: fixed buckets, one writer.

use super::shared_counts::{SharedCount, SharedCounts};

/// Upper bounds of durations in microseconds: from what a proxy adds to what a client gives up at.
pub const MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// Upper bounds of durations in microseconds, for histograms by route and by node: the usual targets of
/// service levels, from 1 ms to a minute. Fewer than [`MICROS`], as each is a line for each route and node.
pub const SLO_MICROS: [u64; 13] = [
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 60_000_000,
];

/// Upper bounds of days that a certificate has left: the steps at which somebody should act.
pub const DAYS: [u64; 11] = [0, 1, 3, 7, 14, 30, 60, 90, 180, 365, 730];

/// Values by bucket, and their sum. `N` is one more than there are bounds.
#[derive(Debug, Default)]
pub struct Histogram<const N: usize> {
    counts: SharedCounts<N>,
    sum: SharedCount,
}

/// The values of a histogram, or of several added up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HistogramSums<const N: usize> {
    /// Values in each bucket alone.
    pub counts: [u64; N],
    /// All values together.
    pub sum: u64,
}

impl<const N: usize> Default for HistogramSums<N> {
    fn default() -> Self {
        Self { counts: [0; N], sum: 0 }
    }
}

impl<const N: usize> HistogramSums<N> {
    /// Values in all buckets.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum = sum.wrapping_add(*count);
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts a value. Only the owning core may call this. `bounds` is always the same list.
    pub fn observe(&self, bounds: &[u64], value: u64) {
        debug_assert_eq!(bounds.len() + 1, N);
        let at = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.counts.count(at);
        self.sum.add(value);
    }

    /// Adds the values to a sum.
    pub fn sum_into(&self, sums: &mut HistogramSums<N>) {
        self.counts.sum_into(&mut sums.counts);
        sums.sum = sums.sum.wrapping_add(self.sum.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::<12>::default();
        for days in [0, 1, 2, 730, 731] {
            histogram.observe(&DAYS, days);
        }
        let mut sums = HistogramSums::default();
        histogram.sum_into(&mut sums);
        histogram.sum_into(&mut sums);
        assert_eq!(sums.counts, [2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2]);
        assert_eq!((sums.count(), sums.sum), (10, 2 * (1 + 2 + 730 + 731)));
    }

    #[test]
    fn bounds_rise() {
        assert!(MICROS.is_sorted() && SLO_MICROS.is_sorted() && DAYS.is_sorted());
    }
}
