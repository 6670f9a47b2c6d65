//! Every certificate that a configuration names: what it is for, where it comes from, how long it is valid.
//!
//! In: a generation. Out: its certificates as they were loaded: a file that has changed since, or is
//! refused, is not in force.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ferrule_config::model::{Pem, UpstreamCa};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::identity::verify::explain;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::name;
use crate::setup::Generation;
use crate::tls::LoadedObjects;
use crate::tls::load::bounded_names::BoundedNames;
use crate::tls::load::loaded_crl;

const DAY: i64 = 86_400;

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum CertificateRole {
    /// A server certificate, shown to clients.
    Server,
    /// An intermediate, sent to clients after the server certificate.
    ServerChain,
    /// An authority for certificates of clients.
    ClientCa,
    /// A client certificate, shown to upstreams.
    UpstreamClient,
    /// An authority for certificates of upstreams.
    UpstreamCa,
}

impl CertificateRole {
    /// The role in words, for people.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerChain => "server chain",
            Self::ClientCa => "client CA",
            Self::UpstreamClient => "upstream client",
            Self::UpstreamCa => "upstream CA",
        }
    }

    /// The role as the value of a metric label.
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
pub(crate) struct ConfiguredCertificate {
    /// What it is used for.
    pub(crate) role: CertificateRole,
    /// The ids of the server objects or upstreams that name it.
    pub(crate) owners: BoundedNames,
    /// Its files, or `inline`.
    pub(crate) sources: BoundedNames,
    /// Its subject, as in RFC 2253.
    pub(crate) subject: String,
    /// Its issuer, as in RFC 2253.
    pub(crate) issuer: String,
    /// The subject's common name; empty without one.
    pub(crate) common_name: String,
    /// Its serial number in hexadecimal.
    pub(crate) serial: String,
    /// `notBefore`, Unix seconds.
    pub(crate) not_before: i64,
    /// `notAfter`, Unix seconds.
    pub(crate) not_after: i64,
    /// Its subject or issuer has a value with a `/`, which the legacy form of a name uses as separator.
    pub(crate) ambiguous: bool,
}

impl ConfiguredCertificate {
    /// Whole days until it expires; negative once it has.
    pub(crate) const fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(DAY)
    }

    /// The days left in words.
    pub(crate) fn days_left_text(&self, now: i64) -> String {
        match self.days_left(now) {
            days if days < 0 => "expired".to_owned(),
            _ if now < self.not_before => "not yet valid".to_owned(),
            days => format!("{days} days left"),
        }
    }
}

/// The certificates in force that this generation's configuration names, in the order of the file: each once
/// in each role, whoever names it and whatever files it is in.
pub(crate) fn of_generation(generation: &Generation) -> Vec<ConfiguredCertificate> {
    let config = &generation.config;
    let mut list = TextList::of(&generation.tls.objects);
    for server in &config.servers {
        for pair in &server.pairs {
            list.add(CertificateRole::Server, &server.id, &pair.cert);
        }
        for pem in server.client.iter().flat_map(|client| &client.ca) {
            list.add(CertificateRole::ClientCa, &server.id, pem);
        }
    }
    // Without the names of the routes.
    for pem in config.trusts.iter().flat_map(|trust| &trust.ca) {
        list.add(CertificateRole::ClientCa, "routes.client", pem);
    }
    for upstream in &config.upstreams {
        let Some(tls) = &upstream.tls else { continue };
        if let Some(pair) = &tls.client {
            list.add(CertificateRole::UpstreamClient, &upstream.id, &pair.cert);
        }
        if let Some(UpstreamCa::Files(files)) = &tls.ca {
            files.iter().for_each(|pem| list.add(CertificateRole::UpstreamCa, &upstream.id, pem));
        }
    }
    certificates_of(list.texts)
}

/// The certificates of one text in one role.
struct CertificateText<'g> {
    role: CertificateRole,
    ders: &'g [CertificateDer<'static>],
    source: String,
    owners: BoundedNames,
}

/// The texts found so far. One that was loaded once is one, whoever names it.
struct TextList<'g> {
    objects: &'g LoadedObjects,
    texts: Vec<CertificateText<'g>>,
    known: HashMap<TextKey, usize>,
}

/// What tells a text from others.
#[derive(Eq, Hash, PartialEq)]
struct TextKey {
    role: CertificateRole,
    /// Where its certificates are in memory.
    ders: *const CertificateDer<'static>,
}

impl<'g> TextList<'g> {
    fn of(objects: &'g LoadedObjects) -> Self {
        Self { objects, texts: Vec::new(), known: HashMap::new() }
    }

    fn add(&mut self, role: CertificateRole, owner: &str, pem: &Pem) {
        let ders = self.objects.certificates(pem.place);
        let key = TextKey { role, ders: ders.as_ptr() };
        if let Some(known) = self.known.get(&key).and_then(|at| self.texts.get_mut(*at)) {
            known.owners.add(&owner);
            return;
        }
        self.known.insert(key, self.texts.len());
        let (owners, source) = (BoundedNames::of(&owner), loaded_crl::source_of(pem));
        self.texts.push(CertificateText { role, ders, source, owners });
    }
}

/// The certificates of these texts, each once in each role.
fn certificates_of(texts: Vec<CertificateText<'_>>) -> Vec<ConfiguredCertificate> {
    let mut known: HashMap<CertificateKey<'_>, usize> = HashMap::new();
    let mut all: Vec<ConfiguredCertificate> = Vec::new();
    for CertificateText { role, ders, source, owners } in texts {
        // Behind the certificate that an upstream is shown, nothing is told of the rest of its chain.
        let count = if role == CertificateRole::UpstreamClient { 1 } else { usize::MAX };
        for (at, der) in ders.iter().take(count).enumerate() {
            let role = match role {
                CertificateRole::Server if at > 0 => CertificateRole::ServerChain,
                role => role,
            };
            match known.entry(CertificateKey { role, der }) {
                Entry::Occupied(place) => {
                    let Some(known) = all.get_mut(*place.get()) else { continue };
                    known.owners.join(&owners);
                    known.sources.add(&source);
                }
                Entry::Vacant(free) => {
                    let Some(certificate) = Certificate::parse(der) else { continue };
                    free.insert(all.len());
                    all.push(describe(&certificate, role, owners.clone(), &source));
                }
            }
        }
    }
    all
}

/// What tells a certificate from others.
#[derive(Eq, Hash, PartialEq)]
struct CertificateKey<'g> {
    role: CertificateRole,
    der: &'g [u8],
}

fn describe(
    certificate: &Certificate<'_>,
    role: CertificateRole,
    owners: BoundedNames,
    source: &str,
) -> ConfiguredCertificate {
    let outline = &certificate.raw;
    let mut common_name = Vec::new();
    if let Some(selector) = name::Selector::new("cn") {
        name::attribute(outline.subject, &selector, &mut common_name);
    }
    ConfiguredCertificate {
        role,
        owners,
        sources: BoundedNames::of(&source),
        subject: explain::text(outline.subject),
        issuer: explain::text(outline.issuer),
        common_name: String::from_utf8_lossy(&common_name).into_owned(),
        serial: explain::serial(outline.serial),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        ambiguous: is_ambiguous(outline.subject) || is_ambiguous(outline.issuer),
    }
}

/// Certificates as JSON, for `ferrule check` and the admin socket.
pub(crate) fn certificates_json(certificates: &[ConfiguredCertificate], now: i64) -> Vec<Value> {
    let certificates = certificates.iter().map(|certificate| {
        json!({
            "role": certificate.role.text(),
            "owner": certificate.owners.to_string(),
            "owners": certificate.owners.count(),
            "source": certificate.sources.to_string(),
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "serial": certificate.serial,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "days_left": certificate.days_left(now),
        })
    });
    certificates.collect()
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
