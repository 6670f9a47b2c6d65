//! Every certificate that a configuration names: whose it is, where it lies, how long it lasts.
//!
//! As they were loaded: a file that has changed since, or is refused, is not in force.

use ferrule_config::model::{Pem, PemSource, UpstreamCa};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::identity::certificate::Certificate;
use crate::identity::{explain, name};
use crate::setup::Generation;

const DAY: i64 = 86_400;

/// What a certificate is there for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Role {
    /// Shown to clients.
    Server,
    /// Sent to clients behind the server's own.
    ServerChain,
    /// Issues clients.
    ClientCa,
    /// Shown to upstreams.
    UpstreamClient,
    /// Issues upstreams.
    UpstreamCa,
}

impl Role {
    /// For people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerChain => "server chain",
            Self::ClientCa => "client CA",
            Self::UpstreamClient => "upstream client",
            Self::UpstreamCa => "upstream CA",
        }
    }

    /// For labels.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerChain => "server_chain",
            Self::ClientCa => "client_ca",
            Self::UpstreamClient => "upstream_client",
            Self::UpstreamCa => "upstream_ca",
        }
    }
}

/// A certificate of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// What it is there for.
    pub(crate) role: Role,
    /// The object that names it.
    pub(crate) owner: String,
    /// Its file, or `inline`.
    pub(crate) source: String,
    /// RFC 2253.
    pub(crate) subject: String,
    /// RFC 2253.
    pub(crate) issuer: String,
    /// The subject's common name; empty without one.
    pub(crate) common_name: String,
    /// Hexadecimal.
    pub(crate) serial: String,
    /// `notBefore`, Unix seconds.
    pub(crate) not_before: i64,
    /// `notAfter`, Unix seconds.
    pub(crate) not_after: i64,
    /// An attribute of its subject holds a `/`, which the legacy form of a name separates by.
    pub(crate) ambiguous: bool,
}

impl Entry {
    /// Whole days until it expires; negative once it has.
    pub(crate) const fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(DAY)
    }

    /// The days left in words.
    pub(crate) fn left(&self, now: i64) -> String {
        match self.days_left(now) {
            days if days < 0 => "expired".to_owned(),
            _ if now < self.not_before => "not yet valid".to_owned(),
            days => format!("{days} days left"),
        }
    }
}

/// All of them, in the order of the file, as they are in force.
pub(crate) fn all(generation: &Generation) -> Vec<Entry> {
    let config = &generation.config;
    let mut found = Vec::new();
    let entries = |roles, owner: &str, pem: &Pem| {
        entries(roles, owner, pem, generation.tls.shelf.certificates(pem.place))
    };
    for server in &config.servers {
        for pair in &server.pairs {
            found.extend(entries((Role::Server, Role::ServerChain), &server.id, &pair.cert));
        }
        for pem in server.client.iter().flat_map(|client| &client.ca) {
            found.extend(entries((Role::ClientCa, Role::ClientCa), &server.id, pem));
        }
    }
    // Several routes may have the same authorities; they are of none of them alone.
    let of_routes: Vec<&Pem> = config.trusts.iter().flat_map(|trust| &trust.ca).collect();
    for (at, pem) in of_routes.iter().enumerate() {
        if !of_routes.iter().take(at).any(|before| before.source == pem.source) {
            found.extend(entries((Role::ClientCa, Role::ClientCa), "routes.client", pem));
        }
    }
    for upstream in &config.upstreams {
        let Some(tls) = &upstream.tls else { continue };
        if let Some(pair) = &tls.client {
            let roles = (Role::UpstreamClient, Role::UpstreamClient);
            found.extend(entries(roles, &upstream.id, &pair.cert).into_iter().take(1));
        }
        if let Some(UpstreamCa::Files(files)) = &tls.ca {
            for pem in files {
                found.extend(entries((Role::UpstreamCa, Role::UpstreamCa), &upstream.id, pem));
            }
        }
    }
    found
}

/// Certificates as JSON, for whoever asks.
pub(crate) fn certificates_json(entries: &[Entry], now: i64) -> Vec<Value> {
    let entries = entries.iter().map(|one| {
        json!({
            "role": one.role.words(),
            "owner": one.owner,
            "source": one.source,
            "subject": one.subject,
            "issuer": one.issuer,
            "serial": one.serial,
            "not_before": one.not_before,
            "not_after": one.not_after,
            "days_left": one.days_left(now),
        })
    });
    entries.collect()
}

/// The certificates of one text: the first one has the first role.
fn entries(
    roles: (Role, Role),
    owner: &str,
    pem: &Pem,
    ders: &[CertificateDer<'static>],
) -> Vec<Entry> {
    let source = match &pem.source {
        PemSource::Inline(_) => "inline".to_owned(),
        PemSource::Path(path) => path.display().to_string(),
    };
    let mut found = Vec::new();
    for certificate in ders.iter().filter_map(|der| Certificate::parse(der)) {
        let outline = &certificate.raw;
        let mut common_name = Vec::new();
        if let Some(selector) = name::Selector::new("cn") {
            name::attribute(outline.subject, &selector, &mut common_name);
        }
        found.push(Entry {
            role: if found.is_empty() { roles.0 } else { roles.1 },
            owner: owner.to_owned(),
            source: source.clone(),
            subject: explain::text(outline.subject),
            issuer: explain::text(outline.issuer),
            common_name: String::from_utf8_lossy(&common_name).into_owned(),
            serial: explain::serial(outline.serial),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            ambiguous: is_ambiguous(outline.subject) || is_ambiguous(outline.issuer),
        });
    }
    found
}

/// Could `/CN=a/OU=b` be read in two ways? The legacy form escapes nothing, so a slash in a value looks
/// like the beginning of the next attribute.
pub(crate) fn is_ambiguous(dn: &[u8]) -> bool {
    let (mut legacy, mut modern) = (Vec::new(), Vec::new());
    name::one_line(dn, &mut legacy);
    name::rfc2253(dn, &mut modern);
    // RFC 2253 escapes its own separators, so those without a backslash count the attributes.
    let attributes = if modern.is_empty() { 0 } else { 1 + unescaped_separators(&modern) };
    let slashes = legacy.iter().filter(|byte| **byte == b'/').count();
    let pluses = legacy.iter().filter(|byte| **byte == b'+').count();
    slashes + pluses > attributes
}

fn unescaped_separators(text: &[u8]) -> usize {
    let mut count = 0;
    let mut escaped = false;
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' | b'+' => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SEQUENCE { SET { SEQUENCE { OID cn, UTF8String } } }` with these common names.
    fn dn(names: &[&str]) -> Vec<u8> {
        let wrap = |tag: u8, inner: &[u8]| {
            let mut out = vec![tag, u8::try_from(inner.len()).unwrap()];
            out.extend_from_slice(inner);
            out
        };
        let mut list = Vec::new();
        for name in names {
            let mut pair = vec![6, 3, 0x55, 4, 3];
            pair.extend(wrap(0x0c, name.as_bytes()));
            list.extend(wrap(0x31, &wrap(0x30, &pair)));
        }
        wrap(0x30, &list)
    }

    #[test]
    fn a_slash_in_a_value_is_ambiguous() {
        assert!(!is_ambiguous(&dn(&["plain", "a,b=c"])));
        assert!(is_ambiguous(&dn(&["ops/OU=admin"])));
        assert!(!is_ambiguous(&dn(&[])));
    }
}
