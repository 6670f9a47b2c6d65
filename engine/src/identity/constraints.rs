//! Name constraints (RFC 5280, section 4.2.1.10), held against names as OpenSSL does.
//!
//! In: the value of a CA's `nameConstraints`, and a certificate below it. Out: what is wrong, in
//! OpenSSL's words. Every constraint of a name's type counts, critical or not; a constraint or a
//! name that cannot be compared refuses. webpki looks at DNS names and addresses too, and its word
//! counts as well; it cannot compare the other types ([`beyond_webpki`]).

use super::certificate::Certificate;
use super::der::{self, Element, Reader, tag};
use super::failure::VerifyFailure;
use super::name;

/// Comparisons for a whole path. OpenSSL's bound is sixteen times as high, and for each pair of its
/// certificates. A chain without a good signature comes this far, too.
const COMPARISONS_MAX: usize = 1 << 16;

const OTHER: u8 = 0xa0;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// The identifier of such a name, with tag and length.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x09];

type Outcome = Result<(), VerifyFailure>;

/// One side of the constraints.
struct Subtree<'a> {
    base: Element<'a>,
    /// It says no more than its base.
    plain: bool,
    /// The base in canonical spelling, if it is a directory name that has one.
    canonical: Option<Vec<u8>>,
}

/// The constraints of one CA.
struct Constraints<'a> {
    permitted: Vec<Subtree<'a>>,
    excluded: Vec<Subtree<'a>>,
}

/// One name of a certificate.
struct Name<'a> {
    kind: u8,
    content: &'a [u8],
    /// In canonical spelling, if it is a directory name that has one.
    canonical: Option<Vec<u8>>,
}

/// Every name of one certificate, read once, however many constraints it is held against.
struct Names<'a> {
    alt_names: Vec<Name<'a>>,
    subject: Name<'a>,
    attributes: Vec<(&'a [u8], Element<'a>)>,
}

/// Holds a whole path, leaf first, against the constraints in it. Of several things that are wrong
/// the last one is told: the leaf's come after its issuers'.
#[must_use]
pub fn violation(path: &[Certificate<'_>]) -> Option<VerifyFailure> {
    let values = path.iter().map(|above| above.extensions.name_constraints);
    let constraints: Vec<Option<Option<Constraints<'_>>>> =
        values.map(|value| value.map(read)).collect();
    let mut last = None;
    let mut left = COMPARISONS_MAX;
    for (at, certificate) in path.iter().enumerate().rev() {
        // A CA's new key under its own name is not below itself.
        if at != 0 && certificate.self_issued() {
            continue;
        }
        let mut names = None;
        for above in constraints.iter().skip(at + 1).rev() {
            let Some(above) = above else { continue };
            let outcome = match above {
                Some(above) => {
                    let names = names.get_or_insert_with(|| Names::read(certificate));
                    names
                        .as_ref()
                        .map_err(|failure| *failure)
                        .and_then(|names| names.hold_against(above, at == 0, &mut left))
                }
                None => Err(VerifyFailure::ConstraintSyntax),
            };
            if let Err(failure) = outcome {
                last = Some(failure);
            }
        }
    }
    last
}

/// Is there a constraint that webpki refuses whatever it says?
#[must_use]
pub fn beyond_webpki(path: &[Certificate<'_>]) -> bool {
    path.iter().skip(1).filter_map(|above| above.extensions.name_constraints).any(|value| {
        read(value).is_none_or(|constraints| {
            let all = constraints.permitted.iter().chain(&constraints.excluded);
            all.into_iter().any(|subtree| !matches!(subtree.base.tag, DNS | ADDRESS))
        })
    })
}

impl<'a> Names<'a> {
    fn read(certificate: &Certificate<'a>) -> Result<Self, VerifyFailure> {
        let subject = certificate.outline.subject;
        let alt_names = match certificate.extensions.alt_names_value {
            Some(value) => elements(value).ok_or(VerifyFailure::NameSyntax)?,
            None => Vec::new(),
        };
        let attributes = name::values(subject).ok_or(VerifyFailure::NameSyntax)?;
        let alt_names = alt_names.iter().map(|name| Name::new(name.tag, name.content)).collect();
        Ok(Self { alt_names, subject: Name::new(DIRECTORY, subject), attributes })
    }

    fn hold_against(&self, above: &Constraints<'_>, leaf: bool, left: &mut usize) -> Outcome {
        let names = self.alt_names.len() + self.attributes.len();
        let count = above.permitted.len() + above.excluded.len();
        *left = left.checked_sub(names.saturating_mul(count)).ok_or(VerifyFailure::Unspecified)?;
        if !self.attributes.is_empty() {
            above.hold(&self.subject)?;
            for value in self.all(EMAIL_ADDRESS) {
                // IA5String
                if value.tag != 22 {
                    return Err(VerifyFailure::NameSyntax);
                }
                above.hold(&Name::new(EMAIL, value.content))?;
            }
        }
        for alt_name in &self.alt_names {
            // An address beyond ASCII is an address all the same, and we cannot compare it.
            if alt_name.kind == OTHER && alt_name.content.starts_with(SMTP_UTF8_MAILBOX) {
                above.refuse(EMAIL)?;
            }
            above.hold(alt_name)?;
        }
        // Whoever reads a host out of the subject does so only where no alternative name is one.
        if leaf && !self.alt_names.iter().any(|name| name.kind == DNS) {
            for value in self.all(COMMON_NAME) {
                let text = name::text(*value).unwrap_or_default();
                if let Some(host) = host_of(&text)? {
                    above.hold(&Name::new(DNS, host))?;
                }
            }
        }
        Ok(())
    }

    /// The values of this attribute of the subject.
    fn all(&self, wanted: &'static [u8]) -> impl Iterator<Item = &Element<'a>> {
        let attributes = self.attributes.iter();
        attributes.filter(move |(kind, _)| *kind == wanted).map(|(_, value)| value)
    }
}

impl<'a> Name<'a> {
    fn new(kind: u8, content: &'a [u8]) -> Self {
        Self { kind, content, canonical: canonical(kind, content) }
    }
}

impl Constraints<'_> {
    /// Whatever is of this type cannot be compared.
    fn refuse(&self, kind: u8) -> Outcome {
        let mut all = self.permitted.iter().chain(&self.excluded);
        if all.any(|subtree| subtree.base.tag == kind) {
            return Err(VerifyFailure::ConstraintType);
        }
        Ok(())
    }

    /// Holds one name against all of its type.
    fn hold(&self, name: &Name<'_>) -> Outcome {
        let mut permitted = None;
        for subtree in self.permitted.iter().filter(|subtree| subtree.base.tag == name.kind) {
            if !subtree.plain {
                return Err(VerifyFailure::SubtreeBounds);
            }
            if permitted != Some(true) {
                permitted = Some(subtree.holds(name)?);
            }
        }
        if permitted == Some(false) {
            return Err(VerifyFailure::Subtree);
        }
        for subtree in self.excluded.iter().filter(|subtree| subtree.base.tag == name.kind) {
            if !subtree.plain {
                return Err(VerifyFailure::SubtreeBounds);
            }
            if subtree.holds(name)? {
                return Err(VerifyFailure::ExcludedSubtree);
            }
        }
        Ok(())
    }
}

impl Subtree<'_> {
    /// Is this name of its type within it?
    fn holds(&self, name: &Name<'_>) -> Result<bool, VerifyFailure> {
        if name.kind != DIRECTORY {
            return is_within(name.kind, name.content, self.base.content);
        }
        // The base is how the name begins, in OpenSSL's canonical spelling.
        let name = name.canonical.as_ref().ok_or(VerifyFailure::NameSyntax)?;
        let base = self.canonical.as_ref().ok_or(VerifyFailure::ConstraintSyntax)?;
        Ok(name.starts_with(base))
    }
}

/// A directory name in canonical spelling.
fn canonical(kind: u8, name: &[u8]) -> Option<Vec<u8>> {
    if kind == DIRECTORY { name::canonical_bytes(name) } else { None }
}

fn is_within(kind: u8, name: &[u8], base: &[u8]) -> Result<bool, VerifyFailure> {
    match kind {
        DNS => Ok(host_is_within(name, base)),
        EMAIL => email_is_within(name, base),
        URI => uri_is_within(name, base),
        ADDRESS => address_is_within(name, base),
        _ => Err(VerifyFailure::ConstraintType),
    }
}

/// Labels may be added on the left.
fn host_is_within(host: &[u8], base: &[u8]) -> bool {
    let Some(cut) = host.len().checked_sub(base.len()) else { return false };
    let (labels, tail) = host.split_at(cut);
    tail.eq_ignore_ascii_case(base)
        && (labels.is_empty()
            || base.is_empty()
            || base.starts_with(b".")
            || labels.ends_with(b"."))
}

fn email_is_within(email: &[u8], base: &[u8]) -> Result<bool, VerifyFailure> {
    let at = memchr::memrchr(b'@', email).ok_or(VerifyFailure::NameSyntax)?;
    let (local, host) =
        (email.get(..at).unwrap_or_default(), email.get(at + 1..).unwrap_or_default());
    let base_at = memchr::memrchr(b'@', base);
    if base_at.is_none() && base.starts_with(b".") {
        return Ok(email.len() > base.len() && ends_with(email, base));
    }
    let (base_local, base_host) = match base_at {
        Some(at) => (base.get(..at).unwrap_or_default(), base.get(at + 1..).unwrap_or_default()),
        None => (&[][..], base),
    };
    if !base_local.is_empty() {
        if base_local.contains(&0) || local.contains(&0) {
            return Err(VerifyFailure::NameSyntax);
        }
        if base_local != local {
            return Ok(false);
        }
    }
    Ok(host.eq_ignore_ascii_case(base_host))
}

fn uri_is_within(uri: &[u8], base: &[u8]) -> Result<bool, VerifyFailure> {
    let colon = memchr::memchr(b':', uri).ok_or(VerifyFailure::NameSyntax)?;
    let rest = uri.get(colon + 1..).unwrap_or_default();
    let rest = rest.strip_prefix(b"//").ok_or(VerifyFailure::NameSyntax)?;
    // A port ends the host, else a slash; as OpenSSL has it, wherever they are.
    let end = memchr::memchr(b':', rest).or_else(|| memchr::memchr(b'/', rest));
    let host = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    if host.is_empty() {
        return Err(VerifyFailure::NameSyntax);
    }
    if base.starts_with(b".") {
        return Ok(host.len() > base.len() && ends_with(host, base));
    }
    Ok(host.eq_ignore_ascii_case(base))
}

fn address_is_within(address: &[u8], base: &[u8]) -> Result<bool, VerifyFailure> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(VerifyFailure::NameSyntax);
    }
    if base.len() != 2 * address.len() {
        return Ok(false);
    }
    let (network, mask) = base.split_at(address.len());
    let same = |((address, network), mask): ((&u8, &u8), &u8)| address & mask == network & mask;
    Ok(address.iter().zip(network).zip(mask).all(same))
}

fn ends_with(text: &[u8], tail: &[u8]) -> bool {
    text.len()
        .checked_sub(tail.len())
        .and_then(|cut| text.get(cut..))
        .is_some_and(|end| end.eq_ignore_ascii_case(tail))
}

/// A common name that may be taken for a host: letters, digits, `_`, and dots and hyphens between
/// them, with at least one dot.
fn host_of(text: &[u8]) -> Result<Option<&[u8]>, VerifyFailure> {
    let zeros = text.iter().rev().take_while(|byte| **byte == 0).count();
    let text = text.get(..text.len() - zeros).unwrap_or_default();
    if text.contains(&0) {
        return Err(VerifyFailure::NameSyntax);
    }
    let mut host = false;
    for (at, byte) in text.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|at| text.get(at)), text.get(at + 1));
        match (byte, before, after) {
            (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_', ..) | (b'-', Some(_), Some(_)) => {}
            (b'.', Some(before), Some(after))
                if *after != b'.' && *before != b'-' && *after != b'-' =>
            {
                host = true;
            }
            _ => return Ok(None),
        }
    }
    Ok(host.then_some(text))
}

fn read(value: &[u8]) -> Option<Constraints<'_>> {
    let mut body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let permitted = subtrees(body.optional(0xa0)?)?;
    let excluded = subtrees(body.optional(0xa1)?)?;
    body.is_empty().then_some(Constraints { permitted, excluded })
}

fn subtrees(list: Option<Element<'_>>) -> Option<Vec<Subtree<'_>>> {
    let mut found = Vec::new();
    let Some(list) = list else { return Some(found) };
    let mut list = Reader::new(list.content);
    while !list.is_empty() {
        let mut subtree = list.enter(tag::SEQUENCE)?;
        let base = subtree.any()?;
        let minimum = subtree.optional(0x80)?;
        let maximum = subtree.optional(0x81)?;
        let plain = maximum.is_none() && minimum.is_none_or(|minimum| minimum.content == [0]);
        if !subtree.is_empty() {
            return None;
        }
        let canonical = canonical(base.tag, base.content);
        found.push(Subtree { base, plain, canonical });
    }
    Some(found)
}

fn elements(value: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut list = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.any()?);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_within_what_openssl_says() {
        type Case = (u8, &'static [u8], &'static [u8], Result<bool, VerifyFailure>);
        let table: [Case; 22] = [
            (DNS, b"a.b", b"B", Ok(true)),
            (DNS, b"ab", b"b", Ok(false)),
            (DNS, b"b", b".b", Ok(false)),
            (DNS, b"a.b", b".b", Ok(true)),
            (DNS, b"anything", b"", Ok(true)),
            (EMAIL, b"x@y.z", b"Y.Z", Ok(true)),
            (EMAIL, b"x@a.y.z", b"y.z", Ok(false)),
            (EMAIL, b"x@a.y.z", b".y.z", Ok(true)),
            (EMAIL, b"x@y", b"x@Y", Ok(true)),
            (EMAIL, b"X@y", b"x@y", Ok(false)),
            (EMAIL, b"x@y", b"@y", Ok(true)),
            (EMAIL, b"xy", b"y", Err(VerifyFailure::NameSyntax)),
            (EMAIL, b"x\0@y", b"x@y", Err(VerifyFailure::NameSyntax)),
            (URI, b"spiffe://a.b/c", b"A.b", Ok(true)),
            (URI, b"spiffe://a.b:1/c", b".b", Ok(true)),
            (URI, b"spiffe://b/c", b".b", Ok(false)),
            (URI, b"urn:x", b"x", Err(VerifyFailure::NameSyntax)),
            (URI, b"x:///y", b"y", Err(VerifyFailure::NameSyntax)),
            (ADDRESS, &[10, 1, 2, 3], &[10, 1, 0, 0, 255, 255, 0, 0], Ok(true)),
            (ADDRESS, &[10, 2, 2, 3], &[10, 1, 0, 0, 255, 255, 0, 0], Ok(false)),
            (ADDRESS, &[10, 2, 2], &[10, 1, 0, 0, 255, 255, 0, 0], Err(VerifyFailure::NameSyntax)),
            (0x88, b"", b"", Err(VerifyFailure::ConstraintType)),
        ];
        for (kind, name, base, expected) in table {
            let text = String::from_utf8_lossy(name);
            assert_eq!(is_within(kind, name, base), expected, "{kind:x} {text}");
        }
    }

    /// DER.
    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len()).unwrap().to_be_bytes();
        let zeros = len.iter().take_while(|byte| **byte == 0).count().min(3);
        let digits = &len[zeros..];
        let long = (content.len() >= 128).then(|| 0x80 | u8::try_from(digits.len()).unwrap());
        let head: Vec<u8> = [tag].into_iter().chain(long).chain(digits.iter().copied()).collect();
        [&head, content].concat()
    }

    /// A name with one relative name, which has the same short attribute `count` times over.
    fn crowd(kind: u8, count: usize) -> Vec<u8> {
        let attribute = tlv(0x30, &[&[6, 1, kind][..], &[12, 0]].concat());
        tlv(0x30, &tlv(0x31, &attribute.repeat(count)))
    }

    #[test]
    fn comparisons_are_counted_over_the_whole_path() {
        let alt_names = crowd(0x2a, 133);
        let subject = crowd(0x2a, 0);
        let names = Names {
            alt_names: (0..30).map(|_| Name::new(DIRECTORY, &alt_names)).collect(),
            subject: Name::new(DIRECTORY, &subject),
            attributes: Vec::new(),
        };
        let subtree = tlv(0x30, &tlv(DIRECTORY, &crowd(0x2b, 1)));
        let value = tlv(0x30, &tlv(0xa1, &subtree.repeat(1950)));
        let above = read(&value).unwrap();
        let mut left = COMPARISONS_MAX;
        assert_eq!(names.hold_against(&above, true, &mut left), Ok(()));
        let again = names.hold_against(&above, true, &mut left);
        assert_eq!(again, Err(VerifyFailure::Unspecified));
    }

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
            let base = tlv(0x30, &tlv(DIRECTORY, &base));
            let value = tlv(0x30, &tlv(0xa1, &base));
            let within = read(&value).unwrap().excluded[0].holds(&Name::new(DIRECTORY, &name));
            assert_eq!(within, Ok(expected));
        }
    }

    #[test]
    fn hosts_are_told_from_other_common_names() {
        type Case = (&'static [u8], Result<Option<&'static [u8]>, VerifyFailure>);
        let table: [Case; 8] = [
            (b"a.b", Ok(Some(b"a.b"))),
            (b"a_b.c-d\0", Ok(Some(b"a_b.c-d"))),
            (b"ab", Ok(None)),
            (b"a b.c", Ok(None)),
            (b"a..b", Ok(None)),
            (b"a.-b", Ok(None)),
            (b".a", Ok(None)),
            (b"a\0.b", Err(VerifyFailure::NameSyntax)),
        ];
        for (text, expected) in table {
            assert_eq!(host_of(text), expected);
        }
    }
}
