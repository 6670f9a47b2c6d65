//! RSA public keys, and the RSA signatures that ring does not verify.
//!
//! In: the content of a `subjectPublicKey`, a message, a signature. Out: what the key costs, or whether
//! it made the signature. ring verifies SHA-256 and longer with PKCS #1 v1.5, and PSS with a salt as
//! long as its digest; here are the other salts and SHA-224 (RFC 8017, sections 8.1.2, 8.2.2 and
//! 9.1.2). Public values only, so nothing here has to take the same time for all of them.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};

use super::hash::Hash;
use crate::identity::der::{self, Reader, tag};

/// What nginx takes at the level of Debian.
pub const BITS_MIN: usize = 2048;
/// There is a limit to what a peer may make us compute.
pub const BITS_MAX: usize = 8192;
/// ring takes no larger exponent.
const EXPONENT_BITS_MAX: usize = 33;

/// A public key.
#[derive(Clone, Copy, Debug)]
pub struct RsaKey<'a> {
    /// Without leading zeros.
    modulus: &'a [u8],
    /// Without leading zeros.
    exponent: &'a [u8],
}

impl<'a> RsaKey<'a> {
    /// Reads an `RSAPublicKey`; `None` if it is not one.
    #[must_use]
    pub fn read(public_key: &'a [u8]) -> Option<Self> {
        let mut body = Reader::new(der::only(public_key, tag::SEQUENCE)?.content);
        let modulus = positive(body.content(tag::INTEGER)?)?;
        let exponent = positive(body.content(tag::INTEGER)?)?;
        body.is_empty().then_some(Self { modulus, exponent })
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(self.modulus)
    }

    /// Bits of the exponent, and how many of them are set: squarings and multiplications.
    #[must_use]
    pub fn exponent_weight(&self) -> usize {
        let ones: u32 = self.exponent.iter().map(|byte| byte.count_ones()).sum();
        bits(self.exponent) + usize::try_from(ones).unwrap_or(usize::MAX)
    }

    /// Is it of a size and a form with which signatures are verified?
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        (BITS_MIN..=BITS_MAX).contains(&self.bits())
            && odd(self.modulus)
            && odd(self.exponent)
            && (2..=EXPONENT_BITS_MAX).contains(&bits(self.exponent))
    }

    /// The signature to the power of the exponent, as many octets as the modulus.
    fn open(&self, signature: &[u8]) -> Option<Vec<u8>> {
        if !self.is_usable() || signature.len() != self.modulus.len() {
            return None;
        }
        let modulus = Option::from(Odd::new(BoxedUint::from_be_slice_vartime(self.modulus)))?;
        let parameters = BoxedMontyParams::new_vartime(modulus);
        let precision = parameters.bits_precision();
        let number = BoxedUint::from_be_slice(signature, precision).ok()?;
        // RFC 8017, section 5.2.2: a representative is less than the modulus.
        if number >= *parameters.modulus().as_ref() {
            return None;
        }
        let exponent = BoxedUint::from_be_slice_vartime(self.exponent);
        let exponent_bits = u32::try_from(bits(self.exponent)).ok()?;
        let opened = BoxedMontyForm::new(number, &parameters)
            .pow_bounded_exp(&exponent, exponent_bits)
            .retrieve();
        let octets = opened.resize(precision).to_be_bytes();
        let (zeros, octets) = octets.split_at_checked(octets.len() - self.modulus.len())?;
        zeros.iter().all(|zero| *zero == 0).then(|| octets.to_vec())
    }

    /// Is this an RSASSA-PKCS1-v1_5 signature of the message?
    #[must_use]
    pub fn signed_with_pkcs1(&self, message: &[u8], signature: &[u8], hash: Hash) -> bool {
        let Some(opened) = self.open(signature) else { return false };
        let info = [hash.digest_info(), &hash.of(&[message])].concat();
        let Some(padding) = opened.len().checked_sub(info.len() + 3).filter(|count| *count >= 8)
        else {
            return false;
        };
        let expected = [&[0, 1][..], &vec![0xff; padding], &[0], &info].concat();
        opened == expected
    }

    /// Is this an RSASSA-PSS signature of the message, with a salt of this length?
    #[must_use]
    pub fn signed_with_pss(
        &self,
        message: &[u8],
        signature: &[u8],
        hash: Hash,
        salt: usize,
    ) -> bool {
        let opened = self.open(signature);
        opened.is_some_and(|opened| {
            is_pss_encoding(&opened, self.bits() - 1, message, hash, salt).is_some()
        })
    }
}

/// EMSA-PSS-VERIFY; `None` is "inconsistent".
fn is_pss_encoding(
    opened: &[u8],
    bits: usize,
    message: &[u8],
    hash: Hash,
    salt: usize,
) -> Option<()> {
    // One octet less than the modulus if that has one bit more than whole octets.
    let len = bits.div_ceil(8);
    let (unused, encoded) = opened.split_at_checked(opened.len().checked_sub(len)?)?;
    let (masked, trailer) = encoded.split_at_checked(len.checked_sub(hash.octets() + 1)?)?;
    let (digest, last) = trailer.split_at_checked(hash.octets())?;
    if unused.iter().any(|octet| *octet != 0) || last != [0xbc] {
        return None;
    }
    let mask = mask(digest, masked.len(), hash);
    let mut block: Vec<u8> = masked.iter().zip(&mask).map(|(one, other)| one ^ other).collect();
    let spare = 8 * len - bits;
    let first = block.first_mut()?;
    // The bits that have no room in the modulus must be zero before the mask, and are after it.
    let (kept, cleared) = (0xff_u8 >> spare, !(0xff_u8 >> spare));
    if masked.first()? & cleared != 0 {
        return None;
    }
    *first &= kept;
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(salt)?)?;
    let (one, zeros) = padding.split_last()?;
    if *one != 1 || zeros.iter().any(|octet| *octet != 0) {
        return None;
    }
    let whole = hash.of(&[&[0; 8], &hash.of(&[message]), salt]);
    (whole == digest).then_some(())
}

/// MGF1 with the same hash (RFC 8017, appendix B.2.1).
fn mask(seed: &[u8], len: usize, hash: Hash) -> Vec<u8> {
    let blocks = (0_u32..).map(|counter| hash.of(&[seed, &counter.to_be_bytes()]));
    let mut mask: Vec<u8> = blocks.take(len.div_ceil(hash.octets())).flatten().collect();
    mask.truncate(len);
    mask
}

/// The content of a positive `INTEGER` in its shortest form, without the zero that only tells the sign.
fn positive(content: &[u8]) -> Option<&[u8]> {
    match content {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
        [first, ..] if (1..0x80).contains(first) => Some(content),
        _ => None,
    }
}

/// Bits of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    number.len() * 8 - usize::try_from(zeros).unwrap_or(0)
}
