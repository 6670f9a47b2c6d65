//! Host, path and method to route.
//!
//! The order is that of the router, in APISIX's words. `radixtree_host_uri`: an exact host before the longest
//! wildcard before routes without a host; within a host the exact path before the longest prefix; within a path
//! the higher `priority`, then the earlier in the file. `radixtree_uri`: the exact path before the longest prefix,
//! whatever the host; within a path the higher `priority`, then the most exact host, then the earlier in the file.
//! A candidate whose methods or conditions do not fit is passed over for the next one, down to the least
//! specific. If something fitted but for its methods, the answer is 405 (with what would have fitted), otherwise
//! 404.
//!
//! A wildcard host covers one label or more, as in APISIX; a server name's covers one. Where that makes
//! a difference, [`Guards`] say what is at stake.

use ferrule_config::model::{HostPattern, Route, Router};

use super::condition::Truth;
use super::guard_index::GuardIndex;
use super::guards::Guards;
use super::host_paths::{CandidateVerdict, HostPaths, PathRank, RouteCandidate};
use super::hosts::{Cover, HostMap, HostName};
use super::ids::{RouteId, index};
use super::methods::MethodSet;
use crate::wire::head::Method;

/// Every route, by host and path.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// Where the host comes before the path.
    hosts: HostMap<HostPaths>,
    /// Where the path comes before the host. One of the two is empty.
    path_first: HostMap<HostPaths>,
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

impl RouteTable {
    /// Compiles the routes.
    #[must_use]
    pub fn build(routes: &[Route], router: Router) -> Self {
        let mut hosts = HostMap::default();
        for (at, route) in routes.iter().enumerate() {
            let candidate = RouteCandidate::new(
                RouteId(index(at)),
                route.priority,
                MethodSet::of(&route.methods),
                route.when.is_some(),
            );
            if route.hosts.is_empty() {
                hosts.entry(&HostPattern::Any, HostPaths::default).add(&route.uris, candidate);
            }
            for host in &route.hosts {
                hosts.entry(host, HostPaths::default).add(&route.uris, candidate);
            }
        }
        hosts.values_mut().for_each(HostPaths::finish);
        if router.is_path_first() {
            Self { hosts: HostMap::default(), path_first: hosts }
        } else {
            Self { hosts, path_first: HostMap::default() }
        }
    }

    /// Notes at each host pattern which server names it could serve.
    pub(super) fn guard(&mut self, routes: &[Route], index: &GuardIndex<'_>) {
        for host in routes.iter().flat_map(|route| &route.hosts) {
            for hosts in [&mut self.hosts, &mut self.path_first] {
                if let Some(paths) = hosts.get_mut(host) {
                    paths.guards = index.of(host);
                }
            }
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
            let verdict = candidate.judge(method, holds);
            if verdict == CandidateVerdict::Method {
                allowed = allowed.union(candidate.methods);
            }
            verdict == CandidateVerdict::Taken
        });
        match found {
            Some(found) => LookupResult::Route(found),
            None if allowed == MethodSet::EMPTY => LookupResult::NotFound,
            None => LookupResult::MethodNotAllowed(allowed),
        }
    }

    /// As [`Self::lookup`], and tells what becomes of each candidate, in the order in which they are asked.
    pub fn trace(
        &self,
        host: HostName<'_>,
        path: &[u8],
        method: Method,
        holds: &mut dyn FnMut(RouteId) -> bool,
        each: &mut dyn FnMut(&RouteMatch, CandidateVerdict),
    ) {
        self.first(host, path, &mut |candidate, found| {
            let verdict = candidate.judge(method, holds);
            each(found, verdict);
            verdict == CandidateVerdict::Taken
        });
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
        let found = self.hosts.covering(host).find_map(|(cover, paths)| {
            let found = |route| RouteMatch { route, cover, guards: paths.guards };
            let takes = &mut |one: &RouteCandidate| takes(one, &found(one.route));
            paths.first(path, takes).map(found)
        });
        found.or_else(|| self.first_by_path(host, path, takes))
    }

    /// The same where the path comes before the host. Of the best candidates of each host pattern that covers the
    /// host, the best is next; nothing has to be remembered but where the last one stood.
    #[inline(never)]
    fn first_by_path(
        &self,
        host: HostName<'_>,
        path: &[u8],
        takes: &mut impl FnMut(&RouteCandidate, &RouteMatch) -> bool,
    ) -> Option<RouteMatch> {
        let mut last: Option<PathRank> = None;
        loop {
            let best =
                self.path_first.covering(host).enumerate().filter_map(|(at, (cover, paths))| {
                    let (rank, one) = paths.next_after(path, at, last.as_ref())?;
                    let found = RouteMatch { route: one.route, cover, guards: paths.guards };
                    Some((rank, one, found))
                });
            let (rank, one, found) = best.min_by_key(|(rank, ..)| *rank)?;
            if takes(&one, &found) {
                return Some(found);
            }
            last = Some(rank);
        }
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

#[cfg(test)]
mod tests {
    use ferrule_config::model::{ParamPath, PathPiece, UriPattern};

    use super::*;
    use crate::plan::fixture::route;
    use crate::plan::hosts::HostBuf;

    fn build(router: Router, routes: &[Route]) -> RouteTable {
        RouteTable::build(routes, router)
    }

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
        let table = build(
            Router::RadixtreeHostUri,
            &[
                route(&[], &["/*"]),
                route(&[], &["/only-here"]),
                route(&["*.example.com"], &["/a*"]),
                route(&["*.b.example.com"], &["/a*"]),
                route(&["x.b.example.com"], &["/a*", "/ab*", "/abc"]),
                with(route(&["x.b.example.com"], &["/abc*"]), &[], 9),
                with(route(&["x.b.example.com"], &["/p"]), &[], 1),
                with(route(&["x.b.example.com"], &["/p"]), &[], 2),
                with(route(&["x.b.example.com"], &["/p"]), &[], 2),
            ],
        );
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
        let table = build(
            Router::RadixtreeHostUri,
            &[
                with(route(&[], &["/a"]), &["POST"], 5),
                with(route(&[], &["/a"]), &["PUT"], 0),
                with(route(&[], &["/a*"]), &["GET", "PURGE"], 0),
            ],
        );
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
        let table = build(Router::RadixtreeHostUri, &routes);
        for _ in 0..2000 {
            let asked = path(&mut random);
            let rank = |route: &Route| match &route.uris[0] {
                UriPattern::Exact(text) => (*text == asked).then_some((usize::MAX, route.priority)),
                UriPattern::Prefix(text) => {
                    asked.starts_with(text.as_str()).then_some((text.len(), route.priority))
                }
                UriPattern::Params(_) => None,
            };
            let best = routes.iter().enumerate().filter_map(|(at, one)| Some((rank(one)?, at)));
            let best = best.max_by_key(|(rank, at)| (*rank, core::cmp::Reverse(*at)));
            let wanted = best.map(|(_, at)| index(at));
            assert_eq!(get(&table, "", &asked), wanted, "{asked}");
        }
    }

    /// `/a/:/b*`: a `:` alone is a segment, a `*` at the end the rest.
    fn params(host: &[&str], text: &str, priority: i32) -> Route {
        let mut one = route(host, &["/"]);
        let mut pieces = Vec::new();
        for (at, part) in text.split(':').enumerate() {
            if at > 0 {
                pieces.push(PathPiece::Segment("x".to_owned()));
            }
            let rest = part.strip_suffix('*');
            if !rest.unwrap_or(part).is_empty() {
                pieces.push(PathPiece::Text(rest.unwrap_or(part).to_owned()));
            }
            if rest.is_some() {
                pieces.push(PathPiece::Rest(String::new()));
            }
        }
        one.uris = vec![UriPattern::Params(ParamPath { pieces })];
        one.priority = priority;
        one
    }

    #[test]
    fn path_then_priority_then_host_then_order() {
        let table = build(
            Router::RadixtreeUriWithParameter,
            &[
                route(&["x.test"], &["/*"]),
                route(&[], &["/a/*"]),
                route(&["*.test"], &["/a/b"]),
                route(&["x.test"], &["/a/b"]),
                with(route(&[], &["/p"]), &[], 1),
                route(&["x.test"], &["/p"]),
                params(&[], "/a/:", 0),
                params(&[], "/a/:/c", 0),
                params(&["x.test"], "/a/:", 0),
                with(route(&[], &["/q/*"]), &[], 5),
                params(&[], "/q/:", 0),
                params(&[], "/:/z", 0),
            ],
        );
        for (host, path, wanted) in [
            ("x.test", "/else", Some(0)),
            ("y.test", "/else", None),
            // The longer prefix, though the other has the host.
            ("x.test", "/a/b/d", Some(1)),
            ("x.test", "/a/b", Some(3)),
            ("y.test", "/a/b", Some(2)),
            ("x.test", "/p", Some(4)),
            ("x.test", "/a/c", Some(8)),
            ("z.test", "/a/c", Some(6)),
            ("z.test", "/a/c/c", Some(7)),
            ("z.test", "/a/", Some(1)),
            ("z.test", "/q/1", Some(9)),
            ("z.test", "/b/z", Some(11)),
            ("x.test", "/b/z", Some(11)),
            ("x.test", "/b/y", Some(0)),
        ] {
            assert_eq!(get(&table, host, path), wanted, "{host}{path}");
        }
    }

    /// How far each of a route's host patterns that cover this host is from it.
    fn places(route: &Route, host: &str) -> Vec<usize> {
        let place = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (name == host).then_some(0),
            HostPattern::Wildcard(suffix) => host
                .strip_suffix(suffix.as_str())
                .filter(|front| front.ends_with('.'))
                .map(str::len),
            HostPattern::Any => Some(1_000),
        };
        let any = [HostPattern::Any];
        let all = if route.hosts.is_empty() { &any[..] } else { &route.hosts };
        all.iter().filter_map(place).collect()
    }

    /// Every candidate in the order of the rules taken literally, over generated routes, hosts and paths.
    #[test]
    fn the_path_first_order_is_that_of_a_sort() {
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let hosts: [&[&str]; 5] =
            [&[], &["a.b.test"], &["*.b.test"], &["*.test"], &["*.b.test", "a.b.test"]];
        let mut routes = Vec::new();
        let path = |random: &mut dyn FnMut(usize) -> usize, letters: &[char]| {
            let mut path = "/".to_owned();
            (0..random(5)).for_each(|_| path.push(letters[random(letters.len())]));
            path
        };
        for _ in 0..300 {
            let (host, priority) = (hosts[random(5)], [-1, 0, 0, 7][random(4)]);
            let text = path(&mut random, &['a', '/', ':']);
            let legal = text.split('/').skip(1).all(|part| part == ":" || !part.contains(':'));
            let star = if random(2) == 0 { "*" } else { "" };
            if legal && text.contains(':') {
                let star = if text.ends_with('/') { star } else { "" };
                routes.push(params(host, &format!("{text}{star}"), priority));
            } else {
                let text = text.replace(':', "b");
                routes.push(with(route(host, &[&format!("{text}{star}")]), &[], priority));
            }
        }
        let table = build(Router::RadixtreeUri, &routes);
        for _ in 0..1_500 {
            let asked = path(&mut random, &['a', '/', 'b']);
            let host = ["a.b.test", "c.b.test", "c.test", "d"][random(4)];
            let mut wanted = Vec::new();
            for (at, route) in routes.iter().enumerate() {
                let found = match &route.uris[0] {
                    UriPattern::Exact(text) => (*text == asked).then_some((usize::MAX, 0)),
                    UriPattern::Prefix(text) => {
                        asked.starts_with(text.as_str()).then_some((text.len(), 0))
                    }
                    UriPattern::Params(shape) => {
                        let fits = crate::plan::param_path::ParamPattern::build(shape)
                            .matches(asked.as_bytes());
                        fits.then_some((shape.front().len(), 1 + shape.rank()))
                    }
                };
                let Some((level, said)) = found else { continue };
                for place in places(route, host) {
                    let rank = (level, route.priority, said);
                    wanted.push((core::cmp::Reverse(rank), place, at));
                }
            }
            wanted.sort_unstable();
            let mut name = HostBuf::default();
            let found = table.candidates(name.read(host.as_bytes()), asked.as_bytes());
            assert_eq!(found.len(), wanted.len(), "{host}{asked}");
            // Of two shapes that say as much, either may come first.
            let order: Vec<_> = wanted.iter().map(|(rank, place, _)| (*rank, *place)).collect();
            for (at, (one, _)) in found.iter().enumerate() {
                let same = |(rank, place, route): &(_, _, usize)| {
                    (*rank, *place) == order[at] && index(*route) == one.route.0
                };
                let taken = wanted.iter().position(same);
                assert!(taken.is_some(), "{host}{asked}: {one:?} is no {at}th");
                wanted.remove(taken.unwrap());
            }
        }
    }
}
