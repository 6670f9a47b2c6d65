//! One generation of the configuration as one core sees it: its plan, and what the core remembers under it.
//!
//! In: a server name, or an upstream. Out: TLS settings, or the next node and its address. Nothing here
//! is shared with another core.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::NodeAddress;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustls::ServerConfig;

use crate::exchange::balance::{Balancer, Tried};
use crate::exchange::pool::{Address, Identity};
use crate::exchange::warm_up::WarmUp;
use crate::identity::IdentityCache;
use crate::plan::{ListenerId, NodeId, NodeIndex, NodePlan, ServerId, UpstreamId};
use crate::report::{Meters, NodeMeters};
use crate::setup::node_states::NodeStates;
use crate::setup::{Addresses, Generation, Handover};
use crate::shell::state::node_connections::ConnectionTable;

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
    /// The connections to its nodes.
    pub(crate) connections: ConnectionTable,
    /// Which connections are opened ahead of requests.
    pub(crate) warm_up: RefCell<WarmUp>,
    addresses: RefCell<Arc<Addresses>>,
    balancers: Vec<RefCell<Balancer>>,
    /// Server names seen, by listener, and what they lead to.
    names: RefCell<HashMap<ListenerId, ServerNames, RandomState>>,
    /// This core's own copies of the TLS settings, so that no two cores count references in one place.
    configs: RefCell<HashMap<ServerId, Arc<ServerConfig>, RandomState>>,
}

/// Server names that were seen on one listener, and their servers; the empty string stands for no name.
type ServerNames = HashMap<Box<str>, ServerId, RandomState>;

/// Server names that one core remembers per listener; a wildcard has more than anyone should hold.
const NAMES_MAX: usize = 1_024;

impl LiveGeneration {
    /// The generation that `handover` brings, with nothing remembered yet.
    #[must_use]
    pub(crate) fn new(handover: &Handover, seed: u64) -> Self {
        let generation = Arc::clone(&handover.generation);
        let balancers = generation
            .plan
            .upstreams()
            .iter()
            .map(|upstream| RefCell::new(Balancer::new(&upstream.weights, seed)))
            .collect();
        Self {
            generation,
            connections: ConnectionTable::default(),
            warm_up: RefCell::default(),
            identities: RefCell::new(IdentityCache::default()),
            meters: Arc::clone(&handover.meters),
            node_states: Arc::clone(&handover.node_states),
            addresses: RefCell::new(Arc::clone(&handover.addresses)),
            balancers,
            names: RefCell::default(),
            configs: RefCell::default(),
        }
    }

    /// Takes over from the generation before what outlives it.
    pub(crate) fn go_on(&self, before: &Self) {
        let known = before.generation.plan.upstreams();
        self.connections.go_on(&before.connections, |node| {
            let upstream = known.get(node.upstream.0 as usize)?;
            let address = &upstream.nodes.get(node.node.0 as usize)?.address;
            self.find_node(&upstream.id, address)
        });
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

    /// The next node of an upstream that is not in `tried`.
    #[must_use]
    pub(crate) fn next_node(&self, upstream: UpstreamId, tried: &Tried) -> Option<NodeIndex> {
        self.balancers.get(upstream.0 as usize)?.borrow_mut().next(tried)
    }

    /// The first address of a node, if it has one now.
    #[must_use]
    pub(crate) fn address(
        &self,
        upstream: UpstreamId,
        node: NodeIndex,
    ) -> Option<std::net::SocketAddr> {
        let addresses = self.addresses.borrow();
        addresses.get(upstream.0 as usize, node.0 as usize).first().copied()
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
                (Address::Ip(address), NodeAddress::Ip(_) | NodeAddress::Name { .. }) => {
                    self.address(id.upstream, id.node) == Some(address)
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

    /// Takes newer addresses of this generation.
    pub(crate) fn set_addresses(&self, addresses: Arc<Addresses>) {
        if addresses.generation == self.generation.number {
            self.addresses.replace(addresses);
        }
    }
}
