//! Signatures of one certificate on another, and how strong keys and digests are.

use rustls::pki_types::SignatureVerificationAlgorithm;
use webpki::ring as algorithms;

use super::certificate::Certificate;
use super::der::{self, Reader, tag};

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

/// `rsaEncryption`, with the NULL that belongs behind it.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey`, in front of the curve.
const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// Digests below 112 bits of collision resistance: MD2, MD4, MD5 and SHA-1 with RSA; SHA-1 with ECDSA and DSA.
const WEAK: [&[u8]; 6] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x02],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x03],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03],
];
const RSA_BITS_MIN: usize = 2048;

/// Did the first certificate's key sign the second?
#[must_use]
pub fn issued(issuer: &Certificate<'_>, subject: &Certificate<'_>) -> bool {
    ALGORITHMS
        .iter()
        .find(|algorithm| {
            algorithm.signature_alg_id().as_ref() == subject.signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == issuer.key_algorithm
        })
        .is_some_and(|algorithm| {
            algorithm.verify_signature(issuer.key, subject.signed, subject.signature).is_ok()
        })
}

/// 112 bits, the level nginx runs at on Debian: RSA from 2048 bits.
#[must_use]
pub fn key_is_strong(certificate: &Certificate<'_>) -> bool {
    rsa_bits(certificate).is_none_or(|bits| bits >= RSA_BITS_MIN)
}

/// Is the digest of its signature below 112 bits?
#[must_use]
pub fn digest_is_weak(certificate: &Certificate<'_>) -> bool {
    Reader::new(certificate.signature_algorithm)
        .content(tag::OID)
        .is_some_and(|oid| WEAK.contains(&oid))
}

/// Bits of an RSA modulus.
#[must_use]
pub fn rsa_bits(certificate: &Certificate<'_>) -> Option<usize> {
    if certificate.key_algorithm != RSA {
        return None;
    }
    let modulus =
        Reader::new(der::only(certificate.key, tag::SEQUENCE)?.content).content(tag::INTEGER)?;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let digits = modulus.get(leading..)?;
    let first = digits.first()?;
    Some(digits.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0))
}

/// Is it a key on an elliptic curve?
#[must_use]
pub fn is_ec(certificate: &Certificate<'_>) -> bool {
    certificate.key_algorithm.starts_with(EC)
}
