//! What one core counts under one generation: by listener and route, by upstream node, by server object, by
//! authority.
//!
//! The places are the generation's own, so a reload brings new meters. Whoever reads keeps the sums of
//! generations that no core holds any more.

use std::sync::{Arc, OnceLock};

use super::histogram::{DAYS, Histogram, HistogramSums, SLO_MICROS};
use super::node_meters::{NodeMeters, TIME_BUCKETS};
use super::shared_counts::SharedCount;
use crate::plan::{ListenerId, NodeId, RouteId, ServerId};

/// Routes counted one by one; requests to later ones, and to none, share the last place.
pub const ROUTES_MAX: usize = 4_096;
/// Pairs of a listener and a route counted one by one. With many listeners fewer routes are.
const PAIRS_MAX: usize = 2 * ROUTES_MAX;
/// Server objects counted one by one; later ones share the last place.
pub const SERVERS_MAX: usize = 1_000;
/// Client authorities counted one by one; later ones share the last place.
pub const AUTHORITIES_MAX: usize = 4_096;
/// Routes whose times are counted one by one; those of later ones, and of requests without a route, share
/// the last place. Fewer than [`ROUTES_MAX`]: a histogram is sixteen lines of an answer to a scrape.
pub const ROUTE_TIMES_MAX: usize = 1_024;
/// Upstream nodes counted one by one, in the order of the configuration; later ones share the last place.
pub const NODES_MAX: usize = 1_024;
/// Classes of status codes, 1xx to 5xx.
pub const CLASSES: usize = 5;
/// Buckets of days left.
pub const DAY_BUCKETS: usize = DAYS.len() + 1;

const DAY: i64 = 86_400;

/// The meters of one core and one generation. Written by that core alone.
#[derive(Debug)]
pub struct Meters {
    listeners: usize,
    routes: usize,
    requests: Vec<SharedCount>,
    /// Each gets its memory with its first request.
    route_times: Vec<OnceLock<Box<Histogram<TIME_BUCKETS>>>>,
    /// Where each upstream's nodes begin.
    node_starts: Vec<usize>,
    nodes: Vec<NodeMeters>,
    other_nodes: NodeMeters,
    /// Days that the certificates of verified clients had left, once for each handshake.
    days_left: Vec<Histogram<DAY_BUCKETS>>,
    /// By server object, by place among its anchors: which authority it is.
    of_server: Vec<Arc<[u32]>>,
    authorities: Vec<AuthorityMeters>,
}

#[derive(Debug, Default)]
struct AuthorityMeters {
    uses: SharedCount,
    last_used: SharedCount,
}

/// How many things are counted one by one if there are so many; one place more is for all others.
fn places(count: usize, max: usize) -> usize {
    if count > max { max + 1 } else { count }
}

impl Meters {
    /// Meters for so many listeners, routes and client authorities. `of_server` tells by server object and by
    /// place among its anchors which authority that is. Upstreams have so many nodes each.
    #[must_use]
    pub fn new(
        listeners: usize,
        routes: usize,
        of_server: &[Arc<[u32]>],
        authorities: usize,
        nodes: impl IntoIterator<Item = usize>,
    ) -> Self {
        let routes = routes.min(ROUTES_MAX).min(PAIRS_MAX / listeners.max(1));
        let mut node_count = 0_usize;
        let node_starts = nodes.into_iter().map(|nodes| {
            let start = node_count;
            node_count += nodes;
            start
        });
        let node_starts = node_starts.collect();
        let node_count = node_count.min(NODES_MAX);
        let route_times = routes.min(ROUTE_TIMES_MAX) + 1;
        let fresh = |count| std::iter::repeat_with(SharedCount::default).take(count).collect();
        Self {
            listeners,
            routes,
            requests: fresh((listeners + 1) * (routes + 1) * CLASSES),
            route_times: std::iter::repeat_with(OnceLock::new).take(route_times).collect(),
            node_starts,
            nodes: std::iter::repeat_with(NodeMeters::default).take(node_count).collect(),
            other_nodes: NodeMeters::default(),
            days_left: std::iter::repeat_with(Histogram::default)
                .take(places(of_server.len(), SERVERS_MAX))
                .collect(),
            of_server: of_server.to_vec(),
            authorities: std::iter::repeat_with(AuthorityMeters::default)
                .take(places(authorities, AUTHORITIES_MAX))
                .collect(),
        }
    }

    /// A request is over. A status outside of 100 to 599 counts as 5xx. What has no listener any more is
    /// counted behind all of them.
    pub fn request(&self, listener: Option<ListenerId>, route: Option<RouteId>, status: u16) {
        let listener = listener.map_or(self.listeners, |listener| listener.0 as usize);
        let route = route.map_or(self.routes, |route| (route.0 as usize).min(self.routes));
        let class = match status {
            100..=499 => usize::from(status / 100 - 1),
            _ => CLASSES - 1,
        };
        let at = (listener * (self.routes + 1) + route) * CLASSES + class;
        if let Some(value) = self.requests.get(at) {
            value.add(1);
        }
    }

    /// How long a request took in microseconds, from the first byte of its head to the last of its answer.
    pub fn timed(&self, route: Option<RouteId>, micros: u64) {
        let last = self.route_times.len().saturating_sub(1);
        let at = route.map_or(last, |route| (route.0 as usize).min(last));
        if let Some(times) = self.route_times.get(at) {
            times.get_or_init(Box::default).observe(&SLO_MICROS, micros);
        }
    }

    /// The meters of a node; later nodes than are counted one by one share theirs.
    #[must_use]
    pub fn node(&self, node: NodeId) -> &NodeMeters {
        let start = self.node_starts.get(node.upstream.0 as usize);
        let at = start.map(|start| start + node.node.0 as usize);
        at.and_then(|at| self.nodes.get(at)).unwrap_or(&self.other_nodes)
    }

    /// The meters that nodes share which are not counted one by one, or belong to another generation.
    #[must_use]
    pub const fn other_nodes(&self) -> &NodeMeters {
        &self.other_nodes
    }

    /// Every node that is counted alone, by its place in the configuration; and `None` for all others.
    pub fn nodes(&self) -> impl Iterator<Item = (Option<usize>, &NodeMeters)> {
        let alone = self.nodes.iter().enumerate().map(|(at, node)| (Some(at), node));
        alone.chain([(None, &self.other_nodes)])
    }

    /// The times of requests by route, `None` for all others; only where there were any.
    pub fn route_times(&self) -> impl Iterator<Item = (Option<usize>, &Histogram<TIME_BUCKETS>)> {
        let last = self.route_times.len().saturating_sub(1);
        let all = self.route_times.iter().enumerate();
        all.filter_map(move |(at, times)| Some((Some(at).filter(|at| *at < last), &**times.get()?)))
    }

    /// A client was verified, up to this anchor of the server object.
    pub fn verified(&self, server: ServerId, anchor: Option<u32>, not_after: i64, now: i64) {
        let server = server.0 as usize;
        let Some(of_server) = self.of_server.get(server) else { return };
        let days = u64::try_from(not_after.saturating_sub(now).max(0) / DAY).unwrap_or(0);
        if let Some(days_left) = self.days_left.get(server.min(SERVERS_MAX)) {
            days_left.observe(&DAYS, days);
        }
        let Some(authority) = anchor.and_then(|anchor| of_server.get(anchor as usize)) else {
            return;
        };
        if let Some(authority) = self.authorities.get((*authority as usize).min(AUTHORITIES_MAX)) {
            authority.uses.add(1);
            authority.last_used.set(u64::try_from(now).unwrap_or(0));
        }
    }

    /// Every count of requests: listener (one more than there are for none), route (`None` for all others),
    /// class from 0, count.
    pub fn requests(&self) -> impl Iterator<Item = (usize, Option<usize>, usize, u64)> {
        let row = self.routes + 1;
        self.requests.iter().enumerate().map(move |(at, value)| {
            let (cell, class) = (at / CLASSES, at % CLASSES);
            let route = Some(cell % row).filter(|route| *route < self.routes);
            (cell / row, route, class, value.get())
        })
    }

    /// By server object: the days left of clients. The place behind [`SERVERS_MAX`] is that of all others.
    pub fn days_left(&self) -> impl Iterator<Item = HistogramSums<DAY_BUCKETS>> {
        self.days_left.iter().map(|days_left| {
            let mut days = HistogramSums::default();
            days_left.sum_into(&mut days);
            days
        })
    }

    /// By client authority: its uses, and the last of them. The place behind [`AUTHORITIES_MAX`] is that of
    /// all others.
    pub fn authorities(&self) -> impl Iterator<Item = AuthorityUse> {
        self.authorities.iter().map(|authority| AuthorityUse {
            count: authority.uses.get(),
            last_used: authority.last_used.get(),
        })
    }
}

/// How often an authority was used, and when last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuthorityUse {
    /// Handshakes whose path ended at this authority.
    pub count: u64,
    /// The last of them in Unix seconds; 0 is never.
    pub last_used: u64,
}

impl AuthorityUse {
    /// Adds the uses that others have counted.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.last_used = self.last_used.max(other.last_used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_place() {
        let meters = Meters::new(2, 3, &[], 0, []);
        let request = |listener: Option<u32>, route: Option<u32>, status| {
            meters.request(listener.map(ListenerId), route.map(RouteId), status);
        };
        request(Some(1), Some(2), 204);
        request(Some(1), Some(2), 299);
        request(Some(0), None, 404);
        request(Some(0), Some(9), 101);
        request(Some(0), Some(0), 0);
        request(Some(9), Some(0), 200);
        request(None, Some(1), 200);
        let counted: Vec<_> = meters.requests().filter(|(.., count)| *count > 0).collect();
        let wanted = [
            (0, Some(0), 4, 1),
            (0, None, 0, 1),
            (0, None, 3, 1),
            (1, Some(2), 1, 2),
            (2, Some(1), 1, 1),
        ];
        assert_eq!(counted, wanted);
    }

    #[test]
    fn clients_are_counted_by_server_and_authority() {
        // The second server object trusts the third and the first authority.
        let meters = Meters::new(0, 0, &[Arc::from([]), Arc::from([2, 0])], 3, []);
        meters.verified(ServerId(1), Some(1), 1_000_000 + 8 * DAY, 1_000_000);
        meters.verified(ServerId(1), None, 0, 1_000_000);
        meters.verified(ServerId(0), Some(0), 1_000_000, 1_000_000);
        meters.verified(ServerId(7), Some(0), 0, 0);
        let uses: Vec<_> = meters.authorities().map(|one| (one.count, one.last_used)).collect();
        assert_eq!(uses, [(1, 1_000_000), (0, 0), (0, 0)]);
        let days: Vec<_> = meters.days_left().map(|days| (days.count(), days.sum)).collect();
        assert_eq!(days, [(1, 0), (2, 8)]);
    }

    /// However many there are of both, memory and samples are bounded.
    #[test]
    fn nothing_grows_with_a_product() {
        let all: Arc<[u32]> = (0..50_000).collect();
        let servers = vec![all; 10_000];
        let meters = Meters::new(1_000, 100_000, &servers, 50_000, []);
        meters.verified(ServerId(9_999), Some(49_999), 0, 7);
        assert_eq!(meters.days_left().count(), SERVERS_MAX + 1);
        assert_eq!(meters.authorities().count(), AUTHORITIES_MAX + 1);
        assert_eq!(meters.authorities().last(), Some(AuthorityUse { count: 1, last_used: 7 }));
        assert_eq!(meters.days_left().last().map(|days| days.count()), Some(1));
        assert!(meters.requests.len() <= (PAIRS_MAX + 1_000 + 10) * CLASSES);
        meters.request(Some(ListenerId(999)), Some(RouteId(99_999)), 200);
        let counted: Vec<_> = meters.requests().filter(|(.., count)| *count > 0).collect();
        assert_eq!(counted, [(999, None, 1, 1)]);
    }

    #[test]
    fn times_are_kept_by_route_up_to_a_bound() {
        let meters = Meters::new(1, ROUTES_MAX, &[], 0, []);
        let last = u32::try_from(ROUTE_TIMES_MAX).unwrap();
        for route in [Some(0), Some(last - 1), Some(last), Some(last + 1), None] {
            meters.timed(route.map(RouteId), 20_000);
        }
        let counted = meters.route_times().map(|(route, times)| {
            let mut sums = HistogramSums::default();
            times.sum_into(&mut sums);
            (route, sums.count(), sums.counts[3])
        });
        let wanted = [(Some(0), 1, 1), (Some(ROUTE_TIMES_MAX - 1), 1, 1), (None, 3, 3)];
        assert_eq!(counted.collect::<Vec<_>>(), wanted);
    }
}
