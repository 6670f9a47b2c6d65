//! Where the revocation lists about a certificate are, and which of them a list is
//! (`DistributionPoint`, RFC 5280, sections 4.2.1.13 and 5.2.5).
//!
//! In: DER. Out: [`DistributionPoint`]s whose names have been read as [`super::general_name`], or
//! `None`, which refuses the certificate or the list.

use super::general_name;
use crate::identity::der::{self, Reader, tag};

/// Where revocation lists about a certificate are published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DistributionPoint<'a> {
    /// Its whole `GeneralName`s; none where it is named relative to an issuer, or not at all.
    pub names: Vec<&'a [u8]>,
    /// The lists there cover only some revocation reasons.
    pub some_reasons: bool,
    /// The lists there are issued by another authority (`cRLIssuer`).
    pub indirect: bool,
}

/// `CRLDistributionPoints`
#[must_use]
pub fn read(value: &[u8]) -> Option<Vec<DistributionPoint<'_>>> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut point = list.enter(tag::SEQUENCE)?;
        let name = point.optional(0xa0)?;
        let names = match name {
            Some(name) => full_names(name.content)?,
            None => Vec::new(),
        };
        let reasons = point.optional(0x81)?;
        if reasons.is_some_and(|reasons| der::bits(reasons.content).is_none()) {
            return None;
        }
        let issuer = point.optional(0xa2)?;
        if issuer.is_some_and(|issuer| general_name::names(issuer.content).is_none()) {
            return None;
        }
        // Reasons alone are no place.
        if !point.is_empty() || (name.is_none() && issuer.is_none()) {
            return None;
        }
        let (some_reasons, indirect) = (reasons.is_some(), issuer.is_some());
        found.push(DistributionPoint { names, some_reasons, indirect });
    }
    Some(found)
}

/// The whole `GeneralName`s of a `DistributionPointName`; none of one that is relative to an issuer.
#[must_use]
pub fn full_names(point: &[u8]) -> Option<Vec<&[u8]>> {
    let mut point = Reader::new(point);
    let choice = point.any()?;
    if !point.is_empty() {
        return None;
    }
    match choice.tag {
        0xa0 => general_name::encodings(choice.content),
        0xa1 => relative(choice.content).then(Vec::new),
        _ => None,
    }
}

/// Attributes, each an identifier and a value.
fn relative(content: &[u8]) -> bool {
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let Some(mut pair) = list.enter(tag::SEQUENCE) else { return false };
        if pair.oid().is_none() || pair.any().is_none() || !pair.is_empty() {
            return false;
        }
    }
    true
}
