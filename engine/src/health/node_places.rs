//! How many connections a node has, those of all cores together, and how many it takes.
//!
//! A connection takes its place before it is opened, and gives it back when it is closed. That is the only time
//! at which the cores write to what they share here: a request over a connection that is there costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The places of one node.
#[derive(Debug)]
pub struct NodePlaces {
    /// `u32::MAX` without a limit.
    max: AtomicU32,
    taken: AtomicU32,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct NodePlace {
    places: Arc<NodePlaces>,
}

impl Default for NodePlaces {
    fn default() -> Self {
        Self { max: AtomicU32::new(u32::MAX), taken: AtomicU32::new(0) }
    }
}

impl NodePlaces {
    /// From now on the node takes so many connections, or any number with 0; those that it has stay.
    pub fn set_max(&self, max: u32) {
        self.max.store(if max == 0 { u32::MAX } else { max }, Ordering::Relaxed);
    }

    /// How many connections the node takes, if that is limited.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        Some(self.max.load(Ordering::Relaxed)).filter(|max| *max != u32::MAX)
    }

    /// How many connections the node has, those that are being opened among them.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Would another connection be one too many?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.taken() >= self.max.load(Ordering::Relaxed)
    }

    /// Takes a place for another connection; `None` if the node has none left.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<NodePlace> {
        let free = |taken: u32| (taken < self.max.load(Ordering::Relaxed)).then(|| taken + 1);
        // Nothing else is read by way of this count, so that no order is needed.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        taken.is_ok().then(|| NodePlace { places: Arc::clone(self) })
    }
}

impl NodePlace {
    /// Was it the last one that was left?
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.places.is_full()
    }
}

impl Drop for NodePlace {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_the_node_takes() {
        let places = Arc::new(NodePlaces::default());
        assert_eq!((places.max(), places.is_full()), (None, false));
        places.set_max(2);
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        assert!(places.is_full());
        drop(first);
        assert_eq!((places.taken(), places.is_full()), (1, false));
        // A lower limit ends no connection, and a higher one holds at once.
        let third = places.take();
        places.set_max(1);
        assert!((places.taken(), places.is_full()) == (2, true) && places.take().is_none());
        drop(third);
        assert!(places.take().is_none());
        places.set_max(0);
        assert!(places.take().is_some());
    }

    /// Threads that take and give back as fast as they can.
    #[test]
    fn the_cores_together_never_have_more() {
        let (places, open) = (Arc::new(NodePlaces::default()), AtomicU32::new(0));
        places.set_max(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Some(place) = places.take() {
                            assert!(open.fetch_add(1, Ordering::SeqCst) < 3);
                            open.fetch_sub(1, Ordering::SeqCst);
                            drop(place);
                        }
                    }
                });
            }
        });
        assert_eq!(places.taken(), 0);
    }
}
