//! Sums over generations: a counter never goes back because a file was loaded again.
//!
//! Each generation counts in its own meters. Those that no core holds any more are added to what was
//! there before, under their labels, and let go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::identity::explain;
use crate::identity::outline::Outline;
use crate::report::Meters;
use crate::report::histogram::Spread;
use crate::report::meters::{ANCHORS_MAX, CLASSES, DAY_BUCKETS, ROUTES_MAX};
use crate::setup::Generation;

/// Labels kept of what is not in the configuration any more. Beyond that they share one: a file that
/// is rewritten every minute must not grow us, and no sum may go back.
const LABELS_MAX: usize = 50_000;

/// What the shared one is called.
const OTHERS: &str = "(other)";

/// What stands for a request without a route, or with one beyond those that are counted alone.
const NO_ROUTE: &str = "";

/// An authority of a server object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Authority {
    /// The server object.
    pub(crate) server: Arc<str>,
    /// RFC 2253.
    pub(crate) subject: Arc<str>,
    /// Hexadecimal.
    pub(crate) serial: Arc<str>,
}

/// What the places in one generation's meters mean.
#[derive(Debug)]
pub(crate) struct Labels {
    listeners: Vec<Arc<str>>,
    routes: Vec<Arc<str>>,
    servers: Vec<(Arc<str>, Vec<Authority>)>,
}

/// Everything that was counted, by its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// By listener and route: one count for each class of status codes.
    pub(crate) requests: BTreeMap<(Arc<str>, Arc<str>), [u64; CLASSES]>,
    /// By server object: days left of the certificates of verified clients.
    pub(crate) days_left: BTreeMap<Arc<str>, Spread<DAY_BUCKETS>>,
    /// Uses, and when it was last used (Unix seconds; 0 is never).
    pub(crate) authorities: BTreeMap<Authority, (u64, u64)>,
}

/// The generations that still count, and what the others have counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: Vec<(Labels, Vec<Arc<Meters>>)>,
    closed: Sums,
}

impl Labels {
    /// Of this generation, listening at these addresses.
    pub(crate) fn of(generation: &Generation, bound: &[SocketAddr]) -> Self {
        let listens = generation.plan.listeners().iter().enumerate().map(|(at, listener)| {
            bound.get(at).unwrap_or(&listener.listen.address).to_string().into()
        });
        let routes = generation.plan.routes().iter().take(ROUTES_MAX);
        let servers = generation.config.servers.iter().zip(&generation.tls.servers);
        Self {
            listeners: listens.collect(),
            routes: routes.map(|route| Arc::from(&*route.id)).collect(),
            servers: servers
                .map(|(server, tls)| {
                    let id: Arc<str> = server.id.as_str().into();
                    let ders = tls.policy.as_deref().map(|policy| policy.anchors().ders());
                    let ders = ders.unwrap_or_default().iter().take(ANCHORS_MAX);
                    let authorities = ders.map(|der| authority(&id, der)).collect();
                    (id, authorities)
                })
                .collect(),
        }
    }
}

fn authority(server: &Arc<str>, der: &[u8]) -> Authority {
    let outline = Outline::read(der);
    Authority {
        server: Arc::clone(server),
        subject: outline.map_or_else(String::new, |one| explain::text(one.subject)).into(),
        serial: outline.map_or_else(String::new, |one| explain::serial(one.serial)).into(),
    }
}

impl Ledger {
    /// A generation begins to count, one core in each of these.
    pub(crate) fn open(&mut self, labels: Labels, meters: Vec<Arc<Meters>>) {
        self.close_unused();
        self.open.push((labels, meters));
    }

    /// Takes over the counts of generations that no core holds any more.
    fn close_unused(&mut self) {
        // The newest may not have reached the cores yet.
        let newest = self.open.len().saturating_sub(1);
        let mut at = 0;
        let Self { open, closed } = self;
        open.retain(|(labels, meters)| {
            let unused = at < newest && meters.iter().all(|one| Arc::strong_count(one) == 1);
            at += 1;
            if unused {
                // What the cores wrote before they let go is to be seen.
                fence(Ordering::Acquire);
                closed.take(labels, meters);
            }
            !unused
        });
        let labels = closed.requests.len() + closed.days_left.len() + closed.authorities.len();
        if labels > LABELS_MAX {
            closed.fold(open);
        }
    }

    /// Generations that some core may still hold.
    pub(crate) fn generations(&mut self) -> usize {
        self.close_unused();
        self.open.len()
    }

    /// Everything together.
    pub(crate) fn sums(&mut self) -> Sums {
        self.close_unused();
        let mut sums = self.closed.clone();
        for (labels, meters) in &self.open {
            sums.take(labels, meters);
        }
        sums
    }
}

impl Sums {
    /// Adds up, under one label, what no open generation knows.
    fn fold(&mut self, open: &[(Labels, Vec<Arc<Meters>>)]) {
        let labels = || open.iter().map(|(labels, _)| labels);
        let listeners: BTreeSet<_> = labels().flat_map(|one| &one.listeners).collect();
        let no_route: Arc<str> = NO_ROUTE.into();
        let routes = labels().flat_map(|one| &one.routes).chain([&no_route]);
        let routes: BTreeSet<_> = routes.collect();
        let servers: BTreeSet<_> =
            labels().flat_map(|one| &one.servers).map(|(id, _)| id).collect();
        let authorities = labels().flat_map(|one| &one.servers).flat_map(|(_, known)| known);
        let authorities: BTreeSet<_> = authorities.collect();
        let others: Arc<str> = OTHERS.into();
        for (key, classes) in std::mem::take(&mut self.requests) {
            let known = listeners.contains(&key.0) && routes.contains(&key.1);
            let key = if known { key } else { (Arc::clone(&others), Arc::clone(&others)) };
            let sums = self.requests.entry(key).or_insert([0; CLASSES]);
            for (sum, count) in sums.iter_mut().zip(classes) {
                *sum = sum.wrapping_add(count);
            }
        }
        for (id, days) in std::mem::take(&mut self.days_left) {
            let id = if servers.contains(&id) { id } else { Arc::clone(&others) };
            self.days_left.entry(id).or_default().add(&days);
        }
        for (authority, (used, last)) in std::mem::take(&mut self.authorities) {
            let authority = if authorities.contains(&authority) {
                authority
            } else {
                let (subject, serial) = (Arc::clone(&no_route), Arc::clone(&no_route));
                Authority { server: Arc::clone(&others), subject, serial }
            };
            let sum = self.authorities.entry(authority).or_default();
            *sum = (sum.0.wrapping_add(used), sum.1.max(last));
        }
    }

    fn take(&mut self, labels: &Labels, meters: &[Arc<Meters>]) {
        let no_route: Arc<str> = NO_ROUTE.into();
        for core in meters {
            for (listener, route, class, count) in core.requests().filter(|(.., count)| *count > 0)
            {
                let Some(listener) = labels.listeners.get(listener) else { continue };
                let route = route.and_then(|route| labels.routes.get(route)).unwrap_or(&no_route);
                let key = (Arc::clone(listener), Arc::clone(route));
                let classes = self.requests.entry(key).or_insert([0; CLASSES]);
                if let Some(sum) = classes.get_mut(class) {
                    *sum = sum.wrapping_add(count);
                }
            }
            for ((id, authorities), (days, uses)) in labels.servers.iter().zip(core.servers()) {
                self.days_left.entry(Arc::clone(id)).or_default().add(&days);
                for (authority, (used, last)) in authorities.iter().zip(uses) {
                    let sum = self.authorities.entry(authority.clone()).or_default();
                    *sum = (sum.0.wrapping_add(used), sum.1.max(last));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ListenerId, RouteId, ServerId};

    fn labels(routes: &[&str]) -> Labels {
        let id: Arc<str> = "api".into();
        let authority =
            Authority { server: Arc::clone(&id), subject: "CN=ca".into(), serial: "01".into() };
        Labels {
            listeners: vec!["127.0.0.1:80".into()],
            routes: routes.iter().map(|route| Arc::from(*route)).collect(),
            servers: vec![(id, vec![authority])],
        }
    }

    fn count(sums: &Sums, route: &str) -> u64 {
        let key = ("127.0.0.1:80".into(), route.into());
        sums.requests.get(&key).map_or(0, |classes| classes.iter().sum())
    }

    /// A hundred thousand routes that come and go: nobody's sum goes back.
    #[test]
    fn labels_without_number_share_one() {
        let mut ledger = Ledger::default();
        let mut held: Option<Arc<Meters>> = None;
        for round in 1..=30_u64 {
            let names: Vec<_> = (0..4_000).map(|at| format!("{round}-{at}")).collect();
            let routes: Vec<_> = ["kept"].into_iter().chain(names.iter().map(|n| &**n)).collect();
            let meters = Arc::new(Meters::new(1, routes.len(), [1]));
            ledger.open(labels(&routes), vec![Arc::clone(&meters)]);
            for route in 0..=4_000 {
                meters.request(ListenerId(0), Some(RouteId(route)), 200);
            }
            meters.verified(ServerId(0), Some(0), (9, 5));
            held = Some(meters);
            let sums = ledger.sums();
            let all: u64 = sums.requests.values().flatten().sum();
            assert_eq!((all, count(&sums, "kept")), (round * 4_001, round));
            assert_eq!(sums.authorities.values().next(), Some(&(round, 5)));
            assert!(sums.requests.len() <= LABELS_MAX + 4_001, "{}", sums.requests.len());
        }
        drop(held);
        let others = (OTHERS.into(), OTHERS.into());
        assert!(ledger.sums().requests.contains_key(&others));
    }

    #[test]
    fn nothing_is_lost_by_a_reload() {
        let mut ledger = Ledger::default();
        let first = Arc::new(Meters::new(1, 1, [1]));
        ledger.open(labels(&["a"]), vec![Arc::clone(&first)]);
        first.request(ListenerId(0), Some(RouteId(0)), 200);
        first.verified(ServerId(0), Some(0), (9, 5));
        let second = Arc::new(Meters::new(1, 2, [1]));
        ledger.open(labels(&["b", "a"]), vec![Arc::clone(&second)]);
        second.request(ListenerId(0), Some(RouteId(1)), 200);
        // A connection of the first generation is still at work.
        first.request(ListenerId(0), None, 404);
        let sums = ledger.sums();
        assert_eq!((count(&sums, "a"), count(&sums, ""), count(&sums, "b")), (2, 1, 0));
        drop(first);
        assert_eq!(ledger.sums().requests, sums.requests);
        assert_eq!(ledger.open.len(), 1, "the first is closed");
        second.verified(ServerId(0), Some(0), (9, 7));
        let sums = ledger.sums();
        assert_eq!(sums.authorities.values().next(), Some(&(2, 7)));
        assert_eq!(sums.days_left.values().next().map(Spread::count), Some(2));
    }
}
