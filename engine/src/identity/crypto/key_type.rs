//! The types of keys and signatures, by their algorithm identifiers.
//!
//! In: the content of an `AlgorithmIdentifier`. Out: its type, whether or not it is one that is verified.

use super::algorithms;
use crate::identity::der::{Reader, tag};

/// The type of a key, or of the key that makes a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyType {
    Rsa,
    RsaPss,
    Ec,
    Dsa,
    Ed25519,
    Ed448,
}

impl KeyType {
    /// The type that this identifier names; `None` for one that is not known.
    pub(crate) fn of(algorithm: &[u8]) -> Option<Self> {
        Some(match Reader::new(algorithm).content(tag::OID)? {
            algorithms::RSASSA_PSS => Self::RsaPss,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, _] => Self::Rsa,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02 | 0x04, ..] => Self::Ec,
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, _]
            | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x01..=0x08] => Self::Dsa,
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            [0x2b, 0x65, 0x71] => Self::Ed448,
            _ => return None,
        })
    }
}

/// Can a key with the first identifier have made a signature with the second? OpenSSL does not take
/// another certificate for the issuer, whatever its name. `None` if either type is not known.
pub(crate) fn may_sign(key_algorithm: &[u8], signature_algorithm: &[u8]) -> Option<bool> {
    let key = KeyType::of(key_algorithm)?;
    let signature = KeyType::of(signature_algorithm)?;
    Some(key == signature || (key, signature) == (KeyType::Rsa, KeyType::RsaPss))
}
