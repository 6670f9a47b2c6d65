//! The extensions that decide what a certificate may do.

use super::der::{self, Reader, tag};

/// What the extensions of one certificate say.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// `basicConstraints`, if present.
    pub basic: Option<BasicConstraints>,
    /// `keyUsage`, if present.
    pub key_usage: Option<KeyUsage>,
    /// `extKeyUsage`, if present.
    pub extended: Option<ExtendedUsage>,
    /// Netscape's certificate type, if present.
    pub netscape: Option<u8>,
    /// `subjectKeyIdentifier`
    pub subject_key_id: Option<&'a [u8]>,
    /// `authorityKeyIdentifier`
    pub authority_key: AuthorityKey<'a>,
    /// Content of the `GeneralNames` of `subjectAltName`.
    pub alt_names: Option<&'a [u8]>,
    /// Content of `nameConstraints`.
    pub name_constraints: Option<&'a [u8]>,
    /// A critical extension is not among those we know.
    pub unknown_critical: bool,
}

/// `basicConstraints`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// This may issue certificates.
    pub ca: bool,
    /// Intermediates that may follow.
    pub path_len: Option<u32>,
}

/// `keyUsage`, the bits that matter here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage {
    /// `digitalSignature`
    pub digital_signature: bool,
    /// `keyAgreement`
    pub key_agreement: bool,
    /// `keyCertSign`
    pub cert_sign: bool,
}

/// `extKeyUsage`, the purposes that matter here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExtendedUsage {
    /// `clientAuth`
    pub client: bool,
    /// `serverAuth`
    pub server: bool,
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

/// `id-ce`, RFC 5280 section 4.2.1.
const ID_CE: [u8; 2] = [0x55, 0x1d];
const NETSCAPE_CERT_TYPE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x01];
const OCSP_NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// A certificate with more is refused, so that looking for duplicates stays cheap.
const EXTENSIONS_MAX: usize = 64;

impl<'a> Extensions<'a> {
    /// Reads the content of the `extensions` field; `None` if a known one is broken or one is there twice.
    #[must_use]
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        let mut list = Reader::new(der::only(field, tag::SEQUENCE)?.content);
        let mut found = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let mut extension = list.enter(tag::SEQUENCE)?;
            let oid = extension.content(tag::OID)?;
            let critical = match extension.optional(tag::BOOLEAN)? {
                Some(flag) => boolean(flag.content)?,
                None => false,
            };
            let value = extension.content(tag::OCTET_STRING)?;
            if !extension.is_empty() || seen.contains(&oid) || seen.len() == EXTENSIONS_MAX {
                return None;
            }
            seen.push(oid);
            let known = found.read(oid, value)?;
            found.unknown_critical |= critical && !known;
        }
        Some(found)
    }

    /// Is this extension known? `None` if it is and its value is broken.
    fn read(&mut self, oid: &'a [u8], value: &'a [u8]) -> Option<bool> {
        match oid.strip_prefix(&ID_CE) {
            Some([14]) => self.subject_key_id = Some(der::only(value, tag::OCTET_STRING)?.content),
            Some([15]) => self.key_usage = Some(key_usage(value)?),
            Some([17]) => self.alt_names = Some(der::only(value, tag::SEQUENCE)?.content),
            Some([19]) => self.basic = Some(basic_constraints(value)?),
            Some([30]) => self.name_constraints = Some(der::only(value, tag::SEQUENCE)?.content),
            // Policies and where to find revocation lists: known, but they decide nothing here.
            Some([31..=33 | 36 | 54]) => {}
            Some([35]) => self.authority_key = authority_key(value)?,
            Some([37]) => self.extended = Some(extended_usage(value)?),
            _ if oid == NETSCAPE_CERT_TYPE => {
                let (bits, _) = Reader::new(value).bits()?;
                self.netscape = Some(bits.first().copied().unwrap_or(0));
            }
            _ => return Some(oid == OCSP_NO_CHECK),
        }
        Some(true)
    }
}

const fn boolean(content: &[u8]) -> Option<bool> {
    match content {
        [0] => Some(false),
        [0xff] => Some(true),
        _ => None,
    }
}

fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    let (bits, _) = Reader::new(value).bits()?;
    let first = bits.first().copied().unwrap_or(0);
    Some(KeyUsage {
        digital_signature: first & 0x80 != 0,
        key_agreement: first & 0x08 != 0,
        cert_sign: first & 0x04 != 0,
    })
}

fn basic_constraints(value: &[u8]) -> Option<BasicConstraints> {
    let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let ca = match body.optional(tag::BOOLEAN)? {
        Some(flag) => boolean(flag.content)?,
        None => false,
    };
    let path_len = match body.optional(tag::INTEGER)? {
        Some(number) => Some(match number.content {
            [] => return None,
            [first, ..] if first & 0x80 != 0 => return None,
            [small] => u32::from(*small),
            // Longer than any chain we read.
            _ => u32::MAX,
        }),
        None => None,
    };
    body.is_empty().then_some(BasicConstraints { ca, path_len })
}

fn extended_usage(value: &[u8]) -> Option<ExtendedUsage> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let mut usage = ExtendedUsage::default();
    while !list.is_empty() {
        let oid = list.content(tag::OID)?;
        usage.client |= oid == CLIENT_AUTH;
        usage.server |= oid == SERVER_AUTH;
    }
    Some(usage)
}

fn authority_key(value: &[u8]) -> Option<AuthorityKey<'_>> {
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
