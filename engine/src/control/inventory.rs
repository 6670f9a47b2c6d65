//! What a configuration holds, for `ferrule check`: names, listeners, and every certificate with its
//! subject and the days it has left.

use std::path::Path;

use ferrule_config::Config;
use ferrule_config::model::{ClientVerify, HostPattern, Pem, PemSource, UpstreamCa};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::identity::certificate::Certificate;
use crate::identity::name;

const DAY: i64 = 86_400;

/// A certificate of the configuration.
#[derive(Debug, Eq, PartialEq)]
struct Entry {
    /// What it is there for.
    role: &'static str,
    /// The object that names it.
    owner: String,
    /// Its file, or `inline`.
    source: String,
    /// RFC 2253.
    subject: String,
    /// `notAfter`, Unix seconds.
    not_after: i64,
}

/// Everything `ferrule check` shows.
#[derive(Debug)]
pub(crate) struct Inventory {
    listeners: Vec<(String, bool)>,
    servers: Vec<(String, Vec<String>, &'static str)>,
    certificates: Vec<Entry>,
    routes: usize,
    upstreams: usize,
    now: i64,
}

impl Inventory {
    /// Reads the certificates once more; what cannot be read has been complained about already.
    #[must_use]
    pub(crate) fn of(config: &Config, now: i64) -> Self {
        let listeners =
            config.listens.iter().map(|listen| (listen.address.to_string(), listen.tls)).collect();
        let mut certificates = Vec::new();
        let mut servers = Vec::new();
        for server in &config.servers {
            let names = server.snis.iter().map(pattern).collect();
            let verify = server.client.as_ref().map_or("off", |client| verify(client.verify));
            servers.push((server.id.clone(), names, verify));
            for pair in &server.pairs {
                certificates.extend(leaf("server", &server.id, &pair.cert));
            }
            for pem in server.client.iter().flat_map(|client| &client.ca) {
                certificates.extend(entries("client CA", &server.id, pem));
            }
        }
        for upstream in &config.upstreams {
            let Some(tls) = &upstream.tls else { continue };
            if let Some(pair) = &tls.client {
                certificates.extend(leaf("upstream client", &upstream.id, &pair.cert));
            }
            if let Some(UpstreamCa::Files(files)) = &tls.ca {
                for pem in files {
                    certificates.extend(entries("upstream CA", &upstream.id, pem));
                }
            }
        }
        let (routes, upstreams) = (config.routes.len(), config.upstreams.len());
        Self { listeners, servers, certificates, routes, upstreams, now }
    }

    /// For people.
    #[must_use]
    pub(crate) fn human(&self) -> String {
        let mut lines = Vec::new();
        lines.push(format!("listeners: {}", self.listeners.len()));
        for (address, tls) in &self.listeners {
            lines.push(format!("  {address} {}", if *tls { "TLS" } else { "plain HTTP" }));
        }
        lines.push(format!("servers: {}", self.servers.len()));
        for (id, names, verify) in &self.servers {
            lines.push(format!("  {id}: {}; client certificates: {verify}", names.join(", ")));
        }
        lines.push(format!("certificates: {}", self.certificates.len()));
        for one in &self.certificates {
            let left = match one.days_left(self.now) {
                days if days < 0 => "expired".to_owned(),
                days => format!("{days} days left"),
            };
            let Entry { role, owner, source, subject, .. } = one;
            lines.push(format!("  {role} of {owner}: {subject}, {left} ({source})"));
        }
        lines.push(format!("upstreams: {}", self.upstreams));
        lines.push(format!("routes: {}", self.routes));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub(crate) fn json(&self) -> Value {
        let listeners = self.listeners.iter();
        let servers = self.servers.iter();
        let certificates = self.certificates.iter().map(|one| {
            json!({
                "role": one.role,
                "owner": one.owner,
                "source": one.source,
                "subject": one.subject,
                "not_after": one.not_after,
                "days_left": one.days_left(self.now),
            })
        });
        json!({
            "listeners": listeners
                .map(|(address, tls)| json!({ "address": address, "tls": tls }))
                .collect::<Vec<_>>(),
            "servers": servers
                .map(|(id, names, verify)| json!({ "id": id, "names": names, "verify": verify }))
                .collect::<Vec<_>>(),
            "certificates": certificates.collect::<Vec<_>>(),
            "upstreams": self.upstreams,
            "routes": self.routes,
        })
    }
}

impl Entry {
    /// Whole days until it expires; negative once it has.
    const fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(DAY)
    }
}

fn leaf(role: &'static str, owner: &str, pem: &Pem) -> Option<Entry> {
    entries(role, owner, pem).into_iter().next()
}

fn entries(role: &'static str, owner: &str, pem: &Pem) -> Vec<Entry> {
    let (source, text) = match &pem.source {
        PemSource::Inline(text) => ("inline".to_owned(), text.clone().into_bytes()),
        PemSource::Path(path) => (path.display().to_string(), read(path)),
    };
    CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .filter_map(|der| {
            let certificate = Certificate::parse(&der)?;
            let mut subject = Vec::new();
            name::rfc2253(certificate.outline.subject, &mut subject);
            Some(Entry {
                role,
                owner: owner.to_owned(),
                source: source.clone(),
                subject: String::from_utf8_lossy(&subject).into_owned(),
                not_after: certificate.not_after,
            })
        })
        .collect()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

fn pattern(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "*".to_owned(),
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
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
