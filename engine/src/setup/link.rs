//! What the control thread and one core tell each other.
//!
//! Control posts generations, addresses and the phase; the core acknowledges and counts. A core looks
//! as often as it likes: a look is one load, a lock is taken only when something new is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::addresses::Addresses;
use super::driver::DriverCell;
use super::handover::Handover;
use super::mailbox::Mailbox;
use super::phase::PhaseCell;
use crate::report::{Blips, Counters, Events};

/// One core's end and control's end of everything they share. Made once, lives as long as the process.
#[derive(Debug, Default)]
pub struct CoreLink {
    /// Which core, counted from 0.
    pub core: u32,
    /// What to serve. The first one is posted before the core starts. Read through
    /// [`CoreLink::news`].
    pub generation: Mailbox<Handover>,
    /// Newer addresses of the current generation's nodes. Read through [`CoreLink::news`].
    pub addresses: Mailbox<Addresses>,
    /// Running, draining or stopping.
    pub phase: PhaseCell,
    /// What the core counted; it is the only writer.
    pub counters: Counters,
    /// What the core saw of refusals, faults, handshakes and times; it is the only writer.
    pub events: Events,
    /// The clients that the core remembers, when it was asked for them last.
    pub clients: Mailbox<Blips>,
    /// How often control asked for them. Stored by control.
    clients_asked: AtomicU64,
    /// The driver the core runs on; set by the core before it accepts.
    pub driver: DriverCell,
    /// The newest generation that this core serves (0: none yet). Stored by the core, with
    /// [`CoreLink::acknowledge`], when its listeners accept and new connections get that generation.
    seen_generation: AtomicU64,
    /// Client connections open on this core. Stored by the core.
    connections: AtomicU64,
    /// Moves while the core is alive. Stored by the core once per round of its timer.
    heartbeat: AtomicU64,
}

impl CoreLink {
    /// The link of core number `core`, nothing posted yet.
    #[must_use]
    pub fn new(core: u32) -> Self {
        Self { core, ..Self::default() }
    }

    /// Core: what is new since the last look? Two loads if nothing is.
    pub fn news(&self, seen: &mut Seen) -> News {
        // Addresses first: control posts the addresses of a generation after the generation itself,
        // so whoever has seen those addresses finds at least that generation in the other box.
        let addresses = self.addresses.changed(&mut seen.addresses);
        let handover = self.generation.changed(&mut seen.generation);
        News { handover, addresses }
    }

    /// Core: I serve this generation from now on.
    pub fn acknowledge(&self, generation: u64) {
        self.seen_generation.store(generation, Ordering::Release);
    }

    /// Control: which generation does the core serve? 0 until it serves the first one.
    #[must_use]
    pub fn seen_generation(&self) -> u64 {
        self.seen_generation.load(Ordering::Acquire)
    }

    /// Core: so many client connections are open now.
    pub fn set_connections(&self, open: u64) {
        self.connections.store(open, Ordering::Relaxed);
    }

    /// Control: how many client connections are open?
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Control: hand out the clients that you remember. One asker at a time.
    pub fn ask_clients(&self) {
        let next = self.clients_asked.load(Ordering::Relaxed).wrapping_add(1);
        self.clients_asked.store(next, Ordering::Release);
    }

    /// Core: was I asked since the last time? One load if not.
    #[must_use]
    pub fn clients_wanted(&self, seen: &mut u64) -> bool {
        let asked = self.clients_asked.load(Ordering::Acquire);
        let wanted = asked != *seen;
        *seen = asked;
        wanted
    }

    /// Core: still alive.
    pub fn beat(&self) {
        // The core is the only writer, so this needs no read-modify-write.
        let next = self.heartbeat.load(Ordering::Relaxed).wrapping_add(1);
        self.heartbeat.store(next, Ordering::Relaxed);
    }

    /// Control: a number that has changed if the core was alive in between.
    #[must_use]
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }
}

/// What a core has taken from its link so far; starts at nothing.
#[derive(Debug, Default)]
pub struct Seen {
    generation: u64,
    addresses: u64,
    /// For [`CoreLink::clients_wanted`].
    pub clients_asked: u64,
}

/// What a look at the link found. Take the handover first, then the addresses, if their
/// [`Addresses::generation`] is the one served by then.
#[derive(Debug)]
pub struct News {
    /// A new generation to serve.
    pub handover: Option<Arc<Handover>>,
    /// Newer addresses of a generation.
    pub addresses: Option<Arc<Addresses>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_come_once() {
        let link = CoreLink::new(0);
        let mut seen = Seen::default();
        link.addresses.post(Arc::new(Addresses::default()));
        let news = link.news(&mut seen);
        assert!(news.handover.is_none() && news.addresses.is_some());
        let news = link.news(&mut seen);
        assert!(news.handover.is_none() && news.addresses.is_none());
    }

    #[test]
    fn a_link_carries_what_the_core_says() {
        let link = CoreLink::new(3);
        assert_eq!((link.core, link.seen_generation(), link.connections()), (3, 0, 0));
        let before = link.heartbeat();
        link.acknowledge(7);
        link.set_connections(9);
        link.beat();
        assert_eq!((link.seen_generation(), link.connections()), (7, 9));
        assert_ne!(link.heartbeat(), before);
    }
}
