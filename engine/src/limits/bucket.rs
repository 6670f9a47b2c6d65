//! Requests per second, a leaky bucket: when the next request of one key is due.
//!
//! In: a time in nanoseconds, the same for all cores. Out: how long a request is held back, or that it is
//! refused. All that is known of a key is when its next request is due: each takes the interval from one
//! request to the next. A core takes several intervals at once, its lease, for no longer than `LEASE_NS`.

use ferrule_config::model::BucketRule;

/// What a core has taken and not used by then, it gives back.
const LEASE_NS: u64 = 10_000_000;
/// A lease is no larger than this part of the burst, shared by all cores.
const LEASE_SHARE: u64 = 16;
/// No request is held back longer.
const DELAY_MAX_NS: u64 = 60_000_000_000;
/// Nanoseconds of a second, for rates in thousandths.
const THOUSAND_SECONDS_NS: u64 = 1_000_000_000_000;

/// The rule, in the units of this room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeakyBucket {
    /// From one request to the next.
    interval_ns: u64,
    /// How far ahead of its time a request may be.
    burst_ns: u64,
    nodelay: bool,
    /// What a core takes at once, at most.
    lease: u64,
}

impl LeakyBucket {
    /// The rule as so many cores share it.
    #[must_use]
    pub fn of(rule: &BucketRule, cores: usize) -> Self {
        let rate = rule.rate_thousandths.max(1);
        let interval_ns = (THOUSAND_SECONDS_NS / rate).max(1);
        let burst = u128::from(rule.burst_thousandths) * u128::from(THOUSAND_SECONDS_NS);
        let burst_ns = burst / (u128::from(rate) * 1_000);
        // A rule that a request says was not looked at when the file was read.
        let burst_max = if rule.nodelay { u64::MAX } else { DELAY_MAX_NS };
        let cores = u64::try_from(cores).unwrap_or(u64::MAX).max(1);
        let in_time = LEASE_NS / interval_ns / cores;
        let in_burst = rule.burst_thousandths / 1_000 / LEASE_SHARE.saturating_mul(cores);
        Self {
            interval_ns,
            burst_ns: u64::try_from(burst_ns).unwrap_or(u64::MAX).min(burst_max),
            nodelay: rule.nodelay,
            lease: in_time.min(in_burst).max(1),
        }
    }
}

/// What all cores know of one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BucketState {
    /// When the next request is due.
    due: u64,
}

impl BucketState {
    /// From when on it says nothing any more.
    #[must_use]
    pub(super) const fn forgotten_at(&self) -> u64 {
        self.due
    }

    /// Gives `unused` back, and takes up to `want`: how many, and when the first of them is due.
    fn take(&mut self, rule: &LeakyBucket, unused: u64, want: u64, now: u64) -> (u64, u64) {
        let back = unused.saturating_mul(rule.interval_ns);
        let first = self.due.saturating_sub(back).max(now);
        let latest = now.saturating_add(rule.burst_ns);
        let granted = match latest.checked_sub(first) {
            Some(room) => want.min((room / rule.interval_ns).saturating_add(1)),
            None => 0,
        };
        self.due = first.saturating_add(granted.saturating_mul(rule.interval_ns));
        (granted, first)
    }
}

/// What a core may let pass of one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BucketLease {
    /// So many more.
    left: u64,
    /// When the next one of them is due.
    due: u64,
    /// The lease is over then.
    ends: u64,
    /// Nobody passes before.
    shut_until: u64,
    /// What is taken next: more where a lease was used up, less where it was not.
    want: u64,
}

/// What is said of a key's bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BucketAnswer {
    /// It goes on, after so many nanoseconds.
    Passes {
        /// 0 is at once.
        delay_ns: u64,
    },
    /// It is refused; another one may pass after so many nanoseconds.
    Refused {
        /// More than 0.
        retry_ns: u64,
    },
}

impl BucketLease {
    /// Has it nothing to say any more?
    #[must_use]
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now >= self.ends && now >= self.shut_until
    }

    /// A request of this key: asks `shared` only if the lease says nothing. That runs what it is given on what all
    /// cores know of the key, and says how many may be taken at most.
    pub(super) fn ask(
        &mut self,
        rule: &LeakyBucket,
        now: u64,
        shared: impl FnOnce(&mut dyn FnMut(&mut BucketState, u64)),
    ) -> BucketAnswer {
        if now < self.shut_until {
            return BucketAnswer::Refused { retry_ns: self.shut_until - now };
        }
        if now >= self.ends || self.left == 0 {
            let unused = self.left;
            self.want = if unused > 0 {
                (self.want.saturating_sub(unused)).max(1)
            } else if now < self.ends {
                self.want.saturating_mul(2).clamp(1, rule.lease)
            } else {
                self.want.clamp(1, rule.lease)
            };
            shared(&mut |state, most| {
                (self.left, self.due) = state.take(rule, unused, self.want.min(most), now);
                self.ends = now.saturating_add(LEASE_NS);
                self.shut_until =
                    if self.left > 0 { 0 } else { self.due.saturating_sub(rule.burst_ns) };
            });
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                let due = self.due;
                self.left = left;
                self.due = due.saturating_add(rule.interval_ns);
                let ahead = due.saturating_sub(now);
                BucketAnswer::Passes { delay_ns: if rule.nodelay { 0 } else { ahead } }
            }
            None => BucketAnswer::Refused { retry_ns: self.shut_until.saturating_sub(now).max(1) },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rule(rate: u64, burst: u64, nodelay: bool, cores: usize) -> LeakyBucket {
        LeakyBucket::of(
            &BucketRule { rate_thousandths: rate, burst_thousandths: burst, nodelay },
            cores,
        )
    }

    struct BucketCores {
        rule: LeakyBucket,
        shared: BucketState,
        leases: Vec<BucketLease>,
        asked: usize,
    }

    impl BucketCores {
        fn new(rule: LeakyBucket, cores: usize) -> Self {
            let (shared, leases) = (BucketState::default(), vec![BucketLease::default(); cores]);
            Self { rule, shared, leases, asked: 0 }
        }

        fn ask(&mut self, core: usize, now: u64) -> BucketAnswer {
            let Self { rule, shared, leases, asked } = self;
            leases[core].ask(rule, now, |with| {
                *asked += 1;
                with(shared, u64::MAX);
            })
        }
    }

    fn delay(seconds_tenths: u64) -> BucketAnswer {
        BucketAnswer::Passes { delay_ns: seconds_tenths * SECOND / 10 }
    }

    fn passes(answer: BucketAnswer) -> bool {
        matches!(answer, BucketAnswer::Passes { .. })
    }

    /// Four per second, and two ahead of their time: as resty.limit.req has it.
    #[test]
    fn requests_ahead_of_their_time_wait_for_it_and_those_beyond_the_burst_are_refused() {
        let mut one = BucketCores::new(rule(4_000, 2_000, false, 1), 1);
        assert_eq!(one.ask(0, SECOND), delay(0));
        assert_eq!(one.ask(0, SECOND), BucketAnswer::Passes { delay_ns: SECOND / 4 });
        assert_eq!(one.ask(0, SECOND), delay(5));
        assert_eq!(one.ask(0, SECOND), BucketAnswer::Refused { retry_ns: SECOND / 4 });
        let asked = one.asked;
        assert!(!passes(one.ask(0, SECOND + SECOND / 8)));
        assert_eq!(one.asked, asked, "it is known that nobody passes");
        assert_eq!(one.ask(0, SECOND + SECOND / 4), delay(5));
        // After a pause there is a whole burst again, and no more.
        let later = 100 * SECOND;
        let passed: Vec<_> = (0..5).map(|_| passes(one.ask(0, later))).collect();
        assert_eq!(passed, [true, true, true, false, false]);
    }

    #[test]
    fn without_delay_they_go_on_at_once() {
        let mut one = BucketCores::new(rule(100, 4_000, true, 1), 1);
        let answers: Vec<_> = (0..6).map(|_| one.ask(0, SECOND)).collect();
        assert!(answers[..5].iter().all(|answer| *answer == delay(0)), "{answers:?}");
        assert_eq!(answers[5], BucketAnswer::Refused { retry_ns: 10 * SECOND });
    }

    /// A burst of less than one request is none: the first passes, and the next when it is due, but for a tenth.
    #[test]
    fn a_burst_may_be_a_part_of_a_request() {
        let mut one = BucketCores::new(rule(100, 100, false, 1), 1);
        assert_eq!(one.ask(0, SECOND), delay(0));
        assert_eq!(one.ask(0, SECOND), BucketAnswer::Refused { retry_ns: 9 * SECOND });
        assert_eq!(one.ask(0, 10 * SECOND), delay(10));
    }

    #[test]
    fn a_busy_core_takes_many_at_once() {
        let mut all = BucketCores::new(rule(100_000_000, 10_000_000, true, 4), 4);
        for at in 0..100_000_u64 {
            let core = usize::try_from(at % 4).unwrap();
            assert!(passes(all.ask(core, SECOND + at * 10_000)));
        }
        assert!(all.asked < 2_500, "{}", all.asked);
    }

    #[test]
    fn what_was_taken_and_not_used_is_given_back() {
        let rule = rule(1_000_000, 100_000, true, 1);
        let mut state = BucketState::default();
        assert_eq!(state.take(&rule, 0, 50, SECOND), (50, SECOND));
        let first = SECOND + 10 * rule.interval_ns;
        assert_eq!(state.take(&rule, 40, 1, SECOND), (1, first));
        // Never more than there was: the past is not given back.
        let later = 2 * SECOND;
        assert_eq!(state.take(&rule, 40, 1, later), (1, later));
    }

    /// What is not used comes back: a core that asks seldom costs the others nothing that matters.
    #[test]
    fn an_idle_core_holds_nothing_back() {
        let mut all = BucketCores::new(rule(10_000_000, 1_000_000, true, 2), 2);
        let (mut passed, mut now) = (0_u64, SECOND);
        for step in 0..200_000_u64 {
            now += 50_000;
            let core = usize::from(step % 400 == 0);
            passed += u64::from(passes(all.ask(core, now)));
        }
        // Twice as many ask as may, for ten seconds.
        let may = 10_000 * 10 + 1_000;
        assert!(passed <= may + 1 && passed * 100 >= may * 98, "{passed} of {may}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However cores ask: over any time, no more than the rate and the burst, and one lease per core.
        #[test]
        fn no_more_pass_than_may(
            rate in 1_000_u64..20_000_000,
            burst in 0_u64..3_000_000,
            cores in 1_usize..9,
            asks in prop::collection::vec((0_usize..8, 0_u64..2_000_000), 1..1_000),
        ) {
            let rule = rule(rate, burst, true, cores);
            let mut all = BucketCores::new(rule, cores);
            let (mut now, mut passed) = (SECOND, Vec::<u64>::new());
            for (core, pause) in asks {
                now += pause;
                match all.ask(core % cores, now) {
                    BucketAnswer::Passes { .. } => passed.push(now),
                    BucketAnswer::Refused { retry_ns } => prop_assert!(retry_ns > 0),
                }
            }
            let lease = rule.lease * u64::try_from(cores).unwrap();
            for (from, first) in passed.iter().enumerate().step_by(97) {
                for (to, last) in passed.iter().enumerate().skip(from).step_by(53) {
                    let may = (last - first + rule.burst_ns) / rule.interval_ns + 2 + lease;
                    prop_assert!(u64::try_from(to - from).unwrap() <= may);
                }
            }
        }

        /// Whoever comes when he was told passes, and is not held back longer than the burst takes.
        #[test]
        fn the_time_that_is_told_is_right(
            rate in 1_u64..10_000_000,
            burst in 0_u64..20_000,
            pauses in prop::collection::vec(0_u64..SECOND, 1..200),
        ) {
            let rule = rule(rate, burst, false, 1);
            let (mut one, mut now) = (BucketCores::new(rule, 1), SECOND);
            for pause in pauses {
                now += pause.min(rule.interval_ns);
                match one.ask(0, now) {
                    BucketAnswer::Passes { delay_ns } => prop_assert!(delay_ns <= rule.burst_ns),
                    BucketAnswer::Refused { retry_ns } => {
                        now += retry_ns;
                        prop_assert!(passes(one.ask(0, now)));
                    }
                }
            }
        }
    }
}
