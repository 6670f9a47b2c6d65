//! Every certificate that a configuration names: what it is for, where it comes from, how long it is valid.
//!
//! In: a generation. Out: its certificates as they were loaded: a file that has changed since, or is
//! refused, is not in force.

use ferrule_config::model::{Pem, PemSource, UpstreamCa};
use serde_json::{Value, json};

use crate::identity::verify::explain;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::name;
use crate::setup::Generation;

const DAY: i64 = 86_400;

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
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
    /// The id of the server object or upstream that names it.
    pub(crate) owner: String,
    /// Its file, or `inline`.
    pub(crate) source: String,
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

/// The certificates in force that this generation's configuration names, in the order of the file.
pub(crate) fn of_generation(generation: &Generation) -> Vec<ConfiguredCertificate> {
    let config = &generation.config;
    let mut list = CertificateList { generation, certificates: Vec::new() };
    for server in &config.servers {
        for pair in &server.pairs {
            list.add(CertificateRole::Server, CertificateRole::ServerChain, &server.id, &pair.cert);
        }
        for pem in server.client.iter().flat_map(|client| &client.ca) {
            list.add(CertificateRole::ClientCa, CertificateRole::ClientCa, &server.id, pem);
        }
    }
    // Several routes may name the same file of authorities; it is listed once, without a route's name.
    let of_routes: Vec<&Pem> = config.trusts.iter().flat_map(|trust| &trust.ca).collect();
    for (at, pem) in of_routes.iter().enumerate() {
        if !of_routes.iter().take(at).any(|before| before.source == pem.source) {
            list.add(CertificateRole::ClientCa, CertificateRole::ClientCa, "routes.client", pem);
        }
    }
    for upstream in &config.upstreams {
        let Some(tls) = &upstream.tls else { continue };
        if let Some(pair) = &tls.client {
            let before = list.certificates.len();
            let role = CertificateRole::UpstreamClient;
            list.add(role, role, &upstream.id, &pair.cert);
            list.certificates.truncate(before + 1);
        }
        if let Some(UpstreamCa::Files(files)) = &tls.ca {
            let role = CertificateRole::UpstreamCa;
            files.iter().for_each(|pem| list.add(role, role, &upstream.id, pem));
        }
    }
    list.certificates
}

/// The certificates found so far.
struct CertificateList<'g> {
    generation: &'g Generation,
    certificates: Vec<ConfiguredCertificate>,
}

impl CertificateList<'_> {
    /// Adds the certificates of one PEM text: the first one with a role of its own.
    fn add(&mut self, first: CertificateRole, others: CertificateRole, owner: &str, pem: &Pem) {
        let source = match &pem.source {
            PemSource::Inline(_) => "inline".to_owned(),
            PemSource::Path(path) => path.display().to_string(),
        };
        let ders = self.generation.tls.objects.certificates(pem.place);
        let parsed = ders.iter().filter_map(|der| Certificate::parse(der));
        for (at, certificate) in parsed.enumerate() {
            let role = if at == 0 { first } else { others };
            self.certificates.push(describe(&certificate, role, owner, &source));
        }
    }
}

fn describe(
    certificate: &Certificate<'_>,
    role: CertificateRole,
    owner: &str,
    source: &str,
) -> ConfiguredCertificate {
    let outline = &certificate.raw;
    let mut common_name = Vec::new();
    if let Some(selector) = name::Selector::new("cn") {
        name::attribute(outline.subject, &selector, &mut common_name);
    }
    ConfiguredCertificate {
        role,
        owner: owner.to_owned(),
        source: source.to_owned(),
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
            "owner": certificate.owner,
            "source": certificate.source,
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
