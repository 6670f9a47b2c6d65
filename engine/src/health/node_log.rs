//! What the log has said of each node, so that a node that dies is one line of the log.
//!
//! In: that a try failed, and why, or that one worked. Out: the line that is due, if one is. All cores share
//! it, and a reload takes over that of the nodes that stay, so it does not matter on which core or
//! under which configuration a node fails. A try that worked costs one load while the node works; only a
//! failed try writes, and only a change of what the log says compares and swaps.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::wire::crc32c::crc32c;

/// Lines about one node within [`WINDOW_SECONDS`]: a node that comes and goes writes no more. The line after
/// that says what is so then.
const LINES_MAX: u64 = 6;
/// Five minutes.
const WINDOW_SECONDS: u64 = 300;
/// A node that fails on and on is named again when so many windows have passed without a line about it.
const WINDOWS_SILENT: u64 = 3;
/// A node works again if it answers and has not failed for more than this: of several tries at a time, some
/// may fail and some not.
const QUIET_SECONDS: u64 = 1;

/// What a line about a node that fails says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NodeTrouble {
    /// It fails; it did not before, as far as the log has it.
    Begins,
    /// It fails for another reason than the last line said.
    OtherReason(NodeFailures),
    /// It still fails, for the same reason.
    Persists(NodeFailures),
}

/// How long a node has been failing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeFailures {
    /// Tries that failed, on all cores.
    pub tries: u64,
    /// Seconds since the first of them.
    pub seconds: u64,
}

/// What the log has said of one node.
#[derive(Debug, Default)]
pub struct NodeLog {
    /// Its last tries failed.
    fails: AtomicBool,
    /// [`Logged`], packed.
    logged: AtomicU64,
    /// Tries that failed since the node began to fail.
    failed: AtomicU64,
    /// When it began to fail, Unix seconds.
    began: AtomicU64,
    /// When it last failed, Unix seconds.
    last_failure: AtomicU64,
}

/// What the log has last said of a node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Logged {
    /// Why it fails, as a number; 0 if it works.
    cause: u64,
    /// The window of the last line.
    window: u64,
    /// Lines in that window.
    lines: u64,
}

impl Logged {
    const fn of(packed: u64) -> Self {
        Self { cause: packed & 0xffff, lines: packed >> 16 & 0xff, window: packed >> 24 }
    }

    const fn packed(self) -> u64 {
        self.window << 24 | self.lines << 16 | self.cause
    }

    /// What the log will have said after a line about this cause; `None` if there were enough of them.
    const fn after_line(self, cause: u64, now: u64) -> Option<Self> {
        let window = now / WINDOW_SECONDS;
        let before = if window == self.window { self.lines } else { 0 };
        if before >= LINES_MAX {
            return None;
        }
        Some(Self { cause, window, lines: before + 1 })
    }
}

/// A reason as a number: reasons come from fixed lists, so this tells them apart, and nothing more is needed.
fn cause_of(reason: &str) -> u64 {
    u64::from(crc32c(&[reason.as_bytes()]) & 0xffff).max(1)
}

impl NodeLog {
    /// A try failed for this reason, one of a fixed list. The line that is due, if one is.
    pub fn failed(&self, reason: &str, now: u64) -> Option<NodeTrouble> {
        if self.last_failure.load(Ordering::Relaxed) != now {
            self.last_failure.store(now, Ordering::Relaxed);
        }
        if !self.fails.load(Ordering::Relaxed) && !self.fails.swap(true, Ordering::Relaxed) {
            self.began.store(now, Ordering::Relaxed);
            self.failed.store(1, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let packed = self.logged.load(Ordering::Relaxed);
        let (logged, cause) = (Logged::of(packed), cause_of(reason));
        let silent = (now / WINDOW_SECONDS).saturating_sub(logged.window) >= WINDOWS_SILENT;
        if cause == logged.cause && !silent {
            return None;
        }
        let next = logged.after_line(cause, now)?;
        // Another core may be faster: its line is the line.
        self.swap(packed, next)?;
        let failures = self.failures(now);
        Some(match logged.cause {
            0 => NodeTrouble::Begins,
            before if before == cause => NodeTrouble::Persists(failures),
            _ => NodeTrouble::OtherReason(failures),
        })
    }

    /// A try was answered. The line that is due, if one is: that the node works again.
    pub fn worked(&self, now: u64) -> Option<NodeFailures> {
        let packed = self.logged.load(Ordering::Relaxed);
        if Logged::of(packed).cause == 0 && !self.fails.load(Ordering::Relaxed) {
            return None;
        }
        self.works_again(packed, now)
    }

    fn works_again(&self, packed: u64, now: u64) -> Option<NodeFailures> {
        let last_failure = self.last_failure.load(Ordering::Relaxed);
        if now.saturating_sub(last_failure) <= QUIET_SECONDS {
            return None;
        }
        // So it is, whether or not another line may say so now.
        self.fails.store(false, Ordering::Relaxed);
        let logged = Logged::of(packed);
        if logged.cause == 0 {
            return None;
        }
        let (next, failures) = (logged.after_line(0, now)?, self.failures(now));
        self.swap(packed, next).map(|()| failures)
    }

    fn swap(&self, from: u64, to: Logged) -> Option<()> {
        let to = to.packed();
        self.logged
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| ())
    }

    /// The node works, as its health says: the log is about to say so, whatever it has said before.
    pub fn settle(&self, now: u64) -> Option<NodeFailures> {
        let packed = self.logged.load(Ordering::Relaxed);
        let logged = Logged::of(packed);
        let failures = (logged.cause != 0).then(|| self.failures(now));
        self.fails.store(false, Ordering::Relaxed);
        // Another core may have had another word meanwhile, which is newer.
        let _: Option<()> = self.swap(packed, Logged { cause: 0, ..logged });
        failures
    }

    /// What another one knows; for a node that goes on under other rules.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copy = |value: &AtomicU64| AtomicU64::new(value.load(Ordering::Relaxed));
        Self {
            fails: AtomicBool::new(self.fails.load(Ordering::Relaxed)),
            logged: copy(&self.logged),
            failed: copy(&self.failed),
            began: copy(&self.began),
            last_failure: copy(&self.last_failure),
        }
    }

    /// For how long it has been failing, whatever the log has said of that; `None` if it works.
    #[must_use]
    pub fn failing(&self, now: u64) -> Option<NodeFailures> {
        self.fails.load(Ordering::Relaxed).then(|| self.failures(now))
    }

    fn failures(&self, now: u64) -> NodeFailures {
        NodeFailures {
            tries: self.failed.load(Ordering::Relaxed),
            seconds: now.saturating_sub(self.began.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_301_700;

    const fn since(tries: u64, seconds: u64) -> NodeFailures {
        NodeFailures { tries, seconds }
    }

    #[test]
    fn a_node_that_dies_and_comes_back_is_two_lines() {
        let state = NodeLog::default();
        assert_eq!((state.worked(NOW), state.failing(NOW)), (None, None));
        assert_eq!(state.failed("refused", NOW), Some(NodeTrouble::Begins));
        for try_at in 1..1_000 {
            assert_eq!(state.failed("refused", NOW + try_at / 20), None);
        }
        assert_eq!(state.failing(NOW + 50), Some(since(1_000, 50)));
        // Another try, begun before, may still be answered.
        assert_eq!(state.worked(NOW + 50), None);
        assert_eq!(state.worked(NOW + 51), Some(since(1_000, 51)));
        assert_eq!((state.worked(NOW + 52), state.failing(NOW + 52)), (None, None));
        assert_eq!(state.failed("refused", NOW + 60), Some(NodeTrouble::Begins));
        assert_eq!(state.failing(NOW + 60), Some(since(1, 0)));
    }

    #[test]
    fn another_cause_is_a_change_and_a_reminder_is_rare() {
        let state = NodeLog::default();
        assert_eq!(state.failed("refused", NOW), Some(NodeTrouble::Begins));
        let change = state.failed("timeout", NOW + 9);
        assert_eq!(change, Some(NodeTrouble::OtherReason(since(2, 9))));
        let lines = (10..3_600).filter_map(|second| state.failed("timeout", NOW + second));
        let lines: Vec<_> = lines.collect();
        assert!((3..=4).contains(&lines.len()), "{lines:?}");
        assert!(lines.iter().all(|line| matches!(line, NodeTrouble::Persists(_))), "{lines:?}");
    }

    /// Whatever a node does, on however many cores: few lines, and the last one is true within a window.
    #[test]
    fn no_sequence_writes_more_than_its_share() {
        let reasons = ["refused", "timeout", "lost"];
        for seed in 1..200_u64 {
            let (state, mut random, mut lines) = (NodeLog::default(), seed, Vec::new());
            for step in 0..20_000_u64 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
                let now = NOW + step / 7;
                let is_line = match random >> 60 {
                    reason @ 0..3 => {
                        let reason = reasons[usize::try_from(reason).unwrap()];
                        let is_line = state.failed(reason, now).is_some();
                        assert!(state.failing(now).is_some(), "it fails, said or not");
                        is_line
                    }
                    _ => state.worked(now).is_some(),
                };
                lines.extend(is_line.then_some(now));
            }
            let windows = 20_000 / 7 / WINDOW_SECONDS + 2;
            assert!(lines.len() as u64 <= windows * LINES_MAX, "{}", lines.len());
            let end = NOW + 20_000 / 7 + 2 * WINDOW_SECONDS;
            state.worked(end);
            assert_eq!(state.failing(end), None, "the log's last word is true");
        }
    }

    #[test]
    fn several_cores_write_one_line() {
        let state = NodeLog::default();
        let lines: usize = std::thread::scope(|scope| {
            let core = || (0..500).filter_map(|_| state.failed("refused", NOW)).count();
            let cores = [(); 4].map(|()| scope.spawn(core));
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(lines, 1);
        assert!(state.failing(NOW).is_some_and(|failures| failures.tries > 1));
    }
}
