//! What the control thread and one core tell each other.
//!
//! Control posts generations, addresses and the phase; the core acknowledges and counts. A core looks
//! as often as it likes: a look is one load, a lock is taken only when something new is there.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Addresses, Generation};
use crate::plan::ListenerId;
use crate::report::{Blips, Counters, Events, Meters};

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

/// The newest value posted, for one reader that looks often and takes rarely.
#[derive(Debug)]
pub struct Mailbox<T> {
    /// How many were posted. Written under the lock, so a reader that holds it sees a matching pair.
    number: AtomicU64,
    newest: Mutex<Option<Arc<T>>>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { number: AtomicU64::new(0), newest: Mutex::new(None) }
    }
}

impl<T> Mailbox<T> {
    /// Replaces what is there. One nobody took is lost: only the newest counts.
    pub fn post(&self, value: Arc<T>) {
        let old = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let number = self.number.load(Ordering::Relaxed);
            self.number.store(number.wrapping_add(1), Ordering::Release);
            newest.replace(value)
        };
        // Outside the lock: freeing a whole generation takes long.
        drop(old);
    }

    /// The newest value, if it is another one than at the last call with this `seen` (0 at first).
    pub fn changed(&self, seen: &mut u64) -> Option<Arc<T>> {
        if self.number.load(Ordering::Acquire) == *seen {
            return None;
        }
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = self.number.load(Ordering::Relaxed);
        newest.clone()
    }
}

/// Everything a core needs to serve one generation, in one piece: no core ever sees the plan of one
/// file with the listeners of another.
#[derive(Debug)]
pub struct Handover {
    /// The configuration, compiled.
    pub generation: Arc<Generation>,
    /// This core's sockets, all of them. One that was there before is the same socket (compare by
    /// address): it is left alone. One that is missing now is closed.
    pub listeners: Vec<OpenListener>,
    /// Addresses of the generation's nodes as far as they are known.
    pub addresses: Arc<Addresses>,
    /// What this core counts under the generation; it is the only writer.
    pub meters: Arc<Meters>,
}

/// A bound, listening socket of one core.
#[derive(Clone, Debug)]
pub struct OpenListener {
    /// The address as configured (port 0 stays 0 here; ask the socket).
    pub address: SocketAddr,
    /// Its index in this generation; may differ from the one before.
    pub listener: ListenerId,
    /// The socket. Control keeps it open over reloads; a core works on a `try_clone` of it.
    pub socket: Arc<TcpListener>,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Phase {
    /// Accept and serve.
    #[default]
    Running = 0,
    /// Accept no more; finish what is there, `Connection: close` on every response.
    Draining = 1,
    /// Close everything now.
    Stopping = 2,
}

/// A [`Phase`] that only moves forward.
#[derive(Debug, Default)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    /// The phase now.
    #[must_use]
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Moves on; moving back is ignored. Control only (one writer).
    pub fn advance(&self, phase: Phase) {
        if phase as u8 > self.0.load(Ordering::Relaxed) {
            self.0.store(phase as u8, Ordering::Release);
        }
    }
}

/// Which kernel interface drives a core's sockets: the rungs of the ladder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Driver {
    /// The core has not said yet.
    #[default]
    Unknown = 0,
    /// `io_uring`, single issuer, deferred task work (6.1 and later).
    UringDeferred = 1,
    /// `io_uring`, cooperative task work (5.19 and later).
    UringCooperative = 2,
    /// `io_uring` without flags.
    UringPlain = 3,
    /// epoll.
    Epoll = 4,
}

impl Driver {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UringDeferred => "io_uring (single issuer, deferred task work)",
            Self::UringCooperative => "io_uring (cooperative task work)",
            Self::UringPlain => "io_uring (no flags)",
            Self::Epoll => "epoll",
        }
    }
}

/// A [`Driver`] that the core stores and control reads.
#[derive(Debug, Default)]
pub struct DriverCell(AtomicU8);

impl DriverCell {
    /// The driver, as far as the core has said.
    #[must_use]
    pub fn get(&self) -> Driver {
        match self.0.load(Ordering::Acquire) {
            1 => Driver::UringDeferred,
            2 => Driver::UringCooperative,
            3 => Driver::UringPlain,
            4 => Driver::Epoll,
            _ => Driver::Unknown,
        }
    }

    /// Core: this is what I run on.
    pub fn set(&self, driver: Driver) {
        self.0.store(driver as u8, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_gives_each_value_once() {
        let mailbox = Mailbox::default();
        let mut seen = 0;
        assert!(mailbox.changed(&mut seen).is_none());
        mailbox.post(Arc::new(1));
        assert_eq!(mailbox.changed(&mut seen).as_deref(), Some(&1));
        assert!(mailbox.changed(&mut seen).is_none());
        mailbox.post(Arc::new(2));
        mailbox.post(Arc::new(3));
        assert_eq!(mailbox.changed(&mut seen).as_deref(), Some(&3));
        assert!(mailbox.changed(&mut seen).is_none());
    }

    #[test]
    fn readers_keep_their_own_count() {
        let mailbox = Mailbox::default();
        mailbox.post(Arc::new(1));
        let (mut one, mut other) = (0, 0);
        assert!(mailbox.changed(&mut one).is_some());
        assert!(mailbox.changed(&mut other).is_some());
    }

    #[test]
    fn a_reader_on_another_thread_never_goes_back_and_sees_the_last() {
        const LAST: u64 = 20_000;
        let mailbox = Arc::new(Mailbox::default());
        let posting = Arc::clone(&mailbox);
        let poster = std::thread::spawn(move || {
            for value in 1..=LAST {
                posting.post(Arc::new((value, value.wrapping_mul(3))));
            }
        });
        let (mut seen, mut newest) = (0, 0);
        loop {
            let over = poster.is_finished();
            if let Some(pair) = mailbox.changed(&mut seen) {
                assert!(pair.0 > newest, "{} after {newest}", pair.0);
                assert_eq!(pair.1, pair.0.wrapping_mul(3));
                newest = pair.0;
            } else if over {
                break;
            }
        }
        poster.join().unwrap();
        assert_eq!(newest, LAST);
    }

    #[test]
    fn phases_only_move_forward() {
        let phase = PhaseCell::default();
        assert_eq!(phase.get(), Phase::Running);
        phase.advance(Phase::Stopping);
        phase.advance(Phase::Draining);
        assert_eq!(phase.get(), Phase::Stopping);
    }

    #[test]
    fn a_driver_is_read_as_it_was_set() {
        let cell = DriverCell::default();
        assert_eq!(cell.get(), Driver::Unknown);
        for driver in
            [Driver::UringDeferred, Driver::UringCooperative, Driver::UringPlain, Driver::Epoll]
        {
            cell.set(driver);
            assert_eq!(cell.get(), driver);
        }
    }

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
