//! Which routes can no request reach?
//!
//! An exact host or path beats a wildcard or prefix whatever the priority, so only routes with the
//! very same host and path stand in each other's way: the one with the higher priority is asked
//! first, then the earlier one, and it takes the methods it names.

use std::collections::BTreeMap;

use crate::check::context::Check;
use crate::model::{HostPattern, UriPattern};
use crate::place::Place;

/// Where routes meet.
type Spot<'a> = (&'a HostPattern, &'a UriPattern);

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

/// What a route without hosts matches.
const EVERY_HOST: &[HostPattern] = &[HostPattern::Any];

impl Check<'_> {
    pub(super) fn reach(&mut self, routes: &[Asked]) {
        let mut asked: Vec<&Asked> = routes.iter().collect();
        asked.sort_by_key(|route| std::cmp::Reverse(route.priority));
        let mut taken: BTreeMap<Spot<'_>, Vec<&Asked>> = BTreeMap::new();
        for route in asked {
            let covered = spots(route)
                .map(|spot| taken.get(&spot).and_then(|before| covering(before, route)))
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

fn spots(route: &Asked) -> impl Iterator<Item = Spot<'_>> {
    let hosts = if route.hosts.is_empty() { EVERY_HOST } else { &route.hosts };
    hosts.iter().flat_map(|host| route.uris.iter().map(move |uri| (host, uri)))
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
