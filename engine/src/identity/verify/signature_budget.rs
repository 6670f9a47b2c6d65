//! What one verification may cost: every signature it checks is counted, remembered and paid for.
//!
//! A peer chooses the keys of its chain, and a large key costs a blocked core a hundred times what a
//! small one does. So a signature costs by the key that is used, in microseconds of a usual core, and:
//!
//! * a key for which no anchor stands (unanchored) is used little, and only to find OpenSSL's word;
//! * signatures that turn out to be wrong are few, whoever's key it is;
//! * a good chain is bounded, too: below an anchor somebody may issue what he likes.

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::identity::crypto::algorithms::{self, Algorithm, PublicKey};
use crate::identity::crypto::ecdsa::Curve;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::signature::{self, SignatureError};

/// For everything: eight signatures of the dearest curve.
pub const COST_MAX: u32 = 4000;
/// For wrong signatures, and those of unanchored keys: three of the dearest curve.
pub const WASTED_MAX: u32 = 1500;
/// For signatures of unanchored keys: one of the dearest curve.
pub const UNANCHORED_MAX: u32 = 500;
/// For each key on P-256 and Ed25519.
const SMALL_CURVE: u32 = 50;
/// For each key on P-384 (ring and RustCrypto are equally slow) and P-521.
const LARGE_CURVE: u32 = 500;
/// For a key of 2048 bits with the exponent 65537; that squares with the bits.
const RSA_2048: usize = 20;
/// What ring does not do takes so many times as long; of the large curves nothing does it fast.
const SLOW: u32 = 3;
/// Of 65537: 17 bits, two of which are set.
const USUAL_EXPONENT: usize = 19;

/// Who vouches for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyBacking {
    /// It is an anchor's, or of a certificate whose signatures are good up to an anchor.
    Anchored,
    /// It is what a peer has sent.
    Unanchored,
}

/// A signature that was checked.
#[derive(Clone, Copy, Debug)]
struct CheckedSignature<'a> {
    algorithm: &'static Algorithm,
    key: &'a [u8],
    message: &'a [u8],
    signature: &'a [u8],
    good: bool,
}

/// The budget of one verification.
#[derive(Debug, Default)]
pub struct SignatureBudget<'a> {
    checked: Vec<CheckedSignature<'a>>,
    cost: u32,
    wasted: u32,
}

impl<'a> SignatureBudget<'a> {
    /// What it has cost so far.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// Signatures checked so far.
    #[must_use]
    pub fn signatures(&self) -> u32 {
        u32::try_from(self.checked.len()).unwrap_or(u32::MAX)
    }

    /// Did the first certificate's key sign the second? No pair is checked twice.
    ///
    /// # Errors
    /// Why that cannot be said to be so.
    pub fn check(
        &mut self,
        issuer: &Certificate<'a>,
        subject: &Certificate<'a>,
        backing: KeyBacking,
    ) -> Result<(), SignatureError> {
        let (key, signature) = (issuer.raw.public_key, subject.raw.signature);
        let message = subject.raw.signed;
        let known = self.checked.iter().find(|known| {
            (known.key, known.message, known.signature) == (key, message, signature)
                && known.algorithm.public_key_alg_id().as_ref() == issuer.raw.key_algorithm
        });
        if let Some(known) = known {
            return if known.good { Ok(()) } else { Err(SignatureError::Wrong) };
        }
        let algorithm = signature::algorithm(issuer, subject.raw.signature_algorithm)?;
        let cost = cost(issuer, subject.raw.signature_algorithm);
        let waste_max = match backing {
            KeyBacking::Anchored => WASTED_MAX,
            KeyBacking::Unanchored => UNANCHORED_MAX,
        };
        if self.cost.saturating_add(cost) > COST_MAX || self.wasted.saturating_add(cost) > waste_max
        {
            return Err(SignatureError::OverBudget);
        }
        self.cost += cost;
        let good = algorithm.verify_signature(key, message, signature).is_ok();
        if !good || backing == KeyBacking::Unanchored {
            self.wasted += cost;
        }
        self.checked.push(CheckedSignature { algorithm, key, message, signature, good });
        if good { Ok(()) } else { Err(SignatureError::Wrong) }
    }

    /// For another judge: algorithms that repeat what was found, and compute nothing.
    #[must_use]
    pub fn recorded_algorithms(&self) -> Vec<RecordedAlgorithm<'_>> {
        let checked = self.checked.as_slice();
        checked.iter().map(|one| RecordedAlgorithm { algorithm: one.algorithm, checked }).collect()
    }
}

/// What one signature costs that is checked with this certificate's key.
#[must_use]
pub fn cost(issuer: &Certificate<'_>, signature_algorithm: &[u8]) -> u32 {
    let raw = &issuer.raw;
    let Some(key) = PublicKey::read(raw.key_algorithm, raw.public_key) else { return 0 };
    let quick = algorithms::is_quick(signature_algorithm, &key, raw.public_key);
    let slow = if quick { 1 } else { SLOW };
    match key {
        PublicKey::Rsa(key) => {
            let size = key.bits().div_ceil(64);
            // 32 words are 2048 bits.
            let cost = RSA_2048 * size * size * key.exponent_weight() / (32 * 32 * USUAL_EXPONENT);
            u32::try_from(cost.max(1)).unwrap_or(u32::MAX).saturating_mul(slow)
        }
        PublicKey::Ec(Curve::P256) | PublicKey::Ed25519 => SMALL_CURVE * slow,
        PublicKey::Ec(Curve::P384 | Curve::P521) => LARGE_CURVE,
    }
}

/// An algorithm that knows which signatures are good, and calls every other wrong.
#[derive(Debug)]
pub struct RecordedAlgorithm<'w> {
    algorithm: &'static Algorithm,
    checked: &'w [CheckedSignature<'w>],
}

impl RecordedAlgorithm<'_> {
    /// As others take it.
    #[must_use]
    pub fn as_algorithm(&self) -> &dyn SignatureVerificationAlgorithm {
        self
    }
}

impl SignatureVerificationAlgorithm for RecordedAlgorithm<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let good = self.checked.iter().any(|known| {
            known.good
                && (known.key, known.message, known.signature) == (public_key, message, signature)
                && known.algorithm.public_key_alg_id() == self.public_key_alg_id()
                && known.algorithm.signature_alg_id() == self.signature_alg_id()
        });
        if good { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}
