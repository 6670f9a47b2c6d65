//! Server name to server object: the one resolver for SNI and for Host.
//!
//! In: a [`HostName`]. Out: the [`ServerId`] it means, exact before one-label wildcard before `*`.
//! Because SNI and Host go through the same function, they can only be judged alike; and because
//! servers with the same client trust share a [`PolicyId`], "may this Host be asked for here?"
//! compares policies, never strings. For a Host that no server name is meant for the answer says so,
//! and which policies it must not slip past ([`Guards`]).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use ferrule_config::model::{
    ClientAuth, ClientEku, ClientLists, ClientVerify, CrlExpired, CrlMissing, OnRevoke, Pem,
    PemSource, Protocols, Reject, Server,
};
use ferrule_config::pattern::Pattern;

use super::client_lists;
use super::forbidden::Forbidden;
use super::guards::Guards;
use super::hosts::{Cover, HostMap, HostName};
use super::ids::{PolicyId, ServerId, index};
use crate::identity::{ClientIdentity, IdentityPlan};

/// Server names and what they mean.
#[derive(Debug)]
pub struct SniTable {
    names: HostMap<ServerId>,
    /// By server.
    policies: Vec<PolicyId>,
    /// By policy.
    rules: Vec<PolicyRule>,
    /// By policy: which lists hold ([`IdentityPlan::list`]).
    lists: Vec<Option<usize>>,
}

/// What a Host means on a listener.
#[derive(Clone, Copy, Debug)]
pub struct HostMeaning {
    /// The policy of the server name that it means; `None` where it means none.
    pub policy: Option<PolicyId>,
    /// How the Host matches the server names.
    pub matched: HostMatch,
    /// The policies of wildcard server names that the Host lies more than one label below.
    pub above: Guards,
}

/// How a Host matches the server names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HostMatch {
    /// A server name covers it, exact or with a wildcard.
    Named,
    /// Only the server name `*` covers it.
    Every,
    /// No server name covers it, so the listener's `fallback_sni` applies.
    Fallback,
    /// No server name covers it, and the listener has no fallback.
    Unknown,
}

/// What decides how clients are trusted. Two servers that agree in all of it share a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
struct PolicyRule {
    verify: ClientVerify,
    /// Who may not speak an old version to one name must not reach it by another.
    protocols: Protocols,
    reject: Reject,
    /// Whoever is let go at once by one name must not live on by another.
    on_revoke: OnRevoke,
    depth: u32,
    allow_v1: bool,
    eku: ClientEku,
    clock_skew: Duration,
    revocation: Option<RevocationRule>,
    /// Sorted; the order in the file means nothing.
    ca: Vec<PemLocation>,
    lists: ClientLists,
    exempt: Vec<Pattern>,
}

/// How a policy asks for revocation.
#[derive(Clone, Debug, Eq, PartialEq)]
struct RevocationRule {
    /// Where the lists are; sorted, because their order in the file means nothing.
    crls: Vec<PemLocation>,
    expired: CrlExpired,
    missing: CrlMissing,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum PemLocation {
    Inline(String),
    Path(PathBuf),
}

impl SniTable {
    /// Compiles the server objects; where two claim one name, the first has it.
    #[must_use]
    pub fn build(servers: &[Server]) -> Self {
        let mut table = Self {
            names: HostMap::default(),
            policies: Vec::with_capacity(servers.len()),
            rules: Vec::new(),
            lists: Vec::new(),
        };
        let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, server) in servers.iter().enumerate() {
            let id = ServerId(index(at));
            for sni in &server.snis {
                table.names.entry(sni, || id);
            }
            let rule = PolicyRule::of(server);
            // Rules that are equal print alike, so only few have to be compared.
            let alike = alike.entry(format!("{rule:?}")).or_default();
            let same = alike.iter().copied().find(|at| table.rules.get(*at) == Some(&rule));
            let at = same.unwrap_or_else(|| {
                alike.push(table.rules.len());
                table.rules.push(rule);
                table.rules.len() - 1
            });
            table.policies.push(PolicyId(index(at)));
        }
        table
    }

    /// Has every identity held against the lists of every policy.
    pub(super) fn compile_lists(&mut self, wanted: &mut IdentityPlan) {
        let lists = self.rules.iter().map(|rule| {
            let lists = Some(&rule.lists).filter(|lists| !lists.is_empty());
            lists.map(|lists| wanted.list(client_lists::compile(lists)))
        });
        self.lists = lists.collect();
    }

    /// Checks a client against the allow and deny lists of this policy.
    ///
    /// # Errors
    /// Unless it is allowed.
    pub fn check_lists(
        &self,
        policy: PolicyId,
        client: Option<&ClientIdentity>,
    ) -> Result<(), Forbidden> {
        let Some(list) = self.lists.get(policy.0 as usize).copied().flatten() else {
            return Ok(());
        };
        match client {
            Some(client) => Forbidden::check(client.access(list)),
            None => Err(Forbidden::CertificateRequired),
        }
    }

    /// Is any path served without a good certificate?
    #[must_use]
    pub fn has_exempt(&self, policy: PolicyId) -> bool {
        !self.rules[policy.0 as usize].exempt.is_empty()
    }

    /// Is this path (normalised) served without a good certificate?
    #[must_use]
    pub fn exempts(&self, policy: PolicyId, path: &[u8]) -> bool {
        self.rules[policy.0 as usize].exempt.iter().any(|pattern| pattern.is_match(path))
    }

    /// The server object that a server name means.
    #[must_use]
    pub fn resolve(&self, name: HostName<'_>) -> Option<ServerId> {
        let mut covering = self.names.covering(name);
        covering.find(|(cover, _)| *cover != Cover::MoreLabels).map(|(_, id)| *id)
    }

    /// What a Host means where an unknown name means `fallback`.
    #[must_use]
    pub fn meaning(&self, host: HostName<'_>, fallback: Option<ServerId>) -> HostMeaning {
        let mut above = Guards::default();
        for (cover, server) in self.names.covering(host) {
            let policy = self.policy(*server);
            let matched = match cover {
                Cover::Exact | Cover::OneLabel => HostMatch::Named,
                Cover::Every => HostMatch::Every,
                Cover::MoreLabels => {
                    above.join(self.guards_of(policy));
                    continue;
                }
            };
            let above = if matched == HostMatch::Named { Guards::default() } else { above };
            return HostMeaning { policy: Some(policy), matched, above };
        }
        let policy = fallback.map(|server| self.policy(server));
        let matched = if policy.is_some() { HostMatch::Fallback } else { HostMatch::Unknown };
        HostMeaning { policy, matched, above }
    }

    /// What a policy of this table demands of clients.
    pub(super) fn guards_of(&self, policy: PolicyId) -> Guards {
        let asks = self.asks_for_certificate(policy);
        Guards::of(policy, asks, self.requires_certificate(policy))
    }

    /// The policy of a server object of this table.
    #[must_use]
    pub fn policy(&self, server: ServerId) -> PolicyId {
        self.policies[server.0 as usize]
    }

    /// How clients of this policy are verified.
    #[must_use]
    pub fn verify(&self, policy: PolicyId) -> ClientVerify {
        self.rules[policy.0 as usize].verify
    }

    /// How a client without a good certificate is refused.
    #[must_use]
    pub fn reject(&self, policy: PolicyId) -> Reject {
        self.rules[policy.0 as usize].reject
    }

    /// Is nobody served without a verified certificate?
    #[must_use]
    pub fn requires_certificate(&self, policy: PolicyId) -> bool {
        self.verify(policy) == ClientVerify::On
    }

    /// Does a certificate mean anything here? Where it does, what it means depends on the policy it
    /// was judged by, so a request must not move to another policy (nginx asks the same question).
    #[must_use]
    pub fn asks_for_certificate(&self, policy: PolicyId) -> bool {
        self.verify(policy) != ClientVerify::Off
    }
}

impl PolicyRule {
    fn of(server: &Server) -> Self {
        let client = server.client.as_ref().filter(|client| client.verify != ClientVerify::Off);
        let Some(client) = client else {
            // Whatever else is written there, nobody is asked for a certificate.
            return Self {
                verify: ClientVerify::Off,
                protocols: Protocols { tls12: true, tls13: true },
                reject: Reject::Http,
                on_revoke: OnRevoke::Close,
                depth: 0,
                allow_v1: false,
                eku: ClientEku::Client,
                clock_skew: Duration::ZERO,
                revocation: None,
                ca: Vec::new(),
                lists: ClientLists::default(),
                exempt: Vec::new(),
            };
        };
        // Every key by its name: a new one has to be thought of here.
        let ClientAuth {
            place: _,
            ca,
            verify,
            depth,
            reject,
            on_revoke,
            allow_v1,
            eku,
            clock_skew,
            revocation,
            // What a client is told of us, and of its refusal, decides nothing.
            send_ca_names: _,
            explain: _,
            lists,
            exempt,
        } = client;
        let revocation = revocation.as_ref().map(|lists| RevocationRule {
            crls: sources(&lists.crls),
            expired: lists.expired,
            missing: lists.missing,
        });
        Self {
            verify: *verify,
            protocols: server.protocols,
            reject: *reject,
            on_revoke: *on_revoke,
            depth: *depth,
            allow_v1: *allow_v1,
            eku: *eku,
            clock_skew: *clock_skew,
            revocation,
            ca: sources(ca),
            lists: lists.clone(),
            exempt: exempt.clone(),
        }
    }
}

fn sources(pems: &[Pem]) -> Vec<PemLocation> {
    let mut list: Vec<_> = pems
        .iter()
        .map(|pem| match &pem.source {
            PemSource::Inline(text) => PemLocation::Inline(text.clone()),
            PemSource::Path(path) => PemLocation::Path(path.clone()),
        })
        .collect();
    list.sort();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::server;
    use crate::plan::hosts::HostBuf;

    fn table() -> SniTable {
        SniTable::build(&[
            server(&["api.example.com"], Some(("a.pem b.pem", ClientVerify::On))),
            server(&["*.example.com"], None),
            server(&["other.example.com", "*"], Some(("b.pem a.pem", ClientVerify::On))),
            server(&["opt.test"], Some(("a.pem", ClientVerify::Optional))),
            server(&["off.test"], Some(("a.pem", ClientVerify::Off))),
        ])
    }

    fn resolve(table: &SniTable, name: &str) -> Option<ServerId> {
        table.resolve(HostBuf::default().read(name.as_bytes()))
    }

    #[test]
    fn exact_beats_wildcard_beats_any() {
        let table = table();
        for (name, wanted) in [
            ("api.example.com", 0),
            ("API.Example.COM.", 0),
            ("x.example.com", 1),
            ("other.example.com", 2),
            // One label, neither none nor two.
            ("example.com", 2),
            (".example.com", 2),
            ("a.b.example.com", 2),
            ("nowhere", 2),
            ("", 2),
            ("opt.test", 3),
        ] {
            assert_eq!(resolve(&table, name), Some(ServerId(wanted)), "{name}");
        }
        let long = "x".repeat(5000);
        assert_eq!(resolve(&table, &long), Some(ServerId(2)));
        let strict = SniTable::build(&[server(&["a.test"], None)]);
        assert_eq!(resolve(&strict, "b.test"), None);
        assert_eq!(resolve(&strict, &long), None);
    }

    /// What differs in one key alone, and decides, is another policy.
    #[test]
    fn every_key_that_decides_makes_a_policy() {
        let server = |change: fn(&mut Server, &mut ClientAuth)| {
            let mut server = server(&["a.test"], Some(("a.pem", ClientVerify::On)));
            let mut client = server.client.take().unwrap();
            change(&mut server, &mut client);
            server.client = Some(client);
            server
        };
        let changes: [fn(&mut Server, &mut ClientAuth); 8] = [
            |_, client| client.verify = ClientVerify::Optional,
            |server, _| server.protocols.tls12 = false,
            |_, client| client.reject = Reject::Handshake,
            |_, client| client.on_revoke = OnRevoke::Keep,
            |_, client| client.depth = 7,
            |_, client| client.allow_v1 = !client.allow_v1,
            |_, client| client.eku = ClientEku::Any,
            |_, client| client.clock_skew += Duration::from_secs(1),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let table = SniTable::build(&[server(|_, _| {}), server(change), server(|_, _| {})]);
            let policy = |at| table.policy(ServerId(at));
            assert_ne!(policy(0), policy(1), "{at}");
            assert_eq!(policy(0), policy(2), "{at}");
        }
    }

    #[test]
    fn equal_trust_is_one_policy_and_different_trust_never_is() {
        let table = table();
        let policy = |at| table.policy(ServerId(at));
        assert_eq!(policy(0), policy(2), "the order of CAs means nothing");
        assert_eq!(policy(1), policy(4), "off is as good as none");
        assert_ne!(policy(0), policy(1));
        assert_ne!(policy(0), policy(3));
        assert!(table.requires_certificate(policy(0)));
        assert!(!table.requires_certificate(policy(3)));
        assert!(table.asks_for_certificate(policy(3)));
        assert!(!table.asks_for_certificate(policy(4)));
    }
}
