//! Chooses lines of the access log by chance.
//!
//! In: what the filter says of a request. Out: is its line written? No client can tell beforehand, and no rhythm
//! of requests gets around it.

use std::hash::{BuildHasher, RandomState};

use crate::plan::log_filter::LogChoice;

/// The chance of one core.
#[derive(Debug)]
pub(super) struct LogSampler {
    state: u64,
}

impl LogSampler {
    /// Begins somewhere.
    pub(super) fn new() -> Self {
        Self { state: RandomState::new().hash_one(0_u8) }
    }

    /// Is this line written?
    pub(super) fn takes(&mut self, choice: LogChoice) -> bool {
        match choice {
            LogChoice::Write => true,
            LogChoice::Skip => false,
            LogChoice::Sample(share) => self.next() % 1_000 < u64::from(share),
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_as_large_as_it_should_be() {
        let mut sampler = LogSampler { state: 7 };
        for share in [1, 10, 500] {
            let taken = (0..100_000).filter(|_| sampler.takes(LogChoice::Sample(share))).count();
            let wanted = usize::from(share) * 100;
            assert!((wanted / 2..wanted * 2).contains(&taken), "{share}: {taken}");
        }
        assert!(sampler.takes(LogChoice::Write) && !sampler.takes(LogChoice::Skip));
        assert!(!sampler.takes(LogChoice::Sample(0)));
    }
}
