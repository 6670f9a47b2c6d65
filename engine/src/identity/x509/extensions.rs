//! The extensions that decide what a certificate may do, each read once, by the strict reader.
//!
//! In: the list of a certificate. Out: [`Extensions`], or `None`. Unknown extensions are skipped and
//! known ones must be read to their last byte, as with OpenSSL; what is not DER refuses the
//! certificate. Policies are read along a path ([`crate::identity::verify::certificate_policies`]).

use std::borrow::Cow;

use super::distribution_points::{self, DistributionPoint};
use super::general_name::{self, GeneralName, Use};
use super::name;
use super::name_constraints::NameConstraints;
use super::raw_extension::{self, RawExtension};
use crate::identity::der::{self, Reader, tag};

/// What the extensions of one certificate say.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// `basicConstraints`, if present.
    pub basic: Option<BasicConstraints>,
    /// `keyUsage`, if present.
    pub key_usage: Option<KeyUsage>,
    /// `extKeyUsage`, if present.
    pub extended: Option<ExtendedKeyUsage>,
    /// Netscape's certificate type, if present.
    pub netscape: Option<NetscapeCertType>,
    /// `subjectKeyIdentifier`
    pub subject_key_id: Option<&'a [u8]>,
    /// `authorityKeyIdentifier`
    pub authority_key: AuthorityKeyId<'a>,
    /// `subjectAltName`, if present.
    pub alt_names: Option<Vec<GeneralName<'a>>>,
    /// `nameConstraints`, if present.
    pub name_constraints: Option<NameConstraints<'a>>,
    /// `cRLDistributionPoints`, if present.
    pub distribution_points: Option<Vec<DistributionPoint<'a>>>,
    /// What is said of policies.
    pub policies: PolicyValues<'a>,
    /// A critical extension is not among those we process.
    pub unknown_critical: bool,
    /// A critical extension is processed here, and not by webpki.
    pub beyond_webpki: bool,
}

/// `basicConstraints`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// It may issue certificates.
    pub ca: bool,
    /// Intermediates that it allows below itself.
    pub path_len_constraint: Option<u32>,
}

/// `keyUsage`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage(u16);

/// What of `extKeyUsage` matters here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExtendedKeyUsage {
    /// `id-kp-clientAuth`
    pub client_auth: bool,
    /// `id-kp-serverAuth`
    pub server_auth: bool,
}

/// Netscape's certificate type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetscapeCertType(u8);

/// The values of the extensions about policies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PolicyValues<'a> {
    /// `certificatePolicies`
    pub policies: Option<&'a [u8]>,
    /// `policyMappings`
    pub mappings: Option<&'a [u8]>,
    /// `policyConstraints`
    pub constraints: Option<&'a [u8]>,
    /// `inhibitAnyPolicy`
    pub inhibit_any: Option<&'a [u8]>,
}

/// `authorityKeyIdentifier`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuthorityKeyId<'a> {
    /// The issuer's key identifier.
    pub key_id: Option<&'a [u8]>,
    /// The issuer's issuer, by [`name::key`].
    pub issuer: Option<Cow<'a, [u8]>>,
    /// The issuer's serial number.
    pub serial: Option<&'a [u8]>,
}

impl KeyUsage {
    const fn has(self, bit: u32) -> bool {
        self.0 & (0x8000 >> bit) != 0
    }

    /// `digitalSignature`
    #[must_use]
    pub const fn digital_signature(&self) -> bool {
        self.has(0)
    }

    /// `keyAgreement`
    #[must_use]
    pub const fn key_agreement(&self) -> bool {
        self.has(4)
    }

    /// `keyCertSign`
    #[must_use]
    pub const fn key_cert_sign(&self) -> bool {
        self.has(5)
    }

    /// `cRLSign`
    #[must_use]
    pub const fn crl_sign(&self) -> bool {
        self.has(6)
    }
}

impl NetscapeCertType {
    /// TLS clients
    #[must_use]
    pub const fn ssl_client(&self) -> bool {
        self.0 & 0x80 != 0
    }

    /// TLS servers
    #[must_use]
    pub const fn ssl_server(&self) -> bool {
        self.0 & 0x40 != 0
    }

    /// CAs of these
    #[must_use]
    pub const fn ssl_ca(&self) -> bool {
        self.0 & 0x04 != 0
    }

    /// CAs of anything
    #[must_use]
    pub const fn any_ca(&self) -> bool {
        self.0 & 0x07 != 0
    }
}

const SUBJECT_KEY: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// `subjectAltName`
pub(crate) const ALT_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// `basicConstraints`
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// `nameConstraints`
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const ISSUER_ALT_NAMES: &[u8] = &[0x55, 0x1d, 0x12];
const FRESHEST_LIST: &[u8] = &[0x55, 0x1d, 0x2e];
const AUTHORITY_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
const SUBJECT_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x0b];
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 0x1f];
const POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 0x21];
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 0x23];
const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x24];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const INHIBIT_ANY: &[u8] = &[0x55, 0x1d, 0x36];
const NETSCAPE_TYPE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x01];
/// `id-pkix-ocsp-nocheck`: revocation need not be checked, but it may be.
const NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// A certificate with more is refused, so that looking for duplicates stays cheap.
const EXTENSIONS_MAX: usize = 64;

/// Who processes an extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ExtensionSupport {
    /// webpki does, and so do we.
    Shared,
    /// Only we do.
    OwnOnly,
    /// Nobody: where it is critical, it refuses the certificate, as with OpenSSL.
    Unsupported,
}

impl<'a> Extensions<'a> {
    /// Reads the extensions of a certificate from the content of their list; `None` if a known one
    /// is broken or one is there twice.
    #[must_use]
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let list = raw_extension::list(content)?;
        if list.len() > EXTENSIONS_MAX {
            return None;
        }
        let mut found = Self::default();
        for (at, extension) in list.iter().enumerate() {
            if list.iter().take(at).any(|before| before.oid == extension.oid) {
                return None;
            }
            let support = found.read_extension(extension)?;
            found.unknown_critical |=
                extension.critical && support == ExtensionSupport::Unsupported;
            found.beyond_webpki |= extension.critical && support == ExtensionSupport::OwnOnly;
        }
        Some(found)
    }

    /// Reads one extension, and says who processes it; `None` if we do and its value is broken.
    fn read_extension(&mut self, extension: &RawExtension<'a>) -> Option<ExtensionSupport> {
        let value = extension.value;
        match extension.oid {
            SUBJECT_KEY => {
                self.subject_key_id = Some(der::only(value, tag::OCTET_STRING)?.content);
                return Some(ExtensionSupport::Unsupported);
            }
            AUTHORITY_KEY => {
                self.authority_key = authority_key(value)?;
                return Some(ExtensionSupport::Unsupported);
            }
            KEY_USAGE => self.key_usage = Some(key_usage(value)?),
            ALT_NAMES => {
                let names = der::only(value, tag::SEQUENCE)?.content;
                self.alt_names = Some(general_name::names(names)?);
            }
            BASIC_CONSTRAINTS => self.basic = Some(basic_constraints(value)?),
            NAME_CONSTRAINTS => self.name_constraints = Some(NameConstraints::read(value)?),
            EXTENDED_USAGE => self.extended = Some(extended_usage(value)?),
            DISTRIBUTION_POINTS => {
                self.distribution_points = Some(distribution_points::read(value)?);
            }
            NETSCAPE_TYPE => {
                self.netscape = Some(netscape_type(value)?);
                return Some(ExtensionSupport::OwnOnly);
            }
            other if is_named_badly(other, value) => return None,
            other => return Some(self.read_policies(other, value)),
        }
        Some(ExtensionSupport::Shared)
    }

    fn read_policies(&mut self, oid: &[u8], value: &'a [u8]) -> ExtensionSupport {
        let place = match oid {
            POLICIES => &mut self.policies.policies,
            POLICY_MAPPINGS => &mut self.policies.mappings,
            POLICY_CONSTRAINTS => &mut self.policies.constraints,
            INHIBIT_ANY => &mut self.policies.inhibit_any,
            NO_CHECK => return ExtensionSupport::OwnOnly,
            _ => return ExtensionSupport::Unsupported,
        };
        *place = Some(value);
        ExtensionSupport::OwnOnly
    }
}

/// Does an extension that decides nothing here hold something else than the names that it is made of?
fn is_named_badly(oid: &[u8], value: &[u8]) -> bool {
    let read = match oid {
        ISSUER_ALT_NAMES => der::only(value, tag::SEQUENCE)
            .and_then(|list| general_name::names(list.content))
            .map(drop),
        FRESHEST_LIST => distribution_points::read(value).map(drop),
        AUTHORITY_ACCESS | SUBJECT_ACCESS => access_descriptions(value),
        _ => return false,
    };
    read.is_none()
}

/// Ways of access, each with its place.
fn access_descriptions(value: &[u8]) -> Option<()> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    while !list.is_empty() {
        let mut description = list.enter(tag::SEQUENCE)?;
        description.oid()?;
        GeneralName::read(&mut description, Use::Name)?;
        if !description.is_empty() {
            return None;
        }
    }
    Some(())
}

/// Is an extension of this identifier processed by us and not by webpki?
pub(crate) fn is_beyond_webpki(oid: &[u8]) -> bool {
    [POLICIES, POLICY_MAPPINGS, POLICY_CONSTRAINTS, INHIBIT_ANY, NETSCAPE_TYPE, NO_CHECK]
        .contains(&oid)
}

fn basic_constraints(value: &[u8]) -> Option<BasicConstraints> {
    let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let ca = body.flag(tag::BOOLEAN)?;
    let path_len_constraint = match body.optional(tag::INTEGER)? {
        Some(number) => Some(der::count(number.content)?),
        None => None,
    };
    body.is_empty().then_some(BasicConstraints { ca, path_len_constraint })
}

/// At least one bit is set, as RFC 5280 and OpenSSL have it.
fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    let (bits, _) = der::bits(der::only(value, tag::BIT_STRING)?.content)?;
    let bits = match *bits {
        [one] => u16::from(one) << 8,
        [one, two] => u16::from_be_bytes([one, two]),
        _ => return None,
    };
    (bits != 0).then_some(KeyUsage(bits))
}

fn netscape_type(value: &[u8]) -> Option<NetscapeCertType> {
    match der::bits(der::only(value, tag::BIT_STRING)?.content)? {
        ([], _) => Some(NetscapeCertType(0)),
        ([bits], _) => Some(NetscapeCertType(*bits)),
        _ => None,
    }
}

fn extended_usage(value: &[u8]) -> Option<ExtendedKeyUsage> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let mut found = ExtendedKeyUsage::default();
    while !list.is_empty() {
        let purpose = list.oid()?;
        found.client_auth |= purpose == CLIENT_AUTH;
        found.server_auth |= purpose == SERVER_AUTH;
    }
    Some(found)
}

/// Reads one, of a certificate or of a revocation list.
pub(crate) fn authority_key(value: &[u8]) -> Option<AuthorityKeyId<'_>> {
    let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let key_id = body.optional(0x80)?.map(|element| element.content);
    let issuer = match body.optional(0xa1)? {
        // OpenSSL compares the first directory name.
        Some(names) => general_name::names(names.content)?.into_iter().find_map(|one| match one {
            GeneralName::Directory(name) => Some(Cow::Owned(name::key(name))),
            _ => None,
        }),
        None => None,
    };
    let serial = match body.optional(0x82)? {
        Some(number) => Some(der::integer(number.content)?),
        None => None,
    };
    body.is_empty().then_some(AuthorityKeyId { key_id, issuer, serial })
}
