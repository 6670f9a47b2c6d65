//! Which server names that ask for a certificate could lead to a host pattern, and to a route.
//!
//! In: server names with their policies, and routes. Out: [`Guards`] for each host pattern and a
//! [`Reach`] for each route, compiled once. They decide about hosts that no server name is meant
//! for: such a host must not reach a route over a connection that is held to less than a name
//! which leads there as well.

use ferrule_config::model::{HostPattern, Route, Server, UriPattern};
use hashbrown::HashMap;

use super::hosts::HostBuf;
use super::methods::MethodSet;
use super::{Found, Known, PolicyId, RouteId, RouteTable, ServerId, SniTable, index};

/// The policies of some server names, as far as they ask for a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Guards {
    asking: Asking,
    /// One of them lets nobody in without a verified certificate.
    requiring: bool,
}

/// Whose policies ask.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Asking {
    #[default]
    Nobody,
    One(PolicyId),
    Several,
}

impl Guards {
    /// Adds a policy.
    pub fn add(&mut self, sni: &SniTable, policy: PolicyId) {
        let asking =
            if sni.asks_for_certificate(policy) { Asking::One(policy) } else { Asking::Nobody };
        self.join(Self { asking, requiring: sni.requires_certificate(policy) });
    }

    fn join(&mut self, other: Self) {
        self.asking = match (self.asking, other.asking) {
            (one, Asking::Nobody) => one,
            (Asking::Nobody, two) => two,
            (Asking::One(one), Asking::One(two)) if one == two => Asking::One(one),
            _ => Asking::Several,
        };
        self.requiring |= other.requiring;
    }

    /// Is a connection of this policy (`None`: plain HTTP) held to no less than they all ask for?
    ///
    /// Of two policies that ask, neither is stricter: they trust different people. On plain HTTP a
    /// client is who it is over TLS without a certificate, which some names let in.
    #[must_use]
    pub fn admit(self, used: Option<PolicyId>) -> bool {
        match (used, self.asking) {
            (None, _) => !self.requiring,
            (Some(_), Asking::Nobody) => true,
            (Some(used), Asking::One(policy)) => used == policy,
            (Some(_), Asking::Several) => false,
        }
    }
}

type Map = HashMap<Box<[u8]>, Guards, foldhash::fast::FixedState>;

/// The server names that ask for a certificate, by what they have in common with host patterns.
#[derive(Debug)]
pub struct GuardIndex<'a> {
    sni: &'a SniTable,
    /// Of wildcards, by what follows `*.`.
    wildcard: Map,
    /// By every suffix: of the names below it.
    below: Map,
}

impl<'a> GuardIndex<'a> {
    /// Of these servers, compiled to `sni`. The name `*` is left out: whatever host it is meant for
    /// has its policy.
    #[must_use]
    pub fn build(servers: &[Server], sni: &'a SniTable) -> Self {
        let mut index_of = Self { sni, wildcard: Map::default(), below: Map::default() };
        for (at, server) in servers.iter().enumerate() {
            let mut guards = Guards::default();
            guards.add(sni, sni.policy(ServerId(index(at))));
            if guards == Guards::default() {
                continue;
            }
            for name in &server.snis {
                let text = match name {
                    HostPattern::Any => continue,
                    HostPattern::Exact(name) => name.as_bytes(),
                    HostPattern::Wildcard(suffix) => {
                        for map in [&mut index_of.wildcard, &mut index_of.below] {
                            map.entry(suffix.as_bytes().into()).or_default().join(guards);
                        }
                        suffix.as_bytes()
                    }
                };
                for suffix in suffixes(text) {
                    index_of.below.entry(suffix.into()).or_default().join(guards);
                }
            }
        }
        index_of
    }

    /// Of the names that could serve a host of this pattern: of a host that is a server name that one
    /// alone, otherwise of all that overlap ([`HostPattern::overlaps`]), `*` aside.
    #[must_use]
    pub fn of(&self, pattern: &HostPattern) -> Guards {
        let suffix = match pattern {
            HostPattern::Any => return Guards::default(),
            HostPattern::Exact(name) => {
                let meaning = self.sni.meaning(HostBuf::default().read(name.as_bytes()), None);
                let mut guards = meaning.above;
                if let (Known::Named, Some(policy)) = (meaning.known, meaning.policy) {
                    guards.add(self.sni, policy);
                }
                return guards;
            }
            HostPattern::Wildcard(suffix) => suffix.as_bytes(),
        };
        let mut guards = self.below.get(suffix).copied().unwrap_or_default();
        for above in suffixes(suffix).filter_map(|suffix| self.wildcard.get(suffix)) {
            guards.join(*above);
        }
        guards
    }
}

/// What follows each dot.
fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'.', name).filter_map(|dot| name.get(dot + 1..))
}

/// Which server names lead to a route.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Of the names that overlap with any of its hosts.
    guards: Guards,
    /// Of a route for every host: the policies of the names that lead there.
    led_by: Box<[PolicyId]>,
}

impl Reach {
    /// Of the route `id` of `routes`, which are compiled to `table`.
    pub(super) fn build(
        (id, route): (RouteId, &Route),
        table: &RouteTable,
        servers: (&[Server], &SniTable),
        index: &GuardIndex<'_>,
    ) -> Self {
        let mut guards = Guards::default();
        route.hosts.iter().for_each(|host| guards.join(index.of(host)));
        let led_by = if route.is_for_every_host() {
            led_by((id, route), table, servers)
        } else {
            Box::default()
        };
        Self { guards, led_by }
    }

    /// Of the names that overlap with any of its hosts.
    #[must_use]
    pub const fn guards(&self) -> Guards {
        self.guards
    }

    /// May a host that nobody knows reach it over a connection of this policy (`None`: plain HTTP),
    /// by being any host? If a name of no other demands leads there, or none that demands more.
    #[must_use]
    pub fn takes_strangers(&self, sni: &SniTable, used: Option<PolicyId>) -> bool {
        let mut guards = Guards::default();
        self.led_by.iter().for_each(|policy| guards.add(sni, *policy));
        let alike = |policy: &PolicyId| match used {
            Some(used) => *policy == used,
            None => !sni.requires_certificate(*policy),
        };
        guards.admit(used) || self.led_by.iter().any(alike)
    }

    /// Of a route for every host: does a name of this policy lead there?
    #[must_use]
    pub fn is_led_by(&self, policy: Option<PolicyId>) -> bool {
        policy.is_some_and(|policy| self.led_by.contains(&policy))
    }
}

/// The policies of the names by which some request takes this route: not those whose own routes take
/// all of its paths.
fn led_by(
    (id, route): (RouteId, &Route),
    table: &RouteTable,
    (servers, sni): (&[Server], &SniTable),
) -> Box<[PolicyId]> {
    let mut led_by = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let policy = sni.policy(ServerId(index(at)));
        if !led_by.contains(&policy)
            && server.snis.iter().any(|name| leads(name, (id, route), table))
        {
            led_by.push(policy);
        }
    }
    led_by.into()
}

/// Some label that no pattern spells out.
const SOME_LABEL: &str = "-";

fn leads(name: &HostPattern, (id, route): (RouteId, &Route), table: &RouteTable) -> bool {
    let mut host = HostBuf::default();
    match name {
        HostPattern::Any => host.read(SOME_LABEL.as_bytes()),
        HostPattern::Exact(name) => host.read(name.as_bytes()),
        HostPattern::Wildcard(suffix) => host.read(format!("{SOME_LABEL}.{suffix}").as_bytes()),
    };
    let takes = |path: &[u8], method| {
        let found = table.lookup(host.name(), path, method, &mut |other| other == id);
        matches!(found, Found::Route(found) if found.route == id)
    };
    let methods = MethodSet::of(&route.methods);
    let mut paths = route.uris.iter().flat_map(UriPattern::examples);
    paths.any(|path| methods.each().any(|method| takes(path.as_bytes(), method)))
}
