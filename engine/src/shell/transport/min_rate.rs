//! How slow may a peer be?
//!
//! Each direction of a body has a least rate: so many bytes a second, over the time that we waited for
//! this peer and for nobody else, after a grace. It is asked for the length of the next wait, so it
//! needs no timer of its own. A peer of whom nothing is demanded costs a branch.

use std::time::Duration;

/// The rate that one direction of one body must keep. Waiting uses up an allowance of time, and bytes earn
/// it back, up to the grace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinRate {
    /// Bytes a second; 0 demands nothing.
    rate: u32,
    grace: Duration,
    left: Duration,
}

impl MinRate {
    /// For a body that has not begun.
    #[must_use]
    pub(crate) const fn new(rate: u32, grace: Duration) -> Self {
        Self { rate, grace, left: grace }
    }

    /// For a peer that may be as slow as it likes.
    #[must_use]
    pub(crate) const fn none() -> Self {
        Self::new(0, Duration::ZERO)
    }

    /// Is a rate demanded? Only then the clock has to be read.
    #[must_use]
    pub(crate) const fn is_demanded(&self) -> bool {
        self.rate > 0
    }

    /// How long the next wait may be, `most` at the most; `None` if the peer has used up its time.
    #[must_use]
    pub(crate) fn next_wait(&self, most: Duration) -> Option<Duration> {
        if self.rate == 0 {
            return Some(most);
        }
        (!self.left.is_zero()).then(|| self.left.min(most))
    }

    /// Records a wait and the bytes that it brought.
    pub(crate) fn record(&mut self, waited: Duration, bytes: u64) {
        let earned = bytes.saturating_mul(1_000_000) / u64::from(self.rate.max(1));
        let left = self.left.saturating_add(Duration::from_micros(earned));
        // A timer is coarse: who brings a byte after its time was up has still used it up.
        self.left = left.saturating_sub(waited).min(self.grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_demanded_is_nothing_lost() {
        let mut rate = MinRate::new(0, SECOND);
        rate.record(MINUTE, 0);
        assert!(!rate.is_demanded());
        assert_eq!(rate.next_wait(MINUTE), Some(MINUTE));
    }

    #[test]
    fn a_trickle_uses_up_its_time_and_a_burst_earns_some() {
        let mut rate = MinRate::new(100, 5 * SECOND);
        assert_eq!(rate.next_wait(MINUTE), Some(5 * SECOND));
        assert_eq!(rate.next_wait(SECOND), Some(SECOND));
        for _ in 0..4 {
            rate.record(SECOND, 10);
        }
        assert_eq!(rate.next_wait(MINUTE), Some(Duration::from_millis(1_400)));
        rate.record(SECOND, 1_000_000);
        assert_eq!(rate.next_wait(MINUTE), Some(5 * SECOND), "never more than the grace");
        rate.record(SECOND, 100);
        assert_eq!(rate.next_wait(MINUTE), Some(5 * SECOND), "as fast as it must be");
        rate.record(6 * SECOND, 50);
        assert_eq!(rate.next_wait(MINUTE), None);
    }

    #[test]
    fn a_body_of_any_size_is_counted() {
        let mut rate = MinRate::new(1, SECOND);
        rate.record(Duration::MAX, u64::MAX);
        rate.record(Duration::ZERO, u64::MAX);
        assert_eq!(rate.next_wait(MINUTE), Some(SECOND));
    }
}
