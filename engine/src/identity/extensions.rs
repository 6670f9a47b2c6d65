//! The extensions that decide what a certificate may do, read by x509-parser.
//!
//! Unknown extensions are skipped and known ones must be read to their last byte, as with OpenSSL.
//! The authority key identifier is read by our own reader: x509-parser passes over the parts of it
//! that it cannot read, and a part that is passed over would match every issuer. Known extensions
//! that decide nothing (policies) are not read at all.

use x509_parser::asn1_rs::FromDer;
use x509_parser::der_parser::oid;
use x509_parser::error::X509Error;
use x509_parser::extensions::{
    BasicConstraints, ExtendedKeyUsage, GeneralName, KeyIdentifier, KeyUsage, NSCertType,
    NameConstraints, SubjectAlternativeName, X509Extension,
};

use super::certificate::Certificate;
use super::der::{self, Reader, tag};

/// What the extensions of one certificate say.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// `basicConstraints`, if present.
    pub basic: Option<BasicConstraints>,
    /// `keyUsage`, if present.
    pub key_usage: Option<KeyUsage>,
    /// `extKeyUsage`, if present.
    pub extended: Option<ExtendedKeyUsage<'a>>,
    /// Netscape's certificate type, if present.
    pub netscape: Option<NSCertType>,
    /// `subjectKeyIdentifier`
    pub subject_key_id: Option<&'a [u8]>,
    /// `authorityKeyIdentifier`
    pub authority_key: AuthorityKey<'a>,
    /// `subjectAltName`, if present.
    pub alt_names: Option<Vec<GeneralName<'a>>>,
    /// The value of `subjectAltName`, if present.
    pub alt_names_value: Option<&'a [u8]>,
    /// The value of `nameConstraints`, if present.
    pub name_constraints: Option<&'a [u8]>,
    /// The value of `cRLDistributionPoints`, if present. It is read when a revocation list asks.
    pub distribution_points: Option<&'a [u8]>,
    /// A critical extension is not among those we know.
    pub unknown_critical: bool,
}

/// `authorityKeyIdentifier`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuthorityKey<'a> {
    /// The issuer's key identifier.
    pub key_id: Option<&'a [u8]>,
    /// The issuer's issuer, with tag and length.
    pub issuer: Option<&'a [u8]>,
    /// The issuer's serial number.
    pub serial: Option<&'a [u8]>,
}

impl AuthorityKey<'_> {
    /// Does it allow this issuer? What either leaves out is not held against the other.
    #[must_use]
    pub fn points_to(&self, issuer: &Certificate<'_>) -> bool {
        let key_agrees = match (self.key_id, issuer.extensions.subject_key_id) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        };
        key_agrees
            && self.serial.is_none_or(|serial| serial == issuer.outline.serial)
            && self.issuer.is_none_or(|name| name == issuer.outline.issuer)
    }
}

const SUBJECT_KEY: &[u8] = &oid!(raw 2.5.29.14);
const KEY_USAGE: &[u8] = &oid!(raw 2.5.29.15);
const ALT_NAMES: &[u8] = &oid!(raw 2.5.29.17);
const BASIC_CONSTRAINTS: &[u8] = &oid!(raw 2.5.29.19);
const NAME_CONSTRAINTS: &[u8] = &oid!(raw 2.5.29.30);
const DISTRIBUTION_POINTS: &[u8] = &oid!(raw 2.5.29.31);
const AUTHORITY_KEY: &[u8] = &oid!(raw 2.5.29.35);
const EXTENDED_USAGE: &[u8] = &oid!(raw 2.5.29.37);
const NETSCAPE_CERT_TYPE: &[u8] = &oid!(raw 2.16.840.1.113730.1.1);
/// Policies, and that no revocation is to be looked for: known, but they decide nothing here.
const WITHOUT_EFFECT: [&[u8]; 5] = [
    &oid!(raw 2.5.29.32),
    &oid!(raw 2.5.29.33),
    &oid!(raw 2.5.29.36),
    &oid!(raw 2.5.29.54),
    &oid!(raw 1.3.6.1.5.5.7.48.1.5),
];
/// A certificate with more is refused, so that looking for duplicates stays cheap.
const EXTENSIONS_MAX: usize = 64;

impl<'a> Extensions<'a> {
    /// Reads the extensions of a certificate; `None` if a known one is broken or one is there twice.
    #[must_use]
    pub fn read(list: &[X509Extension<'a>]) -> Option<Self> {
        if list.len() > EXTENSIONS_MAX {
            return None;
        }
        let mut found = Self::default();
        for (at, extension) in list.iter().enumerate() {
            if list.iter().take(at).any(|before| before.oid == extension.oid) {
                return None;
            }
            let known = found.take(extension)?;
            found.unknown_critical |= extension.critical && !known;
        }
        Some(found)
    }

    /// Is this extension known? `None` if it is and its value is broken.
    fn take(&mut self, extension: &X509Extension<'a>) -> Option<bool> {
        let value = extension.value;
        match extension.oid.as_bytes() {
            SUBJECT_KEY => self.subject_key_id = Some(whole::<KeyIdentifier<'_>>(value)?.0),
            KEY_USAGE => self.key_usage = Some(whole(value)?),
            ALT_NAMES => {
                let SubjectAlternativeName { general_names } = whole(value)?;
                self.alt_names = Some(general_names);
                self.alt_names_value = Some(value);
            }
            BASIC_CONSTRAINTS => self.basic = Some(whole(value)?),
            NAME_CONSTRAINTS => {
                whole::<NameConstraints<'_>>(value)?;
                self.name_constraints = Some(value);
            }
            AUTHORITY_KEY => self.authority_key = authority_key(value)?,
            EXTENDED_USAGE => self.extended = Some(extended_usage(value)?),
            DISTRIBUTION_POINTS => self.distribution_points = Some(value),
            NETSCAPE_CERT_TYPE => self.netscape = Some(whole(value)?),
            other => return Some(WITHOUT_EFFECT.contains(&other)),
        }
        Some(true)
    }
}

/// The value as this type, and nothing behind it.
fn whole<'a, T: FromDer<'a, X509Error>>(value: &'a [u8]) -> Option<T> {
    match T::from_der(value) {
        Ok(([], read)) => Some(read),
        Ok(_) | Err(_) => None,
    }
}

/// x509-parser stops at what is no identifier; here that is an error.
fn extended_usage(value: &[u8]) -> Option<ExtendedKeyUsage<'_>> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    while !list.is_empty() {
        list.element(tag::OID)?;
    }
    whole(value)
}

/// Reads one, of a certificate or of a revocation list.
pub(super) fn authority_key(value: &[u8]) -> Option<AuthorityKey<'_>> {
    let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let key_id = body.optional(0x80)?.map(|element| element.content);
    let issuer = match body.optional(0xa1)? {
        // OpenSSL compares the first directory name.
        Some(names) => directory_name(names.content)?,
        None => None,
    };
    let serial = body.optional(0x82)?.map(|element| element.content);
    body.is_empty().then_some(AuthorityKey { key_id, issuer, serial })
}

fn directory_name(names: &[u8]) -> Option<Option<&[u8]>> {
    let mut names = Reader::new(names);
    while !names.is_empty() {
        let name = names.any()?;
        if name.tag == 0xa4 {
            return Some(Some(name.content));
        }
    }
    Some(None)
}
