//! What every connection of one core shares: nothing of it is shared with another core.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::buffers::Buffers;
use super::clock::Clock;
use super::deadlines::Deadlines;
use super::stream::Stream;
use crate::exchange::balance::Balancer;
use crate::exchange::pool::{KeyTable, Pool};
use crate::identity::IdentityCache;
use crate::plan::{NodeIndex, UpstreamId};
use crate::report::diagnostics::RateLimiter;
use crate::report::{Counter, Counters, LogProducer};
use crate::setup::{Addresses, CoreLink, Generation, Handover};

/// One data core.
pub struct Core {
    /// What control and this core tell each other.
    pub link: Arc<CoreLink>,
    /// The core's buffers.
    pub buffers: Rc<Buffers>,
    /// The core's timer.
    pub deadlines: Deadlines,
    /// The core's clock.
    pub clock: Clock,
    /// Idle upstream connections.
    pub pool: RefCell<Pool<Stream>>,
    /// What makes two upstream connections interchangeable, as numbers.
    pub pool_keys: RefCell<KeyTable>,
    /// Scratch memory of exchanges, reused.
    pub scratches: RefCell<Vec<Box<super::connection::Scratch>>>,
    /// Lines for the access log.
    pub log: RefCell<LogProducer>,
    /// Keeps failed handshakes from flooding the error log.
    pub handshake_log: RefCell<RateLimiter>,
    /// Client connections open now.
    pub open: Cell<u32>,
    /// Finish what is there and accept no more.
    pub draining: Cell<bool>,
    serial: Cell<u64>,
    live: RefCell<Rc<Live>>,
}

/// One generation as one core sees it.
pub struct Live {
    /// The generation.
    pub generation: Arc<Generation>,
    /// Identities seen under it.
    pub identities: RefCell<IdentityCache>,
    addresses: RefCell<Arc<Addresses>>,
    balancers: Vec<RefCell<Balancer>>,
}

impl Live {
    /// The first sight of a generation.
    #[must_use]
    pub fn new(handover: &Handover, seed: u64) -> Self {
        let generation = Arc::clone(&handover.generation);
        let balancers = generation
            .plan
            .upstreams()
            .iter()
            .map(|upstream| RefCell::new(Balancer::new(&upstream.weights, seed)))
            .collect();
        Self {
            generation,
            identities: RefCell::new(IdentityCache::default()),
            addresses: RefCell::new(Arc::clone(&handover.addresses)),
            balancers,
        }
    }

    /// The next node of an upstream that is not in `tried` (a bit per node).
    #[must_use]
    pub fn next_node(&self, upstream: UpstreamId, tried: u64) -> Option<NodeIndex> {
        self.balancers.get(upstream.0 as usize)?.borrow_mut().next(tried)
    }

    /// The first address of a node, if it has one now.
    #[must_use]
    pub fn address(&self, upstream: UpstreamId, node: NodeIndex) -> Option<std::net::SocketAddr> {
        let addresses = self.addresses.borrow();
        addresses.get(upstream.0 as usize, node.0 as usize).first().copied()
    }

    /// Takes newer addresses of this generation.
    pub fn set_addresses(&self, addresses: Arc<Addresses>) {
        if addresses.generation == self.generation.number {
            self.addresses.replace(addresses);
        }
    }
}

impl Core {
    /// A core that serves `live`.
    #[must_use]
    pub fn new(link: Arc<CoreLink>, log: LogProducer, live: Live) -> Self {
        Self {
            link,
            buffers: Rc::new(Buffers::default()),
            deadlines: Deadlines::default(),
            clock: Clock::default(),
            pool: RefCell::new(Pool::default()),
            pool_keys: RefCell::new(KeyTable::default()),
            scratches: RefCell::new(Vec::new()),
            log: RefCell::new(log),
            handshake_log: RefCell::new(RateLimiter::default()),
            open: Cell::new(0),
            draining: Cell::new(false),
            serial: Cell::new(0),
            live: RefCell::new(Rc::new(live)),
        }
    }

    /// The generation that new requests get.
    #[must_use]
    pub fn live(&self) -> Rc<Live> {
        Rc::clone(&self.live.borrow())
    }

    /// Has the generation moved on since `seen` was taken?
    #[must_use]
    pub fn is_current(&self, seen: &Rc<Live>) -> bool {
        Rc::ptr_eq(&self.live.borrow(), seen)
    }

    /// New requests get this one from here on.
    pub fn set_live(&self, live: Live) {
        self.live.replace(Rc::new(live));
    }

    /// The number of a new client connection, counted from 1.
    pub fn next_serial(&self) -> u64 {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        serial
    }

    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.counters().add(counter, 1);
    }

    /// The core's counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.link.counters
    }
}
