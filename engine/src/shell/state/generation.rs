//! One generation of the configuration as one core sees it: its plan, and what the core remembers under it.
//!
//! In: a server name, or an upstream. Out: TLS settings, or the next node and its address. Nothing here
//! is shared with another core.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::NodeAddress;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustls::ServerConfig;

use crate::exchange::address_order::{self, AddressFaults};
use crate::exchange::balance::{Balancer, NodeChoice, Tried, TryEnd};
use crate::exchange::pool::{Address, Identity};
use crate::exchange::retry_budget::RetryAllowance;
use crate::exchange::split::SplitTurns;
use crate::exchange::warm_up::WarmUp;
use crate::health::{Breakers, NodeStates, ProbeRequest, Standing};
use crate::identity::IdentityCache;
use crate::limits::CoreLimits;
use crate::plan::{ListenerId, NodeId, NodeIndex, NodePlan, ServerId, UpstreamId};
use crate::report::{Meters, NodeMeters};
use crate::setup::{Addresses, Generation, Handover};
use crate::shell::state::node_connections::{ConnectionTable, OpenNodeConnection};
use crate::shell::state::place_queue::PlaceQueue;
use crate::shell::transport::clock::CoreClock;

/// One generation as one core sees it.
pub(crate) struct LiveGeneration {
    /// The generation.
    pub(crate) generation: Arc<Generation>,
    /// Identities seen under it.
    pub(crate) identities: RefCell<IdentityCache>,
    /// What is counted under it.
    pub(crate) meters: Arc<Meters>,
    /// Which nodes fail, on all cores.
    pub(crate) node_states: Arc<NodeStates>,
    /// The circuit breakers of its routes, on all cores.
    pub(crate) breakers: Arc<Breakers>,
    /// The limits of requests, as this core asks them.
    pub(crate) limits: CoreLimits,
    /// The connections to its nodes.
    pub(crate) connections: ConnectionTable,
    /// Whose turn it is in traffic splits.
    pub(crate) splits: RefCell<SplitTurns>,
    /// Which connections are opened ahead of requests.
    pub(crate) warm_up: RefCell<WarmUp>,
    addresses: RefCell<Arc<Addresses>>,
    /// Whose turn it is among the addresses of each node, by upstream.
    turns: Vec<Box<[Cell<usize>]>>,
    /// Addresses that gave no connection lately.
    faults: RefCell<AddressFaults>,
    balancers: Vec<RefCell<Balancer>>,
    /// What each balancer knows of its nodes' health.
    looks: Vec<Cell<Look>>,
    allowances: Vec<RefCell<RetryAllowance>>,
    /// Who waits for a place, by upstream; `None` where no node has a limit.
    queues: RefCell<Vec<Option<Rc<PlaceQueue>>>>,
    /// Server names seen, by listener, and what they lead to.
    names: RefCell<HashMap<ListenerId, ServerNames, RandomState>>,
    /// This core's own copies of the TLS settings, so that no two cores count references in one place.
    configs: RefCell<HashMap<ServerId, Arc<ServerConfig>, RandomState>>,
}

/// What was last seen of the health of an upstream's nodes.
#[derive(Clone, Copy)]
struct Look {
    epoch: u64,
    /// When a node's time is over next, whatever the epoch; the end of time if none is set aside.
    due_ms: u64,
}

/// A try at a node, counted until this is dropped: also where the exchange is given up.
pub(crate) struct OpenTry<'a> {
    balancer: Option<&'a RefCell<Balancer>>,
    node: NodeIndex,
}

impl OpenTry<'_> {
    /// It is over, and this is what it says about the node.
    pub(crate) fn end(mut self, end: impl FnOnce() -> Option<TryEnd>) {
        if let Some(balancer) = self.balancer.take() {
            balancer.borrow_mut().end_try(self.node, end());
        }
    }
}

impl Drop for OpenTry<'_> {
    fn drop(&mut self) {
        if let Some(balancer) = self.balancer {
            balancer.borrow_mut().end_try(self.node, None);
        }
    }
}

/// Server names that were seen on one listener, and their servers; the empty string stands for no name.
type ServerNames = HashMap<Box<str>, ServerId, RandomState>;

/// Server names that one core remembers per listener; a wildcard has more than anyone should hold.
const NAMES_MAX: usize = 1_024;

impl LiveGeneration {
    /// The generation that `handover` brings to this core, with nothing remembered yet.
    #[must_use]
    pub(crate) fn new(handover: &Handover, core: u32, seed: u64) -> Self {
        let generation = Arc::clone(&handover.generation);
        let balancers: Vec<_> = generation
            .plan
            .upstreams()
            .iter()
            .map(|upstream| RefCell::new(Balancer::new(&upstream.balance, seed)))
            .collect();
        // Cores begin at different places, so that they do not all ask the same address.
        let turn = usize::try_from(seed).unwrap_or(0);
        let turns = |nodes: &[NodePlan]| nodes.iter().map(|_| Cell::new(turn)).collect();
        let turns =
            generation.plan.upstreams().iter().map(|upstream| turns(&upstream.nodes)).collect();
        let allowances = generation
            .plan
            .upstreams()
            .iter()
            .map(|upstream| RefCell::new(RetryAllowance::new(upstream.retry.budget)))
            .collect();
        let states = &handover.node_states;
        let queue = |id| states.waits(id).map(|waits| Rc::new(PlaceQueue::new(waits, core)));
        let queues = (0..)
            .map(UpstreamId)
            .zip(generation.plan.upstreams())
            .map(|(id, upstream)| upstream.queue.and_then(|_| queue(id)))
            .collect();
        Self {
            splits: RefCell::new(SplitTurns::new(generation.plan.split_turns())),
            generation,
            queues: RefCell::new(queues),
            connections: ConnectionTable::default(),
            warm_up: RefCell::default(),
            turns,
            faults: RefCell::default(),
            identities: RefCell::new(IdentityCache::default()),
            meters: Arc::clone(&handover.meters),
            node_states: Arc::clone(&handover.node_states),
            breakers: Arc::clone(&handover.breakers),
            limits: CoreLimits::new(&handover.limits, core),
            addresses: RefCell::new(Arc::clone(&handover.addresses)),
            looks: balancers
                .iter()
                .map(|_| Cell::new(Look { epoch: u64::MAX, due_ms: 0 }))
                .collect(),
            balancers,
            allowances,
            names: RefCell::default(),
            configs: RefCell::default(),
        }
    }

    /// Takes over from the generation before what outlives it.
    pub(crate) fn go_on(&self, before: &Self) {
        self.limits.go_on(&before.limits);
        let known = before.generation.plan.upstreams();
        let own = self.places();
        for (upstream, queue) in known.iter().zip(&*before.queues.borrow()) {
            let mut queues = self.queues.borrow_mut();
            let place = own.get(&*upstream.id).and_then(|place| queues.get_mut(*place));
            if let (Some(Some(own)), Some(queue)) = (place, queue) {
                *own = Rc::clone(queue);
            }
        }
        let now_at = |node: NodeId| {
            let upstream = known.get(node.upstream.0 as usize)?;
            let address = &upstream.nodes.get(node.node.0 as usize)?.address;
            self.find_node(&upstream.id, address)
        };
        self.connections.go_on(&before.connections, now_at, |node| self.queue(node.upstream));
        before.connections.withdraw(&before.meters);
    }

    /// From now on, connections are opened ahead of requests.
    pub(crate) fn warm_up(&self, now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.warm_up.replace(WarmUp::of(self.generation.plan.upstreams(), now_ms));
    }

    /// The server object and TLS settings for a handshake with this name (lower case), looked up
    /// once per core; `None` refuses it.
    pub(crate) fn server(
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
            let server =
                self.generation.plan.server_for(Some(listener), name.map(str::as_bytes))?;
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

    /// Nodes that the generation before did not have begin with less than their weight, where their upstream
    /// has a slow start.
    pub(crate) fn begin_slowly(&self, before: &Self, now: Duration) {
        let before = before.generation.plan.upstreams();
        let upstreams = self.generation.plan.upstreams().iter().zip(&self.balancers);
        for (plan, balancer) in upstreams.filter(|(plan, _)| !plan.balance.slow_start.is_zero()) {
            let Some(old) = before.iter().find(|old| old.id == plan.id) else { continue };
            let was_there = |node: &NodePlan| {
                old.nodes.iter().any(|old| old.weight > 0 && old.address == node.address)
            };
            let is_new = |node: NodeIndex| {
                plan.nodes.get(node.0 as usize).is_some_and(|node| !was_there(node))
            };
            balancer.borrow_mut().begin_slowly(now, is_new);
        }
    }

    /// The next node of an upstream for a request that may be sent again or not.
    #[must_use]
    pub(crate) fn next_node(
        &self,
        upstream: UpstreamId,
        choice: &NodeChoice<'_>,
        clock: &CoreClock,
        repeatable: impl FnOnce() -> bool,
    ) -> Option<NodeIndex> {
        let (at, states) = (upstream.0 as usize, &self.node_states);
        let (balancer, look) = (self.balancers.get(at)?, self.looks.get(at)?);
        let seen = look.get();
        // Of healthy nodes, this is all that a request costs.
        if seen.epoch != states.epoch(upstream) || seen.due_ms != u64::MAX {
            let now_ms = states.now_ms(clock.instant());
            if seen.epoch != states.epoch(upstream) || now_ms >= seen.due_ms {
                let request = ProbeRequest { repeatable: repeatable(), tried: choice.tried };
                let probe = self.look_again(upstream, now_ms, request, choice.now);
                if probe.is_some() {
                    return probe;
                }
            }
        }
        balancer.borrow_mut().next(choice)
    }

    /// A node that is set aside, for a request that has been at all others of its upstream and would fail.
    #[must_use]
    pub(crate) fn last_resort(&self, upstream: UpstreamId, tried: &Tried) -> Option<NodeIndex> {
        self.node_states.last_resort(upstream, tried)
    }

    /// Tells the balancer who may be asked now. A node, if one is due to be asked again by this request.
    fn look_again(
        &self,
        upstream: UpstreamId,
        now_ms: u64,
        request: ProbeRequest<'_>,
        now: Duration,
    ) -> Option<NodeIndex> {
        let (at, states) = (upstream.0 as usize, &self.node_states);
        // First, so that what moves meanwhile is seen with the next request.
        let epoch = states.epoch(upstream);
        let view = states.view(upstream);
        let probe = states.take_probe(upstream, &view, now_ms, request);
        self.looks.get(at)?.set(Look { epoch, due_ms: view.due_ms() });
        let usable = |node| view.standing(node, now_ms) == Standing::Usable;
        self.balancers.get(at)?.borrow_mut().set_usable(now, usable);
        probe
    }

    /// Who waits on this core for a place at a node of this upstream; `None` if no node has a limit.
    #[must_use]
    pub(crate) fn queue(&self, upstream: UpstreamId) -> Option<Rc<PlaceQueue>> {
        self.queues.borrow().get(upstream.0 as usize)?.clone()
    }

    /// Takes a place for a connection that is about to be opened; `None` if the node has none left. Whose turn it
    /// is has been decided.
    #[must_use]
    pub(crate) fn take_place(&self, node: NodeId) -> Option<OpenNodeConnection> {
        let place = self.node_states.get(node)?.places.take()?;
        Some(self.connections.opened(node, place, || self.queue(node.upstream)))
    }

    /// Has a node of this upstream room for another connection?
    #[must_use]
    pub(crate) fn has_place(&self, upstream: UpstreamId) -> bool {
        self.node_states.nodes_of(upstream).iter().any(|node| !node.state.places.is_full())
    }

    /// What is left of an upstream's `retry_budget` on this core.
    #[must_use]
    pub(crate) fn retry_allowance(&self, upstream: UpstreamId) -> Option<&RefCell<RetryAllowance>> {
        self.allowances.get(upstream.0 as usize)
    }

    /// A try at a node begins, for balancers that count them; it ends with what is returned.
    pub(crate) fn begin_try(&self, node: NodeId) -> OpenTry<'_> {
        let balancer = self.balancers.get(node.upstream.0 as usize);
        let balancer = balancer.filter(|balancer| balancer.borrow().counts());
        if let Some(balancer) = balancer {
            balancer.borrow_mut().begin_try(node.node);
        }
        OpenTry { balancer, node: node.node }
    }

    /// The address of a node whose turn it is, if it has one now; by the core's clock in milliseconds.
    #[must_use]
    pub(crate) fn address(
        &self,
        upstream: UpstreamId,
        node: NodeIndex,
        now_ms: impl FnOnce() -> u64,
    ) -> Option<SocketAddr> {
        let addresses = self.addresses.borrow();
        let addresses = addresses.get(upstream.0 as usize, node.0 as usize)?;
        if let [only] = *addresses.all {
            return Some(only);
        }
        let turn = self.turn(upstream, node).map_or(0, Cell::get);
        let faults = self.faults.borrow();
        let now_ms = if faults.is_empty() { 0 } else { now_ms() };
        address_order::first(&addresses.all, &addresses.turns, turn, &faults, now_ms)
    }

    /// It is the next address's turn.
    pub(crate) fn end_turn(&self, upstream: UpstreamId, node: NodeIndex) {
        if let Some(turn) = self.turn(upstream, node) {
            turn.set(turn.get().wrapping_add(1));
        }
    }

    fn turn(&self, upstream: UpstreamId, node: NodeIndex) -> Option<&Cell<usize>> {
        self.turns.get(upstream.0 as usize)?.get(node.0 as usize)
    }

    /// The order in which a connection is tried for: this address, then the others of the node.
    #[must_use]
    pub(crate) fn address_order(
        &self,
        upstream: UpstreamId,
        node: NodeIndex,
        first: SocketAddr,
        now_ms: u64,
    ) -> Vec<SocketAddr> {
        let addresses = self.addresses.borrow();
        let all = addresses.get(upstream.0 as usize, node.0 as usize);
        let all = all.map(|addresses| addresses.all.as_slice()).unwrap_or_default();
        if all.len() < 2 {
            return Vec::new();
        }
        address_order::order(all, first, &self.faults.borrow(), now_ms)
    }

    /// An address gave no connection: for a while it is asked after the others of its node.
    pub(crate) fn note_fault(&self, address: SocketAddr, now_ms: u64) {
        self.faults.borrow_mut().insert(address, now_ms);
    }

    /// An address gave a connection.
    pub(crate) fn forget_fault(&self, address: SocketAddr) {
        if !self.faults.borrow().is_empty() {
            self.faults.borrow_mut().remove(address);
        }
    }

    /// The places of all upstreams by their ids, for whoever looks many of them up.
    #[must_use]
    pub(crate) fn places(&self) -> HashMap<&str, usize, RandomState> {
        let ids = self.generation.plan.upstreams().iter().map(|plan| &*plan.id);
        ids.enumerate().map(|(at, id)| (id, at)).collect()
    }

    /// Does a node of the upstream at this place lead where this connection does?
    #[must_use]
    pub(crate) fn leads_to(&self, place: usize, identity: &Identity<'_>) -> bool {
        match identity.address {
            Address::Ip(address) => self.addresses.borrow().leads_to(place, address),
            Address::Unix(path) => {
                let plan = self.generation.plan.upstreams().get(place);
                let is_it = |node: &NodePlan| matches!(&node.address, NodeAddress::Unix(known) if path == known);
                plan.is_some_and(|plan| plan.nodes.iter().any(is_it))
            }
        }
    }

    /// A node by the names that the configuration gave it, if it is still there; looked for among all of them.
    #[must_use]
    pub(crate) fn find_node(&self, upstream: &str, node: &NodeAddress) -> Option<NodeId> {
        self.find(upstream, |found, _| found.address == *node)
    }

    /// The meters of the node that an idle connection leads to, as far as this generation knows it. For events
    /// that are rare: all upstreams are looked at.
    #[must_use]
    pub(crate) fn idle_meters(&self, identity: &Identity<'_>) -> &NodeMeters {
        let found =
            self.find(identity.upstream, |node, id| match (identity.address, &node.address) {
                (Address::Unix(path), NodeAddress::Unix(known)) => path == known,
                (Address::Ip(address), _) => {
                    let addresses = self.addresses.borrow();
                    let known = addresses.get(id.upstream.0 as usize, id.node.0 as usize);
                    known.is_some_and(|known| known.all.contains(&address))
                }
                _ => false,
            });
        found.map_or_else(|| self.meters.other_nodes(), |node| self.meters.node(node))
    }

    fn find(&self, upstream: &str, is: impl Fn(&NodePlan, NodeId) -> bool) -> Option<NodeId> {
        let known = self.generation.plan.upstreams();
        let (id, plan) =
            (0..).map(UpstreamId).zip(known).find(|(_, plan)| *plan.id == *upstream)?;
        let nodes = (0..).map(|node| NodeId { upstream: id, node: NodeIndex(node) });
        nodes.zip(&plan.nodes).find(|(id, node)| is(node, *id)).map(|(id, _)| id)
    }

    /// Takes newer addresses if they are of this generation.
    /// Were they?
    pub(crate) fn set_addresses(&self, addresses: Arc<Addresses>) -> bool {
        let own = addresses.generation == self.generation.number;
        if own {
            self.addresses.replace(addresses);
        }
        own
    }
}
