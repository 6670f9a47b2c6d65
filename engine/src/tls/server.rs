//! One rustls configuration per `[[ssls]]` object, with its own client trust and its own tickets.
//!
//! With `reject = "handshake"` a chain is judged inside of the handshake. Otherwise the handshake
//! only proves that the client holds the leaf's key, and the chain is judged right after it, so
//! that a refused client can be told in HTTP. The judge is [`crate::identity::verify::chain`] either way.

use std::sync::Arc;

use ferrule_config::model::{ClientAuth, ClientMatch, ClientVerify, Protocols, Reject, Server};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName,
    Error, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion,
};

use super::handshake::{notes, ticket_nonces, transcript};
use super::load::findings::Findings;
use super::load::keys;
use super::load::ocsp_stapling::Stapled;
use super::load::shared_objects::ClientTrust;
use super::resumption::sessions::PolicySessions;
use super::resumption::ticket_secret::TicketSecret;
use super::resumption::tickets::{PolicyTicketer, TicketKeys};
use super::{cipher_suites, client_trust, signatures};
use crate::identity::client::access_lists::AccessLists;
use crate::identity::digest;
use crate::identity::failure::VerifyFailure;
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::verdict::Verdict;
use crate::identity::verify::verdict_cache;
use crate::identity::x509::certificate;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::{alt_names, signature};
use crate::plan::{Forbidden, Gate, client_lists};

/// Bytes of CA names in a `CertificateRequest`; its field holds 64 KiB.
const CA_NAMES_BYTES_MAX: usize = 48 * 1024;

/// What clients of one `[[ssls]]` object meet.
#[derive(Debug)]
pub struct ServerTls {
    /// For every connection to one of its names.
    pub config: Arc<ServerConfig>,
    /// Which clients are trusted; `None` asks for no certificate.
    pub policy: Option<Arc<ClientPolicy>>,
    /// The URIs of the first certificate.
    pub own_uris: Vec<Box<[u8]>>,
}

impl ServerTls {
    /// Loads what the object, of this path in the file, names; pushes every problem.
    pub(super) fn load(
        server: &Server,
        field: &str,
        ticket_keys: &Arc<TicketKeys>,
        ticket_files: &Arc<[TicketSecret]>,
        provider: &Arc<CryptoProvider>,
        found: &mut Findings<'_>,
    ) -> Option<Self> {
        let loaded: Vec<Option<Arc<CertifiedKey>>> =
            server.pairs.iter().map(|pair| keys::load_pair(pair, field, provider, found)).collect();
        let asked = server.client.as_ref().filter(|client| client.verify != ClientVerify::Off);
        let trust = match asked {
            Some(client) => Some(client_trust::load(client, &format!("{field}.client"), found)?),
            None => None,
        };
        let pairs: Vec<Arc<CertifiedKey>> = loaded.into_iter().collect::<Option<_>>()?;
        let verify = asked.map_or(ClientVerify::Off, |client| client.verify);
        let reject = asked.map_or(Reject::Http, |client| client.reject);
        let leaf = pairs.first().and_then(|pair| pair.cert.first());
        let own_uris =
            leaf.map(|leaf| alt_names::uris(&certificate::alt_names(leaf))).unwrap_or_default();
        let policy = trust.as_ref().map(|trust| &*trust.policy);
        let scope = scope(server, policy, verify, reject, &pairs);
        let versions = versions(server.protocols);
        let serving = ticket_nonces::shortened(provider);
        let serving = cipher_suites::chosen(&serving, &server.ciphers, &server.groups);
        let builder =
            ServerConfig::builder_with_provider(serving).with_protocol_versions(&versions);
        let builder = match builder {
            Ok(builder) => builder,
            Err(error) => {
                found.error(server.place, field, format!("cannot be used: {error}"), None);
                return None;
            }
        };
        let builder = match (asked, &trust) {
            (Some(client), Some(trust)) => builder.with_client_cert_verifier(Arc::new(
                ClientVerifier::new(client, trust.clone(), provider, found),
            )),
            _ => builder.with_no_client_auth(),
        };
        let pairs = stapled(server, pairs, field, found)?;
        let suites = server.ciphers.iter().map(|suite| cipher_suites::number(*suite)).collect();
        let mut config = builder.with_cert_resolver(Arc::new(Pairs { pairs, suites }));
        config.ignore_client_order = server.prefer_server_ciphers;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        // For `runtime.tls_fast_path`; nobody but our own record layer asks for them.
        config.enable_secret_extraction = true;
        let mut sealing =
            PolicyTicketer::new(Arc::clone(ticket_keys), Arc::clone(ticket_files), scope);
        if verify == ClientVerify::On {
            sealing = sealing.for_clients_with_certificates();
        }
        let sealing = Arc::new(sealing);
        config.session_storage = if server.session_cache {
            Arc::new(PolicySessions::new(Arc::clone(ticket_keys), Arc::clone(&sealing)))
        } else {
            Arc::new(NoServerSessionStorage {})
        };
        if server.session_tickets {
            config.send_tls13_tickets = server.session_ticket_count as usize;
            config.ticketer = sealing;
        } else {
            config.send_tls13_tickets = 0;
        }
        let policy = trust.map(|trust| trust.policy);
        Some(Self { config: Arc::new(config), policy, own_uris })
    }
}

/// Staples to each pair what the file of its position holds.
fn stapled(
    server: &Server,
    pairs: Vec<Arc<CertifiedKey>>,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Vec<Stapled>> {
    let field = format!("{field}.ssl_stapling_file");
    let mut files = server.stapling_files.iter();
    // Every file is looked at, whatever the ones before it hold.
    let stapled: Vec<Option<Stapled>> = pairs
        .into_iter()
        .map(|pair| match files.next() {
            Some(file) => Stapled::load(pair, file, &field, found),
            None => Some(Stapled::none(pair)),
        })
        .collect();
    stapled.into_iter().collect()
}

pub(super) fn versions(protocols: Protocols) -> Vec<&'static SupportedProtocolVersion> {
    [(protocols.tls13, &TLS13), (protocols.tls12, &TLS12)]
        .into_iter()
        .filter_map(|(wanted, version)| wanted.then_some(version))
        .collect()
}

/// A digest of what decides whether a session may be resumed: contents, never a number of a
/// generation, so that resumption works across reloads.
fn scope(
    server: &Server,
    policy: Option<&ClientPolicy>,
    verify: ClientVerify,
    reject: Reject,
    pairs: &[Arc<CertifiedKey>],
) -> [u8; 32] {
    let mut names: Vec<String> = server.snis.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    let leaves: Vec<&[u8]> =
        pairs.iter().filter_map(|pair| pair.cert.first()).map(AsRef::as_ref).collect();
    let flags = [
        match verify {
            ClientVerify::On => 0,
            ClientVerify::Optional => 1,
            ClientVerify::OptionalNoCa => 2,
            ClientVerify::Off => 3,
        },
        u8::from(reject == Reject::Handshake),
        u8::from(server.protocols.tls12),
        u8::from(server.protocols.tls13),
    ];
    digest::sha256_parts(&[
        b"server",
        &digest::sha256_parts(&names),
        &policy.map_or([0; 32], ClientPolicy::scope),
        &flags,
        &digest::sha256_parts(&leaves),
        &lists_scope(server.client.as_ref()),
    ])
}

/// A digest of who is let in by lists, and of where nobody is asked.
fn lists_scope(client: Option<&ClientAuth>) -> [u8; 32] {
    let Some(client) = client else { return [0; 32] };
    let entries = |list: &[ClientMatch]| -> [u8; 32] {
        let entries: Vec<[u8; 32]> = list
            .iter()
            .map(|entry| {
                let terms: Vec<String> = entry.terms.iter().map(ToString::to_string).collect();
                let terms: Vec<&[u8]> = terms.iter().map(String::as_bytes).collect();
                digest::sha256_parts(&terms)
            })
            .collect();
        let entries: Vec<&[u8]> = entries.iter().map(<[u8; 32]>::as_slice).collect();
        digest::sha256_parts(&entries)
    };
    let exempt: Vec<&[u8]> =
        client.exempt.iter().map(|pattern| pattern.as_str().as_bytes()).collect();
    let lists = &client.lists;
    digest::sha256_parts(&[
        &entries(&lists.allow),
        &entries(&lists.deny),
        &digest::sha256_parts(&exempt),
    ])
}

/// Picks the first pair that the client can verify.
#[derive(Debug)]
struct Pairs {
    pairs: Vec<Stapled>,
    /// Those we have.
    suites: Vec<CipherSuite>,
}

impl ResolvesServerCert for Pairs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if !notes::agrees_on_name(hello.server_name()) {
            return None;
        }
        let fits = |pair: &&Stapled| {
            let key = &pair.plain.key;
            key.choose_scheme(hello.signature_schemes()).is_some()
                && suites_allow(key.algorithm(), hello.cipher_suites(), &self.suites)
        };
        // With one that does not fit rustls finds out what is not in common, and says that.
        let chosen = self.pairs.iter().find(fits).or_else(|| self.pairs.first());
        chosen.map(|pair| pair.at(notes::time_and_leaf_expiry().map(|(now, _)| now)))
    }
}

/// A TLS 1.2 suite names the kind of key; a TLS 1.3 suite does not.
fn suites_allow(key: SignatureAlgorithm, offered: &[CipherSuite], ours: &[CipherSuite]) -> bool {
    use CipherSuite as Suite;
    offered.iter().filter(|suite| ours.contains(suite)).any(|suite| match suite {
        Suite::TLS13_AES_128_GCM_SHA256
        | Suite::TLS13_AES_256_GCM_SHA384
        | Suite::TLS13_CHACHA20_POLY1305_SHA256 => true,
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => key == SignatureAlgorithm::RSA,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => key != SignatureAlgorithm::RSA,
        _ => false,
    })
}

/// Looks at a client's certificate during the handshake.
#[derive(Debug)]
struct ClientVerifier {
    policy: Arc<ClientPolicy>,
    lists: AccessLists,
    verify: ClientVerify,
    reject: Reject,
    ca_names: Arc<[DistinguishedName]>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    fn new(
        client: &ClientAuth,
        trust: ClientTrust,
        provider: &Arc<CryptoProvider>,
        found: &mut Findings<'_>,
    ) -> Self {
        let ClientTrust { policy, mut ca_names } = trust;
        if client.send_ca_names {
            let bytes: usize = ca_names.iter().map(|name| name.as_ref().len() + 2).sum();
            if bytes > CA_NAMES_BYTES_MAX {
                let message = "the names of the CAs do not fit into a handshake".to_owned();
                let help = "client.send_ca_names = false";
                found.error(client.place, "ssls.client.ca", message, Some(help));
            }
        } else {
            ca_names = Arc::from([]);
        }
        Self {
            policy,
            lists: client_lists::compile(&client.lists),
            verify: client.verify,
            reject: client.reject,
            ca_names,
            provider: Arc::clone(provider),
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.reject == Reject::Handshake && self.verify == ClientVerify::On
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.ca_names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let leaf = RawCertificate::read(end_entity)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let mut presented: Vec<&[u8]> = vec![end_entity];
        presented.extend(intermediates.iter().map(AsRef::<[u8]>::as_ref));
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let verdict = verdict_cache::cached_verification(&presented, &self.policy, now).verdict;
        if !signature::can_prove(end_entity) {
            // Whatever became of its chain, its holder cannot go on; and this is the word for it.
            notes::note_client_failure(VerifyFailure::Unsupported, &presented);
            return Err(Error::InvalidCertificate(alert_for(VerifyFailure::Unsupported)));
        }
        let passes = Gate::of(self.verify, verdict) == Gate::Pass;
        let listed = Forbidden::check(self.lists.check(end_entity, verdict));
        // Without a readable end a ticket has none of its own, and who is refused gets none: a session
        // keeps its certificate, so that one who came back with a better one would be refused again.
        // Nor does a ticket outlive what is known about revocation.
        let serves = passes && listed.is_ok();
        let end = leaf.not_after.seconds().filter(|_| serves).unwrap_or(0);
        notes::note_leaf_expiry(self.policy.next_update(now).map_or(end, |next| end.min(next)));
        if self.reject != Reject::Handshake {
            return Ok(ClientCertVerified::assertion());
        }
        if !passes && let Verdict::Failed(failure) = verdict {
            notes::note_client_failure(failure, &presented);
            return Err(Error::InvalidCertificate(alert_for(failure)));
        }
        if let Err(forbidden) = listed {
            notes::note_client_forbidden(forbidden, &presented);
            // Its alert is access_denied.
            let refused = CertificateError::ApplicationVerificationFailure;
            return Err(Error::InvalidCertificate(refused));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        let message = transcript::as_sent(message);
        let valid = signatures::verify_tls12(&message, cert, signed, supported)?;
        notes::note_client_sigalg(signed.scheme);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        let valid = signatures::verify_tls13(message, cert, signed, supported)?;
        notes::note_client_sigalg(signed.scheme);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The alert that a client is refused with in the handshake.
#[must_use]
pub fn alert(failure: VerifyFailure) -> AlertDescription {
    alert_for(failure).into()
}

/// The error whose alert tells the client most.
const fn alert_for(failure: VerifyFailure) -> CertificateError {
    match failure {
        VerifyFailure::Expired | VerifyFailure::NotYetValid => CertificateError::Expired,
        VerifyFailure::Revoked => CertificateError::Revoked,
        VerifyFailure::NoCrl
        | VerifyFailure::CrlSignature
        | VerifyFailure::CrlNotYetValid
        | VerifyFailure::CrlExpired => CertificateError::UnknownRevocationStatus,
        VerifyFailure::SelfSignedLeaf
        | VerifyFailure::SelfSignedInChain
        | VerifyFailure::NoLocalIssuer
        | VerifyFailure::NoIssuer
        | VerifyFailure::FirstCertificate
        | VerifyFailure::ChainTooLong
        | VerifyFailure::InvalidCa
        | VerifyFailure::PathLength
        | VerifyFailure::CaKeyTooSmall
        | VerifyFailure::NoCertSign
        | VerifyFailure::NoCrlSign => CertificateError::UnknownIssuer,
        // Both are unsupported_certificate.
        VerifyFailure::Purpose | VerifyFailure::Unsupported => CertificateError::InvalidPurpose,
        VerifyFailure::Application
        | VerifyFailure::Subtree
        | VerifyFailure::ExcludedSubtree
        | VerifyFailure::SubtreeBounds
        | VerifyFailure::ConstraintType
        | VerifyFailure::ConstraintSyntax
        | VerifyFailure::NameSyntax
        | VerifyFailure::PolicyExtension
        | VerifyFailure::NoExplicitPolicy => CertificateError::ApplicationVerificationFailure,
        VerifyFailure::Signature
        | VerifyFailure::BadNotBefore
        | VerifyFailure::BadNotAfter
        | VerifyFailure::CriticalExtension
        | VerifyFailure::LeafKeyTooSmall
        | VerifyFailure::WeakDigest
        | VerifyFailure::Unspecified => CertificateError::BadEncoding,
    }
}
