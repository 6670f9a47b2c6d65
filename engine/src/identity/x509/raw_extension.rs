//! X.509 extensions as they stand in a list, not yet understood (RFC 5280, section 4.2).
//!
//! In: the DER of a list, of a certificate, of a revocation list or of an entry of one. Out: identifier,
//! criticality and value of each extension, or `None`.

use crate::identity::der::{Reader, tag};

/// One extension, not yet understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RawExtension<'a> {
    /// Its object identifier (content octets).
    pub(crate) oid: &'a [u8],
    /// Whoever does not process it must refuse the certificate.
    pub(crate) critical: bool,
    /// The content of its `extnValue`.
    pub(crate) value: &'a [u8],
}

impl<'a> RawExtension<'a> {
    /// Reads the next one of a list: of a certificate, of a revocation list, of an entry of one.
    pub(crate) fn read(list: &mut Reader<'a>) -> Option<Self> {
        let mut extension = list.enter(tag::SEQUENCE)?;
        let oid = extension.oid()?;
        let critical = extension.flag(tag::BOOLEAN)?;
        let value = extension.content(tag::OCTET_STRING)?;
        extension.is_empty().then_some(Self { oid, critical, value })
    }
}

/// Extensions, one by one, from the content of their list.
pub(crate) fn list(content: &[u8]) -> Option<Vec<RawExtension<'_>>> {
    let mut list = Reader::new(content);
    let mut found: Vec<RawExtension<'_>> = Vec::new();
    while !list.is_empty() {
        found.push(RawExtension::read(&mut list)?);
    }
    Some(found)
}
