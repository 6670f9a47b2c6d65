//! Who waits for a place at one of an upstream's nodes, on which core, and whose turn it is.
//!
//! Each core has a queue of its own, in which the longest wait is first. Here the cores tell each other how long
//! that one has waited, so that no core keeps all places to itself. Between cores the order is loose: a
//! connection stays where it is while nobody elsewhere has waited much longer, because taking it from one core to
//! another is closing it and opening another one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A core gives a connection up if somebody elsewhere has waited longer than its own by more than this, in
/// milliseconds. Less of it is more connections closed and opened: with 20, one of six requests of a crowd opened one.
const SLACK_MS: u64 = 50;

/// Those who wait for the nodes of one upstream.
#[derive(Debug)]
pub struct Waits {
    /// On all cores together.
    waiting: AtomicU32,
    /// By core: since when its first one waits, in milliseconds of the states' clock; 0 if nobody does. Each is
    /// written by its core alone.
    first_since_ms: Box<[AtomicU64]>,
}

impl Waits {
    /// Nobody waits on so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let first_since_ms = (0..cores).map(|_| AtomicU64::new(0)).collect();
        Self { waiting: AtomicU32::new(0), first_since_ms }
    }

    /// How many wait, on all cores together.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One more is to wait; false if that would be more than `most`. One that may is to be taken out with
    /// [`Self::leave`].
    #[must_use]
    pub fn join(&self, most: u32) -> bool {
        let room = |waiting: u32| (waiting < most).then(|| waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    /// One waits no longer.
    pub fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Core: since when its first one waits, if there is one.
    pub fn set_first(&self, core: u32, since_ms: Option<u64>) {
        if let Some(first) = self.first_since_ms.get(core as usize) {
            first.store(since_ms.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Does somebody wait on another core?
    #[must_use]
    pub fn waits_elsewhere(&self, core: u32) -> bool {
        self.count() > 0 && self.others(core).next().is_some()
    }

    /// May one that waits on this core since then, or comes now, have the next place? Not if somebody has waited
    /// much longer elsewhere.
    #[must_use]
    pub fn is_turn_of(&self, core: u32, since_ms: u64) -> bool {
        self.count() == 0
            || self.others(core).all(|since| since.saturating_add(SLACK_MS) >= since_ms)
    }

    fn others(&self, core: u32) -> impl Iterator<Item = u64> + '_ {
        let all = (0_u32..).zip(&self.first_since_ms).filter(move |(at, _)| *at != core);
        all.map(|(_, since)| since.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_wait_and_no_more() {
        let waits = Waits::new(2);
        assert!(waits.join(2) && waits.join(2) && !waits.join(2) && !waits.join(0));
        waits.leave();
        assert_eq!(waits.count(), 1);
        assert!(waits.join(2));
    }

    #[test]
    fn who_has_waited_much_longer_elsewhere_comes_first() {
        let waits = Waits::new(3);
        assert!(waits.is_turn_of(0, 1_000) && !waits.waits_elsewhere(0));
        assert!(waits.join(9));
        waits.set_first(1, Some(1_000));
        assert!(waits.waits_elsewhere(0) && !waits.waits_elsewhere(1));
        for (since, turn) in [(900, true), (1_000, true), (1_050, true), (1_051, false)] {
            assert_eq!(waits.is_turn_of(0, since), turn, "{since}");
            assert!(waits.is_turn_of(1, since), "the one who waits the longest");
        }
        waits.set_first(1, None);
        waits.leave();
        assert!(waits.is_turn_of(0, 5_000));
    }

    /// Whatever the times are, somebody may go on.
    #[test]
    fn there_is_always_one_whose_turn_it_is() {
        let waits = Waits::new(4);
        let mut draw = 7_u64;
        for _ in 0..10_000 {
            let mut times = [0; 4];
            for (core, time) in (0..).zip(&mut times) {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *time = draw >> 58;
                waits.set_first(core, Some(*time).filter(|time| *time > 0));
            }
            assert!(waits.join(u32::MAX));
            let turns = (0..).zip(times).filter(|(core, at)| waits.is_turn_of(*core, *at));
            assert!(turns.count() > 0, "{times:?}");
        }
    }
}
