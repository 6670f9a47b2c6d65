//! How binary upgrades went: written by the loader, read by the endpoints.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::control::process::clock;

/// How often a wait for an upgrade checks whether the client that waits is still connected.
const WAITER_CHECK_EVERY: Duration = Duration::from_millis(50);

/// Upgrades whose results are kept.
const UPGRADES_KEPT: usize = 32;
/// Reasons against one of them that are kept, and characters of each.
const REASONS_MAX: usize = 8;
const REASON_CHARS_MAX: usize = 400;

/// The process that has taken over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UpgradedTo {
    /// Its number.
    pub(crate) pid: u32,
    /// The version of its program.
    pub(crate) version: String,
}

/// The result of an upgrade: who has taken over, or every reason why nobody has.
pub(crate) type UpgradeResult = Result<UpgradedTo, Vec<String>>;

/// How an upgrade ended.
#[derive(Clone, Debug)]
pub(crate) struct UpgradeEnd {
    /// Which one, counted from the start of this process.
    pub(crate) number: u64,
    /// When, in Unix seconds.
    pub(crate) at: i64,
    /// Its result.
    pub(crate) result: UpgradeResult,
}

/// How upgrades went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrades {
    /// How many were taken, by this process and those before it.
    pub(crate) taken: u64,
    /// How many were refused, likewise.
    pub(crate) refused: u64,
    /// The last one of this process.
    pub(crate) last: Option<UpgradeEnd>,
    /// The last few, the newest last: those of this process, and first the one that it came of.
    pub(crate) history: VecDeque<UpgradeEnd>,
}

impl Upgrades {
    /// Keeps it, with the first few reasons against it, cut if they are long.
    fn remember(&mut self, mut end: UpgradeEnd) {
        if let Err(reasons) = &mut end.result {
            reasons.truncate(REASONS_MAX);
            for reason in reasons {
                *reason = reason.chars().take(REASON_CHARS_MAX).collect();
            }
        }
        if self.history.len() >= UPGRADES_KEPT {
            self.history.pop_front();
        }
        self.history.push_back(end);
    }
}

/// What is known of upgrades.
#[derive(Debug, Default)]
pub(crate) struct UpgradeBoard {
    upgrades: Mutex<Upgrades>,
    ended: Condvar,
}

impl UpgradeBoard {
    fn lock(&self) -> MutexGuard<'_, Upgrades> {
        self.upgrades.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How they went so far.
    pub(crate) fn get(&self) -> Upgrades {
        self.lock().clone()
    }

    /// Continues the counts of the former process; this process is the result of one more.
    pub(crate) fn continue_from(&self, taken: u64, refused: u64) {
        let mut upgrades = self.lock();
        (upgrades.taken, upgrades.refused) = (taken.saturating_add(1), refused);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let result = Ok(UpgradedTo { pid: std::process::id(), version });
        upgrades.remember(UpgradeEnd { number: 0, at: clock::unix_seconds(), result });
    }

    /// Records how one ended.
    pub(crate) fn record(&self, number: u64, result: UpgradeResult) {
        let mut upgrades = self.lock();
        match result {
            Ok(_) => upgrades.taken += 1,
            Err(_) => upgrades.refused += 1,
        }
        let end = UpgradeEnd { number, at: clock::unix_seconds(), result };
        upgrades.last = Some(end.clone());
        upgrades.remember(end);
        drop(upgrades);
        self.ended.notify_all();
    }

    /// Waits for the end of this one. `None` if the patience runs out, or the client that waits is no longer
    /// connected.
    pub(crate) fn wait(
        &self,
        number: u64,
        patience: Duration,
        is_connected: impl Fn() -> bool,
    ) -> Option<UpgradeResult> {
        let started = clock::monotonic();
        let ended = |upgrades: &Upgrades| {
            let end = upgrades.last.as_ref().filter(|end| end.number >= number)?;
            Some(end.result.clone())
        };
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let going_on = |upgrades: &mut Upgrades| ended(upgrades).is_none();
            let waited =
                self.ended.wait_timeout_while(self.lock(), left.min(WAITER_CHECK_EVERY), going_on);
            let (upgrades, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if !timeout.timed_out() || left.is_zero() {
                return ended(&upgrades);
            }
            drop(upgrades);
            if !is_connected() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_learns_the_end_of_its_own() {
        let board = UpgradeBoard::default();
        board.continue_from(2, 1);
        assert_eq!(board.wait(1, Duration::ZERO, || true), None);
        assert_eq!(board.wait(1, Duration::from_secs(600), || false), None);
        board.record(1, Err(vec![String::from("no")]));
        assert_eq!(board.wait(1, Duration::ZERO, || true), Some(Err(vec![String::from("no")])));
        assert_eq!(board.wait(2, Duration::ZERO, || true), None);
        let ended = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| board.wait(2, Duration::from_secs(10), || true));
            board.record(2, Ok(UpgradedTo { pid: 7, version: String::from("9") }));
            waiter.join().unwrap()
        });
        assert_eq!(ended.unwrap().unwrap().pid, 7);
        let Upgrades { taken, refused, history, .. } = board.get();
        assert_eq!((taken, refused), (4, 2));
        let kept: Vec<bool> = history.iter().map(|end| end.result.is_ok()).collect();
        assert_eq!(kept, [true, false, true], "the one that this process came of is the first");
        for _ in 0..40 {
            board.record(3, Err(vec!["x".repeat(1_000); 20]));
        }
        let history = board.get().history;
        assert_eq!(history.len(), UPGRADES_KEPT);
        let reasons = history.back().unwrap().result.as_ref().unwrap_err();
        assert_eq!((reasons.len(), reasons[0].len()), (REASONS_MAX, REASON_CHARS_MAX));
    }
}
