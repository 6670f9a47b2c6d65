//! A certificate taken apart: borrowed pieces of its DER, read once.
//!
//! What is read follows OpenSSL: unknown extensions are skipped, known ones must parse.

use super::der::{self, Element, Reader, tag};
use super::extensions::Extensions;
use super::name;
use super::time::CertTime;

/// The parts of one certificate.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// The whole DER.
    pub der: &'a [u8],
    /// What was signed, with tag and length.
    pub signed: &'a [u8],
    /// 1, 2 or 3.
    pub version: u8,
    /// The content of the serial number, two's complement.
    pub serial: &'a [u8],
    /// Content of the signature's algorithm identifier.
    pub signature_algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// Issuer, with tag and length.
    pub issuer: &'a [u8],
    /// `notBefore`
    pub not_before: CertTime<'a>,
    /// `notAfter`
    pub not_after: CertTime<'a>,
    /// Subject, with tag and length.
    pub subject: &'a [u8],
    /// Subject public key info, with tag and length.
    pub spki: &'a [u8],
    /// Content of the public key's algorithm identifier.
    pub key_algorithm: &'a [u8],
    /// The public key's bits.
    pub key: &'a [u8],
    /// What the extensions say.
    pub extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart; `None` if it is not one.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der::only(der, tag::SEQUENCE)?.content);
        let signed = outer.element(tag::SEQUENCE)?;
        let signature_algorithm = outer.content(tag::SEQUENCE)?;
        let (signature, unused) = outer.bits()?;
        if !outer.is_empty() || unused != 0 {
            return None;
        }
        let mut body = Reader::new(signed.content);
        let version = version(&mut body)?;
        let serial = body.content(tag::INTEGER)?;
        if serial.is_empty() || body.content(tag::SEQUENCE)? != signature_algorithm {
            return None;
        }
        let issuer = body.element(tag::SEQUENCE)?.whole;
        let mut validity = body.enter(tag::SEQUENCE)?;
        let not_before = CertTime::new(validity.any()?)?;
        let not_after = CertTime::new(validity.any()?)?;
        if !validity.is_empty() {
            return None;
        }
        let subject = body.element(tag::SEQUENCE)?.whole;
        let spki = body.element(tag::SEQUENCE)?;
        let mut key_info = Reader::new(spki.content);
        let key_algorithm = key_info.content(tag::SEQUENCE)?;
        let (key, unused) = key_info.bits()?;
        if !key_info.is_empty() || unused != 0 {
            return None;
        }
        // Unique identifiers are passed over, as everybody does.
        for unique in [0x81, 0x82, 0xa1, 0xa2] {
            body.optional(unique)?;
        }
        let extensions = match body.optional(0xa3)? {
            Some(Element { content, .. }) => Extensions::parse(content)?,
            None => Extensions::default(),
        };
        if !(name::is_valid(issuer) && name::is_valid(subject)) {
            return None;
        }
        body.is_empty().then_some(Self {
            der,
            signed: signed.whole,
            version,
            serial,
            signature_algorithm,
            signature,
            issuer,
            not_before,
            not_after,
            subject,
            spki: spki.whole,
            key_algorithm,
            key,
            extensions,
        })
    }

    /// Issuer and subject are the same name.
    #[must_use]
    pub fn self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// It may be its own issuer, as far as names, key identifiers and algorithms tell.
    #[must_use]
    pub fn self_signed(&self) -> bool {
        self.self_issued() && self.may_be_issued_by(self)
    }

    /// This may have been issued by that, as far as names, key identifiers and algorithms tell.
    #[must_use]
    pub fn may_be_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        let authority = &self.extensions.authority_key;
        let key_agrees = match (authority.key_id, issuer.extensions.subject_key_id) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        };
        self.issuer == issuer.subject
            && key_agrees
            && authority.serial.is_none_or(|serial| serial == issuer.serial)
            && authority.issuer.is_none_or(|name| name == issuer.issuer)
    }
}

fn version(body: &mut Reader<'_>) -> Option<u8> {
    let Some(element) = body.optional(0xa0)? else { return Some(1) };
    match der::only(element.content, tag::INTEGER)?.content {
        // The default must not be encoded, but OpenSSL reads it.
        [number @ 0..=2] => Some(number + 1),
        _ => None,
    }
}
