//! What a configuration sets up, as `ferrule check` shows it: listeners, server names, every certificate
//! with the days it has left, and notes on what may not be as intended.

use std::collections::BTreeMap;

use ferrule_config::Config;
use ferrule_config::model::{ClientVerify, HostPattern};
use serde_json::{Value, json};

use crate::control::state::certificates::{self, ConfiguredCertificate, certificates_json};
use crate::setup::Generation;
use crate::tls::load::bounded_names::BoundedNames;

/// Everything that `ferrule check` shows of a configuration.
#[derive(Debug)]
pub(crate) struct Inventory {
    listeners: Vec<ListenerSummary>,
    servers: Vec<ServerSummary>,
    certificates: Vec<ConfiguredCertificate>,
    notes: Vec<String>,
    routes: usize,
    upstreams: usize,
    now: i64,
}

#[derive(Debug)]
struct ListenerSummary {
    address: String,
    tls: bool,
}

#[derive(Debug)]
struct ServerSummary {
    id: String,
    names: Vec<String>,
    /// Whether client certificates are asked for, as the file writes it.
    verify: &'static str,
}

impl Inventory {
    /// The inventory of this generation, at this time in Unix seconds.
    #[must_use]
    pub(crate) fn of(generation: &Generation, now: i64) -> Self {
        let config = &generation.config;
        let listeners = config.listens.iter();
        let listeners = listeners
            .map(|listen| ListenerSummary { address: listen.address.to_string(), tls: listen.tls });
        let servers = config.servers.iter().map(|server| {
            let names = server.snis.iter().map(ToString::to_string).collect();
            let verify = server.client.as_ref().map_or("off", |client| verify(client.verify));
            ServerSummary { id: server.id.clone(), names, verify }
        });
        let (listeners, servers) = (listeners.collect(), servers.collect());
        let certificates = certificates::of_generation(generation);
        let notes = notes(config, &certificates, now);
        let (routes, upstreams) = (config.routes.len(), config.upstreams.len());
        Self { listeners, servers, certificates, notes, routes, upstreams, now }
    }

    /// The inventory as text, for people.
    #[must_use]
    pub(crate) fn human(&self) -> String {
        let mut lines = Vec::new();
        lines.push(format!("listeners: {}", self.listeners.len()));
        for ListenerSummary { address, tls } in &self.listeners {
            lines.push(format!("  {address} {}", if *tls { "TLS" } else { "plain HTTP" }));
        }
        lines.push(format!("servers: {}", self.servers.len()));
        for ServerSummary { id, names, verify } in &self.servers {
            lines.push(format!("  {id}: {}; client certificates: {verify}", names.join(", ")));
        }
        lines.push(format!("certificates: {}", self.certificates.len()));
        for one in &self.certificates {
            let left = one.days_left_text(self.now);
            let ConfiguredCertificate { role, owners, sources, subject, issuer, .. } = one;
            let role = role.text();
            lines.push(format!("  {role} of {owners}: {subject}, {left} ({sources})"));
            if issuer != subject {
                lines.push(format!("    issued by {issuer}"));
            }
        }
        if !self.notes.is_empty() {
            lines.push(format!("to be looked at: {}", self.notes.len()));
            lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        }
        lines.push(format!("upstreams: {}", self.upstreams));
        lines.push(format!("routes: {}", self.routes));
        lines.join("\n")
    }

    /// The inventory as JSON, for programs.
    #[must_use]
    pub(crate) fn json(&self) -> Value {
        let listeners = self.listeners.iter();
        let servers = self.servers.iter();
        let certificates = certificates_json(&self.certificates, self.now);
        json!({
            "listeners": listeners
                .map(|one| json!({ "address": one.address, "tls": one.tls }))
                .collect::<Vec<_>>(),
            "servers": servers
                .map(|one| json!({ "id": one.id, "names": one.names, "verify": one.verify }))
                .collect::<Vec<_>>(),
            "certificates": certificates,
            "notes": self.notes,
            "upstreams": self.upstreams,
            "routes": self.routes,
        })
    }
}

/// What is valid, and may still not be as intended.
fn notes(config: &Config, certificates: &[ConfiguredCertificate], now: i64) -> Vec<String> {
    let mut notes = overlaps(config);
    for one in certificates {
        let (role, owner, subject) = (one.role.text(), &one.owners, &one.subject);
        if (0..SOON_DAYS).contains(&one.days_left(now)) && one.not_before <= now {
            notes.push(format!("{role} of {owner}: {subject} has {}", one.days_left_text(now)));
        }
        if one.ambiguous {
            notes.push(format!(
                "{role} of {owner}: a value in {subject} holds a separator: $ssl_client_s_dn_legacy \
                 and $ssl_client_i_dn_legacy of such names can be read in two ways"
            ));
        }
    }
    notes
}

/// A certificate with fewer days left gets a note.
const SOON_DAYS: i64 = 30;

/// Notes on server names that a wildcard or `*` of another object covers too: one for each wide name, with
/// the first few of those that are taken out of it.
fn overlaps(config: &Config) -> Vec<String> {
    let names = || {
        let servers = config.servers.iter();
        servers.flat_map(|server| server.snis.iter().map(move |name| (name, server.id.as_str())))
    };
    // The first object with a name has it.
    let mut wide: BTreeMap<&HostPattern, WideName<'_>> = BTreeMap::new();
    for (name, owner) in names().filter(|(name, _)| !matches!(name, HostPattern::Exact(_))) {
        wide.entry(name).or_insert_with(|| WideName { owner, taken_out: BoundedNames::default() });
    }
    for (narrow, owner) in names() {
        for pattern in wider(narrow) {
            if let Some(wide) = wide.get_mut(&pattern).filter(|wide| wide.owner != owner) {
                wide.taken_out.add(&format_args!("{narrow} of {owner}"));
            }
        }
    }
    let notes = wide.iter().filter(|(_, wide)| wide.taken_out.count() > 0);
    notes
        .map(|(pattern, WideName { owner, taken_out })| {
            let are = if taken_out.count() == 1 { "is" } else { "are" };
            format!(
                "server names: {taken_out} {are} taken out of {pattern} of {owner}; each has its own \
                 certificate and trusts its own clients"
            )
        })
        .collect()
}

/// A wildcard or `*`, whose it is, and what other objects take out of it.
struct WideName<'c> {
    owner: &'c str,
    taken_out: BoundedNames,
}

/// The patterns that would match this name if it were not there.
fn wider(narrow: &HostPattern) -> Vec<HostPattern> {
    match narrow {
        HostPattern::Any => Vec::new(),
        HostPattern::Wildcard(_) => vec![HostPattern::Any],
        HostPattern::Exact(name) => {
            let parent =
                name.split_once('.').map(|(_, rest)| HostPattern::Wildcard(rest.to_owned()));
            parent.into_iter().chain([HostPattern::Any]).collect()
        }
    }
}

const fn verify(verify: ClientVerify) -> &'static str {
    match verify {
        ClientVerify::On => "on",
        ClientVerify::Optional => "optional",
        ClientVerify::OptionalNoCa => "optional_no_ca",
        ClientVerify::Off => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_within_a_wildcard_is_seen() {
        let exact = |name: &str| HostPattern::Exact(name.to_owned());
        let wildcard = |name: &str| HostPattern::Wildcard(name.to_owned());
        assert_eq!(wider(&exact("x.a.test")), [wildcard("a.test"), HostPattern::Any]);
        assert_eq!(wider(&exact("x.y.a.test")), [wildcard("y.a.test"), HostPattern::Any]);
        assert_eq!(wider(&exact("test")), [HostPattern::Any]);
        assert_eq!(wider(&wildcard("a.test")), [HostPattern::Any]);
        assert_eq!(wider(&HostPattern::Any), []);
    }
}
