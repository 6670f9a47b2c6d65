//! ECDSA signatures on the NIST curves, with any hash of the SHA-2 family and both forms of points.
//!
//! ring verifies P-256 and P-384 with SHA-256 and SHA-384, and uncompressed points. The others are
//! verified by RustCrypto's curves. Public values only.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use strum::VariantArray;

use super::hash::Hash;

/// A curve.
#[derive(Clone, Copy, Debug, Eq, PartialEq, VariantArray)]
pub enum Curve {
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
}

impl Curve {
    /// The content of a key's algorithm identifier.
    #[must_use]
    pub const fn key_id(self) -> AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::P521 => alg_id::ECDSA_P521,
        }
    }

    /// Octets of a coordinate.
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The point in its long form; `None` if it is none of this curve.
    #[must_use]
    pub fn uncompressed(self, point: &[u8]) -> Option<Vec<u8>> {
        if !self.reads(point) {
            return None;
        }
        let long = match self {
            Self::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                key.to_sec1_point(false).as_bytes().to_vec()
            }
            Self::P384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                key.to_sec1_point(false).as_bytes().to_vec()
            }
            Self::P521 => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                key.to_sec1_point(false).as_bytes().to_vec()
            }
        };
        Some(long)
    }

    /// The same point in its other form; `None` if it is none of this curve.
    #[must_use]
    pub fn other_form(self, point: &[u8]) -> Option<Vec<u8>> {
        if !self.reads(point) {
            return None;
        }
        let [4, both @ ..] = point else { return self.uncompressed(point) };
        let (x, y) = both.split_at_checked(self.coordinate_len())?;
        Some([&[2 | (y.last()? & 1)], x].concat())
    }

    /// Is this a point of a form that is read (SEC 1, section 2.3.3)? That it is on the curve is seen
    /// when it is used.
    #[must_use]
    pub fn reads(self, point: &[u8]) -> bool {
        let len = self.coordinate_len();
        match point.first() {
            Some(2 | 3) => point.len() == len + 1,
            Some(4) => point.len() == 2 * len + 1,
            _ => false,
        }
    }
}

/// One curve and one hash.
#[derive(Debug)]
pub struct Ecdsa {
    /// The curve of the key.
    pub curve: Curve,
    /// The hash of the message.
    pub hash: Hash,
    /// Content of the signature's algorithm identifier.
    pub signature: AlgorithmIdentifier,
    /// ring's own, for uncompressed points.
    pub ring: Option<&'static dyn SignatureVerificationAlgorithm>,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if let (Some(ring), Some(4)) = (self.ring, public_key.first()) {
            return ring.verify_signature(public_key, message, signature);
        }
        if !self.curve.reads(public_key) {
            return Err(InvalidSignature);
        }
        let digest = self.hash.of(&[message]);
        let good = match self.curve {
            Curve::P256 => p256(public_key, &digest, signature),
            Curve::P384 => p384(public_key, &digest, signature),
            Curve::P521 => p521(public_key, &digest, signature),
        };
        good.ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.curve.key_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

fn p256(point: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(digest, &signature).ok()
}

fn p384(point: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(digest, &signature).ok()
}

fn p521(point: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = p521::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(digest, &signature).ok()
}
