//! A certificate as facts to decide on, read by x509-parser.
//!
//! A certificate counts only if x509-parser and our own frame ([`super::raw_certificate`]) both read it, and
//! find the same pieces in the same places. x509-parser alone would pass over bytes behind the last
//! field of a sequence, and would take dates that RFC 5280 does not allow.

use x509_parser::asn1_rs::BitString;
use x509_parser::certificate::{TbsCertificate, X509CertificateParser};
use x509_parser::nom::Parser;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Version};

use super::extensions::{AuthorityKeyId, Extensions};
use super::general_name::GeneralName;
use super::name;
use super::raw_certificate::RawCertificate;
use crate::identity::crypto::key_type;

/// The facts of one certificate.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// The same certificate as pieces of its DER.
    pub raw: RawCertificate<'a>,
    /// The issuer, by [`name::key`]: who issued whom is asked by these, however names are spelt.
    pub issuer_key: Box<[u8]>,
    /// The subject, likewise.
    pub subject_key: Box<[u8]>,
    /// 1, 2 or 3.
    pub version: u8,
    /// `notBefore`, Unix seconds.
    pub not_before: i64,
    /// `notAfter`, Unix seconds.
    pub not_after: i64,
    /// How it is signed.
    pub signature_algorithm: AlgorithmIdentifier<'a>,
    /// The signature.
    pub signature: BitString<'a>,
    /// The subject's key.
    pub public_key: SubjectPublicKeyInfo<'a>,
    /// What the extensions say.
    pub extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` if it is not one.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let raw = RawCertificate::read(der)?;
        // Extensions are read by our own reader only.
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, read) = parser.parse(der).ok()?;
        let body = read.tbs_certificate;
        let whole_octets = read.signature_value.unused_bits == 0
            && body.subject_pki.subject_public_key.unused_bits == 0;
        let agreed = rest.is_empty() && agree(&raw, &body);
        let version = version(body.version)?;
        // Before version 3 there are no extensions (RFC 5280, section 4.1.2.9): some read them all the
        // same, and some do not.
        if !agreed || !whole_octets || (version < 3 && !raw.extensions.is_empty()) {
            return None;
        }
        Some(Self {
            raw,
            issuer_key: name::key(raw.issuer).into(),
            subject_key: name::key(raw.subject).into(),
            version,
            not_before: body.validity.not_before.timestamp(),
            not_after: body.validity.not_after.timestamp(),
            signature_algorithm: read.signature_algorithm,
            signature: read.signature_value,
            extensions: Extensions::read(raw.extensions)?,
            public_key: body.subject_pki,
        })
    }

    /// Issuer and subject are the same name.
    #[must_use]
    pub fn self_issued(&self) -> bool {
        self.issuer_key == self.subject_key
    }

    /// It may be its own issuer, as far as names, key identifiers and algorithms tell.
    #[must_use]
    pub fn self_signed(&self) -> bool {
        self.self_issued()
            && self.may_be_issued_by(self)
            && key_type::may_sign(self.raw.key_algorithm, self.raw.signature_algorithm)
                == Some(true)
    }

    /// This may have been issued by that, as far as names, key identifiers and algorithms tell.
    #[must_use]
    pub fn may_be_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer_key == issuer.subject_key
            && issuer.is_named_by(&self.extensions.authority_key)
            // What is not known is told from a stranger's when the signature is looked at.
            && key_type::may_sign(
                issuer.raw.key_algorithm,
                self.raw.signature_algorithm,
            ) != Some(false)
    }

    /// May this be the issuer that an authority key identifier names? What either leaves out is not held
    /// against the other.
    #[must_use]
    pub fn is_named_by(&self, authority_key: &AuthorityKeyId<'_>) -> bool {
        let key_agrees = match (authority_key.key_id, self.extensions.subject_key_id) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        };
        key_agrees
            && authority_key.serial.is_none_or(|serial| serial == self.raw.serial)
            && authority_key.issuer.as_ref().is_none_or(|name| **name == *self.issuer_key)
    }
}

/// The alternative names of a certificate; none if it cannot be read to the end.
#[must_use]
pub fn alt_names(der: &[u8]) -> Vec<GeneralName<'_>> {
    Certificate::parse(der)
        .and_then(|certificate| certificate.extensions.alt_names)
        .unwrap_or_default()
}

/// Have both readers found the same, to the last byte?
fn agree(raw: &RawCertificate<'_>, body: &TbsCertificate<'_>) -> bool {
    let validity = &body.validity;
    body.as_ref() == raw.signed
        && body.raw_serial() == raw.serial
        && body.issuer.as_raw() == raw.issuer
        && body.subject.as_raw() == raw.subject
        && body.subject_pki.raw == raw.spki
        && raw.not_before.seconds() == Some(validity.not_before.timestamp())
        && raw.not_after.seconds() == Some(validity.not_after.timestamp())
}

const fn version(version: X509Version) -> Option<u8> {
    match version {
        // The default must not be encoded, but OpenSSL reads it.
        X509Version::V1 => Some(1),
        X509Version::V2 => Some(2),
        X509Version::V3 => Some(3),
        _ => None,
    }
}
