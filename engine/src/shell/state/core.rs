//! What every connection of one core shares: nothing of it is shared with another core.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::connection_cards::ConnectionCards;
use super::generation::LiveGeneration;
use super::inspection::Inspection;
use super::log_limits::{LogCause, LogLimits};
use super::place_queue::PlaceQueue;
use super::upstream_connection::PooledConnection;
use crate::exchange::pool::{Identity, Pool, Walk};
use crate::plan::{NodeId, NodeIndex, UpstreamId};
use crate::report::{Counter, Counters, Events, ExpiryTracker, LogProducer, Reporter};
use crate::setup::CoreLink;
use crate::shell::transport::buffers::BufferPool;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::deadlines::{Deadlines, Reclaimed};
use crate::shell::transport::random::Random;

/// How long an idle kept-alive connection may still bring a request once a drain has begun: cut at
/// once, a request that is on its way would be lost.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// One data core.
pub(crate) struct Core {
    /// What control and this core tell each other.
    pub(crate) link: Arc<CoreLink>,
    /// The core's buffers.
    pub(crate) buffers: Rc<BufferPool>,
    /// The core's timer.
    pub(crate) deadlines: Deadlines,
    /// The core's clock.
    pub(crate) clock: CoreClock,
    /// Random bits that nobody can guess.
    pub(crate) random: Random,
    /// Idle upstream connections.
    pub(crate) pool: RefCell<Pool<PooledConnection>>,
    /// The inspection of those that is under way.
    pub(crate) inspection: Inspection,
    /// Logs and counts every finished exchange.
    pub(crate) reporter: RefCell<Reporter>,
    /// The clients whose certificates expire soonest.
    pub(crate) expiry_tracker: RefCell<ExpiryTracker>,
    /// What is told of the client connections that are open.
    pub(crate) cards: ConnectionCards,
    /// Client connections open now.
    pub(crate) open_connections: Cell<u32>,
    /// Is TLS 1.3 opened and sealed by our own record layer?
    pub(crate) tls_fast_path: bool,
    /// The core accepts no more connections and finishes those it has.
    pub(crate) draining: Cell<bool>,
    /// Idle connections are closed after [`DRAIN_GRACE`].
    pub(crate) closes_idle: Cell<bool>,
    /// Tunnels open now.
    pub(crate) open_tunnels: Cell<u32>,
    /// The time for draining is over: tunnels end at once.
    pub(crate) stopping: Cell<bool>,
    /// When the core started, in Unix seconds; with a serial number, it names a connection.
    pub(crate) started_at: i64,
    serial: Cell<u64>,
    live: RefCell<Rc<LiveGeneration>>,
    log_limits: LogLimits,
}

impl Core {
    /// A core that serves `live`.
    #[must_use]
    pub(crate) fn new(
        link: Arc<CoreLink>,
        log: LogProducer,
        live: LiveGeneration,
        seed: u64,
        tls_fast_path: bool,
        buffer_bytes: usize,
    ) -> Self {
        let clock = CoreClock::default();
        Self {
            link,
            started_at: clock.unix_seconds(),
            buffers: Rc::new(BufferPool::within(buffer_bytes)),
            deadlines: Deadlines::default(),
            clock,
            random: Random::default(),
            pool: RefCell::new(Pool::new(seed)),
            inspection: Inspection::default(),
            reporter: RefCell::new(Reporter::new(log)),
            expiry_tracker: RefCell::new(ExpiryTracker::default()),
            cards: ConnectionCards::default(),
            open_connections: Cell::new(0),
            tls_fast_path,
            draining: Cell::new(false),
            closes_idle: Cell::new(false),
            open_tunnels: Cell::new(0),
            stopping: Cell::new(false),
            serial: Cell::new(0),
            live: RefCell::new(Rc::new(live)),
            log_limits: LogLimits::default(),
        }
    }

    /// Runs once a tick: reads the clock and ends what is due.
    pub(crate) fn tick(&self) {
        self.clock.refresh();
        self.deadlines.tick();
    }

    /// Ends the connections that have been stalled the longest, as far as the buffers are beyond their
    /// budget.
    pub(crate) fn shed_stalled(&self) {
        let excess = self.buffers.excess();
        if excess == 0 {
            return;
        }
        let Reclaimed { count, bytes } = self.deadlines.end_stalled(excess);
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
    pub(crate) fn allow_log(&self, cause: LogCause) -> Option<u64> {
        self.log_limits.allow(cause, self.clock.unix_seconds())
    }

    /// The same for a client that was turned away, for the reason with this number: a handshake's
    /// [`HandshakeFault::index`](crate::report::HandshakeFault::index), or after all of these a
    /// request's [`Refusal::index`](crate::exchange::refusal::Refusal::index).
    pub(crate) fn allow_complaint(&self, reason: usize) -> Option<u64> {
        self.log_limits.allow_complaint(reason, self.clock.unix_seconds())
    }

    /// Inspects some idle upstream connections. Returns how long other tasks should run before the next
    /// call; `None` if the inspection is complete.
    pub(crate) fn inspect_idle(&self) -> Option<Duration> {
        self.inspection.slice(&self.pool, &self.clock, &self.live())
    }

    /// Nodes may be elsewhere, or gone, and TLS settings too: connections that fit nothing any more are closed, those
    /// that are in use now behind their exchange.
    pub(crate) fn retire_connections(&self) {
        let live = self.live();
        let places = live.places();
        let leads = |identity: &Identity<'_>| {
            places.get(identity.upstream).is_some_and(|place| live.leads_to(*place, identity))
        };
        self.pool.borrow_mut().retire(leads);
        self.inspection.begin_again();
    }

    /// Descriptors or memory have run out: closes all upstream connections that are idle now, some of them
    /// at once and the others with the next inspections.
    pub(crate) fn give_up_idle(&self) {
        let now_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.live().warm_up.borrow_mut().pause(now_ms);
        self.inspection.give_up(self.pool.borrow().len());
        self.inspect_idle();
    }

    /// Closes idle connections to nodes that have as many as they take, as far as requests wait for them on
    /// other cores.
    pub(crate) fn give_up_places(&self) {
        let live = self.live();
        let upstreams = (0..).map(UpstreamId).zip(live.generation.plan.upstreams());
        for (upstream, plan) in upstreams.filter(|(_, plan)| plan.queue.is_some()) {
            let wanted = |queue: &Rc<PlaceQueue>| queue.is_wanted_elsewhere();
            if live.queue(upstream).as_ref().is_some_and(wanted) {
                let mut waiting = live.node_states.waits(upstream).map_or(0, |waits| waits.count());
                for node in (0..).map(NodeIndex).take(plan.nodes.len()) {
                    waiting -= self.close_idle(&live, NodeId { upstream, node }, waiting);
                }
            }
        }
    }

    /// Closes idle connections to a node that has as many connections as it takes: so many at most. How many it
    /// has closed.
    pub(crate) fn close_idle(&self, live: &LiveGeneration, node: NodeId, most: u32) -> u32 {
        let is_full = live.node_states.get(node).is_some_and(|state| state.places.is_full());
        if !is_full || live.connections.get(node).idle == 0 {
            return 0;
        }
        let (mut closed, mut walk, mut pool) = (0, Walk::default(), self.pool.borrow_mut());
        while closed < most {
            let looked = pool.look(&mut walk, |_, idle| {
                let closes = idle.connection.open.is_to_node_of(&live.connections, node);
                closed += u32::from(closes);
                !closes
            });
            if looked.is_none() {
                break;
            }
        }
        closed
    }

    /// The generation that new requests get.
    #[must_use]
    pub(crate) fn live(&self) -> Rc<LiveGeneration> {
        Rc::clone(&self.live.borrow())
    }

    /// Has the generation moved on since `seen` was taken?
    #[must_use]
    pub(crate) fn is_current(&self, seen: &LiveGeneration) -> bool {
        std::ptr::eq(&raw const **self.live.borrow(), seen)
    }

    /// New requests get this one from here on.
    pub(crate) fn set_live(&self, live: LiveGeneration) {
        live.go_on(&self.live());
        self.live.replace(Rc::new(live));
    }

    /// The number of a new client connection, counted from 1.
    pub(crate) fn next_serial(&self) -> u64 {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        serial
    }

    /// Counts one.
    pub(crate) fn count(&self, counter: Counter) {
        self.counters().add(counter, 1);
    }

    /// The core's events.
    #[must_use]
    pub(crate) fn events(&self) -> &Events {
        &self.link.events
    }

    /// The core's counters.
    #[must_use]
    pub(crate) fn counters(&self) -> &Counters {
        &self.link.counters
    }
}
