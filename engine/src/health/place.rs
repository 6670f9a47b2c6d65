//! How a node moves: two small values, each packed into a word that the cores compare and swap.
//!
//! Pure: what comes after, from what is and the time.

use super::rules::{FailureKind, Rules};
use super::standing::Standing;

/// Where a node stands by its answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) mode: PlaceMode,
    /// How often the time it was set aside for has doubled.
    pub(super) level: u8,
    /// Probes in a row that worked.
    worked: u8,
    /// Usable: since when. Set aside: until when. Probing: until when the probe may take.
    pub(super) at_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum PlaceMode {
    #[default]
    Usable,
    SetAside,
    /// Set aside, and one request is on its way to it.
    Probing,
}

/// The most doublings that are counted; far more than any time has.
const LEVEL_MAX: u8 = 31;
/// Times are bounded to what fits: 8,900 years.
const AT_MAX: u64 = (1 << 48) - 1;

impl Place {
    pub(super) const fn of(packed: u64) -> Self {
        let mode = match packed & 3 {
            0 => PlaceMode::Usable,
            1 => PlaceMode::SetAside,
            _ => PlaceMode::Probing,
        };
        let [low, high] = [(packed >> 2 & 0x1f) as u8, (packed >> 8 & 0xff) as u8];
        Self { mode, level: low, worked: high, at_ms: packed >> 16 }
    }

    pub(super) fn packed(self) -> u64 {
        let at = self.at_ms.min(AT_MAX);
        at << 16 | u64::from(self.worked) << 8 | u64::from(self.level) << 2 | self.mode as u64
    }

    pub(super) const fn standing(self, now_ms: u64) -> Standing {
        match self.mode {
            PlaceMode::Usable => Standing::Usable,
            PlaceMode::SetAside | PlaceMode::Probing if now_ms >= self.at_ms => Standing::Probe,
            PlaceMode::SetAside | PlaceMode::Probing => Standing::SetAside,
        }
    }

    /// A usable node has failed too often; it took so long to find out.
    pub(super) fn set_aside(self, rules: &Rules, now_ms: u64, noticed_ms: u64, draw: u64) -> Self {
        let back = now_ms.saturating_sub(self.at_ms).saturating_sub(noticed_ms);
        // It was set aside before, and was not back for as long as that.
        let soon = self.at_ms > 0 && back < rules.length_ms(self.level);
        let level = if soon { (self.level + 1).min(LEVEL_MAX) } else { 0 };
        Self::until(level, rules, now_ms, draw)
    }

    /// It failed once more when it was asked again.
    pub(super) fn again(self, rules: &Rules, now_ms: u64, draw: u64) -> Self {
        Self::until((self.level + 1).min(LEVEL_MAX), rules, now_ms, draw)
    }

    /// Up to a tenth longer than the rule has it, so that nodes that failed at once are not asked at once.
    fn until(level: u8, rules: &Rules, now_ms: u64, draw: u64) -> Self {
        let length = rules.length_ms(level);
        let at_ms = now_ms.saturating_add(length).saturating_add(draw % (length / 10 + 1));
        Self { mode: PlaceMode::SetAside, level, worked: 0, at_ms }
    }

    /// It has answered when it was asked again.
    pub(super) const fn answered(self, rules: &Rules, now_ms: u64) -> Self {
        let worked = self.worked.saturating_add(1);
        if worked >= rules.successes {
            return Self { mode: PlaceMode::Usable, level: self.level, worked: 0, at_ms: now_ms };
        }
        Self { mode: PlaceMode::SetAside, worked, at_ms: now_ms, ..self }
    }

    /// Its answer said nothing: another request may ask.
    pub(super) const fn unsaid(self, now_ms: u64) -> Self {
        Self { mode: PlaceMode::SetAside, at_ms: now_ms, ..self }
    }

    /// One request is sent to it. If that does not end, another one may be after `fail_timeout`.
    pub(super) const fn probed(self, rules: &Rules, now_ms: u64) -> Self {
        let at_ms = now_ms.saturating_add(rules.fail_timeout_ms);
        Self { mode: PlaceMode::Probing, at_ms, ..self }
    }
}

/// Failures in a row, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Failures {
    counts: [u8; 3],
    /// When the last one ended.
    last_ms: u64,
}

impl Failures {
    pub(super) const fn of(packed: u64) -> Self {
        let [tcp, timeouts, http, ..] = packed.to_le_bytes();
        Self { counts: [tcp, timeouts, http], last_ms: packed >> 24 }
    }

    pub(super) const fn packed(self) -> u64 {
        let [tcp, timeouts, http] = self.counts;
        self.last_ms << 24 | u32::from_le_bytes([tcp, timeouts, http, 0]) as u64
    }

    /// With one more, which began at this time. One that began long after the last one is the first of a row:
    /// the time that a wait took is not held against the row.
    pub(super) fn with(self, kind: FailureKind, rules: &Rules, began_ms: u64, now_ms: u64) -> Self {
        let in_row = began_ms <= self.last_ms.saturating_add(rules.fail_timeout_ms);
        let mut counts = if in_row { self.counts } else { [0; 3] };
        if let Some(count) = counts.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
        Self { counts, last_ms: now_ms }
    }

    pub(super) fn count(self, kind: FailureKind) -> u8 {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::Checks;

    use super::*;

    #[test]
    fn words_come_out_as_they_went_in() {
        for mode in [PlaceMode::Usable, PlaceMode::SetAside, PlaceMode::Probing] {
            for (level, worked, at_ms) in [(0, 0, 0), (31, 254, AT_MAX), (7, 3, 12_345)] {
                let place = Place { mode, level, worked, at_ms };
                assert_eq!(Place::of(place.packed()), place);
            }
        }
        let failures = Failures { counts: [1, 254, 7], last_ms: (1 << 40) - 1 };
        assert_eq!(Failures::of(failures.packed()), failures);
        assert_eq!((Place::of(0), Failures::of(0)), Default::default());
    }

    #[test]
    fn times_grow_only_for_a_node_that_is_not_back_for_long() {
        let rules = Rules::of(&Checks::default());
        let first = Place::default().set_aside(&rules, 5_000, 0, 0);
        assert_eq!(first.at_ms, 15_000);
        assert_eq!(first.standing(14_999), Standing::SetAside);
        assert_eq!(first.standing(15_000), Standing::Probe);
        let again = first.again(&rules, 15_000, 0);
        assert_eq!(again.at_ms, 35_000);
        let back = again.answered(&rules, 35_000);
        assert_eq!(back.standing(35_000), Standing::Usable);
        assert_eq!(back.set_aside(&rules, 54_999, 0, 0).at_ms, 54_999 + 40_000);
        assert_eq!(back.set_aside(&rules, 55_000, 0, 0).at_ms, 65_000);
        // What takes long to find out is held against the node as if it were found at once.
        assert_eq!(back.set_aside(&rules, 84_999, 30_000, 0).at_ms, 84_999 + 40_000);
        assert_eq!(back.set_aside(&rules, 85_000, 30_000, 0).at_ms, 95_000);
        // At most a tenth longer.
        let draws = (0..100_000).step_by(37);
        let longest = draws.map(|draw| back.set_aside(&rules, 55_000, 0, draw).at_ms).max();
        assert!(longest.is_some_and(|at| (65_900..=66_000).contains(&at)), "{longest:?}");
    }

    #[test]
    fn a_row_ends_with_time_but_not_with_the_time_of_a_wait() {
        let rules = Rules::of(&Checks::default());
        let one = Failures::default().with(FailureKind::Timeout, &rules, 1_000, 61_000);
        let two = one.with(FailureKind::Timeout, &rules, 70_000, 130_000);
        assert_eq!(two.count(FailureKind::Timeout), 2);
        let late = one.with(FailureKind::Timeout, &rules, 71_001, 131_000);
        assert_eq!(late.count(FailureKind::Timeout), 1);
    }
}
