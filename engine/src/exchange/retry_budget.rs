//! How many further tries may there be? A budget keeps a failing upstream from getting several times its
//! load, when each of its failures is tried again.
//!
//! In: each request that is forwarded, and the time of each further try that is wanted. Out: may there be
//! one? It is a bucket: each request brings a share of a try, and each second a few whole ones. The state
//! of one upstream on one core.

use std::time::Duration;

use ferrule_config::model::RetryBudget;

/// What one try costs; a request brings `percent` of it.
const TRY: u32 = 100;

/// Seconds whose share by time may be saved.
const SAVED_SECONDS: u32 = 10;

/// Requests whose share may be saved.
const SAVED_REQUESTS: u32 = 1_000;

/// What is left of an upstream's budget.
#[derive(Clone, Debug)]
pub struct RetryAllowance {
    limits: RetryBudget,
    left: u32,
    most: u32,
    /// Up to when time has been credited.
    credited: Duration,
}

impl RetryAllowance {
    /// A new one has what ten seconds bring.
    #[must_use]
    pub const fn new(limits: RetryBudget) -> Self {
        let by_time = limits.min_per_second.saturating_mul(SAVED_SECONDS * TRY);
        let by_requests = limits.percent * SAVED_REQUESTS;
        let most = by_time.saturating_add(by_requests);
        Self { limits, left: by_time, most, credited: Duration::ZERO }
    }

    /// A request is forwarded.
    pub fn count_request(&mut self) {
        self.left = self.left.saturating_add(self.limits.percent).min(self.most);
    }

    /// Takes one further try, if there may be one at `now`.
    pub fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.credited).as_millis();
        let earned = passed * u128::from(self.limits.min_per_second) * u128::from(TRY) / 1_000;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(earned).min(self.most);
            self.credited = now;
        }
        let rest = self.left.checked_sub(TRY);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: RetryBudget = RetryBudget { percent: 20, min_per_second: 3 };

    #[test]
    fn a_fifth_of_the_requests_may_be_tried_again() {
        let limits = RetryBudget { min_per_second: 0, ..DEFAULT };
        let mut allowance = RetryAllowance::new(limits);
        let mut taken = 0;
        for _ in 0..1_000 {
            allowance.count_request();
            taken += u32::from(allowance.take(Duration::ZERO));
        }
        assert_eq!(taken, 200);
    }

    #[test]
    fn a_few_may_be_tried_whatever_the_load() {
        let mut allowance = RetryAllowance::new(DEFAULT);
        let at_once = (0..100).filter(|_| allowance.take(Duration::ZERO)).count();
        assert_eq!(at_once, 30);
        let within = |allowance: &mut RetryAllowance, second: u64| {
            (0..1_000).filter(|_| allowance.take(Duration::from_secs(second))).count()
        };
        assert_eq!(within(&mut allowance, 1), 3);
        assert_eq!(within(&mut allowance, 3), 6);
        // Nothing is saved for ever.
        assert_eq!(within(&mut allowance, 1_000_000), 230);
    }

    #[test]
    fn nothing_is_tried_without_a_budget() {
        let mut allowance = RetryAllowance::new(RetryBudget { percent: 0, min_per_second: 0 });
        for second in 0..100 {
            allowance.count_request();
            assert!(!allowance.take(Duration::from_secs(second)));
        }
    }

    /// The bound that docs/retries.md states, whatever comes in which order.
    #[test]
    fn the_bound_holds() {
        let mut seed = 1_u64;
        let mut below = |bound: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        for _ in 0..500 {
            let percent = u32::try_from(below(101)).unwrap();
            let min_per_second = u32::try_from(below(50)).unwrap();
            let mut allowance = RetryAllowance::new(RetryBudget { percent, min_per_second });
            let (mut now, mut requests, mut taken) = (0_u64, 0_u64, 0_u64);
            for _ in 0..60 {
                now += below(3_000);
                for _ in 0..below(40) {
                    allowance.count_request();
                    requests += 1;
                }
                for _ in 0..below(40) {
                    taken += u64::from(allowance.take(Duration::from_millis(now)));
                }
                let by_requests = requests * u64::from(percent) * 10;
                let by_time = (now + 10_000) * u64::from(min_per_second);
                assert!(taken * 1_000 <= by_requests + by_time, "{percent} {min_per_second}");
            }
        }
    }
}
