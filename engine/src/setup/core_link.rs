//! The state that the control threads share with one data core.
//!
//! Control posts generations, addresses and the phase; the core acknowledges and counts. A core may look
//! at any time: a look is one load, and a lock is taken only when there is something new.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::addresses::Addresses;
use super::driver::DriverCell;
use super::handover::Handover;
use super::mailbox::Mailbox;
use super::phase::PhaseCell;
use crate::report::connection_list::{ConnectionList, ConnectionQuestion};
use crate::report::{Counters, Events, ExpiringClients};

/// Everything that control and one core share. Made once, and lives as long as the process.
#[derive(Debug, Default)]
pub struct CoreLink {
    /// Which core, counted from 0.
    pub core: u32,
    /// What to serve. The first one is posted before the core starts. Read through
    /// [`CoreLink::updates`].
    pub generation: Mailbox<Handover>,
    /// Newer addresses of the current generation's nodes. Read through [`CoreLink::updates`].
    pub addresses: Mailbox<Addresses>,
    /// Running, draining or stopping.
    pub phase: PhaseCell,
    /// What the core counted; it is the only writer.
    pub counters: Counters,
    /// What the core saw of refusals, handshakes and times; it is the only writer.
    pub events: Events,
    /// The clients that the core remembered when control last asked for them.
    pub clients: Mailbox<ExpiringClients>,
    /// How often control has asked for the clients. Stored by control.
    clients_requests: AtomicU64,
    /// Which open connections control asks for. One thread may ask at a time.
    pub connection_questions: Mailbox<ConnectionQuestion>,
    /// The core's answer to the last question that it has seen.
    pub connection_lists: Mailbox<ConnectionList>,
    /// The driver the core runs on; set by the core before it accepts.
    pub driver: DriverCell,
    /// The newest generation that this core serves (0: none yet). Stored by the core, with
    /// [`CoreLink::acknowledge`], when its listeners accept and new connections get that generation.
    seen_generation: AtomicU64,
    /// How far the core has carried out what was posted to it: the number of a handover. Stored by the core.
    seen_handover: AtomicU64,
    /// Client connections open on this core. Stored by the core.
    connections: AtomicU64,
    /// Places of its table of connections, empty ones too. Stored by the core.
    connection_places: AtomicU64,
    /// Moves while the core is alive. Stored by the core once per round of its timer.
    heartbeat: AtomicU64,
}

impl CoreLink {
    /// The link of core number `core`, nothing posted yet.
    #[must_use]
    pub fn new(core: u32) -> Self {
        Self { core, ..Self::default() }
    }

    /// Core: takes what is new since the last look. Costs two loads if nothing is.
    pub fn updates(&self, cursor: &mut LinkCursor) -> LinkUpdates {
        // Addresses first: control posts the addresses of a generation after the generation itself,
        // so a core that has seen those addresses finds at least that generation in the other mailbox.
        let addresses = self.addresses.changed(&mut cursor.addresses);
        let handover = self.generation.changed(&mut cursor.generation);
        LinkUpdates { handover, addresses }
    }

    /// Core: says that it serves this generation from now on.
    pub fn acknowledge(&self, generation: u64) {
        self.seen_generation.store(generation, Ordering::Release);
    }

    /// Core: says that it listens as the newest handover wants that this cursor has seen.
    pub fn acknowledge_handover(&self, cursor: &LinkCursor) {
        self.seen_handover.store(cursor.generation, Ordering::Release);
    }

    /// Control: does the core listen as the newest handover wants?
    #[must_use]
    pub fn has_newest_handover(&self) -> bool {
        self.seen_handover.load(Ordering::Acquire) == self.generation.posted()
    }

    /// Control: which generation does the core serve? 0 until it serves the first one.
    #[must_use]
    pub fn seen_generation(&self) -> u64 {
        self.seen_generation.load(Ordering::Acquire)
    }

    /// Core: stores how many client connections are open now.
    pub fn set_connections(&self, open: u64) {
        self.connections.store(open, Ordering::Relaxed);
    }

    /// Control: how many client connections are open?
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Core: stores how many places its table of connections has now.
    pub fn set_connection_places(&self, places: u64) {
        self.connection_places.store(places, Ordering::Relaxed);
    }

    /// Control: how many places does a survey of its connections look at?
    #[must_use]
    pub fn connection_places(&self) -> u64 {
        self.connection_places.load(Ordering::Relaxed)
    }

    /// Control: asks the core to post the clients that it remembers. One thread may ask at a time.
    pub fn request_clients(&self) {
        let next = self.clients_requests.load(Ordering::Relaxed).wrapping_add(1);
        self.clients_requests.store(next, Ordering::Release);
    }

    /// Core: has control asked for the clients since the last call? Costs one load if not.
    #[must_use]
    pub fn clients_requested(&self, cursor: &mut u64) -> bool {
        let asked = self.clients_requests.load(Ordering::Acquire);
        let wanted = asked != *cursor;
        *cursor = asked;
        wanted
    }

    /// Core: shows that it is alive.
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

/// How far a core has read its link; starts before the first value.
#[derive(Debug, Default)]
pub struct LinkCursor {
    generation: u64,
    addresses: u64,
    /// How often the core was asked for its clients, see [`CoreLink::clients_requested`].
    pub clients_requests: u64,
}

/// What is new on a link. Take the handover first, then the addresses, if their
/// [`Addresses::generation`] is the one served by then.
#[derive(Debug)]
pub struct LinkUpdates {
    /// A new generation to serve.
    pub handover: Option<Arc<Handover>>,
    /// Newer addresses of a generation.
    pub addresses: Option<Arc<Addresses>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_come_once() {
        let link = CoreLink::new(0);
        let mut cursor = LinkCursor::default();
        link.addresses.post(Arc::new(Addresses::default()));
        let updates = link.updates(&mut cursor);
        assert!(updates.handover.is_none() && updates.addresses.is_some());
        let updates = link.updates(&mut cursor);
        assert!(updates.handover.is_none() && updates.addresses.is_none());
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
        assert!(link.has_newest_handover(), "nothing was posted");
        link.acknowledge_handover(&LinkCursor { generation: 1, ..LinkCursor::default() });
        assert!(!link.has_newest_handover());
    }
}
