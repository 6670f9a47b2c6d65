//! Requests at one time: how many of one key are under way, on all cores.
//!
//! Each is counted when it goes on and given back when it is over. A core may keep a few places for its next requests;
//! they count as held, so that no more are under way than may.

use ferrule_config::model::ConcurrencyRule;

/// No request is held back longer, however long others have taken.
const DELAY_MAX_NS: u64 = 60_000_000_000;

/// One place in so many may be kept unused.
const KEPT_SHARE: u32 = 100;

/// The rule, in the units of this room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Concurrency {
    connections: u32,
    most: u32,
    delay_ns: u64,
    only_use_default_delay: bool,
    /// Requests say how many are held back.
    burst_is_told: bool,
}

impl Concurrency {
    /// The rule.
    #[must_use]
    pub fn of(rule: &ConcurrencyRule) -> Self {
        Self {
            connections: rule.connections.max(1),
            most: rule.most(),
            delay_ns: u64::try_from(rule.delay.as_nanos()).unwrap_or(DELAY_MAX_NS),
            only_use_default_delay: rule.only_use_default_delay,
            burst_is_told: false,
        }
    }

    /// How many places of one key a core may keep, where so many cores share the limit: less than one in a hundred for
    /// all of them together. None where the number of a place says how long a request is held back.
    #[must_use]
    pub(super) fn kept_max(&self, cores: usize) -> u32 {
        let parts = u32::try_from(cores).unwrap_or(u32::MAX).saturating_mul(KEPT_SHARE);
        if self.most > self.connections { 0 } else { self.connections / parts.max(1) }
    }

    /// Requests say the burst, whatever that of the rule is.
    #[must_use]
    pub(super) const fn with_told_burst(self, burst_is_told: bool) -> Self {
        Self { burst_is_told, ..self }
    }

    /// The delay of a level before any request has told how long it takes.
    #[must_use]
    pub(super) const fn first_delay_ns(&self) -> u64 {
        self.delay_ns
    }

    /// Does the delay follow how long requests take?
    #[must_use]
    pub(super) const fn follows(&self) -> bool {
        (self.burst_is_told || self.most > self.connections) && !self.only_use_default_delay
    }

    /// How long the one that is this many (from 1 on) is held back, where a level takes so long: as
    /// resty.limit.conn, once for each `connections` before it.
    #[must_use]
    pub(super) fn delay_ns(&self, place: u32, level_ns: u64) -> u64 {
        if place <= self.connections {
            return 0;
        }
        let levels = u64::from((place - 1) / self.connections);
        level_ns.saturating_mul(levels).min(DELAY_MAX_NS)
    }
}

/// How long a level takes after a request that has taken so long: half of that, half of what it was.
#[must_use]
pub(super) const fn followed_ns(level_ns: u64, took_ns: u64) -> u64 {
    level_ns / 2 + took_ns / 2
}

/// What all cores know of one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConcurrencyState {
    held: u32,
}

impl ConcurrencyState {
    /// From when on it says nothing any more.
    #[must_use]
    pub(super) const fn forgotten_at(&self) -> u64 {
        if self.held == 0 { 0 } else { u64::MAX }
    }

    /// One more; its place, from 1 on. `None` if there is none left.
    pub(super) fn take(&mut self, rule: &Concurrency) -> Option<u32> {
        if self.held >= rule.most {
            return None;
        }
        self.held += 1;
        Some(self.held)
    }

    /// So many less.
    pub(super) const fn give_back(&mut self, places: u32) {
        self.held = self.held.saturating_sub(places);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The delays are resty.limit.conn's: `floor((conn - 1) / max) * unit`.
    #[test]
    fn those_beyond_the_limit_wait_a_level_each() {
        let rule = Concurrency::of(&ConcurrencyRule {
            connections: 2,
            burst: 3,
            delay: Duration::from_nanos(100),
            only_use_default_delay: false,
        });
        let mut state = ConcurrencyState::default();
        let places: Vec<_> = (0..6).map(|_| state.take(&rule)).collect();
        assert_eq!(places, [Some(1), Some(2), Some(3), Some(4), Some(5), None]);
        let delays: Vec<_> = places.into_iter().flatten().map(|p| rule.delay_ns(p, 100)).collect();
        assert_eq!(delays, [0, 0, 100, 100, 200]);
        state.give_back(1);
        assert_eq!((state.take(&rule), state.take(&rule)), (Some(5), None));
        state.give_back(9);
        assert_eq!(state, ConcurrencyState::default(), "never less than none");
        assert!(rule.follows());
        assert_eq!(followed_ns(100, 300), 200);
        assert_eq!(rule.delay_ns(5, u64::MAX), DELAY_MAX_NS);
    }
}
