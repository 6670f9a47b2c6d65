//! A `GeneralName` (RFC 5280, section 4.2.1.6), read once for everybody.
//!
//! In: DER. Out: a [`GeneralName`], or `None`, which refuses whatever it stands in. What headers and
//! lists are told, what constraints are held against, the host of an upstream and the place of a
//! revocation list are this type, so that none of them sees a name that another one does not.
//! Exactly nine identifier octets are names, and text is ASCII (`IA5String`). A name that holds a
//! control character or white space is read and constrained, but handed out to nobody:
//! see [`GeneralName::is_plain`].

use super::name;
use crate::identity::der::{self, Reader};
use crate::identity::name_syntax;

/// A name, by its type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GeneralName<'a> {
    /// `otherName`: its type, and its value with tag and length.
    Other(&'a [u8], &'a [u8]),
    /// `rfc822Name`
    Email(&'a [u8]),
    /// `dNSName`
    Dns(&'a [u8]),
    /// `x400Address`, not looked into.
    X400(&'a [u8]),
    /// `directoryName`: a whole `Name` with tag and length.
    Directory(&'a [u8]),
    /// `ediPartyName`
    EdiParty(&'a [u8]),
    /// `uniformResourceIdentifier`
    Uri(&'a [u8]),
    /// `iPAddress`: an address, or an address and its mask.
    Ip(&'a [u8]),
    /// `registeredID`
    RegisteredId(&'a [u8]),
}

/// What a name is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// It names somebody.
    Name,
    /// It is the base of a constraint.
    Base,
}

impl<'a> GeneralName<'a> {
    /// Reads the next one.
    pub fn read(reader: &mut Reader<'a>, used: Use) -> Option<Self> {
        let element = reader.any()?;
        let content = element.content;
        Some(match element.tag {
            0xa0 => {
                let mut parts = Reader::new(content);
                let kind = parts.oid()?;
                let mut value = parts.enter(0xa0)?;
                let inner = value.any()?.whole;
                (parts.is_empty() && value.is_empty()).then_some(Self::Other(kind, inner))?
            }
            0x81 => Self::Email(ascii(content)?),
            0x82 => Self::Dns(ascii(content)?),
            0xa3 => Self::X400(content),
            // The type is a choice, so its tag is explicit.
            0xa4 => name::is_valid(content).then_some(Self::Directory(content))?,
            0xa5 => edi_party(content).then_some(Self::EdiParty(content))?,
            0x86 => Self::Uri(ascii(content)?),
            0x87 => {
                let lengths: [usize; 2] = if used == Use::Base { [8, 32] } else { [4, 16] };
                lengths.contains(&content.len()).then_some(Self::Ip(content))?
            }
            0x88 => Self::RegisteredId(der::identifier(content)?),
            _ => return None,
        })
    }

    /// Can it be handed out? A NUL in a name has been an attack before, a header loses white space, and an
    /// empty name says nothing.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Email(text) | Self::Dns(text) | Self::Uri(text) => name_syntax::is_plain(text),
            _ => true,
        }
    }

    /// Are both of one type, so that one may constrain the other?
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// `GeneralNames` without their tag and length. An empty list is read, as OpenSSL does.
#[must_use]
pub fn names(content: &[u8]) -> Option<Vec<GeneralName<'_>>> {
    let mut list = Reader::new(content);
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(GeneralName::read(&mut list, Use::Name)?);
    }
    Some(found)
}

/// Their encodings, each of which has been read.
#[must_use]
pub fn encodings(content: &[u8]) -> Option<Vec<&[u8]>> {
    names(content)?;
    let mut list = Reader::new(content);
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.any()?.whole);
    }
    Some(found)
}

fn ascii(text: &[u8]) -> Option<&[u8]> {
    text.is_ascii().then_some(text)
}

/// Perhaps who assigns the name, and the name: each a `DirectoryString` in an explicit tag.
fn edi_party(content: &[u8]) -> bool {
    let text = |wrapped: &[u8]| {
        let mut reader = Reader::new(wrapped);
        let known = reader.any().is_some_and(|text| matches!(text.tag, 12 | 19 | 20 | 28 | 30));
        known && reader.is_empty()
    };
    let mut parts = Reader::new(content);
    let assigner = parts.optional(0xa0);
    let party = parts.optional(0xa1);
    let (Some(assigner), Some(Some(party))) = (assigner, party) else { return false };
    parts.is_empty() && assigner.is_none_or(|one| text(one.content)) && text(party.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_one_type_or_not_at_all() {
        type Case = (&'static [u8], Option<GeneralName<'static>>);
        let table: [Case; 16] = [
            (&[0x82, 1, b'a'], Some(GeneralName::Dns(b"a"))),
            (&[0xa2, 1, b'a'], None),
            (&[0x02, 1, b'a'], None),
            (&[0x86, 2, b'a', 0], Some(GeneralName::Uri(b"a\0"))),
            (&[0x86, 1, 0x80], None),
            (&[0x81, 0], Some(GeneralName::Email(b""))),
            (&[0x87, 4, 1, 2, 3, 4], Some(GeneralName::Ip(&[1, 2, 3, 4]))),
            (&[0x87, 3, 1, 2, 3], None),
            (&[0x87, 8, 1, 2, 3, 4, 5, 6, 7, 8], None),
            (&[0xa4, 2, 0x30, 0], Some(GeneralName::Directory(&[0x30, 0]))),
            (&[0xa4, 0], None),
            (&[0xa4, 4, 0x30, 0, 0x30, 0], None),
            (&[0x88, 1, 0x2a], Some(GeneralName::RegisteredId(&[0x2a]))),
            (&[0x88, 2, 0x2a, 0x80], None),
            (&[0xa0, 6, 6, 1, 0x2a, 0xa0, 1, 5], None),
            (&[0x89, 0], None),
        ];
        for (der, expected) in table {
            assert_eq!(GeneralName::read(&mut Reader::new(der), Use::Name), expected, "{der:?}");
        }
        for (name, plain) in [(&b"a"[..], true), (b"a\0b", false), (b"", false), (b"\n", false)] {
            assert_eq!(GeneralName::Uri(name).is_plain(), plain);
        }
        let network = [0x87, 8, 10, 0, 0, 0, 255, 0, 0, 0];
        let read = GeneralName::read(&mut Reader::new(&network), Use::Base);
        assert_eq!(read, Some(GeneralName::Ip(&network[2..])));
        assert_eq!(GeneralName::read(&mut Reader::new(&[0x87, 4, 1, 2, 3, 4]), Use::Base), None);
    }
}
