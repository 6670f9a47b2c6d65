//! Host, path and method to route.
//!
//! The order is APISIX's (`radixtree_host_uri`): an exact host before the longest wildcard before
//! routes without a host; within a host the exact path before the longest prefix; within a path the
//! higher `priority`, then the earlier in the file. A candidate whose methods or conditions do not fit
//! is passed over for the next one, down to the least specific. If something fitted but for its methods, the
//! answer is 405 (with what would have fitted), otherwise 404.
//!
//! A wildcard host covers one label or more, as in APISIX; a server name's covers one. Where that makes
//! a difference, [`Guards`] say what is at stake.

use ferrule_config::model::{HostPattern, Route, UriPattern};
use hashbrown::HashMap;

use super::condition::Truth;
use super::guard_index::GuardIndex;
use super::guards::Guards;
use super::hosts::{Cover, HostMap, HostName};
use super::ids::{RouteId, index};
use super::methods::MethodSet;
use crate::wire::head::Method;

type PathMap<V> = HashMap<Box<[u8]>, V, foldhash::fast::FixedState>;

/// Every route, by host and path.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: HostMap<HostPaths>,
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LookupResult {
    /// This route.
    Route(RouteMatch),
    /// There are routes for this host and path, but for these methods only.
    MethodNotAllowed(MethodSet),
    /// No route has this host and path.
    NotFound,
}

/// A route, and the host pattern that it was found by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteMatch {
    /// The route.
    pub route: RouteId,
    /// How the pattern covers the host.
    pub cover: Cover,
    /// The policies of the server names that the pattern could serve as well.
    pub guards: Guards,
}

/// The paths of one host pattern.
#[derive(Debug, Default)]
struct HostPaths {
    /// The policies of the server names that the pattern could serve.
    guards: Guards,
    exact: PathMap<Candidates>,
    /// Sorted by text, so that the longest prefix of a path is found by bisection: it is the
    /// path's predecessor in this order, or one of that one's ancestors.
    prefixes: Vec<PathPrefix>,
}

#[derive(Debug)]
struct PathPrefix {
    text: Box<[u8]>,
    /// The longest other prefix that this one starts with.
    parent: Option<u32>,
    routes: Candidates,
}

/// Routes with the same host and path, best first.
type Candidates = Vec<RouteCandidate>;

/// A route for a host and path.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouteCandidate {
    priority: i32,
    pub(super) methods: MethodSet,
    pub(super) route: RouteId,
    /// It has conditions beside host, path and method.
    pub(super) conditional: bool,
}

impl RouteCandidate {
    /// Which of these methods still reach a later candidate where its conditions hold.
    pub(super) const fn left_of(&self, methods: MethodSet) -> MethodSet {
        let left = methods.without(self.methods);
        // Who asks by HEAD is held to what GET is.
        if self.methods.contains(Method::Get) {
            left.without(MethodSet::EMPTY.with(Method::Head))
        } else {
            left
        }
    }
}

impl RouteTable {
    /// Compiles the routes.
    #[must_use]
    pub fn build(routes: &[Route]) -> Self {
        let mut table = Self::default();
        for (at, route) in routes.iter().enumerate() {
            let candidate = RouteCandidate {
                priority: route.priority,
                methods: MethodSet::of(&route.methods),
                route: RouteId(index(at)),
                conditional: route.when.is_some(),
            };
            if route.hosts.is_empty() {
                table
                    .hosts
                    .entry(&HostPattern::Any, HostPaths::default)
                    .add(&route.uris, candidate);
            }
            for host in &route.hosts {
                table.hosts.entry(host, HostPaths::default).add(&route.uris, candidate);
            }
        }
        table.hosts.values_mut().for_each(HostPaths::finish);
        table
    }

    /// Notes at each host pattern which server names it could serve.
    pub(super) fn guard(&mut self, routes: &[Route], index: &GuardIndex<'_>) {
        for host in routes.iter().flat_map(|route| &route.hosts) {
            self.hosts.entry(host, HostPaths::default).guards = index.of(host);
        }
    }

    /// The route of a request: path normalised. Of a route that asks for more, `holds` says whether
    /// the request is what it asks for.
    #[must_use]
    pub fn lookup(
        &self,
        host: HostName<'_>,
        path: &[u8],
        method: Method,
        holds: &mut dyn FnMut(RouteId) -> bool,
    ) -> LookupResult {
        let mut allowed = MethodSet::EMPTY;
        let found = self.first(host, path, &mut |candidate, _| {
            if candidate.conditional && !holds(candidate.route) {
                return false;
            }
            let takes = candidate.methods.contains(method);
            if !takes {
                allowed = allowed.union(candidate.methods);
            }
            takes
        });
        match found {
            Some(found) => LookupResult::Route(found),
            None if allowed == MethodSet::EMPTY => LookupResult::NotFound,
            None => LookupResult::MethodNotAllowed(allowed),
        }
    }

    /// Every route that a request may be meant for, best first: all whose conditions may hold (`judge`), down
    /// to the first that is certain.
    pub fn possible(
        &self,
        host: HostName<'_>,
        path: &[u8],
        method: Method,
        judge: &mut dyn FnMut(RouteId) -> Truth,
        found: &mut dyn FnMut(&RouteMatch),
    ) {
        self.first(host, path, &mut |candidate, at| {
            if !candidate.methods.contains(method) {
                return false;
            }
            let truth = if candidate.conditional { judge(candidate.route) } else { Truth::Yes };
            if truth != Truth::No {
                found(at);
            }
            truth == Truth::Yes
        });
    }

    /// Every candidate for this host and path, best first, whatever it asks for beside them.
    pub(super) fn candidates(
        &self,
        host: HostName<'_>,
        path: &[u8],
    ) -> Vec<(RouteCandidate, Cover)> {
        let mut all = Vec::new();
        self.first(host, path, &mut |candidate, found| {
            all.push((*candidate, found.cover));
            false
        });
        all
    }

    /// The route of the best candidate for this host and path that `takes` accepts.
    fn first(
        &self,
        host: HostName<'_>,
        path: &[u8],
        takes: &mut impl FnMut(&RouteCandidate, &RouteMatch) -> bool,
    ) -> Option<RouteMatch> {
        self.hosts.covering(host).find_map(|(cover, paths)| {
            let found = |route| RouteMatch { route, cover, guards: paths.guards };
            let takes = &mut |one: &RouteCandidate| takes(one, &found(one.route));
            paths.first(path, takes).map(found)
        })
    }

    /// Every method that some route takes for this host and path. One lookup for each: only OPTIONS
    /// that goes no further asks for it.
    #[must_use]
    pub fn allowed(
        &self,
        host: HostName<'_>,
        path: &[u8],
        holds: &mut dyn FnMut(RouteId) -> bool,
    ) -> MethodSet {
        let mut taken =
            |method| matches!(self.lookup(host, path, method, &mut *holds), LookupResult::Route(_));
        let methods = MethodSet::ALL.each().filter(|method| taken(*method));
        methods.fold(MethodSet::EMPTY, MethodSet::with)
    }
}

impl HostPaths {
    fn add(&mut self, uris: &[UriPattern], candidate: RouteCandidate) {
        for uri in uris {
            match uri {
                UriPattern::Exact(text) => {
                    self.exact.entry(text.as_bytes().into()).or_default().push(candidate);
                }
                UriPattern::Prefix(text) => self.prefixes.push(PathPrefix {
                    text: text.as_bytes().into(),
                    parent: None,
                    routes: vec![candidate],
                }),
            }
        }
    }

    fn finish(&mut self) {
        // Both sorts are stable: among equals the order of the file stays.
        self.prefixes.sort_by(|a, b| a.text.cmp(&b.text));
        self.prefixes.dedup_by(|later, kept| {
            let same = later.text == kept.text;
            if same {
                kept.routes.append(&mut later.routes);
            }
            same
        });
        for routes in
            self.exact.values_mut().chain(self.prefixes.iter_mut().map(|prefix| &mut prefix.routes))
        {
            routes.sort_by_key(|candidate| core::cmp::Reverse(candidate.priority));
        }
        // The prefixes that the current one starts with, longest last.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.prefixes.len() {
            while let Some(last) = open.last() {
                if self.prefixes[at].text.starts_with(&self.prefixes[*last].text) {
                    break;
                }
                open.pop();
            }
            self.prefixes[at].parent = open.last().map(|last| index(*last));
            open.push(at);
        }
    }

    fn first(
        &self,
        path: &[u8],
        takes: &mut impl FnMut(&RouteCandidate) -> bool,
    ) -> Option<RouteId> {
        let mut pick = |routes: &[RouteCandidate]| {
            routes.iter().find(|candidate| takes(candidate)).map(|candidate| candidate.route)
        };
        if let Some(route) = self.exact.get(path).and_then(|candidates| pick(candidates)) {
            return Some(route);
        }
        let behind = self.prefixes.partition_point(|prefix| *prefix.text <= *path);
        let mut at = behind.checked_sub(1);
        while let Some(prefix) = at.and_then(|at| self.prefixes.get(at)) {
            if path.starts_with(&prefix.text)
                && let Some(route) = pick(&prefix.routes)
            {
                return Some(route);
            }
            at = prefix.parent.map(|parent| parent as usize);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::route;
    use crate::plan::hosts::HostBuf;

    fn with(mut route: Route, methods: &[&str], priority: i32) -> Route {
        route.methods = methods.iter().map(|method| (*method).to_owned()).collect();
        route.priority = priority;
        route
    }

    fn get(table: &RouteTable, host: &str, path: &str) -> Option<u32> {
        let mut name = HostBuf::default();
        let host = name.read(host.as_bytes());
        match table.lookup(host, path.as_bytes(), Method::Get, &mut |_| true) {
            LookupResult::Route(found) => Some(found.route.0),
            LookupResult::MethodNotAllowed(_) | LookupResult::NotFound => None,
        }
    }

    #[test]
    fn host_then_path_then_priority_then_order() {
        let table = RouteTable::build(&[
            route(&[], &["/*"]),
            route(&[], &["/only-here"]),
            route(&["*.example.com"], &["/a*"]),
            route(&["*.b.example.com"], &["/a*"]),
            route(&["x.b.example.com"], &["/a*", "/ab*", "/abc"]),
            with(route(&["x.b.example.com"], &["/abc*"]), &[], 9),
            with(route(&["x.b.example.com"], &["/p"]), &[], 1),
            with(route(&["x.b.example.com"], &["/p"]), &[], 2),
            with(route(&["x.b.example.com"], &["/p"]), &[], 2),
        ]);
        for (host, path, wanted) in [
            ("x.b.example.com", "/abc", 4),
            ("X.B.Example.com.", "/abc", 4),
            ("x.b.example.com", "/abcd", 5),
            ("x.b.example.com", "/abd", 4),
            ("x.b.example.com", "/a", 4),
            ("x.b.example.com", "/p", 7),
            ("x.b.example.com", "/only-here", 1),
            ("x.b.example.com", "/z", 0),
            ("y.b.example.com", "/abc", 3),
            ("y.z.b.example.com", "/abc", 3),
            ("b.example.com", "/abc", 2),
            ("example.com", "/abc", 0),
            ("", "/abc", 0),
        ] {
            assert_eq!(get(&table, host, path), Some(wanted), "{host}{path}");
        }
    }

    #[test]
    fn a_method_that_does_not_fit_falls_through_and_is_405_at_last() {
        let table = RouteTable::build(&[
            with(route(&[], &["/a"]), &["POST"], 5),
            with(route(&[], &["/a"]), &["PUT"], 0),
            with(route(&[], &["/a*"]), &["GET", "PURGE"], 0),
        ]);
        let host = HostBuf::default();
        let lookup = |path: &[u8], method| table.lookup(host.name(), path, method, &mut |_| true);
        let every = |at| {
            let (cover, guards) = (Cover::Every, Guards::default());
            LookupResult::Route(RouteMatch { route: RouteId(at), cover, guards })
        };
        assert_eq!(lookup(b"/a", Method::Post), every(0));
        assert_eq!(lookup(b"/a", Method::Put), every(1));
        assert_eq!(lookup(b"/a", Method::Get), every(2));
        let LookupResult::MethodNotAllowed(methods) = lookup(b"/a", Method::Other) else {
            panic!()
        };
        let mut allow = Vec::new();
        methods.render(&mut allow);
        assert_eq!(String::from_utf8(allow).unwrap(), "GET, POST, PUT, PURGE");
        assert_eq!(lookup(b"/", Method::Post), LookupResult::NotFound);
    }

    /// Against the rules taken literally, over generated routes and paths.
    #[test]
    fn bisection_finds_what_a_linear_search_finds() {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let path = |random: &mut dyn FnMut(usize) -> usize| {
            let len = random(6);
            let mut path = "/".to_owned();
            (0..len).for_each(|_| path.push(['a', 'b', '/'][random(3)]));
            path
        };
        let mut routes = Vec::new();
        for _ in 0..200 {
            let star = if random(3) > 0 { "*" } else { "" };
            let uri = format!("{}{star}", path(&mut random));
            routes.push(with(route(&[], &[&uri]), &[], [-1, 0, 7][random(3)]));
        }
        let table = RouteTable::build(&routes);
        for _ in 0..2000 {
            let asked = path(&mut random);
            let rank = |route: &Route| match &route.uris[0] {
                UriPattern::Exact(text) => (*text == asked).then_some((usize::MAX, route.priority)),
                UriPattern::Prefix(text) => {
                    asked.starts_with(text.as_str()).then_some((text.len(), route.priority))
                }
            };
            let best = routes.iter().enumerate().filter_map(|(at, one)| Some((rank(one)?, at)));
            let best = best.max_by_key(|(rank, at)| (*rank, core::cmp::Reverse(*at)));
            let wanted = best.map(|(_, at)| index(at));
            assert_eq!(get(&table, "", &asked), wanted, "{asked}");
        }
    }
}
