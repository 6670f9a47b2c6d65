//! A private key as people have it, made into the one form that ring signs with.
//!
//! In: the DER of a key (PKCS #8, PKCS #1 or SEC 1) and the certificate it is for. Out: a key that signs
//! and belongs to that certificate, or the very thing that is in the way. What OpenSSL opens and
//! ring spells more narrowly is spelled anew: elliptic keys without their public half (it is the
//! certificate's), with explicit parameters of a usual curve, with short or long numbers; compressed
//! points; attributes behind a key. Nothing here tells a part of a key.

use std::sync::Arc;

use ring::error::KeyRejected;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;

use crate::identity::crypto::algorithms::PublicKey;
use crate::identity::crypto::ecdsa::Curve;
use crate::identity::der::{self, Element, Reader, element, tag};
use crate::identity::x509::certificate::Certificate;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// Where generators begin: enough to tell one usual curve from another.
const P256_GENERATOR: [u8; 8] = [0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47];
const P384_GENERATOR: [u8; 8] = [0xaa, 0x87, 0xca, 0x22, 0xbe, 0x8b, 0x05, 0x37];

/// How the DER of a key is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyEncoding {
    /// PKCS #8 (RFC 5958): of every kind.
    Pkcs8,
    /// PKCS #1 (RFC 8017): RSA.
    Pkcs1,
    /// SEC 1 (RFC 5915): elliptic curves.
    Sec1,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyFlaw {
    /// It is no key of its form.
    Broken,
    /// It is of a kind that we do not sign with.
    Kind(&'static str),
    /// It is on a curve that we do not sign with.
    Curve(&'static str),
    /// Its curve is written out, and is none of the usual.
    Parameters,
    /// It has more than two prime factors.
    Primes,
    /// Its prime factors are left out.
    NoPrimes,
    /// Its public exponent is below 65537.
    Exponent,
    /// Its modulus is of another size than ring takes.
    Bits(usize),
    /// ring's own word.
    Refused(KeyRejected),
    /// It is not the certificate's.
    Foreign,
}

impl KeyFlaw {
    /// Words that follow the name of the file.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Broken => "is broken".to_owned(),
            Self::Kind(kind) => format!("is {kind}, of a kind we cannot sign with"),
            Self::Curve(curve) => format!("is on the curve {curve}, which we cannot sign with"),
            Self::Parameters => {
                "has explicit parameters of a curve that is neither P-256 nor P-384".to_owned()
            }
            Self::Primes => "is an RSA key of more than two primes".to_owned(),
            Self::NoPrimes => "is an RSA key without its primes".to_owned(),
            Self::Exponent => "is an RSA key with a public exponent below 65537".to_owned(),
            Self::Bits(bits) => format!("is an RSA key of {bits} bits"),
            Self::Refused(reason) => format!("cannot be used ({reason})"),
            Self::Foreign => "does not belong to the certificate".to_owned(),
        }
    }

    /// What mends it.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Broken | Self::Refused(_) => {
                "write it anew: openssl pkey -in KEY -out NEW (and openssl pkey -in KEY -check)"
            }
            Self::Kind(_) | Self::Curve(_) | Self::Parameters => {
                "a new key, and a certificate for it: openssl genpkey -algorithm EC -pkeyopt \
                 ec_paramgen_curve:P-256 -out NEW (or P-384, ED25519, RSA)"
            }
            Self::Primes | Self::NoPrimes | Self::Exponent | Self::Bits(_) => {
                "a new key of 2048, 3072 or 4096 bits, and a certificate for it: openssl genpkey \
                 -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out NEW"
            }
            Self::Foreign => "the certificate first in the file must be the key's own",
        }
    }
}

/// The key in this DER, which must be the certificate's.
///
/// # Errors
/// What is in the way.
pub(crate) fn load(
    encoding: KeyEncoding,
    der: &[u8],
    leaf: &Certificate<'_>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyFlaw> {
    let public = PublicKey::read(leaf.raw.key_algorithm, leaf.raw.public_key);
    let plain = match encoding {
        KeyEncoding::Pkcs8 => UnwrappedKey::read(der)?,
        KeyEncoding::Pkcs1 => UnwrappedKey::Rsa(der),
        KeyEncoding::Sec1 => UnwrappedKey::Ec { key: der, parameters: None },
    };
    let key: PrivateKeyDer<'static> = match plain {
        UnwrappedKey::Rsa(key) => {
            check_rsa(key)?;
            PrivatePkcs1KeyDer::from(key.to_vec()).into()
        }
        UnwrappedKey::Ec { key, parameters } => {
            let pkcs8 = elliptic(key, parameters, public, leaf.raw.public_key)?;
            PrivatePkcs8KeyDer::from(pkcs8).into()
        }
        UnwrappedKey::Ed25519(seed) => {
            let seed = element(tag::OCTET_STRING, &[seed]);
            let algorithm = element(tag::OID, &[ED25519]);
            PrivatePkcs8KeyDer::from(pkcs8(&algorithm, &seed)).into()
        }
    };
    let key = provider.key_provider.load_private_key(key).map_err(|_| match plain {
        // Everything else about it has been seen to be right.
        UnwrappedKey::Ec { .. } => KeyFlaw::Foreign,
        UnwrappedKey::Rsa(_) | UnwrappedKey::Ed25519(_) => KeyFlaw::Broken,
    })?;
    // Of elliptic keys ring has compared the halves.
    let same = matches!(plain, UnwrappedKey::Ec { .. })
        || key.public_key().is_some_and(|public| public.as_ref() == leaf.raw.spki);
    if same { Ok(key) } else { Err(KeyFlaw::Foreign) }
}

/// A key without its frame.
#[derive(Clone, Copy)]
enum UnwrappedKey<'a> {
    /// `RSAPrivateKey`
    Rsa(&'a [u8]),
    /// `ECPrivateKey`, and the parameters that stand beside it.
    Ec { key: &'a [u8], parameters: Option<Element<'a>> },
    /// The 32 octets.
    Ed25519(&'a [u8]),
}

impl<'a> UnwrappedKey<'a> {
    /// Takes PKCS #8 apart. Attributes and a public half behind the key say nothing that is used.
    fn read(der: &'a [u8]) -> Result<Self, KeyFlaw> {
        let (algorithm, key) = pkcs8_parts(der).ok_or(KeyFlaw::Broken)?;
        let mut algorithm = Reader::new(algorithm);
        let oid = algorithm.content(tag::OID).ok_or(KeyFlaw::Broken)?;
        let parameters = if algorithm.is_empty() { None } else { algorithm.any() };
        match oid {
            RSA => Ok(Self::Rsa(key)),
            EC => Ok(Self::Ec { key, parameters }),
            ED25519 => der::only(key, tag::OCTET_STRING)
                .filter(|seed| seed.content.len() == 32)
                .map(|seed| Self::Ed25519(seed.content))
                .ok_or(KeyFlaw::Broken),
            other => Err(KeyFlaw::Kind(kind_name(other))),
        }
    }
}

/// Is this the frame of a PKCS #8 key? What a wrong pass phrase opens hardly ever is.
pub(crate) fn is_pkcs8(der: &[u8]) -> bool {
    pkcs8_parts(der).is_some()
}

/// The content of the algorithm identifier, and the key.
fn pkcs8_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut body = Reader::new(der::only(der, tag::SEQUENCE)?.content);
    if !matches!(body.content(tag::INTEGER)?, [0 | 1]) {
        return None;
    }
    let algorithm = body.content(tag::SEQUENCE)?;
    let key = body.content(tag::OCTET_STRING)?;
    body.optional(0xa0)?;
    body.optional(0x81)?;
    body.is_empty().then_some((algorithm, key))
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let version = element(tag::INTEGER, &[&[0]]);
    let algorithm = element(tag::SEQUENCE, &[algorithm]);
    let key = element(tag::OCTET_STRING, &[key]);
    element(tag::SEQUENCE, &[&version, &algorithm, &key])
}

/// Names what ring would call an invalid encoding or a size.
fn check_rsa(key: &[u8]) -> Result<(), KeyFlaw> {
    let numbers = rsa_numbers(key).ok_or(KeyFlaw::Broken)?;
    let [version, modulus, exponent, _, first_prime, ..] = numbers.fields;
    if version != [0] || numbers.has_more {
        return Err(KeyFlaw::Primes);
    }
    if first_prime.iter().all(|octet| *octet == 0) {
        return Err(KeyFlaw::NoPrimes);
    }
    let bits = bits(modulus);
    if !matches!(bits, 2048 | 3072 | 4096) {
        return Err(KeyFlaw::Bits(bits));
    }
    if der::count(exponent).is_none_or(|exponent| exponent < 65_537) {
        return Err(KeyFlaw::Exponent);
    }
    ring::rsa::KeyPair::from_der(key).map(|_| ()).map_err(KeyFlaw::Refused)
}

/// The numbers of an `RSAPrivateKey`, and whether there are other primes behind.
struct RsaNumbers<'a> {
    fields: [&'a [u8]; 9],
    has_more: bool,
}

fn rsa_numbers(key: &[u8]) -> Option<RsaNumbers<'_>> {
    let mut body = Reader::new(der::only(key, tag::SEQUENCE)?.content);
    let mut fields: [&[u8]; 9] = [&[]; 9];
    for field in &mut fields {
        *field = body.content(tag::INTEGER)?;
    }
    let has_more = body.optional(tag::SEQUENCE)?.is_some();
    body.is_empty().then_some(RsaNumbers { fields, has_more })
}

/// Bits of the content of a positive `INTEGER`.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let spare = digits.first().map_or(0, |first| first.leading_zeros());
    digits.len() * 8 - usize::try_from(spare).unwrap_or(0)
}

/// An elliptic key as ring reads it, with the certificate's public half.
fn elliptic(
    key: &[u8],
    beside: Option<Element<'_>>,
    public: Option<PublicKey<'_>>,
    public_key: &[u8],
) -> Result<Vec<u8>, KeyFlaw> {
    let mut body = Reader::new(der::only(key, tag::SEQUENCE).ok_or(KeyFlaw::Broken)?.content);
    let parts = (|| {
        let version = body.content(tag::INTEGER)?;
        let secret = body.content(tag::OCTET_STRING)?;
        let inside = body.optional(0xa0)?;
        let own = body.optional(0xa1)?;
        (version == [1] && body.is_empty()).then_some((secret, inside, own))
    })();
    let (secret, inside, own) = parts.ok_or(KeyFlaw::Broken)?;
    let inside = match inside {
        Some(wrapped) => {
            let mut wrapped = Reader::new(wrapped.content);
            Some(wrapped.any().filter(|_| wrapped.is_empty()).ok_or(KeyFlaw::Broken)?)
        }
        None => None,
    };
    let Some(PublicKey::Ec(curve)) = public else { return Err(KeyFlaw::Foreign) };
    if curve == Curve::P521 {
        return Err(KeyFlaw::Curve("P-521"));
    }
    let mut curves = Vec::new();
    for parameters in [beside, inside].into_iter().flatten() {
        curves.push(curve_of(&parameters)?);
    }
    let point = curve.uncompressed(public_key).ok_or(KeyFlaw::Foreign)?;
    if let Some(own) = own {
        let mut own = Reader::new(own.content);
        let (own, _) = own.bits().filter(|_| own.is_empty()).ok_or(KeyFlaw::Broken)?;
        if curve.uncompressed(own).is_some_and(|own| own != point) {
            return Err(KeyFlaw::Foreign);
        }
    }
    if curves.iter().any(|named| *named != curve) {
        return Err(KeyFlaw::Foreign);
    }
    let secret = number_of(secret, curve.coordinate_len()).ok_or(KeyFlaw::Broken)?;
    let version = element(tag::INTEGER, &[&[1]]);
    let secret = element(tag::OCTET_STRING, &[&secret]);
    let point = element(0xa1, &[&element(tag::BIT_STRING, &[&[0], &point])]);
    let key = element(tag::SEQUENCE, &[&version, &secret, &point]);
    Ok(pkcs8(&curve.key_id(), &key))
}

/// A number in exactly so many octets.
fn number_of(octets: &[u8], len: usize) -> Option<Vec<u8>> {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let digits = octets.get(zeros..)?;
    let missing = len.checked_sub(digits.len())?;
    Some([&vec![0; missing], digits].concat())
}

/// The curve that these parameters name or write out.
fn curve_of(parameters: &Element<'_>) -> Result<Curve, KeyFlaw> {
    if parameters.tag == tag::OID {
        return match parameters.content {
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Ok(Curve::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Ok(Curve::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Err(KeyFlaw::Curve("P-521")),
            [0x2b, 0x81, 0x04, 0x00, 0x0a] => Err(KeyFlaw::Curve("secp256k1")),
            [0x2b, 0x81, 0x04, 0x00, 0x21] => Err(KeyFlaw::Curve("P-224")),
            [0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, ..] => Err(KeyFlaw::Curve("brainpool")),
            [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d] => Err(KeyFlaw::Curve("SM2")),
            _ => Err(KeyFlaw::Curve("of another name")),
        };
    }
    // ECParameters (X9.62): version, field, curve, base point. That the certificate's public half
    // belongs to the secret on the usual curve is what ring sees.
    let base = (|| {
        let mut body = Reader::new(parameters.content);
        body.content(tag::INTEGER)?;
        body.content(tag::SEQUENCE)?;
        body.content(tag::SEQUENCE)?;
        body.content(tag::OCTET_STRING)?.get(1..9)
    })();
    match base {
        Some(base) if base == P256_GENERATOR => Ok(Curve::P256),
        Some(base) if base == P384_GENERATOR => Ok(Curve::P384),
        _ => Err(KeyFlaw::Parameters),
    }
}

/// What people call a key with this identifier.
fn kind_name(oid: &[u8]) -> &'static str {
    match oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => {
            "a key for RSA-PSS alone (id-RSASSA-PSS)"
        }
        [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01] => "a DSA key",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3e, 0x02, 0x01] => "a Diffie-Hellman key",
        [0x2b, 0x65, 0x71] => "an Ed448 key",
        [0x2b, 0x65, 0x6e | 0x6f] => "a key for key agreement (X25519, X448)",
        _ => "a key without a name that is known",
    }
}
