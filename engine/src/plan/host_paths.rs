//! The paths of the routes of one host pattern.
//!
//! In: a path in its normal form. Out: the routes for it, best first: the exact path, then the longest prefix,
//! and so on. A path with parameters stands where the text in front of the first of them would stand as a prefix,
//! and there before that prefix.

use core::cmp::Reverse;

use ferrule_config::model::UriPattern;
use hashbrown::HashMap;

use super::guards::Guards;
use super::ids::{RouteId, index};
use super::methods::MethodSet;
use super::param_path::ParamPattern;
use crate::wire::head::Method;

type PathMap<V> = HashMap<Box<[u8]>, V, foldhash::fast::FixedState>;

/// The paths of one host pattern.
#[derive(Debug, Default)]
pub(super) struct HostPaths {
    /// The policies of the server names that the pattern could serve.
    pub(super) guards: Guards,
    exact: PathMap<Candidates>,
    /// Sorted by text, so that the longest prefix of a path is found by bisection: it is the
    /// path's predecessor in this order, or one of that one's ancestors.
    prefixes: Vec<PathPrefix>,
    params: Vec<ParamPattern>,
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
    pub(super) priority: i32,
    pub(super) methods: MethodSet,
    pub(super) route: RouteId,
    /// It has conditions beside host, path and method.
    pub(super) conditional: bool,
    /// The shape of its path, where that has parameters.
    param: Option<ParamRank>,
}

/// What becomes of a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CandidateVerdict {
    /// It takes the request.
    Taken,
    /// Its conditions do not hold.
    Conditions,
    /// It is for other methods.
    Method,
}

/// A path with parameters, and how much of it is said.
#[derive(Clone, Copy, Debug)]
struct ParamRank {
    said: u32,
    /// Which one of its host pattern.
    at: u32,
}

/// Where a candidate stands where the path comes before the host; the least is the best.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PathRank {
    /// Bytes of the prefix; the most that there are for an exact path.
    level: Reverse<usize>,
    priority: Reverse<i32>,
    /// How much is said behind the prefix; nothing without parameters.
    said: Reverse<Option<u32>>,
    /// The place of its host pattern among those that cover the host, the most exact first.
    host: usize,
    route: RouteId,
    /// Tells two paths of one route apart.
    param: Option<u32>,
}

impl RouteCandidate {
    pub(super) const fn new(
        route: RouteId,
        priority: i32,
        methods: MethodSet,
        conditional: bool,
    ) -> Self {
        Self { priority, methods, route, conditional, param: None }
    }

    /// Does it take a request with this method? Of one that asks for more, `holds` says whether that is so.
    #[inline]
    pub(super) fn judge(
        &self,
        method: Method,
        holds: &mut dyn FnMut(RouteId) -> bool,
    ) -> CandidateVerdict {
        if self.conditional && !holds(self.route) {
            CandidateVerdict::Conditions
        } else if self.methods.contains(method) {
            CandidateVerdict::Taken
        } else {
            CandidateVerdict::Method
        }
    }

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

    fn rank(&self, level: usize, host: usize) -> PathRank {
        PathRank {
            level: Reverse(level),
            priority: Reverse(self.priority),
            said: Reverse(self.param.map(|param| param.said)),
            host,
            route: self.route,
            param: self.param.map(|param| param.at),
        }
    }
}

impl HostPaths {
    pub(super) fn add(&mut self, uris: &[UriPattern], candidate: RouteCandidate) {
        for uri in uris {
            let (text, candidate) = match uri {
                UriPattern::Exact(text) => {
                    self.exact.entry(text.as_bytes().into()).or_default().push(candidate);
                    continue;
                }
                UriPattern::Prefix(text) => (text.as_str(), candidate),
                UriPattern::Params(path) => {
                    let at = index(self.params.len());
                    self.params.push(ParamPattern::build(path));
                    let param = Some(ParamRank { said: index(path.rank()), at });
                    (path.front(), RouteCandidate { param, ..candidate })
                }
            };
            self.prefixes.push(PathPrefix {
                text: text.as_bytes().into(),
                parent: None,
                routes: vec![candidate],
            });
        }
    }

    pub(super) fn finish(&mut self) {
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
            routes.sort_by_key(|candidate| candidate.rank(0, 0));
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

    /// The first route for this path that `takes` accepts; no path here has parameters.
    pub(super) fn first(
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

    /// The best candidate for this path that stands behind `last`, and where it stands. `host` is the place of
    /// this pattern among those that cover the host.
    pub(super) fn next_after(
        &self,
        path: &[u8],
        host: usize,
        last: Option<&PathRank>,
    ) -> Option<(PathRank, RouteCandidate)> {
        let exact = self.exact.get(path).map(|routes| (usize::MAX, routes.as_slice()));
        exact.into_iter().chain(self.prefixes_of(path)).find_map(|(level, routes)| {
            if last.is_some_and(|last| level > last.level.0) {
                return None;
            }
            let is_past =
                |one: &RouteCandidate| last.is_some_and(|last| one.rank(level, host) <= *last);
            let behind = routes.get(routes.partition_point(is_past)..).unwrap_or_default();
            let fits = |one: &&RouteCandidate| self.fits(one, path);
            behind.iter().find(fits).map(|one| (one.rank(level, host), *one))
        })
    }

    /// The prefixes of a path, the longest first.
    fn prefixes_of(&self, path: &[u8]) -> impl Iterator<Item = (usize, &[RouteCandidate])> {
        let behind = self.prefixes.partition_point(|prefix| *prefix.text <= *path);
        let at = |at: u32| self.prefixes.get(at as usize);
        let nearest = behind.checked_sub(1).and_then(|at| self.prefixes.get(at));
        let all = core::iter::successors(nearest, move |prefix| prefix.parent.and_then(at));
        let own = all.filter(|prefix| path.starts_with(&prefix.text));
        own.map(|prefix| (prefix.text.len(), prefix.routes.as_slice()))
    }

    fn fits(&self, candidate: &RouteCandidate, path: &[u8]) -> bool {
        let Some(ParamRank { at, .. }) = candidate.param else { return true };
        self.params.get(at as usize).is_some_and(|pattern| pattern.matches(path))
    }
}
