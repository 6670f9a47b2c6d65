//! Requests within a window of time: what all cores know of one key, and what one core may let pass of it.
//!
//! In: a time in nanoseconds, the same for all cores. Out: how many requests may pass, and until when none
//! may. A core takes several at once, its lease; the next ones cost it nothing but its own memory.

use std::time::Duration;

use ferrule_config::model::{WindowRule, WindowType};

/// A lease is this part of the limit, shared by all cores: what they hold unused keeps others from less than
/// one in a hundred.
const LEASE_SHARE: u64 = 128;

/// The rule, in the units of this room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestWindow {
    count: u64,
    window_ns: u64,
    sliding: bool,
    /// What a core takes at once.
    lease: u64,
    /// So often a core that refuses asks again: what others count may change what is known.
    recheck_ns: u64,
}

impl RequestWindow {
    /// The rule as so many cores share it.
    #[must_use]
    pub fn of(rule: &WindowRule, cores: usize) -> Self {
        let count = u64::from(rule.count);
        let cores = u64::try_from(cores).unwrap_or(u64::MAX).max(1);
        Self {
            count,
            window_ns: u64::try_from(rule.window.as_nanos()).unwrap_or(u64::MAX).max(1),
            sliding: rule.window_type == WindowType::Sliding,
            lease: (count / LEASE_SHARE.saturating_mul(cores)).max(1),
            recheck_ns: u64::MAX,
        }
    }

    /// The rule where other gateways count as well, and are heard of so often.
    #[must_use]
    pub(super) fn heard_every(self, interval: Duration) -> Self {
        Self { recheck_ns: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX), ..self }
    }

    /// How long the window is, in milliseconds; more than 0.
    #[must_use]
    pub const fn window_ms(&self) -> u64 {
        let ms = self.window_ns / 1_000_000;
        if ms == 0 { 1 } else { ms }
    }

    /// Do requests of the window before still count?
    #[must_use]
    pub const fn is_sliding(&self) -> bool {
        self.sliding
    }

    /// The most that may pass within a window.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// From when on what is known of a key says nothing any more.
    #[must_use]
    pub(super) const fn forgotten_at(&self, state: &WindowState) -> u64 {
        state.forgotten_at(self)
    }

    /// How many of the window before still count.
    fn still_counted(&self, state: &WindowState, now: u64) -> u64 {
        let left = u128::from(state.ends.saturating_sub(now));
        let part = u128::from(state.before) * left;
        u64::try_from(part.div_ceil(u128::from(self.window_ns))).unwrap_or(u64::MAX)
    }

    /// When the next one may pass, if nobody else asks meanwhile.
    fn free_at(&self, state: &WindowState, now: u64) -> u64 {
        if !self.sliding {
            return state.ends;
        }
        let share = |part: u64, whole: u64| {
            let ns = u128::from(self.window_ns) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(ns).unwrap_or(u64::MAX)
        };
        let taken = state.taken();
        let at = match self.count.checked_sub(taken.saturating_add(1)) {
            // So many of the window before may still count.
            Some(room) => state.ends.saturating_sub(share(room, state.before)),
            // In the next window, when enough of this one is out of sight.
            None => state.ends.saturating_add(
                self.window_ns.saturating_sub(share(self.count.saturating_sub(1), taken)),
            ),
        };
        at.max(now.saturating_add(1))
    }
}

/// What all cores know of one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WindowState {
    /// When the window ends; 0: there is none yet.
    pub(super) ends: u64,
    /// How long it is: requests may say that (`window_from`), and one says nothing of the others' windows.
    pub(super) length: u64,
    /// What was taken in it here.
    pub(super) used: u64,
    /// What other gateways have taken in it, as far as is known.
    pub(super) others: u64,
    /// What all have taken in the one before; of a sliding window only.
    pub(super) before: u64,
}

/// What a core was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct WindowGrant {
    /// So many may pass.
    granted: u64,
    /// So many are left for whoever asks next.
    left: u64,
    /// Until then it holds.
    ends: u64,
}

impl WindowState {
    const fn taken(&self) -> u64 {
        self.used.saturating_add(self.others)
    }

    pub(super) const fn forgotten_at(&self, rule: &RequestWindow) -> u64 {
        if rule.sliding { self.ends.saturating_add(self.length) } else { self.ends }
    }

    fn take(&mut self, rule: &RequestWindow, want: u64, now: u64) -> WindowGrant {
        if now >= self.ends {
            let next_to = rule.sliding && self.ends > 0 && now < self.forgotten_at(rule);
            let begins = if next_to { self.ends } else { now };
            let before = if next_to { self.taken() } else { 0 };
            let ends = begins.saturating_add(rule.window_ns);
            *self = Self { ends, length: rule.window_ns, before, ..Self::default() };
        }
        let counted = self.taken().saturating_add(rule.still_counted(self, now));
        let left = rule.count.saturating_sub(counted);
        let granted = want.min(left);
        self.used = self.used.saturating_add(granted);
        WindowGrant { granted, left: left - granted, ends: self.ends }
    }
}

/// What a core may let pass of one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WindowLease {
    /// So many more.
    left: u64,
    /// So many were left for others when it was taken.
    others: u64,
    /// When the window ends.
    ends: u64,
    /// Nobody passes before, and nobody asks.
    shut_until: u64,
    /// When the next one may pass; later than that if others are heard of before.
    free_at: u64,
}

/// What is said of a key's window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WindowAnswer {
    /// May it pass?
    pub passes: bool,
    /// How many more may.
    pub remaining: u64,
    /// Nanoseconds until the window ends; of a sliding one that is full, until another one may pass.
    pub reset_ns: u64,
}

impl WindowLease {
    /// Has it nothing to say any more?
    #[must_use]
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now >= self.ends && now >= self.shut_until
    }

    /// A request of this key: asks `shared` only if the lease says nothing. That runs what it is given on what all
    /// cores know of the key, and says how many may be taken at most.
    pub(super) fn ask(
        &mut self,
        rule: &RequestWindow,
        now: u64,
        shared: impl FnOnce(&mut dyn FnMut(&mut WindowState, u64)),
    ) -> WindowAnswer {
        if now < self.shut_until {
            return self.answer(false, self.free_at, now);
        }
        if now >= self.ends || self.left == 0 {
            shared(&mut |state, most| {
                let grant = state.take(rule, rule.lease.min(most), now);
                (self.left, self.others, self.ends) = (grant.granted, grant.left, grant.ends);
                self.free_at = if grant.granted > 0 { 0 } else { rule.free_at(state, now) };
                self.shut_until = self.free_at.min(now.saturating_add(rule.recheck_ns));
            });
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.answer(true, self.ends, now)
            }
            None => self.answer(false, self.free_at, now),
        }
    }

    const fn answer(&self, passes: bool, until: u64, now: u64) -> WindowAnswer {
        let remaining = if passes { self.left.saturating_add(self.others) } else { 0 };
        WindowAnswer { passes, remaining, reset_ns: until.saturating_sub(now) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rule(count: u32, seconds: u64, window_type: WindowType, cores: usize) -> RequestWindow {
        let window = Duration::from_secs(seconds);
        RequestWindow::of(&WindowRule { count, window, window_type, show_headers: true }, cores)
    }

    /// Cores that share a key.
    struct WindowCores {
        rule: RequestWindow,
        shared: WindowState,
        leases: Vec<WindowLease>,
        asked: usize,
    }

    impl WindowCores {
        fn new(rule: RequestWindow, cores: usize) -> Self {
            let (shared, leases) = (WindowState::default(), vec![WindowLease::default(); cores]);
            Self { rule, shared, leases, asked: 0 }
        }

        fn ask(&mut self, core: usize, now: u64) -> WindowAnswer {
            let Self { rule, shared, leases, asked } = self;
            leases[core].ask(rule, now, |with| {
                *asked += 1;
                with(shared, u64::MAX);
            })
        }
    }

    /// APISIX's: the window begins with the first request.
    #[test]
    fn a_fixed_window_counts_down_and_begins_anew() {
        let mut one = WindowCores::new(rule(2, 60, WindowType::Fixed, 1), 1);
        let answer = |passes, remaining, seconds| WindowAnswer {
            passes,
            remaining,
            reset_ns: seconds * SECOND,
        };
        let start = 17 * SECOND;
        assert_eq!(one.ask(0, start), answer(true, 1, 60));
        assert_eq!(one.ask(0, start + 10 * SECOND), answer(true, 0, 50));
        assert_eq!(one.ask(0, start + 20 * SECOND), answer(false, 0, 40));
        let asked = one.asked;
        assert!(!one.ask(0, start + 60 * SECOND - 1).passes);
        assert_eq!(one.asked, asked, "it is known that nobody passes");
        assert_eq!(one.ask(0, start + 60 * SECOND), answer(true, 1, 60));
    }

    #[test]
    fn a_sliding_window_remembers_the_one_before() {
        let mut one = WindowCores::new(rule(10, 10, WindowType::Sliding, 1), 1);
        let start = SECOND;
        for _ in 0..10 {
            assert!(one.ask(0, start + 9 * SECOND).passes);
        }
        // The window began with the first of them.
        let end = start + 19 * SECOND;
        let full = one.ask(0, end - SECOND);
        assert_eq!((full.passes, full.reset_ns), (false, 2 * SECOND));
        assert!(!one.ask(0, end).passes, "a fixed one would let ten pass");
        assert!(one.ask(0, end + SECOND).passes);
        assert!(!one.ask(0, end + SECOND).passes);
        // Half of them are out of sight, of which one has passed meanwhile.
        let passed = (0..9).filter(|_| one.ask(0, end + 5 * SECOND).passes).count();
        assert_eq!(passed, 4);
    }

    #[test]
    fn a_lease_is_asked_for_once_for_many() {
        let mut all = WindowCores::new(rule(100_000, 60, WindowType::Fixed, 4), 4);
        let passed = (0..110_000).filter(|at| all.ask(at % 4, SECOND).passes).count();
        assert!((99_000..=100_000).contains(&passed), "{passed}");
        assert!(all.asked < 600, "{}", all.asked);
    }

    proptest! {
        /// Never more than the limit in a window; and whoever is refused is so because at least 99 of a hundred
        /// have been let through.
        #[test]
        fn no_more_pass_than_may_and_hardly_fewer(
            count in 1_u32..300,
            cores in 1_usize..5,
            sliding in any::<bool>(),
            asks in prop::collection::vec((0_usize..8, 0_u64..SECOND / 40), 1..600),
        ) {
            let kind = if sliding { WindowType::Sliding } else { WindowType::Fixed };
            let mut all = WindowCores::new(rule(count, 1, kind, cores), cores);
            let (mut now, mut passed, mut window) = (SECOND, 0_u64, 0);
            for (core, pause) in asks {
                now += pause;
                let answer = all.ask(core % cores, now);
                if std::mem::replace(&mut window, all.shared.ends) != all.shared.ends {
                    passed = 0;
                }
                passed += u64::from(answer.passes);
                prop_assert!(passed <= u64::from(count) && all.shared.used <= u64::from(count));
                if !answer.passes {
                    prop_assert!(answer.reset_ns > 0);
                    prop_assert!(sliding || passed * 100 >= u64::from(count) * 99);
                }
            }
        }

        /// Whoever comes when he was told passes.
        #[test]
        fn the_time_that_is_told_is_right(
            count in 1_u32..50,
            sliding in any::<bool>(),
            pauses in prop::collection::vec(0_u64..SECOND, 1..200),
        ) {
            let kind = if sliding { WindowType::Sliding } else { WindowType::Fixed };
            let mut one = WindowCores::new(rule(count, 1, kind, 1), 1);
            let mut now = SECOND;
            for pause in pauses {
                now += pause / u64::from(count);
                let answer = one.ask(0, now);
                if !answer.passes {
                    now += answer.reset_ns;
                    prop_assert!(one.ask(0, now).passes, "{:?}", one.shared);
                }
            }
        }
    }
}
