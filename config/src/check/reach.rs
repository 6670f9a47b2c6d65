//! Which routes can no request reach?
//!
//! Where the host comes first, an exact host or path beats a wildcard or prefix whatever the priority, so only
//! routes with the very same host and path stand in each other's way: the one with the higher priority is asked
//! first, then the earlier one, and it takes the methods it names. Where the path comes first, a route with a
//! higher priority stands in the way of those with the same path and a host that its own covers; and one for a
//! prefix in the way of those that have parameters behind it.

use std::collections::BTreeMap;

use crate::check::context::Check;
use crate::model::{HostPattern, UriPattern};
use crate::place::Place;
use crate::uri_pattern::uri_pattern_text;

/// Where routes meet.
type Spot = (HostPattern, UriPattern);

/// What a route asks of a request, be the rest of it whole or not.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) place: Place,
    pub(super) field: String,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) uris: Vec<UriPattern>,
    pub(super) methods: Vec<String>,
    pub(super) priority: i32,
    /// It asks for more, and so leaves something for others.
    pub(super) conditional: bool,
}

/// Routes at one place that nobody minds.
const CROWD_MAX: usize = 200;

/// What a route without hosts matches.
const EVERY_HOST: &[HostPattern] = &[HostPattern::Any];

impl Check<'_> {
    pub(super) fn reach(&mut self, routes: &[Asked]) {
        self.crowds(routes);
        let mut asked: Vec<&Asked> = routes.iter().collect();
        asked.sort_by_key(|route| std::cmp::Reverse(route.priority));
        let mut taken: BTreeMap<Spot, Vec<&Asked>> = BTreeMap::new();
        for route in asked {
            let covered = spots(route)
                .map(|spot| {
                    let mut before = taken.get(&spot).cloned().unwrap_or_default();
                    if self.router.is_path_first() {
                        let wider = wider(&spot).filter_map(|wider| taken.get(&wider)).flatten();
                        before.extend(wider.filter(|other| other.priority > route.priority));
                    }
                    covering(&before, route)
                })
                .collect::<Option<Vec<_>>>();
            if let Some(first) = covered.as_ref().and_then(|covering| covering.first()) {
                let line = self.problems.position(first.place).line;
                let message = format!(
                    "no request can reach this route: the one of line {line} takes every one"
                );
                let help = "narrow the other's methods, or give this one a higher priority";
                self.error(route.place, &*route.field, &message, help);
            }
            for spot in spots(route).filter(|_| !route.conditional) {
                taken.entry(spot).or_default().push(route);
            }
        }
    }
}

impl Check<'_> {
    /// Hosts and paths are looked up; what has the same ones is asked in turn.
    fn crowds(&mut self, routes: &[Asked]) {
        let mut crowds: BTreeMap<Spot, usize> = BTreeMap::new();
        for (host, uri) in routes.iter().flat_map(spots) {
            let front = match uri {
                UriPattern::Params(path) => UriPattern::Prefix(path.front().to_owned()),
                plain => plain,
            };
            *crowds.entry((host, front)).or_default() += 1;
        }
        let largest = crowds.iter().max_by_key(|(_, count)| **count);
        let Some(((host, uri), count)) = largest.filter(|(_, count)| **count > CROWD_MAX) else {
            return;
        };
        let Some(first) = routes.first() else { return };
        let uri = uri_pattern_text(uri);
        let message = format!(
            "{count} routes have the host `{host}` and the path `{uri}` in common: a request there is \
             compared with one after the other"
        );
        let help = "tell them apart by host or path, or by the text in front of a parameter";
        self.warn(first.place, "routes".to_owned(), &message, help);
    }
}

fn spots(route: &Asked) -> impl Iterator<Item = Spot> {
    let hosts = if route.hosts.is_empty() { EVERY_HOST } else { &route.hosts };
    hosts.iter().flat_map(|host| route.uris.iter().map(move |uri| (host.clone(), uri.shape())))
}

/// Every other spot that all requests of this one belong to as well, and that is looked at together with it where
/// the path comes first.
fn wider((host, uri): &Spot) -> impl Iterator<Item = Spot> {
    let mut hosts = vec![host.clone()];
    let (HostPattern::Exact(name) | HostPattern::Wildcard(name)) = host else {
        return wider_paths(&hosts, uri);
    };
    let suffixes = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
    hosts.extend(suffixes.map(|suffix| HostPattern::Wildcard(suffix.to_owned())));
    hosts.push(HostPattern::Any);
    wider_paths(&hosts, uri)
}

fn wider_paths(hosts: &[HostPattern], uri: &UriPattern) -> std::vec::IntoIter<Spot> {
    let mut paths = vec![uri.clone()];
    if let UriPattern::Params(path) = uri {
        paths.push(UriPattern::Prefix(path.front().to_owned()));
    }
    let own = paths.first().cloned();
    let spots = hosts.iter().enumerate().flat_map(|(at, host)| {
        let other = paths.iter().filter(|path| at > 0 || Some(*path) != own.as_ref());
        other.map(|path| (host.clone(), path.clone())).collect::<Vec<_>>()
    });
    spots.collect::<Vec<_>>().into_iter()
}

/// The first of the routes that together leave nothing for this one.
fn covering<'a>(before: &[&'a Asked], route: &Asked) -> Option<&'a Asked> {
    let takes =
        |other: &Asked, method: &String| other.methods.is_empty() || other.methods.contains(method);
    let covered = if route.methods.is_empty() {
        before.iter().any(|other| other.methods.is_empty())
    } else {
        route.methods.iter().all(|method| before.iter().any(|other| takes(other, method)))
    };
    if !covered {
        return None;
    }
    let whole = before.iter().find(|other| other.methods.is_empty());
    whole.or_else(|| before.first()).copied()
}
