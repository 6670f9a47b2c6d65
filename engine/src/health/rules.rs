//! What counts: `checks.passive`, compiled for lookup.

use std::time::Duration;

use ferrule_config::model::Checks;

use super::standing::TryResult;

/// Statuses from 100 to 599 as a set of bits.
const STATUS_WORDS: usize = 600_usize.div_ceil(64);

/// What counts for the nodes of one upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rules {
    failing: Statuses,
    working: Option<Statuses>,
    /// How many failures in a row are too many, by [`FailureKind`]; 0: none is.
    limits: [u8; 3],
    pub(super) successes: u8,
    pub(super) fail_timeout_ms: u64,
    pub(super) max_ejection_ms: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Statuses([u64; STATUS_WORDS]);

/// How a try failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureKind {
    Tcp,
    Timeout,
    Http,
}

/// What a try says of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    Works,
    Fails(FailureKind),
    /// Neither.
    Nothing,
}

impl Statuses {
    fn of(statuses: &[u16]) -> Self {
        let mut bits = [0; STATUS_WORDS];
        for status in statuses {
            if let Some(word) = bits.get_mut(usize::from(status / 64)) {
                *word |= 1 << (status % 64);
            }
        }
        Self(bits)
    }

    fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word & (1 << (status % 64)) != 0)
    }
}

impl Rules {
    pub(super) fn of(checks: &Checks) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (healthy, unhealthy) = (&checks.passive.healthy, &checks.passive.unhealthy);
        Self {
            failing: Statuses::of(&unhealthy.http_statuses),
            working: healthy.http_statuses.as_deref().map(Statuses::of),
            limits: [unhealthy.tcp_failures, unhealthy.timeouts, unhealthy.http_failures],
            successes: healthy.successes,
            fail_timeout_ms: millis(unhealthy.fail_timeout),
            max_ejection_ms: millis(checks.passive.max_ejection_time),
        }
    }

    /// Has a try failed, whatever the counts are? `None`: its status says nothing.
    pub(super) fn failed(&self, result: TryResult) -> Option<bool> {
        match result {
            TryResult::Answered(status) if self.failing.contains(status) => Some(true),
            TryResult::Answered(status) => {
                self.working.is_none_or(|working| working.contains(status)).then_some(false)
            }
            TryResult::Broken | TryResult::TimedOut => Some(true),
        }
    }

    pub(super) fn meaning(&self, result: TryResult) -> Meaning {
        let kind = match result {
            TryResult::Answered(status) if self.failing.contains(status) => FailureKind::Http,
            TryResult::Answered(status) => {
                let works = self.working.is_none_or(|working| working.contains(status));
                return if works { Meaning::Works } else { Meaning::Nothing };
            }
            TryResult::Broken => FailureKind::Tcp,
            TryResult::TimedOut => FailureKind::Timeout,
        };
        if self.limit(kind) > 0 { Meaning::Fails(kind) } else { Meaning::Nothing }
    }

    /// So many failures of this kind in a row are too many.
    pub(super) fn limit(&self, kind: FailureKind) -> u8 {
        self.limits.get(kind as usize).copied().unwrap_or(0)
    }

    /// How long a node is set aside for the time after `level` others, without the jitter.
    pub(super) const fn length_ms(&self, level: u8) -> u64 {
        let factor = 1_u64 << if level < 32 { level } else { 32 };
        let length = self.fail_timeout_ms.saturating_mul(factor);
        if length < self.max_ejection_ms { length } else { self.max_ejection_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart_and_what_is_not_counted_says_nothing() {
        let mut checks = Checks::default();
        let rules = Rules::of(&checks);
        for (status, meaning) in [
            (100, Meaning::Works),
            (404, Meaning::Works),
            (500, Meaning::Works),
            (502, Meaning::Fails(FailureKind::Http)),
            (504, Meaning::Fails(FailureKind::Http)),
            (599, Meaning::Works),
            (999, Meaning::Works),
        ] {
            assert_eq!(rules.meaning(TryResult::Answered(status)), meaning, "{status}");
        }
        assert_eq!(rules.meaning(TryResult::Broken), Meaning::Fails(FailureKind::Tcp));
        assert_eq!(rules.meaning(TryResult::TimedOut), Meaning::Fails(FailureKind::Timeout));
        checks.passive.healthy.http_statuses = Some(vec![200]);
        checks.passive.unhealthy.tcp_failures = 0;
        let rules = Rules::of(&checks);
        assert_eq!(rules.meaning(TryResult::Answered(200)), Meaning::Works);
        assert_eq!(rules.meaning(TryResult::Answered(404)), Meaning::Nothing);
        assert_eq!(rules.meaning(TryResult::Broken), Meaning::Nothing);
        let failed = |result| rules.failed(result);
        assert_eq!(failed(TryResult::Answered(200)), Some(false));
        assert_eq!(failed(TryResult::Answered(404)), None);
        assert_eq!(failed(TryResult::Answered(503)), Some(true));
        assert_eq!([TryResult::Broken, TryResult::TimedOut].map(failed), [Some(true); 2]);
    }

    #[test]
    fn times_double_up_to_the_longest() {
        let rules = Rules::of(&Checks::default());
        let lengths: Vec<u64> = (0..7).map(|level| rules.length_ms(level) / 1_000).collect();
        assert_eq!(lengths, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(rules.length_ms(u8::MAX), 300_000);
    }
}
