//! Handshake signatures against the raw public key, so that X.509 v1 leaves work.
//!
//! This proves possession of the key, and nothing about the chain. What is offered here is what
//! [`algorithms`] verifies.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};

use crate::identity::crypto::algorithms::{
    self, P256_SHA256, P256_SHA384, P256_SHA512, P384_SHA256, P384_SHA384, P384_SHA512,
    P521_SHA256, P521_SHA384, P521_SHA512,
};
use crate::identity::x509::raw_certificate::RawCertificate;

/// What peers may sign with. TLS 1.3 fixes the curve of a scheme, and takes the first; TLS 1.2 takes
/// whatever fits the key.
pub(super) static SUPPORTED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: algorithms::ALGORITHMS,
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[P384_SHA384, P256_SHA384, P521_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[P256_SHA256, P384_SHA256, P521_SHA256]),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512, P256_SHA512, P384_SHA512]),
        (SignatureScheme::ED25519, &[webpki::ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (PSS_PSS_SHA512, &[algorithms::PSS_KEY_SHA512]),
        (PSS_PSS_SHA384, &[algorithms::PSS_KEY_SHA384]),
        (PSS_PSS_SHA256, &[algorithms::PSS_KEY_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[webpki::ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[webpki::ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[webpki::ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// `rsa_pss_pss_sha256` (RFC 8446, section 4.2.3): keys that may make PSS signatures only.
pub(super) const PSS_PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
/// `rsa_pss_pss_sha384`
pub(super) const PSS_PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
/// `rsa_pss_pss_sha512`
pub(super) const PSS_PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// A TLS 1.3 handshake signature.
#[expect(clippy::result_large_err, reason = "rustls wants its own error")]
pub(crate) fn verify_tls13(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &public_key(leaf)?, signed, supported)
}

/// A TLS 1.2 handshake signature: of the algorithms behind its scheme, the one for this key's type.
#[expect(clippy::result_large_err, reason = "rustls wants its own error")]
pub(crate) fn verify_tls12(
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
    RawCertificate::read(leaf)
        .map(|leaf| SubjectPublicKeyInfoDer::from(leaf.spki))
        .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}
