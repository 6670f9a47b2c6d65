//! Which server names lead to a route.
//!
//! In: a route, and the tables of server names and routes. Out: its [`Reach`], compiled once: what a
//! connection must be held to before a host that no server name is meant for may reach the route.

use ferrule_config::Config;
use ferrule_config::model::{HostPattern, Route, Server, UriPattern};

use super::guard_index::GuardIndex;
use super::guards::Guards;
use super::hosts::HostBuf;
use super::ids::{PolicyId, RouteId, ServerId, index};
use super::methods::MethodSet;
use super::route::{LookupResult, RouteTable};
use super::sni::SniTable;

/// Which server names lead to a route.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The policies of the server names that overlap with any of its hosts.
    guards: Guards,
    /// For a route without hosts: the policies of the server names that lead there.
    led_by: Box<[PolicyId]>,
}

impl Reach {
    /// Compiles the reach of one route; `table` holds all of them.
    pub(super) fn build(
        id: RouteId,
        route: &Route,
        table: &RouteTable,
        servers: &[Server],
        sni: &SniTable,
        index: &GuardIndex<'_>,
    ) -> Self {
        let mut guards = Guards::default();
        route.hosts.iter().for_each(|host| guards.join(index.of(host)));
        let led_by = if route.is_for_every_host() {
            led_by(id, route, table, servers, sni)
        } else {
            Box::default()
        };
        Self { guards, led_by }
    }

    /// The policies of the server names that overlap with any of its hosts.
    #[must_use]
    pub const fn guards(&self) -> Guards {
        self.guards
    }

    /// May a host that nobody knows reach it over a connection of this policy (`None`: plain HTTP),
    /// by being any host? If a name of no other demands leads there, or none that demands more.
    #[must_use]
    pub fn takes_strangers(&self, sni: &SniTable, used: Option<PolicyId>) -> bool {
        let mut guards = Guards::default();
        self.led_by.iter().for_each(|policy| guards.join(sni.guards_of(*policy)));
        let alike = |policy: &PolicyId| match used {
            Some(used) => *policy == used,
            None => !sni.requires_certificate(*policy),
        };
        guards.admit(used) || self.led_by.iter().any(alike)
    }

    /// For a route without hosts: does a server name of this policy lead there?
    #[must_use]
    pub fn is_led_by(&self, policy: Option<PolicyId>) -> bool {
        policy.is_some_and(|policy| self.led_by.contains(&policy))
    }
}

/// The policies of the names by which some request takes this route: not those whose own routes take
/// all of its paths.
fn led_by(
    id: RouteId,
    route: &Route,
    table: &RouteTable,
    servers: &[Server],
    sni: &SniTable,
) -> Box<[PolicyId]> {
    let mut led_by = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let policy = sni.policy(ServerId(index(at)));
        if !led_by.contains(&policy) && server.snis.iter().any(|name| leads(name, id, route, table))
        {
            led_by.push(policy);
        }
    }
    led_by.into()
}

/// Some label that no pattern spells out.
const SOME_LABEL: &str = "-";

fn leads(name: &HostPattern, id: RouteId, route: &Route, table: &RouteTable) -> bool {
    let mut host = HostBuf::default();
    match name {
        HostPattern::Any => host.read(SOME_LABEL.as_bytes()),
        HostPattern::Exact(name) => host.read(name.as_bytes()),
        HostPattern::Wildcard(suffix) => host.read(format!("{SOME_LABEL}.{suffix}").as_bytes()),
    };
    let takes = |path: &[u8], method| {
        let found = table.lookup(host.name(), path, method, &mut |other| other == id);
        matches!(found, LookupResult::Route(found) if found.route == id)
    };
    let methods = MethodSet::of(&route.methods);
    let mut paths = route.uris.iter().flat_map(UriPattern::examples);
    paths.any(|path| methods.each().any(|method| takes(path.as_bytes(), method)))
}

/// Host and path to route, with what server names have to do with it.
pub(super) fn tables<'a>(config: &Config, sni: &'a SniTable) -> (RouteTable, GuardIndex<'a>) {
    let guards = GuardIndex::build(&config.servers, sni);
    let mut table = RouteTable::build(&config.routes, config.http.router);
    table.guard(&config.routes, &guards);
    (table, guards)
}
