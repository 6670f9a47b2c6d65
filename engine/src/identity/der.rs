//! A strict DER reader: definite lengths in their shortest form, single-byte tags.
//!
//! In: bytes from a peer. Out: borrowed pieces of them, or `None`. Nothing is copied or allocated.

/// One element: its tag, its content and its whole encoding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The content.
    pub content: &'a [u8],
    /// Identifier, length and content.
    pub whole: &'a [u8],
}

/// The tags this room reads.
pub mod tag {
    /// `BOOLEAN`
    pub const BOOLEAN: u8 = 0x01;
    /// `INTEGER`
    pub const INTEGER: u8 = 0x02;
    /// `BIT STRING`
    pub const BIT_STRING: u8 = 0x03;
    /// `OCTET STRING`
    pub const OCTET_STRING: u8 = 0x04;
    /// `NULL`
    pub const NULL: u8 = 0x05;
    /// `OBJECT IDENTIFIER`
    pub const OID: u8 = 0x06;
    /// `ENUMERATED`
    pub const ENUMERATED: u8 = 0x0a;
    /// `UTCTime`
    pub const UTC_TIME: u8 = 0x17;
    /// `GeneralizedTime`
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// `SEQUENCE`
    pub const SEQUENCE: u8 = 0x30;
    /// `SET`
    pub const SET: u8 = 0x31;
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Is everything read?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        // Of the universal types, sequences, sets and their relatives are constructed, in DER no other.
        let constructed = matches!(tag & 0x1f, 8 | 11 | 16 | 17 | 29);
        let universal = tag & 0xc0 == 0;
        if tag & 0x1f == 0x1f || tag == 0 || (universal && (tag & 0x20 != 0) != constructed) {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let len = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let (digits, after) = rest.split_at_checked(count)?;
            rest = after;
            let len = digits.iter().fold(0_usize, |len, digit| (len << 8) | usize::from(*digit));
            // The shortest form is the only form.
            if len < 0x80 || digits.first() == Some(&0) {
                return None;
            }
            len
        };
        let (content, after) = rest.split_at_checked(len)?;
        let whole = self.rest.get(..self.rest.len() - after.len())?;
        self.rest = after;
        Some(Element { tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.peek()? == tag { self.any() } else { None }
    }

    /// The content of the next element, which must have this tag.
    pub fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element(tag).map(|element| element.content)
    }

    /// A reader over the content of the next element, which must have this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Self> {
        self.content(tag).map(Self::new)
    }

    /// The next element if it has this tag; the outer `None` means broken bytes.
    pub fn optional(&mut self, tag: u8) -> Option<Option<Element<'a>>> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Some(None) }
    }

    /// The content of a `BIT STRING` and the number of unused bits.
    pub fn bits(&mut self) -> Option<(&'a [u8], u8)> {
        bits(self.content(tag::BIT_STRING)?)
    }

    /// The content of the next element, which must be an object identifier.
    pub fn oid(&mut self) -> Option<&'a [u8]> {
        identifier(self.content(tag::OID)?)
    }

    /// A `BOOLEAN` with this tag that is false where it is left out. It may be written out as false,
    /// as many do: that has one reading. True is 0xff.
    pub fn flag(&mut self, tag: u8) -> Option<bool> {
        match self.optional(tag)?.map(|element| element.content) {
            None | Some([0]) => Some(false),
            Some([0xff]) => Some(true),
            Some(_) => None,
        }
    }
}

/// The content of an object identifier: it ends, and its arcs have their shortest form.
#[must_use]
pub fn identifier(content: &[u8]) -> Option<&[u8]> {
    let ends = content.last().is_some_and(|last| last & 0x80 == 0);
    let mut fresh = true;
    let shortest = content.iter().all(|byte| {
        let good = !(fresh && *byte == 0x80);
        fresh = byte & 0x80 == 0;
        good
    });
    (ends && shortest).then_some(content)
}

/// What is in a `BIT STRING` with this content, and the number of unused bits, which are zero.
#[must_use]
pub fn bits(content: &[u8]) -> Option<(&[u8], u8)> {
    let (&unused, bits) = content.split_first()?;
    let clean = match bits.last() {
        _ if unused >= 8 => false,
        Some(last) => last & ((1 << unused) - 1) == 0,
        None => unused == 0,
    };
    clean.then_some((bits, unused))
}

/// The content of an `INTEGER` in its shortest form.
#[must_use]
pub fn integer(content: &[u8]) -> Option<&[u8]> {
    match content {
        [] => None,
        [0, next, ..] if *next < 0x80 => None,
        [0xff, next, ..] if *next >= 0x80 => None,
        all => Some(all),
    }
}

/// A number that is not negative, of the content of an `INTEGER` in its shortest form; what is
/// larger than 32 bits is the largest, and so a bound that nothing reaches.
#[must_use]
pub fn count(content: &[u8]) -> Option<u32> {
    let digits = match integer(content)? {
        [first, ..] if *first >= 0x80 => return None,
        [0, rest @ ..] => rest,
        all => all,
    };
    if digits.len() > 4 {
        return Some(u32::MAX);
    }
    Some(digits.iter().fold(0, |count, digit| (count << 8) | u32::from(*digit)))
}

/// The only element of these bytes; nothing may follow it.
#[must_use]
pub fn only(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    let mut reader = Reader::new(bytes);
    let element = reader.element(tag)?;
    reader.is_empty().then_some(element)
}

/// One element of these parts, which are at most 4 GiB together.
#[must_use]
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let digits = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let [.., short] = digits;
    let mut out = Vec::with_capacity(len + 6);
    out.push(tag);
    if len < 0x80 {
        out.push(short);
    } else {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(zeros..).unwrap_or_default();
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
        out.extend_from_slice(digits);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An object identifier in dotted form; `None` if it is broken or an arc exceeds 128 bits (that
/// of a UUID).
#[must_use]
pub fn dotted(oid: &[u8]) -> Option<String> {
    let mut arcs: Vec<u128> = Vec::new();
    let mut arc = 0_u128;
    let mut fresh = true;
    for byte in oid {
        if fresh && *byte == 0x80 {
            return None;
        }
        if arc >> 121 != 0 {
            return None;
        }
        arc = (arc << 7) | u128::from(byte & 0x7f);
        fresh = byte & 0x80 == 0;
        if fresh {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arcs.push(arc - first * 40);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    if !fresh || arcs.is_empty() {
        return None;
    }
    let mut text = String::new();
    let mut number = itoa::Buffer::new();
    for arc in arcs {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(number.format(arc));
    }
    Some(text)
}

/// One element, for tests: its tag, its length in as few bytes as it takes, its content.
#[cfg(test)]
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    let zeros = len.iter().take_while(|byte| **byte == 0).count().min(3);
    let digits = &len[zeros..];
    let long = (content.len() >= 128).then(|| 0x80 | u8::try_from(digits.len()).unwrap());
    let head: Vec<u8> = [tag].into_iter().chain(long).chain(digits.iter().copied()).collect();
    [&head, content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_length_is_read() {
        let table: [(&[u8], Option<usize>); 12] = [
            (&[0x24, 0x00], None),
            (&[0x2c, 0x00], None),
            (&[0x10, 0x00], None),
            (&[0x00, 0x00], None),
            (&[0x04, 0x00], Some(0)),
            (&[0x04, 0x01, 0xaa], Some(1)),
            (&[0x04, 0x81, 0x01, 0xaa], None),
            (&[0x04, 0x80, 0x00, 0x00], None),
            (&[0x04, 0x02, 0xaa], None),
            (&[0x1f, 0x01, 0x00], None),
            (&[0x04, 0x85, 0, 0, 0, 0, 1, 0], None),
            (&[0x04], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(Reader::new(bytes).any().map(|element| element.content.len()), expected);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; len];
            let written = element(4, &[&content[..len / 2], &content[len / 2..]]);
            assert_eq!(only(&written, 4).map(|element| element.content), Some(&content[..]));
        }
    }

    #[test]
    fn counts_bits_and_flags_have_one_form() {
        let counts: [(&[u8], Option<u32>); 8] = [
            (&[0], Some(0)),
            (&[0x7f], Some(127)),
            (&[0, 0x80], Some(128)),
            (&[0, 0x7f], None),
            (&[0x80], None),
            (&[], None),
            (&[1, 0, 0, 0, 0], Some(u32::MAX)),
            (&[0, 0xff, 0xff, 0xff, 0xff], Some(u32::MAX)),
        ];
        for (content, expected) in counts {
            assert_eq!(count(content), expected, "{content:?}");
        }
        for (content, good) in
            [(&[0_u8, 0xff][..], true), (&[7, 0x80], true), (&[7, 0xc0], false), (&[8, 0], false)]
        {
            assert_eq!(bits(content).is_some(), good, "{content:?}");
        }
        for (content, expected) in
            [(&[1, 1, 0xff][..], Some(true)), (&[1, 1, 0], Some(false)), (&[1, 1, 1], None)]
        {
            assert_eq!(Reader::new(content).flag(tag::BOOLEAN), expected);
        }
        assert_eq!(Reader::new(&[]).flag(tag::BOOLEAN), Some(false));
    }

    #[test]
    fn identifiers_are_dotted() {
        assert_eq!(dotted(&[0x55, 0x04, 0x03]).as_deref(), Some("2.5.4.3"));
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]).as_deref(),
            Some("1.2.840.113549")
        );
        assert_eq!(dotted(&[0x88, 0x37]).as_deref(), Some("2.999"));
        assert_eq!(dotted(&[0x55, 0x84]), None);
        assert_eq!(dotted(&[]), None);
    }
}
