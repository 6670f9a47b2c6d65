//! Which routes that demand something of a client can be stepped around?
//!
//! In: a checked configuration. Out: a warning for each route whose own demand (`client`) does not hold
//! for all that has its host and path, because a request that its methods or conditions leave out, or
//! that another host pattern or a condition of the client's choice takes first, is served by a route
//! that demands less; and where many upstreams serve a path with and without its last slash alike. A
//! route for a longer path, for methods that it lists in front of the guarded one, or for addresses and
//! certificates that nobody can choose is an exception that its author wrote on purpose.

use ferrule_config::model::{
    ClientRule, ClientVerify, Condition, HostPattern, Listen, MtlsRoutes, Route, Server, UriPattern,
};
use ferrule_config::{Config, Problems};

use super::bypass_problem::{Bypass, BypassKind};
use super::host_paths::RouteCandidate;
use super::hosts::HostBuf;
use super::methods::MethodSet;
use super::route::RouteTable;
use super::sni::{HostMatch, SniTable};

pub(super) fn check(config: &Config, problems: &mut Problems) {
    if !config.routes.iter().any(|route| route.clients.iter().any(demands)) {
        return;
    }
    let sni = SniTable::build(&config.servers);
    let table = RouteTable::build(&config.routes, config.http.router);
    let search = BypassSearch { config, table, sni };
    for route in config.routes.iter().filter(|route| route.clients.iter().any(demands)) {
        let bypass = search.bypass_by_route(route).or_else(|| search.bypass_by_prefix(route));
        let bypass = bypass.or_else(|| search.bypass_by_slash(route));
        let Some(bypass) = bypass else { continue };
        let problem = bypass.problem(route, problems);
        problems.warn(problem);
    }
}

struct BypassSearch<'a> {
    config: &'a Config,
    table: RouteTable,
    sni: SniTable,
}

impl<'a> BypassSearch<'a> {
    fn bypass_by_route(&self, guarded: &'a Route) -> Option<Bypass<'a>> {
        let hosts = self.hosts(guarded);
        guarded.uris.iter().find_map(|path| {
            // The example that nobody is likely to have spelt out: what was is an exception.
            let example = path.examples().next()?;
            hosts.iter().find_map(|host| {
                let (by, how) = self.bypass_at(guarded, host, &example)?;
                Some(Bypass { by, path, how })
            })
        })
    }

    /// A route that takes a prefix off, and so leads the same upstream to the same path.
    fn bypass_by_prefix(&self, guarded: &'a Route) -> Option<Bypass<'a>> {
        let prefix_of = |route: &'a Route| route.strip_prefix.as_deref().unwrap_or_default();
        let mut prefixes: Vec<&str> = self.config.routes.iter().map(prefix_of).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes.retain(|prefix| *prefix != prefix_of(guarded));
        let hosts = self.hosts(guarded);
        for path in &guarded.uris {
            let sent = path.examples().take(1).chain(beside(path));
            let sent =
                sent.filter_map(|path| Some(path.strip_prefix(prefix_of(guarded))?.to_owned()));
            let sent: Vec<String> = sent.collect();
            let asked =
                prefixes.iter().flat_map(|prefix| sent.iter().map(move |sent| (prefix, sent)));
            for ((prefix, sent), host) in
                asked.flat_map(|asked| hosts.iter().map(move |host| (asked, host)))
            {
                let asked = format!("{prefix}{sent}");
                let mut name = HostBuf::default();
                let all = self.table.candidates(name.read(host.as_bytes()), asked.as_bytes());
                let routes = all.iter().filter_map(|(one, _)| {
                    Some((one, self.config.routes.get(one.route.0 as usize)?))
                });
                for (candidate, route) in routes {
                    let same = prefix_of(route) == *prefix && self.same_upstream(route, guarded);
                    if same && self.is_weaker(route, guarded, host) {
                        return Some(Bypass { by: route, path, how: BypassKind::Prefix(asked) });
                    }
                    if !candidate.conditional && candidate.methods == MethodSet::ALL {
                        break;
                    }
                }
            }
        }
        None
    }

    /// A route that takes what differs from a guarded path by the slash at its end. One that spells it out is
    /// an exception.
    fn bypass_by_slash(&self, guarded: &'a Route) -> Option<Bypass<'a>> {
        let hosts = self.hosts(guarded);
        guarded.uris.iter().find_map(|path| {
            let asked = beside(path)?;
            let by = hosts.iter().find_map(|host| self.taker_of(&asked, guarded, host))?;
            Some(Bypass { by, path, how: BypassKind::Slash(asked) })
        })
    }

    /// The first route with a weaker demand that takes this path, which the guarded one does not cover.
    fn taker_of(&self, asked: &str, guarded: &Route, host: &str) -> Option<&'a Route> {
        let spelt_out = UriPattern::Exact(asked.to_owned());
        let mut name = HostBuf::default();
        let candidates = self.table.candidates(name.read(host.as_bytes()), asked.as_bytes());
        let of = |candidate: &RouteCandidate| self.config.routes.get(candidate.route.0 as usize);
        let routes: Vec<_> =
            candidates.iter().filter_map(|(one, _)| Some((one, of(one)?))).collect();
        if routes.iter().any(|(_, route)| core::ptr::eq(*route, guarded)) {
            return None;
        }
        let mut left = MethodSet::of(&guarded.methods).served();
        for (candidate, route) in routes {
            let reached = left.both(candidate.methods) != MethodSet::EMPTY
                && !route.uris.contains(&spelt_out)
                && self.same_upstream(route, guarded);
            if reached && self.is_weaker(route, guarded, host) {
                return Some(route);
            }
            if !candidate.conditional {
                left = candidate.left_of(left);
            }
        }
        None
    }

    /// A host for each pattern of any route that shares hosts with this one.
    fn hosts(&self, guarded: &Route) -> Vec<String> {
        let own: &[HostPattern] =
            if guarded.hosts.is_empty() { &[HostPattern::Any] } else { &guarded.hosts };
        let others = self.config.routes.iter().flat_map(|route| &route.hosts);
        let names = self.config.servers.iter().flat_map(|server| &server.snis);
        let mut hosts: Vec<String> = own.iter().map(example).collect();
        for pattern in others.chain(names) {
            // Of two patterns that overlap, one holds the other.
            let within = |own: &HostPattern| match (own, pattern) {
                (HostPattern::Exact(_), _) => false,
                _ => {
                    own.overlaps(pattern)
                        && !matches!((own, pattern), (HostPattern::Wildcard(own), HostPattern::Wildcard(other)) if own.len() > other.len())
                }
            };
            if own.iter().any(within) {
                hosts.push(example(pattern));
            }
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The first route with a weaker demand that takes some request for this host and path.
    fn bypass_at(
        &self,
        guarded: &Route,
        host: &str,
        path: &str,
    ) -> Option<(&'a Route, BypassKind)> {
        let mut name = HostBuf::default();
        let candidates = self.table.candidates(name.read(host.as_bytes()), path.as_bytes());
        let of = |candidate: &RouteCandidate| self.config.routes.get(candidate.route.0 as usize);
        let is_guarded = |candidate: &RouteCandidate| {
            of(candidate).is_some_and(|route| core::ptr::eq(route, guarded))
        };
        let at = candidates.iter().position(|(candidate, _)| is_guarded(candidate))?;
        let cover = candidates.get(at)?.1;
        let mut left = MethodSet::ALL.served();
        for (place, (candidate, covers)) in candidates.iter().enumerate() {
            let taken = left.both(candidate.methods);
            let route = of(candidate)?;
            if taken != MethodSet::EMPTY && self.is_weaker(route, guarded, host) {
                let behind = place > at;
                if behind && guarded.when.is_some() {
                    return Some((route, BypassKind::Conditions));
                }
                if behind {
                    return Some((route, BypassKind::Methods(taken)));
                }
                if *covers != cover && self.same_upstream(route, guarded) {
                    return Some((route, BypassKind::Host(host.to_owned())));
                }
                let chosen = route.when.as_ref().is_some_and(is_chosen_by_client);
                if *covers == cover && chosen {
                    return Some((route, BypassKind::Priority));
                }
            }
            if !candidate.conditional {
                left = candidate.left_of(left);
            }
        }
        None
    }

    /// Does it let in whom nobody knows, or demand nothing that the guarded one does not and not all of that?
    fn is_weaker(&self, route: &Route, guarded: &Route, host: &str) -> bool {
        let all_held = |by: &Route, of: &Route, verified: bool| {
            of.clients.iter().filter(|rule| demands(rule)).all(|rule| {
                (verified && rule.is_plain()) || by.clients.iter().any(|own| holds(own, rule))
            })
        };
        let verified = self.verifies(host);
        let required = |route: &Route| verified || route.clients.iter().any(|rule| rule.required);
        (required(guarded) && !required(route))
            || (all_held(guarded, route, false) && !all_held(route, guarded, verified))
    }

    /// Do both lead to the same nodes? Otherwise the same path is another thing there.
    fn same_upstream(&self, one: &Route, other: &Route) -> bool {
        let nodes = |at: usize| {
            let upstream = self.config.upstreams.get(at);
            let nodes = upstream.into_iter().flat_map(|upstream| &upstream.nodes);
            nodes.map(|node| node.address.clone()).collect::<Vec<_>>()
        };
        targets(one)
            .any(|one| targets(other).any(|other| one == other || nodes(one) == nodes(other)))
    }

    /// Is everybody verified who asks for this host, whatever the route?
    fn verifies(&self, host: &str) -> bool {
        let strict = |server: &Server| {
            server
                .client
                .as_ref()
                .is_some_and(|client| client.verify == ClientVerify::On && client.exempt.is_empty())
        };
        let plain = |listen: &Listen| !listen.tls && listen.mtls_routes != Some(MtlsRoutes::Reject);
        if self.config.listens.iter().any(plain) {
            return false;
        }
        let mut name = HostBuf::default();
        let named = name.read(host.as_bytes());
        match self.sni.meaning(named, None).matched {
            HostMatch::Named => {
                let server = self.sni.resolve(named);
                server.and_then(|id| self.config.servers.get(id.0 as usize)).is_some_and(strict)
            }
            HostMatch::Every | HostMatch::Fallback | HostMatch::Unknown => {
                self.config.servers.iter().all(strict)
            }
        }
    }
}

/// Every upstream that a route may send requests to.
fn targets(route: &Route) -> impl Iterator<Item = usize> {
    let shares = route.split.iter().flat_map(|rule| &rule.shares);
    route.upstream.into_iter().chain(shares.filter_map(|share| share.upstream))
}

/// A host that a pattern covers, spelt out by no other.
fn example(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "-".to_owned(),
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(suffix) => format!("-.{suffix}"),
    }
}

/// The path without or with its last slash, if no request for it is covered by the pattern.
fn beside(path: &UriPattern) -> Option<String> {
    match path {
        UriPattern::Prefix(text) => text.strip_suffix('/').map(str::to_owned),
        UriPattern::Exact(text) => {
            Some(text.strip_suffix('/').map_or_else(|| format!("{text}/"), str::to_owned))
        }
        UriPattern::Params(path) => {
            let text = path.example("~", "");
            let longer = (!path.goes_on()).then(|| format!("{text}/"));
            text.strip_suffix('/').map(str::to_owned).or(longer)
        }
    }
    .filter(|path| !path.is_empty())
}

/// Does it keep anybody out?
fn demands(rule: &ClientRule) -> bool {
    rule.required || !rule.is_plain()
}

/// Does whoever passes the one pass the other?
fn holds(one: &ClientRule, other: &ClientRule) -> bool {
    (one.required || !other.required)
        && one.satisfy == other.satisfy
        && (other.addresses.is_none() || one.addresses == other.addresses)
        && (other.cnf_header.is_none() || one.cnf_header == other.cnf_header)
        && (other.lists.is_empty() || one.lists == other.lists)
        && (other.trust.is_none() || one.trust == other.trust)
}

/// Can a client make it hold by what it writes?
fn is_chosen_by_client(condition: &Condition) -> bool {
    match condition {
        Condition::All(list) => list.iter().all(is_chosen_by_client),
        Condition::Any(list) => list.iter().any(is_chosen_by_client),
        Condition::Not(inner) => is_chosen_by_client(inner),
        Condition::Test(variable, _) => variable.is_written_by_client(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferrule_config::Draft;

    use super::*;

    /// What `check` says of these routes, each on a line of its own, behind a name that asks and lets pass.
    fn said_behind(verify: &str, routes: &[&str]) -> String {
        let routes: String = routes
            .iter()
            .map(|route| match route.contains("upstream.") {
                true => format!("  {{ {route} }},\n"),
                false => format!("  {{ {route}, upstream.nodes = {{ 'u:1' = 1 }} }},\n"),
            })
            .collect();
        let text = format!(
            "listen = [{{ address = '127.0.0.1:443', tls = true }}]\nroutes = [\n{routes}]\n\
             [[ssls]]\nsnis = ['a.test', 'b.test', '*.c.test']\ncert = 'c'\nkey = 'k'\n\
             client = {{ ca = 'ca', verify = '{verify}' }}\n[[services]]\nid = 'v1'\n\
             path_prefix = '/v1'\nstrip_path_prefix = true\n"
        );
        let read = ferrule_config::read_text(Path::new("/f.toml"), text, &|_| None);
        let Draft { config, mut problems } = read.unwrap();
        assert!(problems.is_empty(), "{problems}");
        check(&config, &mut problems);
        let gaps = problems.warnings().filter(|one| one.message.contains("stepped around"));
        gaps.map(|one| format!("{}: {} ({:?})\n", one.field, one.message, one.help)).collect()
    }

    fn said(routes: &[&str]) -> String {
        said_behind("optional", routes)
    }

    const GUARDED: &str = "id = 'guarded', uris = ['/admin/*', '/admin'], client.verify = 'on'";

    /// Everything by which a route may be narrower than what stands behind it.
    #[test]
    fn a_guard_that_leaves_something_to_an_open_route_is_told() {
        let open = "id = 'open', uri = '/*'";
        assert_eq!(said(&[GUARDED, open]), "");
        for (selector, word) in [
            ("methods = ['GET']", "POST, PUT, DELETE, OPTIONS, PATCH, PURGE, and all others"),
            ("methods = ['POST']", "GET, HEAD, PUT, DELETE, OPTIONS, PATCH, PURGE, and all others"),
            (
                "methods = ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PURGE']",
                "(, and all others)",
            ),
            ("remote_addr = '10.0.0.0/8'", "`vars` or `remote_addrs`"),
            ("remote_addrs = ['10.0.0.0/8', '::1']", "`vars` or `remote_addrs`"),
            ("vars = [['http_x_admin', '==', '1']]", "`vars` or `remote_addrs`"),
            ("vars = [['arg_admin', '==', '1']]", "`vars` or `remote_addrs`"),
            ("vars = [['cookie_admin', '==', '1']]", "`vars` or `remote_addrs`"),
            ("vars = [['uri', '~~', 'x']]", "`vars` or `remote_addrs`"),
            ("vars = [['request_method', '==', 'GET']]", "`vars` or `remote_addrs`"),
            ("vars = [['ssl_client_s_dn_ou', '==', 'ops']]", "`vars` or `remote_addrs`"),
            ("methods = ['GET'], priority = 9", "and all others"),
            ("vars = [['scheme', '==', 'https']], priority = 9", "`vars` or `remote_addrs`"),
        ] {
            let guarded = format!("{GUARDED}, {selector}");
            for (open, order) in [(open, 0), (open, 1), ("id = 'open', uri = '/admin/*'", 0)] {
                let both = [guarded.as_str(), open];
                let routes = if order == 0 { both } else { [both[1], both[0]] };
                let said = said(&routes);
                assert!(
                    said.contains("routes.guarded:") && said.contains(word),
                    "{routes:?}: {said}"
                );
                let line = if order == 0 { "line 4" } else { "line 3" };
                assert!(said.contains(line), "{said}");
            }
        }
    }

    #[test]
    fn what_stands_in_front_of_a_guard_is_told_where_it_is_no_exception() {
        for (other, told) in [
            // Another host comes before a longer path.
            ("uri = '/*', host = 'a.test'", Some("`a.test`")),
            ("uri = '/admin/*', host = 'b.test'", Some("`b.test`")),
            ("uri = '/*', host = '*.c.test'", Some("c.test`")),
            ("uri = '/*', host = 'a.test', client.verify = 'on'", None),
            ("uri = '/other/*', host = 'a.test'", None),
            // Whoever writes it passes.
            ("uri = '/admin/*', priority = 1, vars = [['http_x_skip', '==', '1']]", Some("writes")),
            ("uri = '/admin/*', priority = 1, vars = [['arg_skip', '==', '1']]", Some("writes")),
            (
                "uri = '/admin/*', priority = 1, vars = [['OR', ['remote_addr', '==', '::1'], \
                 ['cookie_skip', '==', '1']]]",
                Some("writes"),
            ),
            // These are exceptions, written as such.
            ("uri = '/admin/*', priority = 1, remote_addrs = ['10.0.0.0/8']", None),
            (
                "uri = '/admin/*', priority = 1, vars = [['remote_addr', '==', '::1'], \
                 ['http_x_skip', '==', '1']]",
                None,
            ),
            ("uri = '/admin/*', priority = 1, methods = ['OPTIONS']", None),
            ("uri = '/admin/public/*'", None),
            ("uri = '/admin/login'", None),
            ("uri = '/*'", None),
        ] {
            let said = said(&[GUARDED, &format!("id = 'other', {other}")]);
            assert_eq!(said.is_empty(), told.is_none(), "{other}: {said}");
            assert!(said.contains(told.unwrap_or_default()), "{other}: {said}");
        }
    }

    /// What a prefix is taken off is another path, and the upstream's the same.
    #[test]
    fn a_prefix_that_is_taken_off_leads_around_no_guard_in_silence() {
        let behind = "id = 'behind', uri = '/*', service_id = 'v1'";
        let inner = "id = 'guarded', uri = '/admin/*', service_id = 'v1', client.verify = 'on'";
        for (routes, told) in [
            ([GUARDED, behind], Some("`/v1/admin/~`")),
            ([inner, "id = 'open', uri = '/*'"], Some("`/admin/~`")),
            ([GUARDED, "id = 'x', uri = '/*', service_id = 'v1', client.verify = 'on'"], None),
            ([GUARDED, "id = 'x', uri = '/other/*', service_id = 'v1'"], None),
            ([inner, "id = 'x', uri = '/v2/*'"], None),
        ] {
            let said = said(&routes);
            assert_eq!(said.is_empty(), told.is_none(), "{routes:?}: {said}");
            assert!(said.contains(told.unwrap_or_default()), "{routes:?}: {said}");
        }
    }

    /// Many upstreams serve `/admin` and `/admin/` alike.
    #[test]
    fn a_path_that_differs_by_its_last_slash_leads_around_no_guard_in_silence() {
        let all = "uri = '/*'";
        for (guarded, others, told) in [
            ("uri = '/admin/*'", &[all][..], Some("`/admin`")),
            ("uri = '/admin'", &[all], Some("`/admin/`")),
            ("uri = '/admin/'", &[all], Some("`/admin`")),
            ("uris = ['/admin', '/other/*']", &[all], Some("`/admin/`")),
            ("uris = ['/admin', '/admin/*', '/other/*']", &[all], Some("`/other`")),
            ("uri = '/admin/x/*'", &["uri = '/admin/*'"], Some("`/admin/x`")),
            ("uri = '/admin'", &["uri = '/admin/*'"], Some("`/admin/`")),
            ("uri = '/admin/*', host = 'a.test'", &[all], Some("`/admin`")),
            // Whoever it is for: they are kept out of the other.
            ("uri = '/admin/*'", &["uri = '/*', remote_addr = '10.0.0.0/8'"], Some("`/admin`")),
            ("uri = '/admin/*'", &["uri = '/*', methods = ['GET']"], Some("`/admin`")),
            ("uri = '/admin/*'", &["uri = '/admin', methods = ['GET']", all], Some("`/admin`")),
            ("uri = '/admin/*'", &["uri = '/*', client.deny = ['CN=a']"], Some("`/admin`")),
            ("uri = '/admin'", &["uri = '/admin/*', service_id = 'v1'"], Some("`/v1/admin/`")),
            // Both are guarded, or there is no other.
            ("uris = ['/admin', '/admin/*']", &[all], None),
            ("uris = ['/admin', '/admin/']", &[all], None),
            ("uri = '/admin*'", &[all], None),
            ("uri = '/'", &[all], None),
            ("uri = '/*'", &["uri = '/other'"], None),
            ("uri = '/admin/*'", &["uri = '/other/*'"], None),
            ("uri = '/admin/*'", &["uri = '/admin', client.verify = 'on'", all], None),
            ("uri = '/admin/*'", &["uri = '/*', client.verify = 'on'"], None),
            // An exception that is spelt out, and another thing.
            ("uri = '/admin/*'", &["uri = '/admin'"], None),
            ("uri = '/admin'", &["uri = '/admin/'"], None),
            ("uri = '/admin/*'", &["uri = '/*', upstream.nodes = { 'other:1' = 1 }"], None),
        ] {
            let guarded = format!("id = 'guarded', {guarded}, client.verify = 'on'");
            let others = others.iter().enumerate().map(|(at, one)| format!("id = 'x{at}', {one}"));
            let routes: Vec<String> = others.chain([guarded]).collect();
            let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
            let said = said(&routes);
            assert_eq!(said.is_empty(), told.is_none(), "{routes:?}: {said}");
            assert!(said.contains(told.unwrap_or_default()), "{routes:?}: {said}");
            assert_eq!(said_behind("on", &routes), "", "{routes:?}");
        }
    }

    #[test]
    fn a_gap_that_another_demand_closes_is_none() {
        let some = format!("{GUARDED}, methods = ['GET']");
        let open = "id = 'open', uri = '/*'";
        for between in [
            "id = 'x', uris = ['/admin', '/admin/*'], client.verify = 'on'",
            "id = 'x', uri = '/adm*', client.verify = 'on'",
            "id = 'x', uris = ['/admin', '/admin/*'], client.allow = ['CN=ops']",
        ] {
            assert_eq!(said(&[&some, between, open]), "", "{between}");
        }
        for broad in ["client.verify = 'on'", "client.allow = ['CN=a']", "client.deny = ['CN=a']"] {
            let broad = format!("id = 'x', uri = '/*', {broad}");
            let bypass = said(&[&some, &broad]);
            assert_eq!(bypass.is_empty(), !broad.contains("deny"), "{broad}: {bypass}");
        }
        // A verified client, but any.
        let listed = "id = 'ops', uri = '/admin/*', methods = ['GET'], client.allow = ['CN=ops']";
        assert_ne!(said(&[listed, "id = 'x', uri = '/*', client.verify = 'on'"]), "");
        // The name demands what the route does; its list is another matter.
        assert_eq!(said_behind("on", &[&some, open]), "");
        assert_ne!(said_behind("on", &[listed, open]), "");
    }
}
