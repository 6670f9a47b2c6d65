//! One rustls configuration per upstream: whom we trust, what we present, what may be resumed.
//!
//! `full` checks chain and name (RFC 9525: alternative names only), `ca` the chain, `off` nothing
//! but that the peer holds its key. Sessions are resumed within one upstream's settings only.

use std::net::IpAddr;
use std::sync::Arc;

use ferrule_config::model::{self, Pin, Protocols, UpstreamCa, UpstreamVerify};
use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, ProtocolVersion,
    SignatureScheme,
};

use super::load::findings::Findings;
use super::load::shared_objects::{self, CrlSources, UpstreamTrust, UpstreamTrustSources};
use super::load::{authorities, crls, keys, system_roots};
use super::upstream_failure::UpstreamFailure;
use super::{cipher_suites, server, signatures};
use crate::identity::TimeRange;
use crate::identity::digest::sha256_parts;
use crate::identity::verify::anchors::{self, Anchors};
use crate::identity::verify::purpose::Purpose;
use crate::identity::verify::revocation::Revocation;
use crate::identity::verify::rules::VerificationRules;
use crate::identity::verify::{server_name, verdict_cache};
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::time::Clock;

/// Intermediates between an upstream's leaf and an anchor; chains are bounded by their length too.
const DEPTH: u32 = 8;
/// Sessions remembered per upstream.
const SESSIONS_MAX: usize = 256;

/// TLS towards the nodes of one upstream.
#[derive(Debug)]
pub struct UpstreamTls {
    /// For every connection to one of its nodes.
    pub config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    identity: [u8; 32],
    protocols: Protocols,
    check: Arc<UpstreamVerifier>,
}

/// A few words for the log about a handshake that failed.
#[must_use]
pub fn reason(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner
            .downcast_ref::<UpstreamFailure>()
            .map_or("certificate refused", |failure| failure.text()),
        Error::InvalidCertificate(CertificateError::BadSignature) => "bad handshake signature",
        Error::InvalidCertificate(_) => "certificate refused",
        Error::AlertReceived(_) => "alert from upstream",
        Error::PeerIncompatible(_) => "nothing in common",
        Error::InvalidMessage(_) => "not TLS",
        Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } => "protocol violation",
        Error::InappropriateHandshakeMessage { .. } | Error::DecryptError => "protocol violation",
        _ => "handshake failed",
    }
}

impl UpstreamTls {
    /// Loads what the table of this path in the file names; pushes every problem.
    pub(super) fn load(
        upstream: &model::UpstreamTls,
        field: &str,
        provider: &Arc<CryptoProvider>,
        found: &mut Findings<'_>,
    ) -> Option<Self> {
        let trust = load_trust(upstream, field, found);
        let client = match &upstream.client {
            Some(pair) => Some(keys::load_pair(pair, &format!("{field}.client"), provider, found)?),
            None => None,
        };
        let name = match upstream.server_name.as_deref().map(server_name::read) {
            Some(None) => {
                let message = "is neither a host name nor an address".to_owned();
                found.error(upstream.place, &format!("{field}.server_name"), message, None);
                return None;
            }
            given => given.flatten(),
        };
        let trust = trust?;
        let identity = pool_identity(upstream, &trust, client.as_deref());
        let versions = server::versions(upstream.protocols);
        let asking = cipher_suites::chosen(provider, &upstream.ciphers, &upstream.groups);
        let builder = ClientConfig::builder_with_provider(asking).with_protocol_versions(&versions);
        let builder = match builder {
            Ok(builder) => builder.dangerous(),
            Err(error) => {
                found.error(upstream.place, field, format!("cannot be used: {error}"), None);
                return None;
            }
        };
        let check = Arc::new(UpstreamVerifier {
            trust,
            pins: upstream.pins.clone(),
            verify: upstream.verify,
            provider: Arc::clone(provider),
        });
        let verifier: Arc<UpstreamVerifier> = Arc::clone(&check);
        let builder = builder.with_custom_certificate_verifier(verifier);
        let mut config = match client {
            Some(pair) => builder.with_client_cert_resolver(Arc::new(OwnCertificate { pair })),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        config.enable_early_data = false;
        // For `runtime.tls_fast_path`; nobody but our own record layer asks for them.
        config.enable_secret_extraction = true;
        let protocols = upstream.protocols;
        Some(Self { config: Arc::new(config), server_name: name, identity, protocols, check })
    }

    /// The name to send and to check, of what [`upstream_name`](crate::exchange::rewrite::upstream_name)
    /// says and its connections are told apart by: the configured one, else that. An address is
    /// checked, but never sent. If it is neither, the unspecified address, which no certificate passes for.
    #[must_use]
    pub fn server_name(&self, name: &str) -> ServerName<'static> {
        if let Some(name) = &self.server_name {
            return name.clone();
        }
        server_name::read(name)
            .unwrap_or_else(|| ServerName::IpAddress(IpAddr::from([0; 4]).into()))
    }

    /// Is this version one that its nodes may be spoken to in?
    #[must_use]
    pub const fn speaks(&self, version: ProtocolVersion) -> bool {
        match version {
            ProtocolVersion::TLSv1_2 => self.protocols.tls12,
            ProtocolVersion::TLSv1_3 => self.protocols.tls13,
            _ => false,
        }
    }

    /// For connections that ask whether a node works: each handshake is a full one, so that both certificates are
    /// looked at, and the sessions are left to requests.
    #[must_use]
    pub fn check_config(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    /// The question of a full handshake, for one that resumed a session: what was good when the
    /// session began may have ended, or be revoked. `now` is Unix seconds.
    ///
    /// # Errors
    /// As a full handshake would fail.
    #[expect(clippy::result_large_err, reason = "rustls's own error")]
    pub fn check_again(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) -> Result<(), Error> {
        self.examine(chain, name, now).map_err(refusal)
    }

    /// The same, in our own words.
    ///
    /// # Errors
    /// As a full handshake would fail.
    pub(super) fn examine(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) -> Result<(), UpstreamFailure> {
        let presented: Vec<&[u8]> = chain.iter().map(AsRef::<[u8]>::as_ref).collect();
        self.check.check(&presented, name, now)
    }

    /// The seconds around `now` in which no date passes that a verdict on this chain rests on.
    pub(super) fn holds(&self, chain: &[CertificateDer<'_>], now: i64) -> TimeRange {
        // Without a check there is nothing that could end.
        if self.check.verify == UpstreamVerify::Off {
            return TimeRange::ALWAYS;
        }
        let presented: Vec<&[u8]> = chain.iter().map(AsRef::<[u8]>::as_ref).collect();
        let UpstreamTrust { anchors, revocation, .. } = &*self.check.trust;
        let clock = Clock { now, skew: 0 };
        verdict_cache::unchanged_around(&presented, anchors, revocation.as_ref(), clock)
    }

    /// The authorities that its nodes are verified by.
    pub(crate) fn anchors(&self) -> &Anchors {
        &self.check.trust.anchors
    }

    /// A digest of everything but the server name that tells its connections from those of
    /// other upstreams: our certificate, whom we trust, how, and which versions.
    #[must_use]
    pub const fn pool_identity(&self) -> [u8; 32] {
        self.identity
    }
}

fn load_trust(
    upstream: &model::UpstreamTls,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Arc<UpstreamTrust>> {
    let files = match &upstream.ca {
        // Nothing is shared, and whoever lacks an authority is told so.
        None => return load_own_trust(upstream, field, found).map(Arc::new),
        Some(UpstreamCa::System) => None,
        Some(UpstreamCa::Files(files)) => Some(files),
    };
    let sources = UpstreamTrustSources {
        ca: files.map(|files| shared_objects::sources(files)),
        crls: upstream.revocation.as_ref().map(CrlSources::of),
        without_ca: upstream.verify == UpstreamVerify::Off,
    };
    let mut places =
        shared_objects::places(files.map_or(&[], Vec::as_slice), upstream.revocation.as_ref());
    if files.is_none() {
        // The system's roots lie in the place of the table.
        places.push(upstream.place);
    }
    let crl = format!("{field}.crl");
    found.load_once(
        |all| &mut all.upstream_trusts,
        sources,
        places,
        &crl,
        |found| load_own_trust(upstream, field, found).map(Arc::new),
    )
}

fn load_own_trust(
    upstream: &model::UpstreamTls,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<UpstreamTrust> {
    // Files alone may bring others.
    found.same_authorities = true;
    match &upstream.ca {
        None => trust(upstream, field, &[], found),
        Some(UpstreamCa::System) => {
            let ders: Vec<Vec<u8>> =
                system_roots::load(upstream.place, &format!("{field}.ca"), found)
                    .iter()
                    .map(|der| der.to_vec())
                    .collect();
            trust(upstream, field, &ders, found)
        }
        Some(UpstreamCa::Files(list)) => {
            let build =
                |ders: Vec<Vec<u8>>, found: &mut Findings<'_>| trust(upstream, field, &ders, found);
            authorities::load(list, Purpose::Server, &format!("{field}.ca"), build, found)
        }
    }
}

fn trust(
    upstream: &model::UpstreamTls,
    field: &str,
    ders: &[Vec<u8>],
    found: &mut Findings<'_>,
) -> Option<UpstreamTrust> {
    let ca_field = format!("{field}.ca");
    if ders.is_empty() && upstream.verify != UpstreamVerify::Off {
        // A file that holds nothing has been named already.
        if !matches!(upstream.ca, Some(UpstreamCa::Files(_))) {
            let message = "there is no CA to verify this upstream with".to_owned();
            found.error(upstream.place, &ca_field, message, Some("a CA file, or \"system\""));
        }
        return None;
    }
    let anchors = match Anchors::new(ders) {
        Ok(anchors) => anchors,
        Err(anchors::AnchorError::NotACertificate(at)) => {
            let message = format!("CA certificate {} cannot be used", at + 1);
            found.error(upstream.place, &ca_field, message, None);
            return None;
        }
    };
    let revocation = match &upstream.revocation {
        Some(lists) => Some(crls::load(lists, &anchors, 0, field, found)?),
        None => None,
    };
    let digest = sha256_parts(&[
        &anchors.digest(),
        &revocation.as_ref().map_or([0; 32], Revocation::digest),
    ]);
    Some(UpstreamTrust { anchors, revocation, digest })
}

fn pool_identity(
    upstream: &model::UpstreamTls,
    trust: &UpstreamTrust,
    client: Option<&CertifiedKey>,
) -> [u8; 32] {
    let leaf = client.and_then(|pair| pair.cert.first()).map_or(&[][..], AsRef::as_ref);
    let key = RawCertificate::read(leaf).map_or(&[][..], |leaf| leaf.spki);
    let verify = match upstream.verify {
        UpstreamVerify::Full => 0,
        UpstreamVerify::Ca => 1,
        UpstreamVerify::Off => 2,
    };
    let versions = [u8::from(upstream.protocols.tls12), u8::from(upstream.protocols.tls13)];
    let groups = upstream.groups.iter().map(|group| group.name());
    let choices = groups.chain(upstream.ciphers.iter().map(|suite| suite.name()));
    let choices: Vec<&[u8]> = choices.map(str::as_bytes).collect();
    // The leaf too: a renewed certificate of the same key is another one to the upstream.
    let mut pins: Vec<[u8; 33]> = upstream.pins.iter().map(pin_bytes).collect();
    pins.sort_unstable();
    let pins: Vec<&[u8]> = pins.iter().map(<[u8; 33]>::as_slice).collect();
    sha256_parts(&[
        b"upstream",
        key,
        leaf,
        &trust.digest,
        &[verify],
        &versions,
        &sha256_parts(&choices),
        &sha256_parts(&pins),
    ])
}

fn pin_bytes(pin: &Pin) -> [u8; 33] {
    let (kind, digest) = match pin {
        Pin::Certificate(digest) => (0, digest),
        Pin::Spki(digest) => (1, digest),
    };
    let mut bytes = [kind; 33];
    bytes[1..].copy_from_slice(digest);
    bytes
}

/// Our certificate, if the upstream can verify its key.
#[derive(Debug)]
struct OwnCertificate {
    pair: Arc<CertifiedKey>,
}

impl ResolvesClientCert for OwnCertificate {
    /// The CA names an upstream hints at are not held against our certificate: it is the only one
    /// we have, and v1 certificates' chains are often incomplete.
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.pair.key.choose_scheme(schemes).map(|_| Arc::clone(&self.pair))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Looks at an upstream's certificate during the handshake.
#[derive(Debug)]
struct UpstreamVerifier {
    trust: Arc<UpstreamTrust>,
    pins: Vec<Pin>,
    verify: UpstreamVerify,
    provider: Arc<CryptoProvider>,
}

impl UpstreamVerifier {
    fn check(
        &self,
        presented: &[&[u8]],
        name: &ServerName<'_>,
        now: i64,
    ) -> Result<(), UpstreamFailure> {
        let leaf_der = presented.first().copied().unwrap_or_default();
        let leaf = Certificate::parse(leaf_der).ok_or(UpstreamFailure::Broken)?;
        // Cheapest first; and pins hold even where nothing else is checked.
        if !self.is_pinned(&leaf) {
            return Err(UpstreamFailure::NotPinned);
        }
        if self.verify == UpstreamVerify::Off {
            return Ok(());
        }
        let rules = VerificationRules {
            depth: DEPTH,
            allow_v1: true,
            purpose: Purpose::Server,
            clock: Clock { now, skew: 0 },
            revocation: self.trust.revocation.as_ref(),
        };
        self.trust.anchors.verify(presented, rules).map_err(UpstreamFailure::Chain)?;
        if self.verify == UpstreamVerify::Ca {
            return Ok(());
        }
        let Some(names) = &leaf.extensions.alt_names else {
            return Err(UpstreamFailure::NoNames);
        };
        if !server_name::is_among(names, name) {
            return Err(UpstreamFailure::WrongName);
        }
        Ok(())
    }
}

impl UpstreamVerifier {
    fn is_pinned(&self, leaf: &Certificate<'_>) -> bool {
        let sha256 = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes);
        self.pins.is_empty()
            || self.pins.iter().any(|pin| match pin {
                Pin::Certificate(wanted) => sha256(leaf.raw.der).as_ref() == wanted,
                Pin::Spki(wanted) => sha256(leaf.raw.spki).as_ref() == wanted,
            })
    }
}

fn refusal(failure: UpstreamFailure) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(failure))))
}

impl ServerCertVerifier for UpstreamVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut presented: Vec<&[u8]> = vec![end_entity];
        presented.extend(intermediates.iter().map(AsRef::<[u8]>::as_ref));
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.check(&presented, server_name, now).map_err(refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        signatures::verify_tls12(message, cert, signed, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        signatures::verify_tls13(message, cert, signed, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
