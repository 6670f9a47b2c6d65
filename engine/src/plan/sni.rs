//! Server name to server object: the one resolver for SNI and for Host.
//!
//! In: a name as a client sent it. Out: the [`ServerId`] it means, exact before one-label wildcard
//! before `*`, compared without case and without one trailing dot. Because SNI and Host go through
//! the same function, they can only be judged alike; and because servers with the same client trust
//! share a [`PolicyId`], "may this Host be asked for here?" compares policies, never strings.

use std::path::PathBuf;

use ferrule_config::model::{ClientAuth, ClientVerify, HostPattern, PemSource, Reject, Server};
use hashbrown::HashMap;

use super::names::Lower;
use super::{PolicyId, ServerId, index};

type Names = HashMap<Box<[u8]>, ServerId, foldhash::fast::FixedState>;

/// Server names and what they mean.
#[derive(Debug)]
pub struct SniTable {
    exact: Names,
    /// By what follows `*.`.
    wildcard: Names,
    any: Option<ServerId>,
    /// By server.
    policies: Vec<PolicyId>,
    /// By policy.
    rules: Vec<PolicyRule>,
}

/// What decides how clients are trusted. Two servers that agree in all of it share a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
struct PolicyRule {
    verify: ClientVerify,
    reject: Reject,
    depth: u32,
    allow_v1: bool,
    /// Sorted; the order in the file means nothing.
    ca: Vec<Source>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Source {
    Inline(String),
    Path(PathBuf),
}

impl SniTable {
    /// Compiles the server objects; where two claim one name, the first has it.
    #[must_use]
    pub fn build(servers: &[Server]) -> Self {
        let mut table = Self {
            exact: Names::default(),
            wildcard: Names::default(),
            any: None,
            policies: Vec::with_capacity(servers.len()),
            rules: Vec::new(),
        };
        for (at, server) in servers.iter().enumerate() {
            let id = ServerId(index(at));
            for sni in &server.snis {
                match sni {
                    HostPattern::Any => {
                        table.any.get_or_insert(id);
                    }
                    HostPattern::Exact(name) => {
                        table.exact.entry(name.as_bytes().into()).or_insert(id);
                    }
                    HostPattern::Wildcard(suffix) => {
                        table.wildcard.entry(suffix.as_bytes().into()).or_insert(id);
                    }
                }
            }
            let rule = PolicyRule::of(server.client.as_ref());
            let at = table.rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
                table.rules.push(rule);
                table.rules.len() - 1
            });
            table.policies.push(PolicyId(index(at)));
        }
        table
    }

    /// The server object that a name means.
    #[must_use]
    pub fn resolve(&self, name: &[u8]) -> Option<ServerId> {
        self.resolve_named(name).or(self.any)
    }

    fn resolve_named(&self, name: &[u8]) -> Option<ServerId> {
        let lower = Lower::of(name.strip_suffix(b".").unwrap_or(name))?;
        let name = lower.as_bytes();
        if let Some(id) = self.exact.get(name) {
            return Some(*id);
        }
        let dot = memchr::memchr(b'.', name).filter(|dot| *dot > 0)?;
        self.wildcard.get(name.get(dot + 1..)?).copied()
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

    /// How a client that fails is told.
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
    fn of(client: Option<&ClientAuth>) -> Self {
        let Some(client) = client.filter(|client| client.verify != ClientVerify::Off) else {
            // Whatever else is written there, nobody is asked for a certificate.
            return Self {
                verify: ClientVerify::Off,
                reject: Reject::Http,
                depth: 0,
                allow_v1: false,
                ca: Vec::new(),
            };
        };
        let mut ca: Vec<_> = client
            .ca
            .iter()
            .map(|pem| match &pem.source {
                PemSource::Inline(text) => Source::Inline(text.clone()),
                PemSource::Path(path) => Source::Path(path.clone()),
            })
            .collect();
        ca.sort();
        ca.dedup();
        Self {
            verify: client.verify,
            reject: client.reject,
            depth: client.depth,
            allow_v1: client.allow_v1,
            ca,
        }
    }
}
