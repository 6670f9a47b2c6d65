//! Signatures of one certificate on another, and how strong keys and digests are.
//!
//! A signature is good, wrong, or made in a way that is not verified; the last is never called wrong.

use super::certificate::Certificate;
use crate::identity::crypto::algorithms::{self, Algorithm, PublicKey};
use crate::identity::crypto::key_type::KeyType;
use crate::identity::crypto::rsa::{self, RsaKey};
use crate::identity::der::{Reader, tag};
use crate::identity::failure::VerifyFailure;

/// Why it cannot be said that a key made a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureError {
    /// Keys or signatures of this kind are not verified.
    Unsupported,
    /// It did not.
    Wrong,
    /// It was not looked at: too much has been spent.
    OverBudget,
}

impl SignatureError {
    /// The word for a certificate.
    #[must_use]
    pub const fn failure(self) -> VerifyFailure {
        match self {
            Self::Unsupported => VerifyFailure::Unsupported,
            Self::Wrong => VerifyFailure::Signature,
            Self::OverBudget => VerifyFailure::Application,
        }
    }
}

/// Digests below 112 bits of collision resistance, as contents of object identifiers.
const WEAK: [&[u8]; 11] = [
    // MD2, MD4, MD5 and SHA-1 with RSA, SHA-1 with RSA as OIW had it, RIPEMD-160 with RSA.
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x02],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x03],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
    &[0x2b, 0x0e, 0x03, 0x02, 0x03],
    &[0x2b, 0x0e, 0x03, 0x02, 0x1d],
    &[0x2b, 0x24, 0x03, 0x03, 0x01, 0x02],
    // SHA-1 with ECDSA, and with DSA as PKIX and OIW have it.
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03],
    &[0x2b, 0x0e, 0x03, 0x02, 0x0d],
    &[0x2b, 0x0e, 0x03, 0x02, 0x1b],
];

/// How a signature with this identifier is verified with the certificate's key.
///
/// # Errors
/// [`SignatureError::Unsupported`].
pub fn algorithm(
    issuer: &Certificate<'_>,
    signature_algorithm: &[u8],
) -> Result<&'static Algorithm, SignatureError> {
    let key_algorithm = issuer.raw.key_algorithm;
    algorithms::find(signature_algorithm, key_algorithm)
        .filter(|_| key_is_usable(issuer))
        .ok_or(SignatureError::Unsupported)
}

/// Did the first certificate's key sign the second?
#[must_use]
pub fn issued(issuer: &Certificate<'_>, subject: &Certificate<'_>) -> bool {
    let raw = &subject.raw;
    signed(issuer, raw.signed, raw.signature_algorithm, raw.signature).is_ok()
}

/// Did the certificate's key sign this message? `signature_algorithm` is the content of the signature's
/// algorithm identifier.
///
/// # Errors
/// Why that cannot be said to be so.
pub fn signed(
    issuer: &Certificate<'_>,
    message: &[u8],
    signature_algorithm: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let algorithm = algorithm(issuer, signature_algorithm)?;
    let key = issuer.raw.public_key;
    algorithm.verify_signature(key, message, signature).map_err(|_| SignatureError::Wrong)
}

/// Does the content of an algorithm identifier name a digest below 112 bits?
#[must_use]
pub fn is_weak(signature_algorithm: &[u8]) -> bool {
    let oid = Reader::new(signature_algorithm).content(tag::OID).unwrap_or_default();
    WEAK.contains(&oid) || algorithms::is_weak_pss(signature_algorithm)
}

/// 112 bits, the level nginx runs at on Debian: RSA from 2048 bits.
#[must_use]
pub fn key_is_strong(certificate: &Certificate<'_>) -> bool {
    rsa_bits(certificate).is_none_or(|bits| bits >= rsa::BITS_MIN)
}

/// Is the digest of its signature below 112 bits?
#[must_use]
pub fn digest_is_weak(certificate: &Certificate<'_>) -> bool {
    is_weak(certificate.raw.signature_algorithm)
}

/// Bits of an RSA modulus.
#[must_use]
pub fn rsa_bits(certificate: &Certificate<'_>) -> Option<usize> {
    let raw = &certificate.raw;
    let key_type = KeyType::of(raw.key_algorithm)?;
    let is_rsa = matches!(key_type, KeyType::Rsa | KeyType::RsaPss);
    RsaKey::read(raw.public_key).filter(|_| is_rsa).map(|key| key.bits())
}

/// Can anything be verified with this key? There is a limit to what a peer may make us compute, and
/// there are kinds that are not known.
#[must_use]
pub fn key_is_usable(certificate: &Certificate<'_>) -> bool {
    let raw = &certificate.raw;
    match PublicKey::read(raw.key_algorithm, raw.public_key) {
        Some(PublicKey::Rsa(key)) => key.is_usable(),
        Some(PublicKey::Ec(_) | PublicKey::Ed25519) => true,
        None => false,
    }
}

/// Can the holder of this leaf (DER) prove anything to us? Its key decides; `true` for what is no
/// certificate, which is refused for that.
#[must_use]
pub fn can_prove(leaf: &[u8]) -> bool {
    // Keys that are too small prove what they are, and are refused by their own word.
    Certificate::parse(leaf).is_none_or(|leaf| key_is_usable(&leaf) || !key_is_strong(&leaf))
}
