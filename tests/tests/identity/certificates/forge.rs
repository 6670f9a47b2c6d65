//! Certificates by the hundred thousand: keys in memory, every byte of the signed part chosen here.
//!
//! In: names and extensions. Out: DER that the right key has signed, whatever it says.

use ferrule_tests::zoo::asn1::{
    basic_constraints, bit_string, element, explicit, extended, extension, integer, key_usage, oid,
    sequence, utc,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

/// `id-kp-clientAuth`
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// When everything is judged: 2026-06-01.
pub(crate) const NOW: i64 = 1_780_272_000;

/// A key on P-256.
pub(crate) struct ForgeKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// One of so many.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("not that many");
        usize::try_from(self.next() % count.max(1)).expect("smaller")
    }
}

/// Somebody who issues, or is issued.
#[derive(Clone, Copy)]
pub(crate) struct Party<'k> {
    /// The name, as a `Name`.
    pub(crate) name: &'k [u8],
    /// The key.
    pub(crate) key: &'k ForgeKey,
}

impl ForgeKey {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let document = document.expect("a new key");
        let scheme = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(scheme, document.as_ref(), &random);
        Self { pair: pair.expect("the new key"), random }
    }

    /// Subject public key info.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let algorithm = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
        sequence(&[&algorithm, &bit_string(0, self.pair.public_key().as_ref())])
    }

    /// The certificate around this signed part, whatever that is.
    pub(crate) fn wrap(&self, signed: &[u8], algorithm: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&self.random, signed).expect("a signature");
        sequence(&[signed, algorithm, &bit_string(0, signature.as_ref())])
    }
}

/// `ecdsa-with-SHA256`
pub(crate) fn algorithm() -> Vec<u8> {
    sequence(&[&oid("1.2.840.10045.4.3.2")])
}

/// The part of a version 3 certificate that is signed.
pub(crate) fn signed_part(of: Party<'_>, by: Party<'_>, extensions: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    let extensions = if list.is_empty() { Vec::new() } else { explicit(3, &sequence(&list)) };
    // A serial number of its own, from what it says.
    let digest = ring::digest::digest(&ring::digest::SHA256, &[of.name, &extensions].concat());
    let serial = [&[0x40], &digest.as_ref()[..8]].concat();
    sequence(&[
        &explicit(0, &integer(&[2])),
        &integer(&serial),
        &algorithm(),
        by.name,
        &sequence(&[&utc("250101000000Z"), &utc("350101000000Z")]),
        of.name,
        &of.key.spki(),
        &extensions,
    ])
}

/// A certificate.
pub(crate) fn certificate(of: Party<'_>, by: Party<'_>, extensions: &[Vec<u8>]) -> Vec<u8> {
    by.key.wrap(&signed_part(of, by, extensions), &algorithm())
}

/// What makes a CA, and more.
pub(crate) fn authority(more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    [&[basic_constraints(true, None), key_usage(0x06)], more].concat()
}

/// What makes a client, and more.
pub(crate) fn client(more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    [&[extended(&[CLIENT_AUTH])], more].concat()
}

/// `subjectAltName` of these, each a tag and its content.
pub(crate) fn alt_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.iter().map(|(tag, name)| element(*tag, name)).collect();
    extension("2.5.29.17", false, &element(0x30, &names.concat()))
}

/// `nameConstraints`, critical: bases that are permitted and bases that are excluded.
pub(crate) fn constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let side = |tag: u8, bases: &[(u8, &[u8])]| {
        let bases: Vec<Vec<u8>> =
            bases.iter().map(|(tag, base)| sequence(&[&element(*tag, base)])).collect();
        if bases.is_empty() { Vec::new() } else { element(tag, &bases.concat()) }
    };
    let value = sequence(&[&side(0xa0, permitted), &side(0xa1, excluded)]);
    extension("2.5.29.30", true, &value)
}
