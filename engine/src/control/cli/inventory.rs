//! What a configuration sets up, as `ferrule check` shows it: listeners, server names, every certificate
//! with the days it has left, and notes on what may not be as intended.

use ferrule_config::Config;
use ferrule_config::model::{ClientVerify, HostPattern};
use serde_json::{Value, json};

use crate::control::state::certificates::{self, ConfiguredCertificate, certificates_json};
use crate::setup::Generation;

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
            let ConfiguredCertificate { role, owner, source, subject, issuer, .. } = one;
            let role = role.text();
            lines.push(format!("  {role} of {owner}: {subject}, {left} ({source})"));
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
        let (role, owner, subject) = (one.role.text(), &one.owner, &one.subject);
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

/// Notes on server names that a wildcard or `*` of another object covers too.
fn overlaps(config: &Config) -> Vec<String> {
    let all: Vec<(&HostPattern, &str)> = config
        .servers
        .iter()
        .flat_map(|server| server.snis.iter().map(move |name| (name, server.id.as_str())))
        .collect();
    let mut notes = Vec::new();
    for (narrow, owner) in &all {
        for (wide, other) in all.iter().filter(|(_, other)| other != owner) {
            if covers(wide, narrow) {
                notes.push(format!(
                    "server names: {narrow} of {owner} is taken out of {wide} of {other}; each has \
                     its own certificate and trusts its own clients"
                ));
            }
        }
    }
    notes
}

/// Would `wide` match this name if `narrow` were not there?
fn covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    match (wide, narrow) {
        (HostPattern::Any, HostPattern::Any) | (HostPattern::Exact(_), _) => false,
        (HostPattern::Any, _) => true,
        (HostPattern::Wildcard(suffix), HostPattern::Exact(name)) => {
            name.split_once('.').is_some_and(|(_, rest)| rest == suffix)
        }
        (HostPattern::Wildcard(_), _) => false,
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
        let wildcard = HostPattern::Wildcard("a.test".to_owned());
        assert!(covers(&wildcard, &exact("x.a.test")));
        assert!(!covers(&wildcard, &exact("x.y.a.test")));
        assert!(!covers(&wildcard, &exact("a.test")));
        assert!(covers(&HostPattern::Any, &wildcard));
        assert!(!covers(&exact("x.a.test"), &wildcard));
    }
}
