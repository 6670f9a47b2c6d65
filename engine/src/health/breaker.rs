//! A circuit breaker, as APISIX's plugin `api-breaker` has it: how it moves, and its state that the cores share.
//!
//! `failures` failures break the circuit for 2 s, as many more for 4 s, then 8 s, up to a bound. `successes`
//! successes with no failure between them forget all of that. While the circuit is broken nothing is asked; what
//! comes then answers a request from before, and counts for nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use ferrule_config::model::CircuitBreaker;

/// How a circuit breaker has moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerChange {
    /// The circuit is broken for so long.
    Breaks {
        /// For how long.
        seconds: u32,
    },
    /// All failures are forgotten.
    Recovers,
}

/// What is known of a route's upstream. One word, which the cores compare and swap.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Circuit {
    /// Failures since it was last broken.
    failures: u16,
    /// Successes since the last failure.
    successes: u16,
    /// How often it was broken since it last recovered; from 31 on, that is not counted.
    breaks: u8,
    /// Until when it is broken, in milliseconds; 0: it is not, since it recovered.
    until_ms: u64,
}

/// Bits of each count: as far as the configuration lets them grow.
const COUNT_BITS: u32 = 10;
const BREAKS_BITS: u32 = 5;
const BREAKS_MAX: u8 = (1 << BREAKS_BITS) - 1;
/// What is left for the time: 17 years.
const UNTIL_MAX: u64 = (1 << (64 - 2 * COUNT_BITS - BREAKS_BITS)) - 1;

/// The state of a breaker.
#[derive(Debug, Default)]
pub struct BreakerState {
    circuit: AtomicU64,
    /// How often it was broken, and has recovered.
    broken: AtomicU64,
    recovered: AtomicU64,
}

impl Circuit {
    fn of(packed: u64) -> Self {
        let mask = (1 << COUNT_BITS) - 1;
        let count = |shift: u32| u16::try_from(packed >> shift & mask).unwrap_or_default();
        Self {
            failures: count(0),
            successes: count(COUNT_BITS),
            breaks: u8::try_from(packed >> (2 * COUNT_BITS) & u64::from(BREAKS_MAX))
                .unwrap_or_default(),
            until_ms: packed >> (2 * COUNT_BITS + BREAKS_BITS),
        }
    }

    fn packed(self) -> u64 {
        u64::from(self.failures)
            | u64::from(self.successes) << COUNT_BITS
            | u64::from(self.breaks) << (2 * COUNT_BITS)
            | self.until_ms.min(UNTIL_MAX) << (2 * COUNT_BITS + BREAKS_BITS)
    }

    /// After an answer with this status; `None` if it changes nothing.
    fn after(
        self,
        rules: &CircuitBreaker,
        status: u16,
        now_ms: u64,
    ) -> Option<(Self, Option<BreakerChange>)> {
        if now_ms < self.until_ms {
            return None;
        }
        if rules.unhealthy_statuses.contains(&status) {
            let failed = Self { failures: self.failures + 1, successes: 0, ..self };
            if failed.failures < rules.failures {
                return Some((failed, None));
            }
            let breaks = failed.breaks.saturating_add(1).min(BREAKS_MAX);
            let seconds = rules.max_seconds.min(1 << breaks);
            let until_ms = now_ms.saturating_add(u64::from(seconds) * 1_000);
            let broken = Self { failures: 0, successes: 0, breaks, until_ms };
            return Some((broken, Some(BreakerChange::Breaks { seconds })));
        }
        if self == Self::default() || !rules.healthy_statuses.contains(&status) {
            return None;
        }
        let successes = self.successes + 1;
        if successes < rules.successes {
            return Some((Self { successes, ..self }, None));
        }
        Some((Self::default(), (self.breaks > 0).then_some(BreakerChange::Recovers)))
    }
}

impl BreakerState {
    /// For how many milliseconds more it is broken, if it is. The time is asked for only if it ever was.
    #[must_use]
    pub fn broken_for_ms(&self, now_ms: impl FnOnce() -> u64) -> Option<u64> {
        let until_ms = Circuit::of(self.circuit.load(Ordering::Relaxed)).until_ms;
        if until_ms == 0 {
            return None;
        }
        until_ms.checked_sub(now_ms()).filter(|left| *left > 0)
    }

    /// The upstream has answered with this status. While nothing fails, this is one relaxed load.
    pub fn answered(
        &self,
        rules: &CircuitBreaker,
        status: u16,
        now_ms: impl FnOnce() -> u64,
    ) -> Option<BreakerChange> {
        let mut packed = self.circuit.load(Ordering::Relaxed);
        if packed == 0 && !rules.unhealthy_statuses.contains(&status) {
            return None;
        }
        let now_ms = now_ms();
        loop {
            let (next, change) = Circuit::of(packed).after(rules, status, now_ms)?;
            let swapped = self.circuit.compare_exchange_weak(
                packed,
                next.packed(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => {
                    self.count(change);
                    return change;
                }
                Err(found) => packed = found,
            }
        }
    }

    fn count(&self, change: Option<BreakerChange>) {
        let count = match change {
            None => return,
            Some(BreakerChange::Breaks { .. }) => &self.broken,
            Some(BreakerChange::Recovers) => &self.recovered,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Failures since it was last broken, or has recovered.
    #[must_use]
    pub fn failures(&self) -> u16 {
        Circuit::of(self.circuit.load(Ordering::Relaxed)).failures
    }

    /// How often it was broken since it last recovered.
    #[must_use]
    pub fn breaks(&self) -> u8 {
        Circuit::of(self.circuit.load(Ordering::Relaxed)).breaks
    }

    /// How often it was broken, and how often it has recovered, as the metrics have them.
    pub fn change_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = [("broken", &self.broken), ("recovered", &self.recovered)];
        counts.into_iter().map(|(word, count)| (word, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::BreakResponse;

    use super::*;

    fn rules(failures: u16, successes: u16, max_seconds: u32) -> CircuitBreaker {
        CircuitBreaker {
            response: BreakResponse { status: 503, body: None, headers: Vec::new() },
            max_seconds,
            unhealthy_statuses: vec![500, 503],
            failures,
            healthy_statuses: vec![200, 206],
            successes,
        }
    }

    #[test]
    fn a_circuit_is_packed_without_a_loss() {
        let circuit =
            Circuit { failures: 1_000, successes: 999, breaks: BREAKS_MAX, until_ms: UNTIL_MAX };
        assert_eq!(Circuit::of(circuit.packed()), circuit);
        assert_eq!(Circuit::default().packed(), 0);
    }

    /// The times are APISIX's: 2, 4, 8 s, and no more than the bound.
    #[test]
    fn each_round_of_failures_breaks_it_for_twice_as_long() {
        let (state, rules) = (BreakerState::default(), rules(3, 2, 10));
        let mut now = 5_000;
        for seconds in [2, 4, 8, 10, 10] {
            let answer = |status| state.answered(&rules, status, || now);
            assert_eq!((answer(500), answer(404), answer(503)), (None, None, None));
            assert_eq!(state.broken_for_ms(|| now), None);
            assert_eq!(answer(500), Some(BreakerChange::Breaks { seconds }));
            let time = u64::from(seconds) * 1_000;
            assert_eq!(state.broken_for_ms(|| now), Some(time));
            // Late answers to requests from before.
            assert_eq!(
                (answer(500), answer(500), answer(500), answer(200)),
                (None, None, None, None)
            );
            assert_eq!(state.broken_for_ms(|| now), Some(time));
            assert_eq!(state.broken_for_ms(|| now + time - 1), Some(1));
            assert_eq!(state.broken_for_ms(|| now + time), None);
            now += time;
        }
        assert_eq!(state.breaks(), 5);
        let answer = |status| state.answered(&rules, status, || now);
        // Nothing but two in a row is enough.
        assert_eq!((answer(200), answer(500), answer(206)), (None, None, None));
        assert_eq!(answer(200), Some(BreakerChange::Recovers));
        assert_eq!((state.failures(), state.breaks(), answer(200)), (0, 0, None));
        assert!(state.change_counts().eq([("broken", 5), ("recovered", 1)]));
        // From the beginning.
        assert_eq!((answer(500), answer(500)), (None, None));
        assert_eq!(answer(500), Some(BreakerChange::Breaks { seconds: 2 }));
    }

    #[test]
    fn failures_are_forgotten_before_they_are_enough() {
        let (state, rules) = (BreakerState::default(), rules(2, 1, 300));
        for _ in 0..9 {
            assert_eq!(state.answered(&rules, 500, || 7), None);
            assert_eq!((state.failures(), state.answered(&rules, 200, || 7)), (1, None));
        }
        assert_eq!(state.failures(), 0);
    }

    /// However long it fails, times stay bounded and nothing overflows.
    #[test]
    fn it_may_fail_for_ever() {
        let (state, rules) = (BreakerState::default(), rules(1, 1, 86_400));
        let mut now = 1;
        for round in 1..200_u32 {
            let change = state.answered(&rules, 503, || now);
            let seconds = 86_400.min(1_u64 << round.min(31));
            assert_eq!(
                change,
                Some(BreakerChange::Breaks { seconds: u32::try_from(seconds).unwrap() })
            );
            now += seconds * 1_000;
        }
    }

    /// Cores that report at once lose nothing.
    #[test]
    fn every_failure_counts() {
        let (state, rules) = (BreakerState::default(), rules(1_000, 1, 300));
        let broken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..250).filter_map(|_| state.answered(&rules, 500, || 7)).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(broken, 1, "by the thousandth");
    }
}
