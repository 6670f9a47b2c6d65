//! What every connection of one core shares: nothing of it is shared with another core.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustls::ServerConfig;

use super::inspection::Inspection;
use super::pooled_stream::PooledStream;
use crate::exchange::balance::{Balancer, Tried};
use crate::exchange::pool::Pool;
use crate::exchange::refusal::Refusal;
use crate::identity::IdentityCache;
use crate::plan::{ListenerId, NodeIndex, ServerId, UpstreamId};
use crate::report::{
    Counter, Counters, Events, HandshakeFault, LogProducer, Meters, Radar, RateLimit, Reporter,
};
use crate::setup::{Addresses, CoreLink, Generation, Handover};
use crate::shell::transport::buffers::Buffers;
use crate::shell::transport::clock::Clock;
use crate::shell::transport::deadlines::{Deadlines, Ended};
use crate::shell::transport::random::Random;

/// How long an idle kept-alive connection may still bring a request once a drain has begun: cut at
/// once, a request that is on its way would be lost.
pub const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Lines of one cause that one core writes in a second.
const LINES_PER_SECOND: u32 = 5;

/// Diagnostics whose number a peer decides, and which are therefore limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogCause {
    /// An upstream node could not be reached.
    UpstreamConnect = 0,
    /// The kernel had no descriptor or memory for us.
    Exhausted = 1,
    /// An upstream's answer is none.
    UpstreamAnswer = 2,
    /// A connected client is not trusted any more.
    Revoked = 3,
    /// An address had too many connections.
    Address = 4,
    /// A tunnel lost its right to be.
    Tunnel = 5,
    /// A connection did not begin with a PROXY protocol header that we take.
    ProxyHeader = 6,
    /// The budget for buffers was used up.
    Memory = 7,
}

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
    /// Bits that nobody can guess.
    pub random: Random,
    /// Idle upstream connections.
    pub pool: RefCell<Pool<PooledStream>>,
    /// How far they are looked at.
    pub inspection: Inspection,
    /// What is done with every finished exchange.
    pub reporter: RefCell<Reporter>,
    /// The clients whose certificates expire soonest.
    pub radar: RefCell<Radar>,
    /// Client connections open now.
    pub open: Cell<u32>,
    /// TLS 1.3 by our own record layer.
    pub tls_fast_path: bool,
    /// Finish what is there and accept no more.
    pub draining: Cell<bool>,
    /// Tunnels open now.
    pub tunnels: Cell<u32>,
    /// There is no more time: tunnels end at once.
    pub stopping: Cell<bool>,
    /// When it began, in Unix seconds; with a serial number, a name for a connection.
    pub birth: i64,
    serial: Cell<u64>,
    live: RefCell<Rc<Live>>,
    limits: RefCell<RateLimit<8>>,
    complaints: RefCell<RateLimit<COMPLAINTS>>,
}

/// Kinds of lines about clients that were turned away: handshakes first, then requests.
const COMPLAINTS: usize = HandshakeFault::COUNT + Refusal::COUNT;

/// One generation as one core sees it.
pub struct Live {
    /// The generation.
    pub generation: Arc<Generation>,
    /// Identities seen under it.
    pub identities: RefCell<IdentityCache>,
    /// What is counted under it.
    pub meters: Arc<Meters>,
    addresses: RefCell<Arc<Addresses>>,
    balancers: Vec<RefCell<Balancer>>,
    /// Server names seen, by listener, and what they lead to.
    names: RefCell<HashMap<ListenerId, Names, RandomState>>,
    /// This core's own copies of the TLS settings, so that no two cores count references in one place.
    configs: RefCell<HashMap<ServerId, Arc<ServerConfig>, RandomState>>,
}

/// Server names of one listener and their server objects; the empty name is no name.
type Names = HashMap<Box<str>, ServerId, RandomState>;

/// Server names that one core remembers per listener; a wildcard has more than anyone should hold.
const NAMES_MAX: usize = 1_024;

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
            meters: Arc::clone(&handover.meters),
            addresses: RefCell::new(Arc::clone(&handover.addresses)),
            balancers,
            names: RefCell::default(),
            configs: RefCell::default(),
        }
    }

    /// The server object and TLS settings for a handshake with this name (lower case), looked up
    /// once per core; `None` refuses it.
    pub fn server(
        &self,
        listener: ListenerId,
        name: Option<&str>,
    ) -> Option<(ServerId, Arc<ServerConfig>)> {
        let mut listeners = self.names.borrow_mut();
        let names = listeners.entry(listener).or_default();
        let text = name.unwrap_or_default();
        let server = if let Some(server) = names.get(text) {
            *server
        } else {
            let server = self.generation.plan.server_for(listener, name.map(str::as_bytes))?;
            if names.len() >= NAMES_MAX {
                names.clear();
            }
            names.insert(text.into(), server);
            server
        };
        let mut configs = self.configs.borrow_mut();
        let config = match configs.get(&server) {
            Some(config) => Arc::clone(config),
            None => {
                let shared = self.generation.tls.servers.get(server.0 as usize)?;
                let own = Arc::new(ServerConfig::clone(&shared.config));
                configs.insert(server, Arc::clone(&own));
                own
            }
        };
        Some((server, config))
    }

    /// The next node of an upstream that is not in `tried`.
    #[must_use]
    pub fn next_node(&self, upstream: UpstreamId, tried: &Tried) -> Option<NodeIndex> {
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
    pub fn new(
        link: Arc<CoreLink>,
        log: LogProducer,
        live: Live,
        seed: u64,
        (tls_fast_path, buffer_bytes): (bool, usize),
    ) -> Self {
        let clock = Clock::default();
        Self {
            link,
            birth: clock.unix_seconds(),
            buffers: Rc::new(Buffers::within(buffer_bytes)),
            deadlines: Deadlines::default(),
            clock,
            random: Random::default(),
            pool: RefCell::new(Pool::new(seed)),
            inspection: Inspection::default(),
            reporter: RefCell::new(Reporter::new(log)),
            radar: RefCell::new(Radar::default()),
            open: Cell::new(0),
            tls_fast_path,
            draining: Cell::new(false),
            tunnels: Cell::new(0),
            stopping: Cell::new(false),
            serial: Cell::new(0),
            live: RefCell::new(Rc::new(live)),
            limits: RefCell::new(RateLimit::new(LINES_PER_SECOND)),
            complaints: RefCell::new(RateLimit::new(LINES_PER_SECOND)),
        }
    }

    /// Once a tick: a new time, and the end of whatever is over by then.
    pub fn tick(&self) {
        self.clock.refresh();
        self.deadlines.tick();
    }

    /// Ends what has not got on for the longest, as far as the buffers are beyond their budget.
    pub fn shed_stalled(&self) {
        let excess = self.buffers.excess();
        if excess == 0 {
            return;
        }
        let Ended { count, bytes } = self.deadlines.end_stalled(excess);
        self.counters().add(Counter::Stalled, u64::try_from(count).unwrap_or(u64::MAX));
        if let Some(suppressed) = self.allow_log(LogCause::Memory) {
            tracing::warn!(
                rented = self.buffers.rented_bytes(),
                budget = self.buffers.budget(),
                ended = count,
                freed = bytes,
                suppressed,
                "this core's share of runtime.buffer_memory is used up: ending connections that \
                 have not got on for the longest"
            );
        }
    }

    /// May a line of this cause be written now? With how many were left out before it.
    pub fn allow_log(&self, cause: LogCause) -> Option<u64> {
        let second = u64::try_from(self.clock.unix_seconds()).unwrap_or(0);
        self.limits.borrow_mut().allow(cause as usize, second)
    }

    /// The same for a client that was turned away, for the reason with this number: a handshake's
    /// [`HandshakeFault::index`], or behind all of these a request's [`Refusal::index`].
    pub fn allow_complaint(&self, reason: usize) -> Option<u64> {
        let second = u64::try_from(self.clock.unix_seconds()).unwrap_or(0);
        self.complaints.borrow_mut().allow(reason, second)
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

    /// The core's events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.link.events
    }

    /// The core's counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.link.counters
    }
}
