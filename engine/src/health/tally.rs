//! What the cores count of a node whose upstream compares its nodes.
//!
//! Each core writes numbers of its own, with a relaxed load and a relaxed store; whoever compares adds them up,
//! off the path of requests. Numbers wrap around: only differences are used.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::outliers::NodeSample;

/// Times are counted from 2^8 to 2^28 microseconds (4.5 minutes), in four steps for each power of two: a median is
/// exact to an eighth.
const BUCKETS: usize = 4 * (28 - FIRST_POWER);
const FIRST_POWER: usize = 8;

/// The numbers of one node.
#[derive(Debug)]
pub(super) struct Tallies {
    cores: Box<[CoreTally]>,
    /// Only who compares takes it.
    window: Mutex<TallyWindow>,
}

/// The numbers of one core; on cache lines of its own, so that cores do not wait for each other's.
#[derive(Debug)]
#[repr(align(128))]
struct CoreTally {
    good: AtomicU32,
    failed: AtomicU32,
    times: [AtomicU32; BUCKETS],
}

/// Where the interval began.
#[derive(Debug)]
struct TallyWindow {
    start: Sums,
    slow: u8,
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    good: u32,
    failed: u32,
    times: [u32; BUCKETS],
}

impl Tallies {
    /// Of a node that so many cores ask.
    pub(super) fn new(cores: usize) -> Self {
        let tally = || CoreTally {
            good: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            times: [const { AtomicU32::new(0) }; BUCKETS],
        };
        Self {
            cores: std::iter::repeat_with(tally).take(cores).collect(),
            window: Mutex::new(TallyWindow { start: Sums::ZERO, slow: 0 }),
        }
    }

    /// A try has ended. Only this core may call it. `micros` is how long the node took, if that is known.
    pub(super) fn count(&self, core: u32, failed: bool, micros: Option<u64>) {
        let core = usize::try_from(core).unwrap_or(usize::MAX);
        let Some(tally) = self.cores.get(core) else { return };
        add_one(if failed { &tally.failed } else { &tally.good });
        if let Some(time) = micros.and_then(|micros| tally.times.get(bucket(micros))) {
            add_one(time);
        }
    }

    /// What has happened since this was last called.
    pub(super) fn take(&self) -> NodeSample {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = Sums::ZERO;
        for core in &self.cores {
            now.good = now.good.wrapping_add(core.good.load(Ordering::Relaxed));
            now.failed = now.failed.wrapping_add(core.failed.load(Ordering::Relaxed));
            for (sum, time) in now.times.iter_mut().zip(&core.times) {
                *sum = sum.wrapping_add(time.load(Ordering::Relaxed));
            }
        }
        let start = std::mem::replace(&mut window.start, now);
        let mut times = now.times;
        for (time, start) in times.iter_mut().zip(&start.times) {
            *time = time.wrapping_sub(*start);
        }
        let timed = times.iter().fold(0_u32, |sum, time| sum.saturating_add(*time));
        NodeSample {
            good: now.good.wrapping_sub(start.good),
            failed: now.failed.wrapping_sub(start.failed),
            timed,
            median_micros: median(&times, timed),
            slow_before: window.slow,
        }
    }

    /// In so many intervals in a row it was slow.
    pub(super) fn set_slow(&self, intervals: u8) {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).slow = intervals;
    }
}

impl Sums {
    const ZERO: Self = Self { good: 0, failed: 0, times: [0; BUCKETS] };
}

fn add_one(count: &AtomicU32) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Where a time belongs.
fn bucket(micros: u64) -> usize {
    let micros = micros.max(1 << FIRST_POWER);
    let power = micros.ilog2() as usize;
    let quarter = micros >> (power - 2) & 3;
    (4 * (power - FIRST_POWER) + usize::try_from(quarter).unwrap_or(0)).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn micros_of(bucket: usize) -> u64 {
    let step = 1_u64 << (bucket / 4 + FIRST_POWER - 2);
    let quarter = u64::try_from(bucket % 4).unwrap_or(0);
    step * (4 + quarter) + step / 2
}

fn median(times: &[u32; BUCKETS], count: u32) -> u64 {
    let mut below = 0_u32;
    let middle = times.iter().position(|time| {
        below = below.saturating_add(*time);
        below >= count.div_ceil(2).max(1)
    });
    middle.map_or(0, micros_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_around_its_middle() {
        let mut last = 0;
        for micros in (256..300_000_000).step_by(997) {
            let at = bucket(micros);
            assert!(at >= last && at < BUCKETS);
            last = at;
            if micros < 1 << 28 {
                let middle = micros_of(at);
                assert!(middle.abs_diff(micros) * 8 <= micros, "{micros} {middle}");
            }
        }
        assert_eq!((last, bucket(0), bucket(u64::MAX)), (BUCKETS - 1, 0, BUCKETS - 1));
    }

    #[test]
    fn what_all_cores_count_is_added_up_once() {
        let tallies = Tallies::new(2);
        for micros in [1_000, 2_000, 40_000] {
            tallies.count(0, false, Some(micros));
            tallies.count(1, true, Some(micros * 10));
        }
        tallies.count(1, true, None);
        tallies.count(7, true, None);
        tallies.set_slow(3);
        let sample = tallies.take();
        assert_eq!((sample.good, sample.failed, sample.timed, sample.slow_before), (3, 4, 6, 3));
        assert_eq!(sample.median_micros, micros_of(bucket(10_000)));
        let none = NodeSample { slow_before: 3, ..NodeSample::default() };
        assert_eq!(tallies.take(), none);
        tallies.count(1, false, Some(5));
        assert_eq!((tallies.take().good, tallies.take().good), (1, 0));
    }
}
