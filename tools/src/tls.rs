//! Blocking TLS for both ends around the gateway, X.509 v1 certificates included.

use std::sync::Arc;

use ferrule_engine::tls::pem::{self, Contents};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::pki::Leaf;

/// The one crypto provider.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Every certificate in a PEM text.
#[must_use]
pub fn certificates(text: &str) -> Vec<CertificateDer<'static>> {
    let blocks = pem::read(text.as_bytes(), Contents::Chain).expect("PEM certificates");
    blocks.into_iter().map(|block| CertificateDer::from(block.der)).collect()
}

/// A certificate and key without rustls's own check, which refuses X.509 v1.
#[must_use]
pub fn certified(leaf: &Leaf) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a PEM key");
    let key = provider().key_provider.load_private_key(key).expect("a key that ring knows");
    Arc::new(CertifiedKey::new(certificates(&leaf.cert_pem), key))
}

/// Trust anchors.
#[must_use]
pub fn roots(pem: &str) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem) {
        store.add(certificate).expect("a usable anchor");
    }
    Arc::new(store)
}

/// Settings of a client that takes any server certificate, and shows `leaf` if asked.
#[must_use]
pub fn client(leaf: Option<&Leaf>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    client_of(provider(), leaf, versions)
}

/// The same, with the cryptography of this provider.
#[must_use]
pub fn client_of(
    provider: Arc<CryptoProvider>,
    leaf: Option<&Leaf>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions the provider has")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer::new(|_| true)));
    let mut config = match leaf {
        Some(leaf) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(leaf))))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config
}

/// Leaves only these signature schemes, so that a server has to choose another certificate.
pub fn narrow(config: &mut ClientConfig, schemes: impl Fn(SignatureScheme) -> bool) {
    config.dangerous().set_certificate_verifier(Arc::new(AnyServer::new(schemes)));
}

/// Believes only servers of this authority.
pub fn believe(config: &mut ClientConfig, ca: &str) {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca), provider());
    let verifier = verifier.build().expect("at least one anchor");
    config.dangerous().set_certificate_verifier(verifier);
}

/// Settings of a server that requires a client certificate of `client_ca`, if there is one.
#[must_use]
pub fn server(leaf: &Leaf, client_ca: Option<&str>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions the provider has");
    let builder = match client_ca {
        Some(pem) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots(pem), provider())
                .build()
                .expect("at least one anchor"),
        ),
        None => builder.with_no_client_auth(),
    };
    Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(leaf)))))
}

/// Takes any server certificate: who uses it looks at the certificate, or does not care.
#[derive(Debug)]
pub struct AnyServer(Vec<SignatureScheme>);

impl AnyServer {
    /// Takes signatures of these schemes.
    #[must_use]
    pub fn new(schemes: impl Fn(SignatureScheme) -> bool) -> Self {
        let mut all = provider().signature_verification_algorithms.supported_schemes();
        all.retain(|scheme| schemes(*scheme));
        Self(all)
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // The signatures are not looked at because webpki cannot read the X.509 v1 certificates that the
    // guides make; what is tested here is the server, not this client.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
