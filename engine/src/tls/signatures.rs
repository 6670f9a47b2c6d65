//! Handshake signatures against the raw public key, so that X.509 v1 leaves work.
//!
//! This proves possession of the key, and nothing about the chain.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};

use crate::identity::outline::Outline;

/// A TLS 1.3 handshake signature.
#[expect(clippy::result_large_err, reason = "rustls wants its own error")]
pub(super) fn verify_tls13(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &public_key(leaf)?, signed, supported)
}

/// A TLS 1.2 handshake signature: of the algorithms behind its scheme, the one for this key's type.
#[expect(clippy::result_large_err, reason = "rustls wants its own error")]
pub(super) fn verify_tls12(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(leaf)?;
    let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| bad_signature())?;
    let candidates = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .map(|(_, candidates)| *candidates)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let valid = candidates
        .iter()
        .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
    if valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(bad_signature()) }
}

const fn bad_signature() -> Error {
    Error::InvalidCertificate(CertificateError::BadSignature)
}

#[expect(clippy::result_large_err, reason = "rustls wants its own error")]
fn public_key<'a>(leaf: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    Outline::read(leaf)
        .map(|leaf| SubjectPublicKeyInfoDer::from(leaf.spki))
        .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}
