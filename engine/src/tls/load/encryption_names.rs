//! How a private key is encrypted, in words.
//!
//! In: an encrypted PKCS #8 key (RFC 5958) as DER. Out: the names of what encrypts it, as OpenSSL has them.
//! For messages alone; nothing is opened here.

use crate::identity::der::{self, Reader, tag};

/// `1.2.840.113549.1`, RSA's own arc.
const PKCS: [u8; 7] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];

/// The scheme, or the key derivation, its pseudo-random function and the cipher; `None` if it is no
/// encrypted key.
pub(crate) fn names(der: &[u8]) -> Option<String> {
    let mut body = Reader::new(der::only(der, tag::SEQUENCE)?.content);
    let mut scheme = body.enter(tag::SEQUENCE)?;
    body.content(tag::OCTET_STRING)?;
    let oid = scheme.content(tag::OID)?;
    if oid.strip_prefix(PKCS.as_slice()) != Some(&[5, 13]) {
        return Some(name(oid));
    }
    let mut parameters = scheme.enter(tag::SEQUENCE)?;
    let mut derivation = parameters.enter(tag::SEQUENCE)?;
    let mut cipher = parameters.enter(tag::SEQUENCE)?;
    let mut words = vec![name(derivation.content(tag::OID)?)];
    if let Some(mut inner) = derivation.enter(tag::SEQUENCE) {
        // The salt, rounds, perhaps the length of the key, perhaps the function.
        while !inner.is_empty() {
            let part = inner.any()?;
            if part.tag == tag::SEQUENCE {
                words.push(name(Reader::new(part.content).content(tag::OID)?));
            }
        }
    }
    words.push(name(cipher.content(tag::OID)?));
    Some(words.join(", "))
}

fn name(oid: &[u8]) -> String {
    let known = match oid.strip_prefix(PKCS.as_slice()) {
        Some([5, 1]) => "pbeWithMD2AndDES-CBC",
        Some([5, 3]) => "pbeWithMD5AndDES-CBC",
        Some([5, 4]) => "pbeWithMD2AndRC2-CBC",
        Some([5, 6]) => "pbeWithMD5AndRC2-CBC",
        Some([5, 10]) => "pbeWithSHA1AndDES-CBC",
        Some([5, 11]) => "pbeWithSHA1AndRC2-CBC",
        Some([5, 12]) => "PBKDF2",
        Some([12, 1, 1]) => "pbeWithSHA1And128BitRC4",
        Some([12, 1, 2]) => "pbeWithSHA1And40BitRC4",
        Some([12, 1, 3]) => "pbeWithSHA1And3-KeyTripleDES-CBC",
        Some([12, 1, 4]) => "pbeWithSHA1And2-KeyTripleDES-CBC",
        Some([12, 1, 5]) => "pbeWithSHA1And128BitRC2-CBC",
        Some([12, 1, 6]) => "pbeWithSHA1And40BitRC2-CBC",
        _ => match oid {
            [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b] => "scrypt",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, function] => match function {
                7 => "hmacWithSHA1",
                8 => "hmacWithSHA224",
                9 => "hmacWithSHA256",
                10 => "hmacWithSHA384",
                11 => "hmacWithSHA512",
                12 => "hmacWithSHA512-224",
                13 => "hmacWithSHA512-256",
                _ => "a function that is not known",
            },
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 2] => "rc2-cbc",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 7] => "des-ede3-cbc",
            [0x2b, 0x0e, 0x03, 0x02, 0x07] => "des-cbc",
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, ..] => "aes",
            [0x2a, 0x83, 0x08, 0x8c, 0x9a, 0x4b, 0x3d, ..] => "camellia",
            [0x2a, 0x83, 0x1a, 0x8c, 0x9a, 0x6e, 0x01, ..] => "aria",
            [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x68, ..] => "sm4",
            _ => return der::dotted(oid).unwrap_or_else(|| "nothing that has a name".to_owned()),
        },
    };
    known.to_owned()
}
