//! The rule, by enumeration.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::reach::generate::{PATHS, POLICIES, Route, World};

/// What becomes of a request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Route(usize),
    Misdirected,
    NotFound,
    Refused,
}

impl Outcome {
    pub(crate) fn kind(&self) -> usize {
        match self {
            Self::Route(_) => 0,
            Self::Misdirected => 1,
            Self::NotFound => 2,
            Self::Refused => 3,
        }
    }
}

pub(crate) struct Question<'a> {
    pub(crate) listener: usize,
    /// The connection's policy; `None` on plain HTTP.
    pub(crate) used: Option<usize>,
    /// In the one form that is compared; `None` is no host.
    pub(crate) host: Option<&'a str>,
    pub(crate) path: &'a str,
}

fn asks(policy: usize) -> bool {
    policy != 0
}

fn requires(policy: usize) -> bool {
    asks(policy) && !POLICIES[policy].contains("verify")
}

/// Is a connection of the first held to no less than the second demands?
fn holds(used: Option<usize>, demanded: usize) -> bool {
    match used {
        Some(used) => used == demanded || !asks(demanded),
        None => !requires(demanded),
    }
}

/// Does a pattern cover a host, with how many labels in a wildcard's place at most?
fn covers(pattern: &str, host: &str, labels: usize) -> bool {
    match pattern.strip_prefix("*.") {
        Some(suffix) => host
            .strip_suffix(suffix)
            .and_then(|front| front.strip_suffix('.'))
            .is_some_and(|front| !front.is_empty() && front.split('.').count() <= labels),
        None => pattern == host,
    }
}

const ANY: usize = usize::MAX;

/// Every host that could make a difference.
fn universe() -> Vec<String> {
    let labels = ["a", "b", "c", "x", "y", "z", "-"];
    let mut hosts = vec!["-".to_owned(), "192.0.2.1".to_owned()];
    for end in ["test", "other"] {
        let mut tails = vec![end.to_owned()];
        for _ in 0..3 {
            tails = labels
                .iter()
                .flat_map(|label| tails.iter().map(move |tail| format!("{label}.{tail}")))
                .collect();
            hosts.extend(tails.iter().cloned());
        }
        // One level more, below of what is spelt out.
        hosts.push(format!("-.y.x.a.{end}"));
    }
    hosts
}

thread_local! {
    static UNIVERSE: Vec<String> = universe();
    static OVERLAPS: RefCell<BTreeMap<(String, String), bool>> = RefCell::default();
}

/// Is there a host that both patterns may be about?
fn overlap(one: &str, two: &str) -> bool {
    OVERLAPS.with_borrow_mut(|known| {
        *known.entry((one.to_owned(), two.to_owned())).or_insert_with(|| {
            let both = |host: &String| covers(one, host, ANY) && covers(two, host, ANY);
            UNIVERSE.with(|hosts| hosts.iter().any(both))
        })
    })
}

/// The name itself before the longest wildcard.
fn exactness(pattern: &str) -> usize {
    pattern.strip_prefix("*.").map_or(1000, str::len)
}

impl World {
    /// Exact before one-label wildcard.
    fn named(&self, host: &str) -> Option<usize> {
        let find = |exact: bool| {
            self.servers.iter().find(|server| {
                let mut names = server.names.iter().filter(|name| name.contains('*') != exact);
                names.any(|name| covers(name, host, 1))
            })
        };
        find(true).or_else(|| find(false)).map(|server| server.policy)
    }

    fn star(&self) -> Option<usize> {
        self.servers.iter().find(|server| server.names.contains(&"*")).map(|server| server.policy)
    }

    fn fallback(&self, listener: usize) -> Option<usize> {
        self.listeners[listener].fallback.and_then(|name| self.named(name))
    }

    /// The policy of a new connection; `None` is none at all.
    pub(crate) fn connect(&self, listener: usize, name: Option<&str>) -> Option<Option<usize>> {
        if !self.listeners[listener].tls {
            return Some(None);
        }
        let policy = name.and_then(|name| self.named(name).or_else(|| self.star()));
        policy.or_else(|| self.fallback(listener)).map(Some)
    }

    /// The route of a host and path, and the host pattern it is found by; `""` for every host.
    fn route(&self, host: &str, path: &str) -> Option<(usize, &'static str)> {
        let mut found = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            let param = |front: &str| {
                let rest = path.strip_prefix(front)?;
                (!rest.is_empty() && !rest.contains('/')).then_some((front.len(), 1))
            };
            let place = match (route.uri.strip_suffix('*'), route.uri.strip_suffix(":x")) {
                (Some(prefix), _) => path.starts_with(prefix).then_some((prefix.len(), 0)),
                (_, Some(front)) => param(front),
                _ => (path == route.uri).then_some((1000, 0)),
            };
            let Some(place) = place else { continue };
            let first = core::cmp::Reverse(at);
            let rank = |host: usize| match self.path_first {
                true => ((place.0, place.1), (host, 0), first),
                false => ((host, 0), place, first),
            };
            if route.hosts.is_empty() {
                found.push((rank(0), (at, "")));
            }
            for pattern in route.hosts.iter().filter(|pattern| covers(pattern, host, ANY)) {
                found.push((rank(exactness(pattern)), (at, *pattern)));
            }
        }
        found.into_iter().max_by_key(|(rank, _)| *rank).map(|(_, found)| found)
    }

    /// Names of a policy that asks, and that policy; `*` aside.
    fn guarded(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let asking = self.servers.iter().filter(|server| asks(server.policy));
        let names =
            asking.flat_map(|server| server.names.iter().map(|name| (*name, server.policy)));
        names.filter(|(name, _)| *name != "*")
    }

    /// Policies of all names by which some request takes this route.
    fn leading(&self, route: usize) -> &[usize] {
        self.routes[route].leading.get_or_init(|| self.find_leading(route))
    }

    fn find_leading(&self, route: usize) -> Vec<usize> {
        let takes = |host: &str| {
            let found = |path| self.route(host, path).is_some_and(|(at, _)| at == route);
            let more = ["/~", "/p/~", "/p/", "/~/~", "/p/~/~", "/p/~/~/~"];
            PATHS.into_iter().chain(more).any(found)
        };
        UNIVERSE.with(|hosts| {
            let policies = hosts.iter().filter_map(|host| {
                self.named(host).or_else(|| self.star()).filter(|_| takes(host))
            });
            policies.collect::<BTreeSet<_>>().into_iter().collect()
        })
    }
}

pub(crate) fn outcome(world: &World, asked: &Question<'_>) -> Outcome {
    let &Question { listener, used, host, path } = asked;
    let Some(host) = host else { return Outcome::Refused };
    let found = world.route(host, path);
    let right = may(world, (listener, used), host, found);
    match (right, found) {
        // Over TLS the host is asked about before there is a route.
        (Err(Why::Host), _) if used.is_some() => Outcome::Misdirected,
        (_, None) => Outcome::NotFound,
        (Err(_), Some(_)) => Outcome::Misdirected,
        (Ok(()), Some((route, _))) => Outcome::Route(route),
    }
}

enum Why {
    Host,
    Route,
}

fn may(
    world: &World,
    (listener, used): (usize, Option<usize>),
    host: &str,
    found: Option<(usize, &str)>,
) -> Result<(), Why> {
    let route: Option<&Route> = found.map(|(route, _)| &world.routes[route]);
    if used.is_none()
        && (world.listeners[listener].mtls_routes == Some("allow")
            || route.is_some_and(|route| route.demands))
    {
        return Ok(());
    }
    let named = world.named(host);
    let meant = named.or_else(|| world.star()).or_else(|| world.fallback(listener));
    // The policy of what it means must be the connection's, if either means anything.
    if !host.is_empty() || used.is_none() {
        let same = match (meant, used) {
            (Some(meant), used) => {
                holds(used, meant) && (used == Some(meant) || used.is_none_or(|used| !asks(used)))
            }
            (None, used) => used.is_none_or(|used| !asks(used)),
        };
        if !same {
            return Err(Why::Host);
        }
    }
    if named.is_some() {
        return Ok(());
    }
    for (name, policy) in world.guarded() {
        if name.contains('*') && covers(name, host, ANY) && !holds(used, policy) {
            return Err(Why::Host);
        }
    }
    let Some((at, pattern)) = found else { return Ok(()) };
    let assumed = meant.is_some() && (!host.is_empty() || meant == used);
    let strict = |pattern: &str| {
        if let Some(policy) = world.named(pattern).filter(|_| !pattern.contains('*')) {
            return holds(used, policy);
        }
        let mut overlapping = world.guarded().filter(|(name, _)| overlap(name, pattern));
        overlapping.all(|(_, policy)| holds(used, policy))
    };
    let fits = match (assumed, pattern) {
        (true, "") => true,
        (true, pattern) => strict(pattern),
        (false, "") => {
            let leading = world.leading(at);
            let alike = |policy: &usize| match used {
                Some(used) => *policy == used,
                None => !requires(*policy),
            };
            leading.iter().all(|policy| holds(used, *policy)) || leading.iter().any(alike)
        }
        (false, _) => world.routes[at].hosts.iter().all(|pattern| strict(pattern)),
    };
    if fits { Ok(()) } else { Err(Why::Route) }
}
