//! A certificate as OpenSSL prints it: borrowed pieces of its DER, strictly framed.
//!
//! x509-parser reads everything that is decided on (see [`super::certificate`]). This frame is our
//! own, for three reasons:
//!
//! * OpenSSL prints dates that x509-parser refuses or normalises (no seconds, fractions, offsets,
//!   days that do not exist), and nginx hands them on with a failed verdict;
//! * names and serials are printed from their exact encoding, which x509-parser does not keep;
//! * x509-parser passes over bytes behind the last field of a sequence; here they are an error.

use super::name;
use super::raw_extension;
use super::time::CertTime;
use crate::identity::der::{self, Reader, tag};

/// The pieces of one certificate that are printed or compared byte by byte.
#[derive(Clone, Copy, Debug)]
pub struct RawCertificate<'a> {
    /// The whole DER.
    pub der: &'a [u8],
    /// What was signed, with tag and length.
    pub signed: &'a [u8],
    /// The content of the serial number, two's complement.
    pub serial: &'a [u8],
    /// Content of the signature's algorithm identifier, as webpki compares it.
    pub signature_algorithm: &'a [u8],
    /// The signature's octets.
    pub signature: &'a [u8],
    /// Issuer, with tag and length.
    pub issuer: &'a [u8],
    /// Both dates, with tag and length.
    pub validity: &'a [u8],
    /// `notBefore`
    pub not_before: CertTime<'a>,
    /// `notAfter`
    pub not_after: CertTime<'a>,
    /// Subject, with tag and length.
    pub subject: &'a [u8],
    /// Subject public key info, with tag and length.
    pub spki: &'a [u8],
    /// Content of the public key's algorithm identifier, as webpki compares it.
    pub key_algorithm: &'a [u8],
    /// Content of the list of extensions, which is empty where there is none.
    pub extensions: &'a [u8],
    /// The public key's octets.
    pub public_key: &'a [u8],
}

impl<'a> RawCertificate<'a> {
    /// Takes a certificate apart; `None` if it is not one, or if OpenSSL could not read a name in it.
    #[must_use]
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der::only(der, tag::SEQUENCE)?.content);
        let signed = outer.element(tag::SEQUENCE)?;
        let signature_algorithm = outer.content(tag::SEQUENCE)?;
        let (signature, _) = outer.bits()?;
        let mut body = Reader::new(signed.content);
        if let Some(version) = body.optional(0xa0)? {
            der::only(version.content, tag::INTEGER)?;
        }
        let serial = der::integer(body.content(tag::INTEGER)?)?;
        if body.content(tag::SEQUENCE)? != signature_algorithm {
            return None;
        }
        let issuer = body.element(tag::SEQUENCE)?.whole;
        let dates = body.element(tag::SEQUENCE)?;
        let mut validity = Reader::new(dates.content);
        let not_before = CertTime::new(validity.any()?)?;
        let not_after = CertTime::new(validity.any()?)?;
        let subject = body.element(tag::SEQUENCE)?.whole;
        let spki = body.element(tag::SEQUENCE)?;
        let mut key_info = Reader::new(spki.content);
        let key_algorithm = key_info.content(tag::SEQUENCE)?;
        let (public_key, _) = key_info.bits()?;
        check_algorithm(key_algorithm)?;
        check_algorithm(signature_algorithm)?;
        // Unique identifiers are bits, and passed over, as everybody does.
        for tag in [0x81, 0x82] {
            if let Some(bits) = body.optional(tag)? {
                der::bits(bits.content)?;
            }
        }
        let extensions = match body.optional(0xa3)? {
            Some(wrapped) => der::only(wrapped.content, tag::SEQUENCE)?.content,
            None => &[],
        };
        // Every extension is an identifier, perhaps a flag, and a value; nothing else.
        raw_extension::list(extensions)?;
        let parts = [outer, body, validity, key_info];
        let whole = parts.iter().all(Reader::is_empty);
        let sound = name::is_valid(issuer) && name::is_valid(subject);
        (whole && sound).then_some(Self {
            der,
            signed: signed.whole,
            serial,
            signature_algorithm,
            signature,
            issuer,
            validity: dates.whole,
            not_before,
            not_after,
            subject,
            spki: spki.whole,
            key_algorithm,
            extensions,
            public_key,
        })
    }
}

/// An identifier, and perhaps parameters: nothing, another identifier, or a sequence.
fn check_algorithm(content: &[u8]) -> Option<()> {
    let mut algorithm = Reader::new(content);
    algorithm.oid()?;
    if !algorithm.is_empty() {
        let parameters = algorithm.any()?;
        match parameters.tag {
            tag::NULL if parameters.content.is_empty() => {}
            tag::OID if der::identifier(parameters.content).is_some() => {}
            tag::SEQUENCE => {}
            _ => return None,
        }
    }
    algorithm.is_empty().then_some(())
}
