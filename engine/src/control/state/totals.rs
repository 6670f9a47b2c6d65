//! Totals of what was counted by listener, route, upstream node, server object and client authority.
//!
//! In: the meters of every core under every generation. Out: totals by label that never go back: they
//! survive a reload, and a generation is counted for as long as a core holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::node_totals::{self, NodeLabels, NodeTotals};
use crate::report::Meters;
use crate::report::histogram::HistogramSums;
use crate::report::meters::{
    AUTHORITIES_MAX, AuthorityUse, CLASSES, DAY_BUCKETS, ROUTES_MAX, SERVERS_MAX,
};
use crate::report::node_meters::TIME_BUCKETS;
use crate::setup::Generation;
use crate::tls::authority_index::AuthorityName;

/// Labels of removed objects that are kept. Beyond that, removed objects share one label: a file that is
/// rewritten every minute must not grow our memory, and no total may go back.
const LABELS_MAX: usize = 10_000;

/// The label that removed objects share.
const OTHERS: &str = "(other)";

/// The route label of a request without a route, or with one beyond those that are counted alone.
const NO_ROUTE: &str = "";

/// The listener label of a request whose listener was taken away, and none took its place.
const NO_LISTENER: &str = "";

/// Where a request came in, and where it went.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RequestLabels {
    /// The address of the listener.
    pub(crate) listener: Arc<str>,
    /// The id of the route.
    pub(crate) route: Arc<str>,
}

/// A server object.
#[derive(Debug)]
struct ServerLabel {
    id: Arc<str>,
    /// Does it ask for certificates of clients?
    asks: bool,
}

/// The labels of one generation's meters, by index.
#[derive(Debug)]
pub(crate) struct GenerationLabels {
    listeners: Vec<Arc<str>>,
    routes: Vec<Arc<str>>,
    nodes: Vec<NodeLabels>,
    /// The last one may stand for all others.
    servers: Vec<ServerLabel>,
    /// The last one may stand for all others.
    authorities: Vec<AuthorityName>,
}

/// Everything that was counted, by its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectTotals {
    /// Requests: one count for each class of status codes.
    pub(crate) requests: BTreeMap<RequestLabels, [u64; CLASSES]>,
    /// Microseconds that requests took, by route.
    pub(crate) route_times: BTreeMap<Arc<str>, HistogramSums<TIME_BUCKETS>>,
    /// By upstream node.
    pub(crate) nodes: NodeTotals,
    /// By server object: days left of the certificates of verified clients.
    pub(crate) days_left: BTreeMap<Arc<str>, HistogramSums<DAY_BUCKETS>>,
    /// Use of the client authorities.
    pub(crate) authorities: BTreeMap<AuthorityName, AuthorityUse>,
}

/// A generation that a core may still hold, and so may still count in.
#[derive(Debug)]
struct CountingGeneration {
    labels: GenerationLabels,
    /// One for each core.
    meters: Vec<Arc<Meters>>,
}

/// The generations that still count, and the totals of all earlier ones.
#[derive(Debug, Default)]
pub(crate) struct MetricTotals {
    counting: Vec<CountingGeneration>,
    retired: ObjectTotals,
}

impl GenerationLabels {
    /// The labels of this generation, which listens at these addresses.
    pub(crate) fn of(generation: &Generation, bound: &[SocketAddr]) -> Self {
        let listens = generation.plan.listeners().iter().enumerate().map(|(at, listener)| {
            bound.get(at).unwrap_or(&listener.listen.address).to_string().into()
        });
        let routes = generation.plan.routes().iter().take(ROUTES_MAX);
        let servers = generation.config.servers.iter().zip(&generation.tls.servers);
        let servers = servers.map(|(server, tls)| ServerLabel {
            id: server.id.as_str().into(),
            asks: tls.policy.is_some(),
        });
        let mut servers: Vec<_> = servers.take(SERVERS_MAX + 1).collect();
        if let Some(others) = servers.get_mut(SERVERS_MAX) {
            *others = ServerLabel { id: OTHERS.into(), asks: true };
        }
        let names = generation.tls.authorities.names.iter().take(AUTHORITIES_MAX + 1);
        let mut authorities: Vec<_> = names.cloned().collect();
        if let Some(others) = authorities.get_mut(AUTHORITIES_MAX) {
            *others = other_authorities();
        }
        Self {
            listeners: listens.chain([NO_LISTENER.into()]).collect(),
            routes: routes.map(|route| Arc::from(&*route.id)).collect(),
            nodes: NodeLabels::of(&generation.plan),
            servers,
            authorities,
        }
    }
}

/// The labels that authorities share which are not counted alone.
fn other_authorities() -> AuthorityName {
    AuthorityName { subject: OTHERS.into(), serial: "".into() }
}

impl MetricTotals {
    /// Adds a generation that begins to count, with the meters of each core.
    pub(crate) fn add_generation(&mut self, labels: GenerationLabels, meters: Vec<Arc<Meters>>) {
        self.retire_unused();
        self.counting.push(CountingGeneration { labels, meters });
    }

    /// Takes over the counts of generations that no core holds any more.
    fn retire_unused(&mut self) {
        // The newest may not have reached the cores yet.
        let newest = self.counting.len().saturating_sub(1);
        let mut at = 0;
        let Self { counting, retired } = self;
        counting.retain(|generation| {
            let unused =
                at < newest && generation.meters.iter().all(|core| Arc::strong_count(core) == 1);
            at += 1;
            if unused {
                // Pairs with the release when a core dropped its meters: all its counts are seen.
                fence(Ordering::Acquire);
                retired.add(generation);
            }
            !unused
        });
        if retired.labels() > LABELS_MAX {
            retired.fold_removed(counting);
        }
    }

    /// How many generations may a core still hold?
    pub(crate) fn generations(&mut self) -> usize {
        self.retire_unused();
        self.counting.len()
    }

    /// The totals of all generations together.
    pub(crate) fn totals(&mut self) -> ObjectTotals {
        self.retire_unused();
        let mut totals = self.retired.clone();
        for generation in &self.counting {
            totals.add(generation);
        }
        totals
    }
}

impl ObjectTotals {
    /// How many labels there are.
    fn labels(&self) -> usize {
        let Self { requests, route_times, nodes, days_left, authorities } = self;
        let others = route_times.len() + nodes.len() + days_left.len() + authorities.len();
        requests.len() + others
    }

    /// Adds up, under one label, the totals of objects that no counting generation has.
    fn fold_removed(&mut self, counting: &[CountingGeneration]) {
        let others: Arc<str> = OTHERS.into();
        self.fold_removed_requests(counting, &others);
        let labels = || counting.iter().map(|generation| &generation.labels);
        node_totals::fold_removed(&mut self.nodes, labels().flat_map(|known| &known.nodes));
        let servers = || labels().flat_map(|known| &known.servers);
        let ids: BTreeSet<_> = servers().map(|server| &server.id).collect();
        for (id, days) in std::mem::take(&mut self.days_left) {
            let id = if ids.contains(&id) { id } else { Arc::clone(&others) };
            self.days_left.entry(id).or_default().add(&days);
        }
        let authorities: BTreeSet<_> = labels().flat_map(|known| &known.authorities).collect();
        for (authority, usage) in std::mem::take(&mut self.authorities) {
            let known = authorities.contains(&authority);
            let authority = if known { authority } else { other_authorities() };
            self.authorities.entry(authority).or_default().add(usage);
        }
    }

    fn fold_removed_requests(&mut self, counting: &[CountingGeneration], others: &Arc<str>) {
        let labels = || counting.iter().map(|generation| &generation.labels);
        let listeners: BTreeSet<_> = labels().flat_map(|known| &known.listeners).collect();
        let no_route: Arc<str> = NO_ROUTE.into();
        let routes = labels().flat_map(|known| &known.routes).chain([&no_route]);
        let routes: BTreeSet<_> = routes.collect();
        for (key, classes) in std::mem::take(&mut self.requests) {
            let known = listeners.contains(&key.listener) && routes.contains(&key.route);
            let key = if known {
                key
            } else {
                RequestLabels { listener: Arc::clone(others), route: Arc::clone(others) }
            };
            let totals = self.requests.entry(key).or_insert([0; CLASSES]);
            for (total, count) in totals.iter_mut().zip(classes) {
                *total = total.wrapping_add(count);
            }
        }
        for (route, times) in std::mem::take(&mut self.route_times) {
            let route = if routes.contains(&route) { route } else { Arc::clone(others) };
            self.route_times.entry(route).or_default().add(&times);
        }
    }

    /// Adds what the cores have counted in one generation.
    fn add(&mut self, generation: &CountingGeneration) {
        let CountingGeneration { labels, meters } = generation;
        let no_route: Arc<str> = NO_ROUTE.into();
        for core in meters {
            for (listener, route, class, count) in core.requests().filter(|(.., count)| *count > 0)
            {
                let Some(listener) = labels.listeners.get(listener) else { continue };
                let route = route.and_then(|route| labels.routes.get(route)).unwrap_or(&no_route);
                let key =
                    RequestLabels { listener: Arc::clone(listener), route: Arc::clone(route) };
                let classes = self.requests.entry(key).or_insert([0; CLASSES]);
                if let Some(total) = classes.get_mut(class) {
                    *total = total.wrapping_add(count);
                }
            }
            for (route, times) in core.route_times() {
                let route = route.and_then(|route| labels.routes.get(route)).unwrap_or(&no_route);
                times.sum_into(self.route_times.entry(Arc::clone(route)).or_default());
            }
            node_totals::add(&mut self.nodes, &labels.nodes, core);
            for (server, days) in labels.servers.iter().zip(core.days_left()) {
                if server.asks {
                    self.days_left.entry(Arc::clone(&server.id)).or_default().add(&days);
                }
            }
            for (authority, usage) in labels.authorities.iter().zip(core.authorities()) {
                self.authorities.entry(authority.clone()).or_default().add(usage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ListenerId, NodeId, NodeIndex, RouteId, ServerId, UpstreamId};
    use crate::report::NodeCounter;

    const FIRST: NodeId = NodeId { upstream: UpstreamId(0), node: NodeIndex(0) };

    fn labels(routes: &[&str]) -> GenerationLabels {
        GenerationLabels {
            listeners: vec!["127.0.0.1:80".into()],
            routes: routes.iter().map(|route| Arc::from(*route)).collect(),
            nodes: vec![node("kept")],
            servers: vec![ServerLabel { id: "api".into(), asks: true }],
            authorities: vec![AuthorityName { subject: "CN=ca".into(), serial: "01".into() }],
        }
    }

    fn node(node: &str) -> NodeLabels {
        NodeLabels { upstream: "up".into(), node: node.into() }
    }

    /// Tries at the nodes of this name, and the times of requests to this route.
    fn tried_and_timed(totals: &ObjectTotals, node: &NodeLabels, route: &str) -> [u64; 2] {
        let tries = totals.nodes.get(node).map_or(0, |sums| sums.get(NodeCounter::Reuses));
        [tries, totals.route_times.get(route).map_or(0, HistogramSums::count)]
    }

    fn count(totals: &ObjectTotals, route: &str) -> u64 {
        let key = RequestLabels { listener: "127.0.0.1:80".into(), route: route.into() };
        totals.requests.get(&key).map_or(0, |classes| classes.iter().sum())
    }

    /// A hundred thousand routes that come and go: no total goes back.
    #[test]
    fn labels_of_removed_objects_share_one() {
        let mut all = MetricTotals::default();
        let mut held: Option<Arc<Meters>> = None;
        for round in 1..=30_u64 {
            let names: Vec<_> = (0..4_000).map(|at| format!("{round}-{at}")).collect();
            let routes: Vec<_> = ["kept"].into_iter().chain(names.iter().map(|n| &**n)).collect();
            let meters = Arc::new(Meters::new(1, routes.len(), &[Arc::from([0])], 1, [1]));
            all.add_generation(labels(&routes), vec![Arc::clone(&meters)]);
            for route in 0..=4_000 {
                meters.request(Some(ListenerId(0)), Some(RouteId(route)), 200);
            }
            meters.verified(ServerId(0), Some(0), 9, 5);
            held = Some(meters);
            let totals = all.totals();
            let sum: u64 = totals.requests.values().flatten().sum();
            assert_eq!((sum, count(&totals, "kept")), (round * 4_001, round));
            assert_eq!(
                totals.authorities.values().next(),
                Some(&AuthorityUse { count: round, last_used: 5 })
            );
            assert!(totals.requests.len() <= LABELS_MAX + 4_001, "{}", totals.requests.len());
        }
        drop(held);
        let others = RequestLabels { listener: OTHERS.into(), route: OTHERS.into() };
        assert!(all.totals().requests.contains_key(&others));
    }

    /// Nodes and the times of routes come and go in the same way.
    #[test]
    fn removed_nodes_and_times_are_never_lost() {
        let mut all = MetricTotals::default();
        let mut sum = 0;
        for round in 1..=60_u64 {
            let names: Vec<_> = (0..1_024).map(|at| format!("{round}-{at}")).collect();
            let routes: Vec<_> = names.iter().map(|name| &**name).collect();
            let mut labels = labels(&routes);
            labels.nodes = names.iter().map(|name| node(name)).collect();
            let meters = Arc::new(Meters::new(1, routes.len(), &[], 0, [routes.len()]));
            all.add_generation(labels, vec![Arc::clone(&meters)]);
            for at in 0..1_024 {
                meters.timed(Some(RouteId(at)), 9);
                meters.node(NodeId { node: NodeIndex(at), ..FIRST }).count(NodeCounter::Reuses);
            }
            sum += 1_024;
            drop(meters);
            let totals = all.totals();
            let tries: u64 = totals.nodes.values().map(|sums| sums.get(NodeCounter::Reuses)).sum();
            let times: u64 = totals.route_times.values().map(HistogramSums::count).sum();
            assert_eq!((tries, times), (sum, sum));
            assert!(totals.labels() <= LABELS_MAX + 2 * 1_025, "{}", totals.labels());
        }
        let others = NodeLabels { upstream: OTHERS.into(), node: OTHERS.into() };
        assert!(tried_and_timed(&all.totals(), &others, OTHERS).iter().all(|count| *count > 0));
    }

    #[test]
    fn nothing_is_lost_by_a_reload() {
        let mut all = MetricTotals::default();
        let first = Arc::new(Meters::new(1, 1, &[Arc::from([0])], 1, [1]));
        all.add_generation(labels(&["a"]), vec![Arc::clone(&first)]);
        first.request(Some(ListenerId(0)), Some(RouteId(0)), 200);
        first.verified(ServerId(0), Some(0), 9, 5);
        let second = Arc::new(Meters::new(1, 2, &[Arc::from([0])], 1, [1]));
        all.add_generation(labels(&["b", "a"]), vec![Arc::clone(&second)]);
        second.request(Some(ListenerId(0)), Some(RouteId(1)), 200);
        // A connection of the first generation is still at work.
        first.request(Some(ListenerId(0)), None, 404);
        for (meters, route) in [(&first, 0), (&second, 1)] {
            meters.timed(Some(RouteId(route)), 5);
            meters.node(FIRST).count(NodeCounter::Reuses);
        }
        let totals = all.totals();
        assert_eq!((count(&totals, "a"), count(&totals, ""), count(&totals, "b")), (2, 1, 0));
        assert_eq!(tried_and_timed(&totals, &node("kept"), "a"), [2, 2]);
        drop(first);
        assert_eq!(all.totals().requests, totals.requests);
        assert_eq!(tried_and_timed(&all.totals(), &node("kept"), "a"), [2, 2]);
        assert_eq!(all.counting.len(), 1, "the first is retired");
        second.verified(ServerId(0), Some(0), 9, 7);
        let totals = all.totals();
        assert_eq!(
            totals.authorities.values().next(),
            Some(&AuthorityUse { count: 2, last_used: 7 })
        );
        assert_eq!(totals.days_left.values().next().map(HistogramSums::count), Some(2));
    }
}
