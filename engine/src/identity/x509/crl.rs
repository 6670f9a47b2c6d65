//! A certificate revocation list (RFC 5280, section 5; v1 and v2), read strictly, kept for lookup.
//!
//! In: DER. Out: a [`Crl`], or which rule it breaks. The DER is kept as it is, with one sorted
//! table of four bytes for each entry: a list of a million entries takes a tenth more than its file,
//! and a lookup twenty comparisons. What could narrow a list in a way that is not honoured (deltas,
//! indirect lists, some reasons only, critical extensions that are not known) is refused by name.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use super::certificate::Certificate;
use super::distribution_points;
use super::extensions::{self, AuthorityKeyId};
use super::name;
use super::raw_extension::{self, RawExtension};
use super::signature::{self, SignatureError};
use super::time::CertTime;
use crate::identity::der::{self, Element, Reader, tag};
use crate::identity::digest::sha256;

/// Bytes of one list: three million entries.
pub const CRL_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of a serial number; RFC 5280 allows 20.
const SERIAL_BYTES_MAX: usize = 64;
/// A list with more extensions is refused, so that looking for duplicates stays cheap.
const EXTENSIONS_MAX: usize = 32;

/// One list.
#[derive(Debug)]
pub struct Crl {
    der: Vec<u8>,
    /// Where in it the signed part is.
    signed: Range<usize>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    this_update: i64,
    next_update: Option<i64>,
    extensions: CrlExtensions,
    /// Where in the DER each entry's serial number begins, in the order of the serial numbers.
    entries: Vec<u32>,
    /// Entries with the reason `removeFromCRL`.
    removals: usize,
    digest: [u8; 32],
    /// The public key that was seen to have signed it, so that this is looked at once.
    proven: OnceLock<Vec<u8>>,
    /// One that was seen not to: a million entries are not hashed again for every handshake.
    refuted: OnceLock<Vec<u8>>,
}

/// What the extensions of a list say.
#[derive(Debug, Default)]
struct CrlExtensions {
    key_id: Option<Vec<u8>>,
    key_issuer: Option<Vec<u8>>,
    key_serial: Option<Vec<u8>>,
    number: Option<Vec<u8>>,
    scope: CrlScope,
}

/// Which certificates a list speaks of.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct CrlScope {
    /// Of those that are no CAs, only.
    pub only_users: bool,
    /// Of CAs, only.
    pub only_cas: bool,
    /// Of those that name one of these distribution points, only (whole `GeneralName`s).
    pub points: Option<Vec<Vec<u8>>>,
}

/// Why a list is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CrlError {
    /// It is not a list, or not in DER.
    Broken,
    /// It is larger than [`CRL_BYTES_MAX`].
    TooLarge,
    /// A date does not have the form of RFC 5280.
    Date,
    /// A serial number is longer than any we know.
    Serial,
    /// It tells changes of another list.
    Delta,
    /// It speaks of other authorities' certificates.
    Indirect,
    /// It tells revocations for some reasons only.
    SomeReasons,
    /// It speaks of attribute certificates.
    Attributes,
    /// A critical extension, of it or of an entry, is not known.
    Critical,
    /// It is signed with SHA-1 or worse.
    WeakDigest,
}

impl CrlError {
    /// Words that follow the name of the file.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Broken => "is broken",
            Self::TooLarge => "is larger than 128 MiB",
            Self::Date => "has a date that RFC 5280 does not allow",
            Self::Serial => "has a serial number of more than 64 bytes",
            Self::Delta => "is a delta CRL; a complete one is needed",
            Self::Indirect => "is an indirect CRL; one issued by the CA itself is needed",
            Self::SomeReasons => "tells some reasons only; one for all reasons is needed",
            Self::Attributes => "is about attribute certificates",
            Self::Critical => "has a critical extension that is not known",
            Self::WeakDigest => "is signed with SHA-1 or worse; SHA-256 or better is needed",
        }
    }
}

impl Crl {
    /// Reads a list.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn parse(der: Vec<u8>) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge);
        }
        let parts = RawCrl::read(&der).ok_or(CrlError::Broken)?;
        if signature::is_weak(parts.signature_algorithm) {
            return Err(CrlError::WeakDigest);
        }
        let time = |element| CertTime::new(element).and_then(|time| time.seconds());
        let this_update = time(parts.this_update).ok_or(CrlError::Date)?;
        let next_update = match parts.next_update {
            Some(element) => Some(time(element).ok_or(CrlError::Date)?),
            None => None,
        };
        // v1 has none.
        if parts.version == 1 && parts.extensions.is_some() {
            return Err(CrlError::Broken);
        }
        let extensions = CrlExtensions::read(parts.extensions)?;
        let start = offset(&der, parts.signed);
        let signed = start..start + parts.signed.len();
        let (entries, removals) = entries(&der, parts.revoked, parts.version)?;
        Ok(Self {
            signed,
            signature_algorithm: parts.signature_algorithm.to_vec(),
            signature: parts.signature.to_vec(),
            issuer: parts.issuer.to_vec(),
            this_update,
            next_update,
            extensions,
            entries,
            removals,
            digest: sha256(&der),
            proven: OnceLock::new(),
            refuted: OnceLock::new(),
            der,
        })
    }

    /// Whose list it is, as a `Name` with tag and length.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Since when it holds, Unix seconds.
    #[must_use]
    pub const fn this_update(&self) -> i64 {
        self.this_update
    }

    /// Until when there will be a newer one, Unix seconds.
    #[must_use]
    pub const fn next_update(&self) -> Option<i64> {
        self.next_update
    }

    /// `cRLNumber`, big-endian without leading zeros.
    #[must_use]
    pub fn number(&self) -> Option<&[u8]> {
        self.extensions.number.as_deref()
    }

    /// How many certificates it revokes.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.entries.len()
    }

    /// How many of its entries say `removeFromCRL`, which means something in a delta list only. Here
    /// they revoke like others: that somebody is on a list is not undone by a word that has no place there.
    #[must_use]
    pub const fn removals(&self) -> usize {
        self.removals
    }

    /// Which certificates it speaks of.
    #[must_use]
    pub const fn scope(&self) -> &CrlScope {
        &self.extensions.scope
    }

    /// It, as it is signed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of its DER.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Does it revoke the certificate with this serial number (the content of the `INTEGER`)? The
    /// reason does not matter: a certificate on hold is revoked, too.
    #[must_use]
    pub fn revokes(&self, serial: &[u8]) -> bool {
        let wanted = minimal(serial);
        self.entries.binary_search_by(|at| serial_at(&self.der, *at).cmp(wanted)).is_ok()
    }

    /// May this certificate have issued it, as far as the authority key identifier tells, and as it
    /// was not seen to be signed by another key?
    #[must_use]
    pub fn may_be_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        let foreign = self.proven.get().is_some_and(|spki| spki != issuer.raw.spki);
        !foreign && self.names_as_issuer(issuer)
    }

    /// The same, as far as the authority key identifier tells.
    #[must_use]
    pub fn names_as_issuer(&self, issuer: &Certificate<'_>) -> bool {
        let CrlExtensions { key_id, key_issuer, key_serial, .. } = &self.extensions;
        issuer.is_named_by(&AuthorityKeyId {
            key_id: key_id.as_deref(),
            issuer: key_issuer.as_deref().map(Cow::Borrowed),
            serial: key_serial.as_deref(),
        })
    }

    /// Did this certificate's key sign it?
    ///
    /// # Errors
    /// Why that cannot be said to be so.
    pub fn check_signature(&self, issuer: &Certificate<'_>) -> Result<(), SignatureError> {
        let is_key =
            |seen: &OnceLock<Vec<u8>>| seen.get().is_some_and(|spki| spki == issuer.raw.spki);
        if is_key(&self.proven) {
            return Ok(());
        }
        if is_key(&self.refuted) {
            return Err(SignatureError::Wrong);
        }
        let signed = self.der.get(self.signed.clone()).unwrap_or_default();
        let good = signature::signed(issuer, signed, &self.signature_algorithm, &self.signature);
        // Of two keys the first stays; the other is asked about again.
        let seen = match good {
            Ok(()) => Some(&self.proven),
            Err(SignatureError::Wrong) => Some(&self.refuted),
            Err(SignatureError::Unsupported | SignatureError::OverBudget) => None,
        };
        if let Some(seen) = seen {
            let _ = seen.set(issuer.raw.spki.to_vec());
        }
        good
    }
}

/// The pieces of a list.
struct RawCrl<'a> {
    signed: &'a [u8],
    version: u8,
    issuer: &'a [u8],
    this_update: Element<'a>,
    next_update: Option<Element<'a>>,
    revoked: &'a [u8],
    extensions: Option<&'a [u8]>,
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> RawCrl<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der::only(der, tag::SEQUENCE)?.content);
        let signed = outer.element(tag::SEQUENCE)?;
        let signature_algorithm = outer.content(tag::SEQUENCE)?;
        let (signature, unused) = outer.bits()?;
        let mut body = Reader::new(signed.content);
        let version = match body.optional(tag::INTEGER)? {
            None => 1,
            Some(Element { content: [1], .. }) => 2,
            Some(_) => return None,
        };
        if body.content(tag::SEQUENCE)? != signature_algorithm {
            return None;
        }
        let issuer = body.element(tag::SEQUENCE)?.whole;
        let this_update = time(&mut body)?;
        let next_update = match body.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(time(&mut body)?),
            _ => None,
        };
        let revoked = body.optional(tag::SEQUENCE)?.map_or(&[][..], |list| list.content);
        let extensions = body.optional(0xa0)?.map(|element| element.content);
        let whole = outer.is_empty() && body.is_empty() && unused == 0;
        (whole && name::is_valid(issuer)).then_some(Self {
            signed: signed.whole,
            version,
            issuer,
            this_update,
            next_update,
            revoked,
            extensions,
            signature_algorithm,
            signature,
        })
    }
}

fn time<'a>(reader: &mut Reader<'a>) -> Option<Element<'a>> {
    let element = reader.any()?;
    matches!(element.tag, tag::UTC_TIME | tag::GENERALIZED_TIME).then_some(element)
}

impl CrlExtensions {
    fn read(wrapped: Option<&[u8]>) -> Result<Self, CrlError> {
        let mut found = Self::default();
        let Some(wrapped) = wrapped else { return Ok(found) };
        let list = der::only(wrapped, tag::SEQUENCE).ok_or(CrlError::Broken)?;
        let list = raw_extension::list(list.content).ok_or(CrlError::Broken)?;
        if list.len() > EXTENSIONS_MAX {
            return Err(CrlError::Broken);
        }
        for (at, RawExtension { oid, critical, value }) in list.iter().copied().enumerate() {
            if list.iter().take(at).any(|before| before.oid == oid) {
                return Err(CrlError::Broken);
            }
            match oid {
                // cRLNumber
                [0x55, 0x1d, 0x14] if !critical => {
                    let number = der::only(value, tag::INTEGER).ok_or(CrlError::Broken)?.content;
                    let number = der::integer(number).ok_or(CrlError::Broken)?;
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    found.number = number.get(zeros..).map(<[u8]>::to_vec);
                }
                // deltaCRLIndicator
                [0x55, 0x1d, 0x1b] => return Err(CrlError::Delta),
                // issuingDistributionPoint
                [0x55, 0x1d, 0x1c] => found.scope = scope(value)?,
                // authorityKeyIdentifier
                [0x55, 0x1d, 0x23] => {
                    let key = extensions::authority_key(value).ok_or(CrlError::Broken)?;
                    found.key_id = key.key_id.map(<[u8]>::to_vec);
                    found.key_issuer = key.issuer.map(Cow::into_owned);
                    found.key_serial = key.serial.map(<[u8]>::to_vec);
                }
                _ if critical => return Err(CrlError::Critical),
                // Other names of the issuer, where there is more, where deltas are.
                _ => {}
            }
        }
        Ok(found)
    }
}

/// `IssuingDistributionPoint`
fn scope(value: &[u8]) -> Result<CrlScope, CrlError> {
    let broken = || CrlError::Broken;
    let mut body = Reader::new(der::only(value, tag::SEQUENCE).ok_or_else(broken)?.content);
    let flag = |body: &mut Reader<'_>, tag| body.flag(tag).ok_or_else(broken);
    let points = match body.optional(0xa0).ok_or_else(broken)? {
        None => None,
        // A name relative to the issuer matches nothing here.
        Some(point) => Some(distribution_points::full_names(point.content).ok_or_else(broken)?),
    };
    let only_users = flag(&mut body, 0x81)?;
    let only_cas = flag(&mut body, 0x82)?;
    if body.optional(0x83).ok_or_else(broken)?.is_some() {
        return Err(CrlError::SomeReasons);
    }
    if flag(&mut body, 0x84)? {
        return Err(CrlError::Indirect);
    }
    if flag(&mut body, 0x85)? {
        return Err(CrlError::Attributes);
    }
    // Nobody is a CA and none.
    if !body.is_empty() || (only_users && only_cas) {
        return Err(CrlError::Broken);
    }
    let points = points.map(|names| names.into_iter().map(<[u8]>::to_vec).collect());
    Ok(CrlScope { only_users, only_cas, points })
}

/// Where each entry's serial number begins, sorted by serial number; and how many of them say
/// `removeFromCRL`.
fn entries(der: &[u8], list: &[u8], version: u8) -> Result<(Vec<u32>, usize), CrlError> {
    let mut reader = Reader::new(list);
    let mut places: Vec<u32> = Vec::new();
    let mut removals = 0;
    while !reader.is_empty() {
        let mut entry = reader.enter(tag::SEQUENCE).ok_or(CrlError::Broken)?;
        let serial = entry.element(tag::INTEGER).ok_or(CrlError::Broken)?;
        if serial.content.is_empty() {
            return Err(CrlError::Broken);
        }
        if serial.content.len() > SERIAL_BYTES_MAX {
            return Err(CrlError::Serial);
        }
        time(&mut entry).ok_or(CrlError::Broken)?;
        if !entry.is_empty() {
            let extensions = entry.element(tag::SEQUENCE).ok_or(CrlError::Broken)?;
            if version == 1 || !entry.is_empty() {
                return Err(CrlError::Broken);
            }
            removals += usize::from(is_removal(extensions.content)?);
        }
        places.push(u32::try_from(offset(der, serial.whole)).map_err(|_| CrlError::TooLarge)?);
    }
    places.shrink_to_fit();
    let sorted = places.is_sorted_by(|a, b| serial_at(der, *a) <= serial_at(der, *b));
    if !sorted {
        places.sort_unstable_by(|a, b| serial_at(der, *a).cmp(serial_at(der, *b)));
    }
    Ok((places, removals))
}

/// Does an entry say `removeFromCRL`? Beside that, why and since when do not matter. Whose it is would:
/// an entry that names another issuer belongs into an indirect list. Nothing else of an entry is critical
/// (RFC 5280, section 5.3), and OpenSSL refuses what says so.
fn is_removal(extensions: &[u8]) -> Result<bool, CrlError> {
    const REMOVE_FROM_CRL: &[u8] = &[8];
    const REASON: &[u8] = &[0x55, 0x1d, 0x15];
    const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 0x1d];
    let mut list = Reader::new(extensions);
    let mut reason = None;
    while !list.is_empty() {
        let RawExtension { oid, critical, value } =
            RawExtension::read(&mut list).ok_or(CrlError::Broken)?;
        if oid == REASON {
            let value = der::only(value, tag::ENUMERATED).ok_or(CrlError::Broken)?.content;
            let value = der::integer(value).ok_or(CrlError::Broken)?;
            if reason.replace(value).is_some() {
                return Err(CrlError::Broken);
            }
        }
        if oid == CERTIFICATE_ISSUER {
            return Err(CrlError::Indirect);
        }
        if critical {
            return Err(CrlError::Critical);
        }
    }
    Ok(reason == Some(REMOVE_FROM_CRL))
}

/// The content of the serial number there, in its shortest form. Its length is one byte.
fn serial_at(der: &[u8], at: u32) -> &[u8] {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let len = der.get(start.saturating_add(1)).copied().map_or(0, usize::from);
    let start = start.saturating_add(2);
    minimal(der.get(start..start.saturating_add(len)).unwrap_or_default())
}

/// An `INTEGER`'s content without what only repeats its sign. OpenSSL refuses a list with such a number;
/// to take it revokes whom it names, and lets nobody in.
fn minimal(mut content: &[u8]) -> &[u8] {
    while let [first @ (0 | 0xff), next, ..] = content
        && (*first == 0xff) == (*next >= 0x80)
    {
        content = content.get(1..).unwrap_or_default();
    }
    content
}

/// Where in the whole a part of it begins.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}
