//! Where hosts of routes reach further than the server names that ask for a certificate.
//!
//! In: a checked configuration. Out: an error for a plain listener that would serve what such names
//! lead to, unless it says what it means; and a warning for each wildcard of a route that covers such a
//! name, because it covers hosts as well that are no server names and are answered with 421.

use std::collections::BTreeSet;

use ferrule_config::model::{ClientVerify, HostPattern, Listen, Route, Server};
use ferrule_config::{Config, Place, Problem, Problems};

use super::guard_index::GuardIndex;
use super::hosts::HostBuf;
use super::ids::{PolicyId, RouteId, ServerId, index};
use super::reach::{Reach, tables};
use super::route::RouteTable;
use super::sni::{HostMatch, SniTable};

pub(super) fn check(config: &Config, problems: &mut Problems) {
    if !config.servers.iter().any(asks) {
        return;
    }
    let sni = SniTable::build(&config.servers);
    let names = ServerNameIndex::of(config, &sni);
    plain_listeners(config, &names, problems);
    wide_wildcards(config, &names, problems);
}

fn plain_listeners(config: &Config, names: &ServerNameIndex<'_>, problems: &mut Problems) {
    let silent = |listen: &&Listen| {
        !listen.tls && listen.mtls_routes.is_none() && listen.https_port.is_none()
    };
    let mut silent = config.listens.iter().filter(silent).peekable();
    if silent.peek().is_none() {
        return;
    }
    let Some((route, server)) = first_guarded(config, names) else { return };
    let (route, server) = (line(problems, route.place), line(problems, server.place));
    for listen in silent {
        let message = format!(
            "anybody could take the route of line {route} here, without TLS; the [[ssls]] of line \
             {server} asks for a certificate"
        );
        let help = "most people want a redirect to https here: `redirect_to_https = true`; \
                    `mtls_routes = \"reject\"` answers such requests with 421, \"allow\" serves \
                    them to anybody; or set `client.verify = \"on\"` on the route";
        problems.push(Problem {
            place: listen.place,
            field: String::new(),
            message,
            help: Some(help.to_owned()),
        });
    }
}

/// The first route that a name which requires a certificate leads to, and that does not demand one
/// itself; and that name's server.
fn first_guarded<'a>(
    config: &'a Config,
    names: &ServerNameIndex<'a>,
) -> Option<(&'a Route, &'a Server)> {
    let demands = |route: &Route| route.clients.iter().any(|rule| rule.required);
    let free = (0..).zip(&config.routes).filter(|(_, route)| !demands(route));
    let mut guarded = free.map(|(at, route)| (route, names.guard_of(RouteId(at), route)));
    guarded.find_map(|(route, server)| Some((route, server?)))
}

/// What the configuration says of server names, compiled.
struct ServerNameIndex<'a> {
    servers: &'a [Server],
    sni: &'a SniTable,
    table: RouteTable,
    guards: GuardIndex<'a>,
}

impl<'a> ServerNameIndex<'a> {
    fn of(config: &'a Config, sni: &'a SniTable) -> Self {
        let (table, guards) = tables(config, sni);
        Self { servers: &config.servers, sni, table, guards }
    }

    /// A server that requires a certificate, and leads to this route.
    fn guard_of(&self, id: RouteId, route: &Route) -> Option<&'a Server> {
        if route.is_for_every_host() {
            let reach = Reach::build(id, route, &self.table, self.servers, self.sni, &self.guards);
            let leads = |server: &&Server| reach.is_led_by(self.policy(server));
            return self.servers.iter().filter(|server| requires(server)).find(leads);
        }
        route.hosts.iter().find_map(|host| self.guard_of_host(host))
    }

    fn guard_of_host(&self, host: &HostPattern) -> Option<&'a Server> {
        if let HostPattern::Exact(name) = host {
            let mut buf = HostBuf::default();
            let name = buf.read(name.as_bytes());
            if self.sni.meaning(name, None).matched == HostMatch::Named {
                let server = self.sni.resolve(name).and_then(|id| self.servers.get(id.0 as usize));
                return server.filter(|server| requires(server));
            }
        }
        let overlaps = |server: &&Server| server.snis.iter().any(|name| host.overlaps(name));
        self.servers.iter().filter(|server| requires(server)).find(overlaps)
    }

    fn policy(&self, server: &Server) -> Option<PolicyId> {
        let at = self.servers.iter().position(|other| core::ptr::eq(other, server))?;
        Some(self.sni.policy(ServerId(index(at))))
    }

    /// Is a host that a wildcard covers, and no server name, answered with 421?
    fn misdirects(&self, wildcard: &HostPattern, suffix: &str) -> bool {
        let mut buf = HostBuf::default();
        let meaning = self.sni.meaning(buf.read(format!("-.-.{suffix}").as_bytes()), None);
        meaning.policy.is_none_or(|policy| !self.guards.of(wildcard).admit(Some(policy)))
    }
}

fn wide_wildcards(config: &Config, names: &ServerNameIndex<'_>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for route in &config.routes {
        for host in &route.hosts {
            let HostPattern::Wildcard(suffix) = host else { continue };
            if !seen.insert(suffix) || !names.misdirects(host, suffix) {
                continue;
            }
            let overlap = config.servers.iter().filter(|server| asks(server)).find_map(|server| {
                let mut names = server.snis.iter().filter(|name| **name != HostPattern::Any);
                Some((server, names.find(|name| host.overlaps(name))?))
            });
            let Some((server, name)) = overlap else { continue };
            let line = line(problems, server.place);
            let message = format!(
                "`*.{suffix}` covers hosts that no [[ssls]] names, beside `{name}` of line {line}, \
                 which asks for a certificate: they are answered with 421"
            );
            let help = "a wildcard is one label in `sni` and any number of them in `host`: list the \
                        hosts, or give every host that is meant a server name";
            problems.warn(Problem {
                place: route.place,
                field: String::new(),
                message,
                help: Some(help.to_owned()),
            });
        }
    }
}

fn asks(server: &Server) -> bool {
    server.client.as_ref().is_some_and(|client| client.verify != ClientVerify::Off)
}

fn requires(server: &Server) -> bool {
    server.client.as_ref().is_some_and(|client| client.verify == ClientVerify::On)
}

fn line(problems: &Problems, place: Place) -> usize {
    problems.position(place).line
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferrule_config::Draft;

    use super::*;

    const NAMES: &str = "[[ssls]]\nsni = 'open.test'\ncert = 'c'\nkey = 'k'\n\
                         [[ssls]]\nsnis = ['*.corp.test', 'api.test']\ncert = 'c'\nkey = 'k'\n\
                         client.ca = 'ca'\n\
                         [[ssls]]\nsni = 'maybe.test'\ncert = 'c'\nkey = 'k'\n\
                         client = { ca = 'ca', verify = 'optional' }\n";

    /// What `check` says of these listeners and routes, each route on a line of its own.
    fn said(listen: &str, routes: &[&str]) -> String {
        let routes: Vec<String> = routes
            .iter()
            .map(|route| {
                format!("  {{ {route}, uri = '/*', upstream.nodes = {{ 'u:1' = 1 }} }},\n")
            })
            .collect();
        let text = format!("listen = [{listen}]\nroutes = [\n{}]\n{NAMES}", routes.concat());
        let read = ferrule_config::read_text(Path::new("/f.toml"), text, &|_| None);
        let Draft { config, mut problems } = read.unwrap();
        assert!(problems.is_empty(), "{problems}");
        check(&config, &mut problems);
        problems.to_string()
    }

    const TLS: &str = "{ address = '127.0.0.1:443', tls = true }";

    #[test]
    fn a_plain_listener_beside_mtls_is_refused_unless_it_says_what_it_means() {
        let plain = format!("{TLS}, {{ address = '127.0.0.1:80' }}");
        for (route, refused) in [
            ("id = 'every'", true),
            ("host = 'api.test'", true),
            ("host = 'a.corp.test'", true),
            ("host = 'a.b.corp.test'", true),
            ("host = '*.corp.test'", true),
            ("host = '*.test'", true),
            ("hosts = ['open.test', 'api.test']", true),
            ("host = '*.b.corp.test'", true),
            // Nobody is kept out of these over TLS, or nobody gets in.
            ("host = 'open.test'", false),
            ("host = 'maybe.test'", false),
            ("host = 'elsewhere.test'", false),
            ("host = 'api.test', client.verify = 'on'", false),
        ] {
            let said = said(&plain, &[route]);
            assert_eq!(said.contains("error:"), refused, "{route}: {said}");
            for word in ["line 3", "mtls_routes", "redirect_to_https", "/f.toml:1:"] {
                assert!(!refused || said.contains(word), "{word}: {said}");
            }
        }
        for key in ["mtls_routes = 'reject'", "mtls_routes = 'allow'", "redirect_to_https = true"] {
            let said = said(&format!("{{ address = '127.0.0.1:80', {key} }}"), &["id = 'every'"]);
            assert!(!said.contains("mtls"), "{said}");
        }
    }

    /// A route for every host is nobody's business where other routes take all that mTLS names lead to.
    #[test]
    fn a_route_for_every_host_is_led_to_only_where_no_other_takes_all() {
        let plain = format!("{TLS}, {{ address = '127.0.0.1:80' }}");
        let own = "hosts = ['api.test', '*.corp.test'], client.verify = 'on'";
        let said = said(&plain, &[own, "id = 'rest'"]);
        assert!(!said.contains("error:"), "{said}");
    }

    #[test]
    fn a_wildcard_wider_than_the_names_it_shares_is_told() {
        for (route, told) in [
            ("host = '*.corp.test'", Some("`*.corp.test` covers")),
            ("host = '*.test'", Some("line 9")),
            ("host = '*.x.corp.test'", Some("`*.x.corp.test` covers")),
            ("host = '*.open.test'", None),
            ("hosts = ['a.corp.test', 'b.corp.test']", None),
            ("id = 'every'", None),
        ] {
            let said = said(TLS, &[route]);
            assert_eq!(said.contains(" covers "), told.is_some(), "{route}: {said}");
            assert!(said.contains(told.unwrap_or_default()), "{route}: {said}");
        }
    }
}
