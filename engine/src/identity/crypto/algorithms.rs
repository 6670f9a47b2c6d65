//! The signature algorithms that are verified: one list for chains, revocation lists and handshakes.
//!
//! In: the contents of the algorithm identifiers of a signature and of a key. Out: the algorithm that
//! takes exactly these, or none. ring does what it can; [`super::ecdsa`] and [`super::rsa`] do the rest.

use std::sync::OnceLock;

use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use strum::{EnumCount, VariantArray};
use webpki::ring;

use super::ecdsa::{Curve, Ecdsa};
use super::hash::Hash;
use super::rsa::{self, RsaKey};
use crate::identity::der::{self, Reader, tag};

/// A way to verify signatures.
pub type Algorithm = dyn SignatureVerificationAlgorithm;

/// `id-RSASSA-PSS`
pub(crate) const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// A key that may make PSS signatures only, whatever their parameters.
const RSASSA_PSS_KEY: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");
const ECDSA_SHA224: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x01");
const PKCS1_SHA224: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e\x05\0");
const PKCS1_SHA224_ABSENT: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e");

const fn ecdsa(curve: Curve, hash: Hash, ring: Option<&'static Algorithm>) -> Ecdsa {
    let signature = match hash {
        Hash::Sha224 => ECDSA_SHA224,
        Hash::Sha256 => alg_id::ECDSA_SHA256,
        Hash::Sha384 => alg_id::ECDSA_SHA384,
        Hash::Sha512 => alg_id::ECDSA_SHA512,
    };
    Ecdsa { curve, hash, signature, ring }
}

/// Everything but PSS, whose identifiers differ with the salt; see [`find`].
pub static ALGORITHMS: &[&Algorithm] = &[
    P256_SHA256,
    P256_SHA384,
    P256_SHA512,
    &ecdsa(Curve::P256, Hash::Sha224, None),
    P384_SHA256,
    P384_SHA384,
    P384_SHA512,
    &ecdsa(Curve::P384, Hash::Sha224, None),
    P521_SHA256,
    P521_SHA384,
    P521_SHA512,
    &ecdsa(Curve::P521, Hash::Sha224, None),
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    &Pkcs1Sha224 { signature: PKCS1_SHA224 },
    &Pkcs1Sha224 { signature: PKCS1_SHA224_ABSENT },
];

/// ECDSA, named for handshakes, which know the curve by the key and the hash by the scheme.
pub static P256_SHA256: &Algorithm =
    &ecdsa(Curve::P256, Hash::Sha256, Some(ring::ECDSA_P256_SHA256));
/// P-256 with SHA-384
pub static P256_SHA384: &Algorithm =
    &ecdsa(Curve::P256, Hash::Sha384, Some(ring::ECDSA_P256_SHA384));
/// P-256 with SHA-512
pub static P256_SHA512: &Algorithm = &ecdsa(Curve::P256, Hash::Sha512, None);
/// P-384 with SHA-256
pub static P384_SHA256: &Algorithm =
    &ecdsa(Curve::P384, Hash::Sha256, Some(ring::ECDSA_P384_SHA256));
/// P-384 with SHA-384
pub static P384_SHA384: &Algorithm =
    &ecdsa(Curve::P384, Hash::Sha384, Some(ring::ECDSA_P384_SHA384));
/// P-384 with SHA-512
pub static P384_SHA512: &Algorithm = &ecdsa(Curve::P384, Hash::Sha512, None);
/// P-521 with SHA-256
pub static P521_SHA256: &Algorithm = &ecdsa(Curve::P521, Hash::Sha256, None);
/// P-521 with SHA-384
pub static P521_SHA384: &Algorithm = &ecdsa(Curve::P521, Hash::Sha384, None);
/// P-521 with SHA-512
pub static P521_SHA512: &Algorithm = &ecdsa(Curve::P521, Hash::Sha512, None);

/// `rsa_pss_pss_sha256` in handshakes, whose salt is as long as the digest
pub static PSS_KEY_SHA256: &Algorithm = &Pss {
    hash: Hash::Sha256,
    salt: 32,
    key: RSASSA_PSS_KEY,
    signature: alg_id::RSA_PSS_SHA256,
    ring: Some(ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY),
};
/// `rsa_pss_pss_sha384`
pub static PSS_KEY_SHA384: &Algorithm = &Pss {
    hash: Hash::Sha384,
    salt: 48,
    key: RSASSA_PSS_KEY,
    signature: alg_id::RSA_PSS_SHA384,
    ring: Some(ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY),
};
/// `rsa_pss_pss_sha512`
pub static PSS_KEY_SHA512: &Algorithm = &Pss {
    hash: Hash::Sha512,
    salt: 64,
    key: RSASSA_PSS_KEY,
    signature: alg_id::RSA_PSS_SHA512,
    ring: Some(ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY),
};

/// The algorithm that verifies signatures of this identifier with keys of this one. Both are
/// contents, and must agree to the last byte.
#[must_use]
pub fn find(signature_id: &[u8], key_id: &[u8]) -> Option<&'static Algorithm> {
    let fixed = ALGORITHMS.iter().copied().find(|known| {
        known.signature_alg_id().as_ref() == signature_id
            && known.public_key_alg_id().as_ref() == key_id
    });
    fixed.or_else(|| find_pss(signature_id, key_id))
}

/// Does ring verify signatures of this identifier with keys that look like this one? The others take
/// three times as long.
#[must_use]
pub fn is_quick(signature_id: &[u8], key: &PublicKey<'_>, content: &[u8]) -> bool {
    let known = match key {
        PublicKey::Ed25519 => return true,
        PublicKey::Ec(_) if content.first() != Some(&4) => return false,
        PublicKey::Ec(_) => &[alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384][..],
        PublicKey::Rsa(_) => &[
            alg_id::RSA_PKCS1_SHA256,
            alg_id::RSA_PKCS1_SHA384,
            alg_id::RSA_PKCS1_SHA512,
            alg_id::RSA_PSS_SHA256,
            alg_id::RSA_PSS_SHA384,
            alg_id::RSA_PSS_SHA512,
        ],
    };
    known.iter().any(|known| known.as_ref() == signature_id)
}

/// What is known about a key from its identifier and its content.
#[derive(Clone, Copy, Debug)]
pub enum PublicKey<'a> {
    /// RSA, of whatever size.
    Rsa(RsaKey<'a>),
    /// A point on a curve.
    Ec(Curve),
    /// Ed25519
    Ed25519,
}

impl<'a> PublicKey<'a> {
    /// Reads a key; `None` if nothing can be verified with one of its kind or form.
    #[must_use]
    pub fn read(key_id: &[u8], content: &'a [u8]) -> Option<Self> {
        if key_id == alg_id::ED25519.as_ref() {
            return (content.len() == 32).then_some(Self::Ed25519);
        }
        if key_id == alg_id::RSA_ENCRYPTION.as_ref() || key_id == RSASSA_PSS_KEY.as_ref() {
            return RsaKey::read(content).map(Self::Rsa);
        }
        let curve =
            Curve::VARIANTS.iter().copied().find(|curve| curve.key_id().as_ref() == key_id)?;
        curve.reads(content).then_some(Self::Ec(curve))
    }
}

/// The same key as other public key infos that are taken as well: a point in its other form, RSA for PSS
/// alone or for everything. The same CA may certify it in each of them.
#[must_use]
pub fn other_spellings(key_id: &[u8], content: &[u8]) -> Vec<Vec<u8>> {
    let spelled = |key_id: &[u8], content: &[u8]| {
        let key = der::element(tag::BIT_STRING, &[&[0], content]);
        der::element(tag::SEQUENCE, &[&der::element(tag::SEQUENCE, &[key_id]), &key])
    };
    match PublicKey::read(key_id, content) {
        Some(PublicKey::Ec(curve)) => {
            let other = curve.other_form(content);
            other.iter().map(|point| spelled(key_id, point)).collect()
        }
        Some(PublicKey::Rsa(_)) => {
            let known = [alg_id::RSA_ENCRYPTION, RSASSA_PSS_KEY];
            let others = known.iter().filter(|known| known.as_ref() != key_id);
            others.map(|known| spelled(known.as_ref(), content)).collect()
        }
        Some(PublicKey::Ed25519) | None => Vec::new(),
    }
}

/// Does this identifier's content name PSS with a hash that is too weak? SHA-1 is the default.
pub(crate) fn is_weak_pss(signature_id: &[u8]) -> bool {
    const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    let mut reader = Reader::new(signature_id);
    if reader.content(tag::OID) != Some(RSASSA_PSS) {
        return false;
    }
    let Some(mut parameters) = reader.enter(tag::SEQUENCE) else { return false };
    match parameters.optional(0xa0) {
        Some(None) => true,
        Some(Some(hash)) => Reader::new(hash.content)
            .enter(tag::SEQUENCE)
            .is_some_and(|mut hash| hash.content(tag::OID) == Some(SHA1)),
        None => false,
    }
}

/// RSA with SHA-224, which ring does not know.
#[derive(Debug)]
struct Pkcs1Sha224 {
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Pkcs1Sha224 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = RsaKey::read(public_key).ok_or(InvalidSignature)?;
        let good = key.signed_with_pkcs1(message, signature, Hash::Sha224);
        if good { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// PSS of one hash, one length of the salt and one way to write both down.
#[derive(Debug)]
struct Pss {
    hash: Hash,
    salt: usize,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    /// ring's own, for salts as long as the digest.
    ring: Option<&'static Algorithm>,
}

impl SignatureVerificationAlgorithm for Pss {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if let Some(ring) = self.ring {
            return ring.verify_signature(public_key, message, signature);
        }
        let key = RsaKey::read(public_key).ok_or(InvalidSignature)?;
        let good = key.signed_with_pss(message, signature, self.hash, self.salt);
        if good { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// No salt is longer: the largest modulus less the shortest digest and two octets.
const SALT_MAX: usize = rsa::BITS_MAX / 8 - 28 - 2;
/// The salt's length that is not written down.
const SALT_DEFAULT: usize = 20;
/// Whether the identifiers of hashes have a NULL behind them (RFC 4055, section 2.1: take both), times
/// the kinds of keys.
const SPELLINGS: usize = 4;

/// Filled when first met. An identifier must live as long as the process (see
/// [`AlgorithmIdentifier`]), and there is a fixed number of them.
static PSS: [OnceLock<Box<[Pss]>>; Hash::COUNT * SPELLINGS] =
    [const { OnceLock::new() }; Hash::COUNT * SPELLINGS];

fn find_pss(signature_id: &[u8], key_id: &[u8]) -> Option<&'static Algorithm> {
    let key = [alg_id::RSA_ENCRYPTION, RSASSA_PSS_KEY];
    let key_place = key.iter().position(|known| known.as_ref() == key_id)?;
    let PssParameters { hash, salt, with_null } = PssParameters::read(signature_id)?;
    let hash_place = Hash::VARIANTS.iter().position(|known| *known == hash)?;
    let key = *key.get(key_place)?;
    let place = hash_place * SPELLINGS + key_place * 2 + usize::from(with_null);
    let table = PSS.get(place)?.get_or_init(|| {
        let all = (0..=SALT_MAX).map(|salt| PssParameters { hash, salt, with_null });
        all.map(|parameters| parameters.algorithm(key)).collect()
    });
    let found = table.get(salt)?;
    // Whatever else was written there, it was not in the one form that means this.
    (found.signature.as_ref() == signature_id).then_some(found)
}

/// `RSASSA-PSS-params` with one hash for both and the one trailer there is.
struct PssParameters {
    hash: Hash,
    salt: usize,
    with_null: bool,
}

impl PssParameters {
    /// Reads the content of a signature's algorithm identifier, loosely: what was read is written
    /// again and compared.
    fn read(signature_id: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(signature_id);
        if reader.content(tag::OID)? != RSASSA_PSS {
            return None;
        }
        let mut body = reader.enter(tag::SEQUENCE)?;
        let hash = der::only(body.optional(0xa0)??.content, tag::SEQUENCE)?.content;
        let mut hash = Reader::new(hash);
        let oid = hash.content(tag::OID)?;
        body.optional(0xa1)??;
        let salt = match body.optional(0xa2)? {
            None => SALT_DEFAULT,
            Some(salt) => {
                let octets = der::only(salt.content, tag::INTEGER)?.content;
                if octets.len() > 2 {
                    return None;
                }
                octets.iter().fold(0, |salt, octet| (salt << 8) | usize::from(*octet))
            }
        };
        let with_null = !hash.is_empty();
        let hash = Hash::VARIANTS.iter().copied().find(|known| known.oid() == oid)?;
        Some(Self { hash, salt, with_null })
    }

    fn write(&self) -> Vec<u8> {
        let null: &[u8] = if self.with_null { &[5, 0] } else { &[] };
        let hash = element(tag::SEQUENCE, &[&element(tag::OID, &[self.hash.oid()]), null]);
        let generator = element(tag::SEQUENCE, &[&element(tag::OID, &[MGF1]), &hash]);
        let salt = match u16::try_from(self.salt).unwrap_or(u16::MAX).to_be_bytes() {
            [0, low] if low < 0x80 => element(tag::INTEGER, &[&[low]]),
            both => element(tag::INTEGER, &[&both]),
        };
        let salt = if self.salt == SALT_DEFAULT { Vec::new() } else { element(0xa2, &[&salt]) };
        let body = [element(0xa0, &[&hash]), element(0xa1, &[&generator]), salt].concat();
        [element(tag::OID, &[RSASSA_PSS]), element(tag::SEQUENCE, &[&body])].concat()
    }

    fn algorithm(&self, key: AlgorithmIdentifier) -> Pss {
        let ring = match self.hash {
            Hash::Sha256 => Some(ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY),
            Hash::Sha384 => Some(ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY),
            Hash::Sha512 => Some(ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY),
            Hash::Sha224 => None,
        };
        Pss {
            hash: self.hash,
            salt: self.salt,
            key,
            signature: AlgorithmIdentifier::from_slice(Box::leak(self.write().into_boxed_slice())),
            ring: ring.filter(|_| self.salt == self.hash.octets()),
        }
    }
}

/// A short element.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    debug_assert!(content.len() < 0x80, "one octet of length");
    let mut out = vec![tag, u8::try_from(content.len()).unwrap_or(u8::MAX)];
    out.extend(content);
    out
}
