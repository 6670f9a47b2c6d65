//! How often may the same complaint be written?
//!
//! A peer decides how often a handshake fails, so it must not decide how much we write. In: a cause and
//! the second we are in. Out: write it or not, and how many were left out since the last one written.

/// At most `per_second` lines of each cause in each second. One per core; no locks, no allocation.
#[derive(Debug)]
pub struct RateLimit<const CAUSES: usize> {
    per_second: u32,
    causes: [Cause; CAUSES],
}

#[derive(Clone, Copy, Debug)]
struct Cause {
    second: u64,
    written: u32,
    suppressed: u64,
}

impl<const CAUSES: usize> RateLimit<CAUSES> {
    /// Nothing written so far.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, causes: [Cause { second: 0, written: 0, suppressed: 0 }; CAUSES] }
    }

    /// May a line of this cause be written in this second (any clock that never goes back by much)?
    ///
    /// `Some` says yes, with the number of lines left out since the last one that was written; it
    /// belongs into the line, so that nothing is hidden. A cause outside the table is always written.
    pub fn allow(&mut self, cause: usize, second: u64) -> Option<u64> {
        let Some(entry) = self.causes.get_mut(cause) else { return Some(0) };
        if entry.second != second {
            entry.second = second;
            entry.written = 0;
        }
        if entry.written < self.per_second {
            entry.written += 1;
            return Some(std::mem::take(&mut entry.suppressed));
        }
        entry.suppressed = entry.suppressed.saturating_add(1);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_so_many_and_then_counts() {
        let mut limit = RateLimit::<2>::new(2);
        assert_eq!(limit.allow(0, 7), Some(0));
        assert_eq!(limit.allow(0, 7), Some(0));
        for _ in 0..5 {
            assert_eq!(limit.allow(0, 7), None);
        }
        assert_eq!(limit.allow(0, 8), Some(5));
        assert_eq!(limit.allow(0, 8), Some(0));
        assert_eq!(limit.allow(0, 8), None);
    }

    #[test]
    fn causes_do_not_hide_each_other() {
        let mut limit = RateLimit::<2>::new(1);
        assert_eq!(limit.allow(0, 1), Some(0));
        assert_eq!(limit.allow(0, 1), None);
        assert_eq!(limit.allow(1, 1), Some(0));
    }

    #[test]
    fn an_unknown_cause_is_written() {
        let mut limit = RateLimit::<1>::new(1);
        assert_eq!(limit.allow(9, 1), Some(0));
        assert_eq!(limit.allow(9, 1), Some(0));
    }

    #[test]
    fn the_first_second_counts_too() {
        let mut limit = RateLimit::<1>::new(1);
        assert_eq!(limit.allow(0, 0), Some(0));
        assert_eq!(limit.allow(0, 0), None);
    }
}
