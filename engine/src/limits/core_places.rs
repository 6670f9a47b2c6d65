//! Places of a limit of `connections` that one core holds: those of its requests, and a few that it keeps for the next.
//!
//! In: keys, as requests begin and end. Out: whether a place is at hand without asking the other cores. What is kept
//! counts as held, so that there are never more than the limit; it is less than one in a hundred of that for all cores
//! together, and only for the keys that this core has had most lately.

use std::cell::RefCell;
use std::sync::Arc;

use super::shared::{SharedLimit, SharedRule};
use super::table::KeyPlace;

/// Keys of which a core keeps places.
const SLOTS: usize = 1_024;

/// Those of one core and limit, whatever generation its requests are of.
#[derive(Debug)]
pub(super) struct CorePlaces {
    pub(super) limit: Arc<SharedLimit>,
    slots: RefCell<Box<[PlaceSlot]>>,
    /// So many are kept of one key.
    kept_max: u32,
}

/// Places that are kept of one key.
#[derive(Clone, Copy, Debug, Default)]
struct PlaceSlot {
    key: u64,
    kept: u32,
}

impl CorePlaces {
    /// None so far, where so many cores share the limit.
    pub(super) fn new(limit: &Arc<SharedLimit>, cores: usize) -> Self {
        let kept_max = match &limit.rule {
            SharedRule::Connections(shared) if !limit.has_numbers() => shared.rule.kept_max(cores),
            _ => 0,
        };
        let slots = if kept_max == 0 { 0 } else { SLOTS };
        Self {
            limit: Arc::clone(limit),
            slots: RefCell::new(vec![PlaceSlot::default(); slots].into()),
            kept_max,
        }
    }

    /// Takes a place that is kept. False if there is none.
    pub(super) fn take(&self, key: u64) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slot_of(&mut slots, key) else { return false };
        if slot.key != key || slot.kept == 0 {
            return false;
        }
        slot.kept -= 1;
        true
    }

    /// A request is over: its place is kept, or given back to all cores.
    pub(super) fn end(&self, key: u64, place: KeyPlace, took_ns: Option<u64>) {
        if place == KeyPlace::Crowd || !self.keep(key) {
            self.limit.give_back(key, place, 1);
        }
        if let Some(took_ns) = took_ns {
            self.limit.follow(took_ns);
        }
    }

    fn keep(&self, key: u64) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slot_of(&mut slots, key) else { return false };
        if slot.key != key {
            self.give_back(*slot);
            *slot = PlaceSlot { key, kept: 0 };
        }
        let fits = slot.kept < self.kept_max;
        slot.kept += u32::from(fits);
        fits
    }

    fn give_back(&self, slot: PlaceSlot) {
        if slot.kept > 0 {
            self.limit.give_back(slot.key, KeyPlace::Own, slot.kept);
        }
    }
}

impl Drop for CorePlaces {
    fn drop(&mut self) {
        self.slots.borrow().iter().for_each(|slot| self.give_back(*slot));
    }
}

/// Where places of a key are kept, if any are.
fn slot_of(slots: &mut [PlaceSlot], key: u64) -> Option<&mut PlaceSlot> {
    let at = usize::try_from(key).ok()? % SLOTS;
    slots.get_mut(at)
}
