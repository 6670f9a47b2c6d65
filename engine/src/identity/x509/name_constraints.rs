//! The `nameConstraints` extension (RFC 5280, section 4.2.1.10): what a CA permits and excludes below itself.
//!
//! In: its value as DER. Out: [`NameConstraints`], against which one name at a time is held. Every
//! constraint of a name's type counts, critical or not; a constraint or a name that cannot be compared
//! refuses, in OpenSSL's words.

use super::constraint_match::{BaseForm, NameForm, SubtreeKind};
use super::general_name::{GeneralName, Use};
use crate::identity::der::{self, Element, Reader, tag};
use crate::identity::failure::VerifyFailure;

/// The constraints of one CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameConstraints<'a> {
    /// Names have to be within one of those of their type.
    pub permitted: Vec<Subtree<'a>>,
    /// Names must be within none of these.
    pub excluded: Vec<Subtree<'a>>,
}

/// One constraint (`GeneralSubtree`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subtree<'a> {
    /// The name that permitted or excluded names are within.
    pub base: GeneralName<'a>,
    /// The whole of it, with tag and length.
    pub whole: &'a [u8],
    /// It has no minimum and no maximum.
    plain: bool,
    /// The base as it is compared.
    form: BaseForm<'a>,
}

/// One name of a certificate, as it is compared.
pub(crate) struct ComparableName<'a> {
    pub(crate) name: GeneralName<'a>,
    pub(crate) form: NameForm<'a>,
}

impl<'a> NameConstraints<'a> {
    /// Reads the value of the extension; `None` if it is broken.
    #[must_use]
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
        let permitted = subtrees(body.optional(0xa0)?)?;
        let excluded = subtrees(body.optional(0xa1)?)?;
        body.is_empty().then_some(Self { permitted, excluded })
    }

    /// Whatever is of this name's type cannot be compared.
    pub(crate) fn refuse(&self, name: &GeneralName<'_>) -> Result<(), VerifyFailure> {
        let mut all = self.permitted.iter().chain(&self.excluded);
        if all.any(|subtree| subtree.base.is_like(name)) {
            return Err(VerifyFailure::ConstraintType);
        }
        Ok(())
    }

    /// Holds one name against all of its type.
    pub(crate) fn check(&self, name: &ComparableName<'_>) -> Result<(), VerifyFailure> {
        let mut permitted = None;
        for subtree in self.permitted.iter().filter(|subtree| subtree.base.is_like(&name.name)) {
            if !subtree.plain {
                return Err(VerifyFailure::SubtreeBounds);
            }
            if permitted != Some(true) {
                permitted = Some(name.form.is_within(&subtree.form, SubtreeKind::Permitted)?);
            }
        }
        if permitted == Some(false) {
            return Err(VerifyFailure::Subtree);
        }
        for subtree in self.excluded.iter().filter(|subtree| subtree.base.is_like(&name.name)) {
            if !subtree.plain {
                return Err(VerifyFailure::SubtreeBounds);
            }
            if name.form.is_within(&subtree.form, SubtreeKind::Excluded)? {
                return Err(VerifyFailure::ExcludedSubtree);
            }
        }
        Ok(())
    }
}

fn subtrees<'a>(list: Option<Element<'a>>) -> Option<Vec<Subtree<'a>>> {
    let mut found = Vec::new();
    let Some(list) = list else { return Some(found) };
    let mut list = Reader::new(list.content);
    while !list.is_empty() {
        let element = list.element(tag::SEQUENCE)?;
        let mut subtree = Reader::new(element.content);
        let base = GeneralName::read(&mut subtree, Use::Base)?;
        let minimum = subtree.optional(0x80)?;
        let maximum = subtree.optional(0x81)?;
        let plain = maximum.is_none() && minimum.is_none_or(|minimum| minimum.content == [0]);
        if !subtree.is_empty() {
            return None;
        }
        let form = BaseForm::of(&base);
        found.push(Subtree { base, whole: element.whole, plain, form });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::der::tlv;

    #[test]
    fn a_directory_is_within_how_it_begins() {
        let part = |text: &[u8]| tlv(0x31, &tlv(0x30, &[&[6, 1, 0x2a][..], text].concat()));
        let whole = |parts: &[&[u8]]| {
            tlv(0x30, &parts.iter().flat_map(|text| part(text)).collect::<Vec<u8>>())
        };
        let (a, ab, b) = (b"\x0c\x01a", b"\x13\x03 AB", b"\x0c\x01b");
        for (name, base, expected) in [
            (whole(&[a, b]), whole(&[a]), true),
            (whole(&[a, b]), whole(&[]), true),
            (whole(&[a, b]), whole(&[b]), false),
            (whole(&[ab]), whole(&[a]), false),
            (whole(&[ab]), whole(&[b"\x0c\x02ab"]), true),
            (whole(&[a]), whole(&[a, b]), false),
        ] {
            let base = tlv(0x30, &tlv(0xa4, &base));
            let value = tlv(0x30, &tlv(0xa1, &base));
            let read = NameConstraints::read(&value).unwrap();
            let name = NameForm::of(&GeneralName::Directory(&name));
            let within = name.is_within(&read.excluded[0].form, SubtreeKind::Excluded);
            assert_eq!(within, Ok(expected));
        }
    }
}
