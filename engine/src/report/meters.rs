//! What one core counts under one generation: by listener and route, by server object, by authority.
//!
//! The places are the generation's own, so a reload brings new meters. Whoever reads keeps the sums of
//! generations that no core holds any more.

use super::histogram::{DAYS, Histogram, HistogramSums};
use super::shared_counts::SharedCount;
use crate::plan::{ListenerId, RouteId, ServerId};

/// Routes counted one by one; requests to later ones, and to none, share the last place.
pub const ROUTES_MAX: usize = 4_096;
/// Trust anchors of one server object counted one by one; later ones share the last place.
pub const ANCHORS_MAX: usize = 256;
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
    servers: Vec<ServerMeters>,
}

/// What is counted by server object.
#[derive(Debug)]
pub struct ServerMeters {
    /// Days that the certificates of verified clients had left, once for each handshake.
    days_left: Histogram<DAY_BUCKETS>,
    anchors: Vec<AnchorMeters>,
}

#[derive(Debug, Default)]
struct AnchorMeters {
    uses: SharedCount,
    last_used: SharedCount,
}

impl Meters {
    /// Meters for so many listeners and routes, and for server objects with so many anchors each.
    #[must_use]
    pub fn new(listeners: usize, routes: usize, anchors: impl IntoIterator<Item = usize>) -> Self {
        let routes = routes.min(ROUTES_MAX);
        let fresh = |count| std::iter::repeat_with(SharedCount::default).take(count).collect();
        Self {
            listeners,
            routes,
            requests: fresh((listeners + 1) * (routes + 1) * CLASSES),
            servers: anchors
                .into_iter()
                .map(|count| ServerMeters {
                    days_left: Histogram::default(),
                    anchors: std::iter::repeat_with(AnchorMeters::default)
                        .take(count.min(ANCHORS_MAX))
                        .collect(),
                })
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

    /// A client was verified, up to this anchor of the server object.
    pub fn verified(&self, server: ServerId, anchor: Option<u32>, not_after: i64, now: i64) {
        let Some(server) = self.servers.get(server.0 as usize) else { return };
        let days = u64::try_from(not_after.saturating_sub(now).max(0) / DAY).unwrap_or(0);
        server.days_left.observe(&DAYS, days);
        let Some(anchor) = anchor else { return };
        let last = server.anchors.len().saturating_sub(1);
        if let Some(anchor) = server.anchors.get((anchor as usize).min(last)) {
            anchor.uses.add(1);
            anchor.last_used.set(u64::try_from(now).unwrap_or(0));
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

    /// By server object: the days left of clients, and uses and last use of each anchor.
    pub fn servers(
        &self,
    ) -> impl Iterator<Item = (HistogramSums<DAY_BUCKETS>, impl Iterator<Item = (u64, u64)>)> {
        self.servers.iter().map(|server| {
            let mut days = HistogramSums::default();
            server.days_left.sum_into(&mut days);
            let anchors = server.anchors.iter();
            (days, anchors.map(|anchor| (anchor.uses.get(), anchor.last_used.get())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_place() {
        let meters = Meters::new(2, 3, []);
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
    fn clients_are_counted_by_server_and_anchor() {
        let meters = Meters::new(0, 0, [0, 2]);
        meters.verified(ServerId(1), Some(1), 1_000_000 + 8 * DAY, 1_000_000);
        meters.verified(ServerId(1), None, 0, 1_000_000);
        meters.verified(ServerId(0), Some(0), 1_000_000, 1_000_000);
        meters.verified(ServerId(7), Some(0), 0, 0);
        let servers: Vec<_> =
            meters.servers().map(|(days, anchors)| (days, anchors.collect::<Vec<_>>())).collect();
        assert_eq!(servers[1].1, [(0, 0), (1, 1_000_000)]);
        assert_eq!((servers[1].0.count(), servers[1].0.sum), (2, 8));
        assert_eq!((servers[0].0.count(), servers[0].1.len()), (1, 0));
    }
}
