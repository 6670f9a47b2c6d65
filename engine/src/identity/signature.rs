//! Signatures of one certificate on another, and how strong keys and digests are.

use rustls::pki_types::SignatureVerificationAlgorithm;
use webpki::ring as algorithms;
use x509_parser::der_parser::oid;
use x509_parser::oid_registry::{OID_NIST_EC_P521, Oid};
use x509_parser::public_key::{PublicKey, RSAPublicKey};

use super::certificate::Certificate;
use super::der::{Reader, tag};

/// What we verify; everything else is a signature failure.
pub static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Digests below 112 bits of collision resistance: MD2, MD4, MD5 and SHA-1 with RSA; SHA-1 with ECDSA and DSA.
const WEAK: [Oid<'static>; 6] = [
    oid!(1.2.840.113549.1.1.2),
    oid!(1.2.840.113549.1.1.3),
    oid!(1.2.840.113549.1.1.4),
    oid!(1.2.840.113549.1.1.5),
    oid!(1.2.840.10045.4.1),
    oid!(1.2.840.10040.4.3),
];
const RSA_BITS_MIN: usize = 2048;
/// ring verifies with no larger key.
const RSA_BITS_MAX: usize = 8192;

/// Did the first certificate's key sign the second?
#[must_use]
pub fn issued(issuer: &Certificate<'_>, subject: &Certificate<'_>) -> bool {
    let signature = (subject.outline.signature_algorithm, &*subject.signature.data);
    signed(issuer, subject.outline.signed, signature)
}

/// Did the certificate's key sign this message? The signature comes with the content of its
/// algorithm identifier.
#[must_use]
pub fn signed(issuer: &Certificate<'_>, message: &[u8], signature: (&[u8], &[u8])) -> bool {
    let key = &issuer.public_key.subject_public_key.data;
    let (algorithm, signature) = signature;
    ALGORITHMS
        .iter()
        .find(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == issuer.outline.key_algorithm
        })
        .is_some_and(|known| known.verify_signature(key, message, signature).is_ok())
}

/// The kinds of a key or a signature: RSA, elliptic curve, or what has one identifier for both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort<'a> {
    Rsa,
    RsaPss,
    Ec,
    Other(&'a [u8]),
}

fn sort_of(algorithm: &[u8]) -> Option<Sort<'_>> {
    Some(match Reader::new(algorithm).content(tag::OID)? {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => Sort::RsaPss,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, _] => Sort::Rsa,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02 | 0x04, ..] => Sort::Ec,
        other => Sort::Other(other),
    })
}

/// Can a key of the issuer's kind have made a signature with this algorithm? OpenSSL does not
/// take another for the issuer, whatever its name.
#[must_use]
pub fn kinds_agree(issuer: &Certificate<'_>, signature_algorithm: &[u8]) -> bool {
    match (sort_of(issuer.outline.key_algorithm), sort_of(signature_algorithm)) {
        (Some(Sort::Rsa), Some(Sort::RsaPss)) => true,
        (Some(key), Some(signature)) => key == signature,
        _ => false,
    }
}

/// Does the content of an algorithm identifier name a digest below 112 bits?
#[must_use]
pub fn is_weak(signature_algorithm: &[u8]) -> bool {
    let oid = Reader::new(signature_algorithm).content(tag::OID).unwrap_or_default();
    WEAK.iter().any(|weak| weak.as_bytes() == oid)
}

/// 112 bits, the level nginx runs at on Debian: RSA from 2048 bits.
#[must_use]
pub fn key_is_strong(certificate: &Certificate<'_>) -> bool {
    rsa_bits(certificate).is_none_or(|bits| bits >= RSA_BITS_MIN)
}

/// Is the digest of its signature below 112 bits?
#[must_use]
pub fn digest_is_weak(certificate: &Certificate<'_>) -> bool {
    is_weak(certificate.outline.signature_algorithm)
}

/// Bits of an RSA modulus.
#[must_use]
pub fn rsa_bits(certificate: &Certificate<'_>) -> Option<usize> {
    let Ok(PublicKey::RSA(RSAPublicKey { modulus, .. })) = certificate.public_key.parsed() else {
        return None;
    };
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let digits = modulus.get(leading..)?;
    let first = digits.first()?;
    Some(digits.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0))
}

/// Can anything be verified with this key? There is a limit to what a peer may make us compute, and
/// ring does not know P-521.
#[must_use]
pub fn key_is_usable(certificate: &Certificate<'_>) -> bool {
    rsa_bits(certificate).is_none_or(|bits| bits <= RSA_BITS_MAX) && !is_on_p521(certificate)
}

/// Is it a key on the curve P-521, which ring does not know?
#[must_use]
pub fn is_on_p521(certificate: &Certificate<'_>) -> bool {
    let parameters = certificate.public_key.algorithm.parameters.as_ref();
    parameters.is_some_and(|curve| curve.as_oid().is_ok_and(|oid| oid == OID_NIST_EC_P521))
}
