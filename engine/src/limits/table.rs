//! What is known of each key: bounded tables, shared by all cores and of one core.
//!
//! Keys are keyed hashes, which no client can choose. A table that is full forgets what says nothing any
//! more. If that makes no room, new keys are counted together as one, the crowd: no key that is counted is
//! forgotten for another, and whoever sends ever new keys ends in the crowd.

use std::hash::RandomState;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

/// Parts of a shared table, each with a lock of its own.
pub(super) const SHARDS: usize = 64;
/// Keys of a shared table.
pub const SHARED_KEYS_MAX: usize = 65_536;
/// Keys of a core's table.
pub const CORE_KEYS_MAX: usize = 16_384;

/// Hashes are spread already.
type Entries<S> = HashMap<u64, S, foldhash::fast::FixedState>;

/// Hashes keys, with a secret of the process.
#[derive(Clone, Debug, Default)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    /// The hash of a key.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::BuildHasher;
        self.0.hash_one(key)
    }
}

/// Where a key is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyPlace {
    /// By itself.
    Own,
    /// With all others that found no room.
    Crowd,
}

/// What all cores know of all keys.
#[derive(Debug)]
pub(super) struct SharedTable<S> {
    shards: Box<[Shard<S>]>,
}

/// A lock of its own cache line, so that two shards are not one to the processor.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<S>(Mutex<Part<S>>);

#[derive(Debug)]
struct Part<S> {
    entries: Entries<S>,
    crowd: S,
    /// Nothing can be forgotten before.
    sweep_at: u64,
}

impl<S: Default> SharedTable<S> {
    pub(super) fn new() -> Self {
        let part = || Part { entries: HashMap::default(), crowd: S::default(), sweep_at: 0 };
        Self { shards: (0..SHARDS).map(|_| Shard(Mutex::new(part()))).collect() }
    }

    /// Runs `act` on what is known of this key. `forgotten_at` says from when on an entry says nothing.
    pub(super) fn with<R>(
        &self,
        key: u64,
        now: u64,
        forgotten_at: impl Fn(&S) -> u64,
        act: impl FnOnce(&mut S, KeyPlace) -> R,
    ) -> (R, KeyPlace) {
        self.locked(key, |part| {
            if let Some(state) = part.entries.get_mut(&key) {
                return (act(state, KeyPlace::Own), KeyPlace::Own);
            }
            if part.entries.len() >= SHARED_KEYS_MAX / SHARDS && !part.sweep(now, forgotten_at) {
                return (act(&mut part.crowd, KeyPlace::Crowd), KeyPlace::Crowd);
            }
            (act(part.entries.entry(key).or_default(), KeyPlace::Own), KeyPlace::Own)
        })
    }

    /// Runs `act` on what is known of a key that has this place. If that says nothing any more, it makes room for the
    /// next key that needs some; until then it stays, because most keys come again.
    pub(super) fn at(
        &self,
        key: u64,
        place: KeyPlace,
        act: impl FnOnce(&mut S),
        forgotten_at: impl Fn(&S) -> u64,
    ) {
        self.locked(key, |part| match place {
            KeyPlace::Crowd => act(&mut part.crowd),
            KeyPlace::Own => {
                let Some(state) = part.entries.get_mut(&key) else { return };
                act(state);
                if forgotten_at(state) == 0 {
                    part.sweep_at = 0;
                }
            }
        });
    }

    /// Runs `act` on every key that has room of its own in one part of the table; there are [`SHARDS`].
    pub(super) fn each_of(&self, part: usize, mut act: impl FnMut(u64, &mut S)) {
        let Some(Shard(part)) = self.shards.get(part) else { return };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.entries.iter_mut().for_each(|(key, state)| act(*key, state));
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        let lens = self
            .shards
            .iter()
            .map(|Shard(part)| part.lock().unwrap_or_else(PoisonError::into_inner).entries.len());
        lens.sum()
    }

    fn locked<R>(&self, key: u64, act: impl FnOnce(&mut Part<S>) -> R) -> R {
        // The upper bits: the table within uses the lower ones.
        let at = usize::try_from(key >> 58).unwrap_or_default();
        let Shard(part) = &self.shards[at % SHARDS];
        act(&mut part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S> Part<S> {
    /// Forgets what says nothing any more; is there room now? While nothing can be forgotten, this looks at
    /// nothing.
    fn sweep(&mut self, now: u64, forgotten_at: impl Fn(&S) -> u64) -> bool {
        if now < self.sweep_at {
            return false;
        }
        let mut next = u64::MAX;
        self.entries.retain(|_, state| {
            let at = forgotten_at(state);
            let stays = at > now;
            if stays {
                next = next.min(at);
            }
            stays
        });
        self.sweep_at = next;
        self.entries.len() < SHARED_KEYS_MAX / SHARDS
    }
}

/// What one core may let pass, by key.
#[derive(Debug)]
pub(super) struct CoreTable<L> {
    entries: Entries<L>,
    /// It is not looked for entries that are over before.
    sweep_at: u64,
}

/// A full table is looked through this often: what it has no room for costs a question to the other cores.
const SWEEP_EVERY_NS: u64 = 100_000_000;

impl<L: Default> CoreTable<L> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::default(), sweep_at: 0 }
    }

    /// The lease of a key; `None` if there is no room for one.
    pub(super) fn lease(
        &mut self,
        key: u64,
        now: u64,
        is_over: impl Fn(&L) -> bool,
    ) -> Option<&mut L> {
        if self.entries.len() >= CORE_KEYS_MAX && !self.entries.contains_key(&key) {
            if now < self.sweep_at {
                return None;
            }
            self.entries.retain(|_, lease| !is_over(lease));
            self.sweep_at = now.saturating_add(SWEEP_EVERY_NS);
            if self.entries.len() >= CORE_KEYS_MAX {
                return None;
            }
        }
        Some(self.entries.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From when on an entry says nothing.
    type Until = u64;

    fn spread(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_full_table_counts_new_keys_together_and_forgets_none_of_the_others() {
        let table = SharedTable::<Until>::new();
        let set = |key, now, until| table.with(spread(key), now, |at| *at, |at, _| *at = until).1;
        let many = 4 * SHARED_KEYS_MAX as u64;
        let crowded = (0..many).filter(|key| set(*key, 1, 100) == KeyPlace::Crowd).count();
        assert!(table.len() <= SHARED_KEYS_MAX && table.len() > SHARED_KEYS_MAX * 9 / 10);
        assert_eq!(crowded, usize::try_from(many).unwrap() - table.len());
        assert_eq!(set(0, 50, 100), KeyPlace::Own, "the first of all is still known");
        assert_eq!(set(many, 99, 100), KeyPlace::Crowd);
        // When all have nothing to say any more, there is room.
        assert_eq!(set(many, 100, 200), KeyPlace::Own);
    }

    #[test]
    fn what_says_nothing_makes_room_at_once() {
        let table = SharedTable::<Until>::new();
        let set = |key, until| table.with(key, 1, |at| *at, |at, _| *at = until).1;
        let most = (SHARED_KEYS_MAX / SHARDS) as u64;
        // All in one part.
        assert!((0..most).all(|key| set(key, u64::MAX) == KeyPlace::Own));
        assert_eq!(set(most, u64::MAX), KeyPlace::Crowd);
        table.at(7, KeyPlace::Own, |at| *at = 2, |at| *at);
        assert_eq!(set(most, u64::MAX), KeyPlace::Crowd);
        table.at(7, KeyPlace::Own, |at| *at = 0, |at| *at);
        assert_eq!(set(most, u64::MAX), KeyPlace::Own);
        assert_eq!(table.len(), SHARED_KEYS_MAX / SHARDS);
        // Nothing is there to be given back to.
        table.at(7, KeyPlace::Own, |at| *at = 1, |at| *at);
        assert_eq!(set(7, u64::MAX), KeyPlace::Crowd);
    }

    #[test]
    fn a_core_without_room_has_no_lease_until_others_are_over() {
        let mut table = CoreTable::<Until>::new();
        for key in 0..CORE_KEYS_MAX as u64 {
            *table.lease(spread(key), 1, |_| false).unwrap() = 5 + SWEEP_EVERY_NS;
        }
        let new = spread(u64::MAX);
        assert!(table.lease(new, 1, |until| *until <= 1).is_none());
        assert!(table.lease(spread(0), 2, |_| false).is_some());
        // Not looked for again so soon.
        assert!(table.lease(new, 9, |_| true).is_none());
        let later = 1 + SWEEP_EVERY_NS;
        assert!(table.lease(new, later, |until| *until <= later).is_none());
        let later = 2 * later;
        assert!(table.lease(new, later, |until| *until <= later).is_some());
        assert_eq!(table.entries.len(), 1);
    }
}
