//! Is a name within the base of a constraint? (RFC 5280, section 4.2.1.10.)
//!
//! In: two names of one type, each brought into the form in which it is compared, once however many
//! others it meets. Out: yes, no, or why that cannot be said, in OpenSSL's words. Hosts and mail
//! addresses have one reading, so that nobody reads another one out of them; whatever else stands
//! there refuses, as a name and as a base, where OpenSSL compares it as text. What some readers take for
//! another name is excluded with it.

use std::net::Ipv4Addr;

use super::general_name::GeneralName;
use super::name;
use crate::identity::failure::VerifyFailure;
use crate::identity::{name_syntax, uri};

/// A name as it is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NameForm<'a> {
    /// A host in lower case; its first label may be a wildcard.
    Host(Vec<u8>),
    /// What is in front of the `@`, if there is one way to write it, and the host in lower case.
    Mailbox(Option<&'a [u8]>, Vec<u8>),
    /// Four octets, or sixteen.
    Address(&'a [u8]),
    /// In canonical spelling.
    Directory(Vec<u8>),
    /// There is no one way to read it.
    Broken,
    /// Of a type that is not compared.
    Foreign,
}

/// A base as it is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum BaseForm<'a> {
    /// Of DNS names, URIs and mail addresses.
    Hosts(HostSubtree),
    /// What is in front of the `@`, and the host in lower case.
    Mailbox(&'a [u8], Vec<u8>),
    /// A network and its mask.
    Network(&'a [u8]),
    /// In canonical spelling.
    Directory(Vec<u8>),
    /// There is no one way to read it.
    Broken,
    /// Of a type that is not compared.
    Foreign,
}

/// A host, the hosts below it, or both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HostSubtree {
    /// In lower case; empty for every host.
    host: Vec<u8>,
    /// The host itself is within.
    itself: bool,
    /// Hosts with more labels are within.
    below: bool,
}

/// Which of the two lists of constraints a base belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SubtreeKind {
    /// Names must be within; one that may be another is not.
    Permitted,
    /// Names must not be within; one that may be another is.
    Excluded,
}

impl<'a> NameForm<'a> {
    /// Of a name.
    pub(crate) fn of(name: &GeneralName<'a>) -> Self {
        match *name {
            GeneralName::Dns(text) => Self::host(text),
            GeneralName::Email(text) => match mailbox(text) {
                Some((local, host)) if !local.is_empty() => {
                    Self::Mailbox(Some(local).filter(|local| name_syntax::is_dot_atom(local)), host)
                }
                _ => Self::Broken,
            },
            GeneralName::Uri(text) => {
                uri::host(text).map_or(Self::Broken, |host| Self::Host(host.to_ascii_lowercase()))
            }
            GeneralName::Ip(address) => Self::Address(address),
            GeneralName::Directory(text) => {
                name::canonical_bytes(text).map_or(Self::Broken, Self::Directory)
            }
            _ => Self::Foreign,
        }
    }

    /// Of a host name, perhaps with a wildcard for its first label.
    pub(crate) fn host(text: &[u8]) -> Self {
        let host = text.strip_prefix(b"*.").unwrap_or(text);
        if uri::is_host_name(host) { Self::Host(text.to_ascii_lowercase()) } else { Self::Broken }
    }

    /// Is it within this base, which is of its type?
    pub(crate) fn is_within(
        &self,
        base: &BaseForm<'_>,
        side: SubtreeKind,
    ) -> Result<bool, VerifyFailure> {
        match (self, base) {
            (Self::Foreign, _) | (_, BaseForm::Foreign) => Err(VerifyFailure::ConstraintType),
            (Self::Broken, _) => Err(VerifyFailure::NameSyntax),
            (_, BaseForm::Broken) => Err(VerifyFailure::ConstraintSyntax),
            (Self::Host(host), BaseForm::Hosts(base)) => {
                Ok(base.contains(host) || (side == SubtreeKind::Excluded && base.may_be(host)))
            }
            (Self::Mailbox(_, host), BaseForm::Hosts(base)) => Ok(base.contains(host)),
            (Self::Mailbox(local, host), BaseForm::Mailbox(base, base_host)) => {
                if host != base_host {
                    return Ok(false);
                }
                let local = local.ok_or(VerifyFailure::NameSyntax)?;
                // Nobody but the host knows whether case counts (RFC 5321, section 2.4).
                Ok(match side {
                    SubtreeKind::Permitted => local == *base,
                    SubtreeKind::Excluded => local.eq_ignore_ascii_case(base),
                })
            }
            (Self::Address(address), BaseForm::Network(base)) => {
                Ok(address_is_within(address, base)
                    || (side == SubtreeKind::Excluded && may_be_within(address, base)))
            }
            // The base is how the name begins.
            (Self::Directory(name), BaseForm::Directory(base)) => Ok(name.starts_with(base)),
            _ => Err(VerifyFailure::ConstraintType),
        }
    }
}

impl<'a> BaseForm<'a> {
    /// Of a base.
    pub(crate) fn of(base: &GeneralName<'a>) -> Self {
        match *base {
            GeneralName::Dns(b"") => {
                Self::Hosts(HostSubtree { host: Vec::new(), itself: true, below: true })
            }
            GeneralName::Dns(text) => {
                HostSubtree::read(text, true).map_or(Self::Broken, Self::Hosts)
            }
            GeneralName::Uri(text) => {
                HostSubtree::read(text, false).map_or(Self::Broken, Self::Hosts)
            }
            GeneralName::Email(text) if text.contains(&b'@') => match mailbox(text) {
                Some((b"", host)) => Self::Hosts(HostSubtree { host, itself: true, below: false }),
                Some((local, host)) if name_syntax::is_dot_atom(local) => {
                    Self::Mailbox(local, host)
                }
                _ => Self::Broken,
            },
            GeneralName::Email(text) => {
                HostSubtree::read(text, false).map_or(Self::Broken, Self::Hosts)
            }
            GeneralName::Ip(network) => Self::Network(network),
            GeneralName::Directory(text) => {
                name::canonical_bytes(text).map_or(Self::Broken, Self::Directory)
            }
            _ => Self::Foreign,
        }
    }
}

impl HostSubtree {
    /// A host, around which there may be others, or a dot and what all of them are below.
    fn read(text: &[u8], around: bool) -> Option<Self> {
        let bare = text.strip_prefix(b".");
        let host = bare.unwrap_or(text);
        let (itself, below) = (bare.is_none(), around || bare.is_some());
        uri::is_host_name(host).then(|| Self { host: host.to_ascii_lowercase(), itself, below })
    }

    fn contains(&self, host: &[u8]) -> bool {
        let Some(more) = host.len().checked_sub(self.host.len()) else { return false };
        if !host.ends_with(&self.host) {
            return false;
        }
        if more == 0 {
            return self.itself;
        }
        let at_label = self.host.is_empty() || host.get(more - 1) == Some(&b'.');
        self.below && at_label
    }

    /// Is one of them among those that this one stands for, if it is a wildcard?
    fn may_be(&self, name: &[u8]) -> bool {
        let dot = memchr::memchr(b'.', &self.host);
        let parent = dot.and_then(|dot| self.host.get(dot + 1..));
        name.strip_prefix(b"*.").is_some_and(|host| parent == Some(host))
    }
}

/// What is in front of the last `@`, and the host behind it in lower case.
fn mailbox(text: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let at = memchr::memrchr(b'@', text)?;
    let (local, host) = (text.get(..at)?, text.get(at + 1..)?);
    uri::is_host_name(host).then(|| (local, host.to_ascii_lowercase()))
}

fn address_is_within(address: &[u8], base: &[u8]) -> bool {
    if base.len() != 2 * address.len() {
        return false;
    }
    let (network, mask) = base.split_at(address.len());
    let same = |((address, network), mask): ((&u8, &u8), &u8)| address & mask == network & mask;
    address.iter().zip(network).zip(mask).all(same)
}

/// The same of an IPv4 address that is written as an IPv6 one, in the name or in the base: many
/// readers make no difference.
fn may_be_within(address: &[u8], base: &[u8]) -> bool {
    let mapped = |octets: &[u8]| -> Option<[u8; 16]> {
        let four = <[u8; 4]>::try_from(octets).ok()?;
        Some(Ipv4Addr::from(four).to_ipv6_mapped().octets())
    };
    match (address.len(), base.split_at_checked(base.len() / 2)) {
        (16, Some((network, mask))) => mapped(network).is_some_and(|network| {
            let mask = [&[0xff; 12][..], mask].concat();
            address_is_within(address, &[&network[..], &mask].concat())
        }),
        // Whoever excludes all of IPv6 does not mean IPv4.
        (4, Some((_, mask))) => {
            let narrow = mask.get(..12).is_some_and(|mask| mask.iter().all(|octet| *octet == 0xff));
            narrow && mapped(address).is_some_and(|address| address_is_within(&address, base))
        }
        _ => false,
    }
}

/// A common name that may be taken for a host: letters, digits, `_`, and dots and hyphens between
/// them, with at least one dot; perhaps a wildcard in front of it, or the root's dot behind it.
pub(crate) fn host_of(text: &[u8]) -> Result<Option<&[u8]>, VerifyFailure> {
    let zeros = text.iter().rev().take_while(|byte| **byte == 0).count();
    let text = text.get(..text.len() - zeros).unwrap_or_default();
    if text.contains(&0) {
        return Err(VerifyFailure::NameSyntax);
    }
    let text = text.strip_suffix(b".").unwrap_or(text);
    let name = text.strip_prefix(b"*.").unwrap_or(text);
    let mut host = name.len() < text.len();
    for (at, byte) in name.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|at| name.get(at)), name.get(at + 1));
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
    Ok((host && !name.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(name: &GeneralName<'_>, base: &GeneralName<'_>) -> [Result<bool, VerifyFailure>; 2] {
        let (name, base) = (NameForm::of(name), BaseForm::of(base));
        [SubtreeKind::Permitted, SubtreeKind::Excluded].map(|side| name.is_within(&base, side))
    }

    #[test]
    fn names_are_within_what_openssl_says() {
        use GeneralName::{Dns, Email, Ip, RegisteredId, Uri};
        type Case = (GeneralName<'static>, GeneralName<'static>, Result<bool, VerifyFailure>);
        let table: [Case; 20] = [
            (Dns(b"a.b"), Dns(b"B"), Ok(true)),
            (Dns(b"ab"), Dns(b"b"), Ok(false)),
            (Dns(b"b"), Dns(b".b"), Ok(false)),
            (Dns(b"a.b"), Dns(b".b"), Ok(true)),
            (Dns(b"anything"), Dns(b""), Ok(true)),
            (Dns(b"*.a.b"), Dns(b"b"), Ok(true)),
            (Email(b"x@y.z"), Email(b"Y.Z"), Ok(true)),
            (Email(b"x@a.y.z"), Email(b"y.z"), Ok(false)),
            (Email(b"x@a.y.z"), Email(b".y.z"), Ok(true)),
            (Email(b"x@y"), Email(b"x@Y"), Ok(true)),
            (Email(b"z@y"), Email(b"x@y"), Ok(false)),
            (Email(b"x@y"), Email(b"@y"), Ok(true)),
            (Email(b"xy"), Email(b"y"), Err(VerifyFailure::NameSyntax)),
            (Email(b"x@y."), Email(b"y"), Err(VerifyFailure::NameSyntax)),
            (Uri(b"spiffe://a.b/c"), Uri(b"A.b"), Ok(true)),
            (Uri(b"spiffe://a.b:1/c"), Uri(b".b"), Ok(true)),
            (Uri(b"spiffe://b/c"), Uri(b".b"), Ok(false)),
            (Ip(&[10, 1, 2, 3]), Ip(&[10, 1, 0, 0, 255, 255, 0, 0]), Ok(true)),
            (Ip(&[10, 2, 2, 3]), Ip(&[10, 1, 0, 0, 255, 255, 0, 0]), Ok(false)),
            (RegisteredId(b"x"), RegisteredId(b"x"), Err(VerifyFailure::ConstraintType)),
        ];
        for (name, base, expected) in table {
            assert_eq!(within(&name, &base), [expected; 2], "{name:?} in {base:?}");
        }
    }

    #[test]
    fn what_may_be_another_name_is_excluded_with_it() {
        use GeneralName::{Dns, Email, Ip};
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3];
        let ten = [10, 0, 0, 0, 255, 0, 0, 0];
        let ten_mapped = {
            let mut base = [0; 32];
            base[..12].copy_from_slice(&mapped[..12]);
            base[12] = 10;
            base[16..29].fill(255);
            base
        };
        for (name, base, expected) in [
            (Email(b"X@y"), Email(b"x@y"), true),
            (Dns(b"*.y"), Dns(b"x.y"), true),
            (Dns(b"*.y"), Dns(b"z.x.y"), false),
            (Dns(b"*.x.y"), Dns(b".x.y"), true),
            (Ip(&mapped), Ip(&ten), true),
            (Ip(&[10, 1, 2, 3]), Ip(&ten_mapped), true),
            (Ip(&[11, 1, 2, 3]), Ip(&ten_mapped), false),
            (Ip(&[10, 1, 2, 3]), Ip(&[0; 32]), false),
        ] {
            let permitted = name == Dns(b"*.x.y");
            assert_eq!(within(&name, &base), [Ok(permitted), Ok(expected)], "{name:?} in {base:?}");
        }
    }

    #[test]
    fn what_has_no_one_reading_refuses() {
        use GeneralName::{Dns, Email, Uri};
        let bad_hosts: [&[u8]; 9] =
            [b".", b"b.", b"a..b", b"a b", b"a\0b", b"*.b", b"..b", b"a/b", b"a@b@c d"];
        for bad in bad_hosts {
            for (name, base) in [
                (Dns(b"a.b"), Dns(bad)),
                (Uri(b"x://a.b"), Uri(bad)),
                (Email(b"x@a.b"), Email(bad)),
            ] {
                let expected = Err(VerifyFailure::ConstraintSyntax);
                assert_eq!(within(&name, &base), [expected; 2], "{name:?} in {base:?}");
            }
        }
        for (name, base) in [(Uri(b"x://a.b"), Uri(b"")), (Email(b"x@a.b"), Email(b""))] {
            let expected = Err(VerifyFailure::ConstraintSyntax);
            assert_eq!(within(&name, &base), [expected; 2], "{name:?}");
        }
        for (name, base) in [
            (Email(b"\"x\"@y"), Email(b"x@y")),
            (Email(b"x y@y"), Email(b"x@y")),
            (Email(b"@y"), Email(b"y")),
            (Dns(b"evil.b."), Dns(b"b")),
            (Dns(b"*.*.b"), Dns(b"b")),
            (Dns(b"a*.b"), Dns(b"b")),
            (Dns(b""), Dns(b"b")),
        ] {
            let expected = Err(VerifyFailure::NameSyntax);
            assert_eq!(within(&name, &base), [expected; 2], "{name:?} in {base:?}");
        }
        let quoted = within(&Email(b"x@y"), &Email(b"\"x\"@y"));
        assert_eq!(quoted, [Err(VerifyFailure::ConstraintSyntax); 2]);
    }

    #[test]
    fn hosts_are_told_from_other_common_names() {
        type Case = (&'static [u8], Result<Option<&'static [u8]>, VerifyFailure>);
        let table: [Case; 12] = [
            (b"a.b", Ok(Some(b"a.b"))),
            (b"a_b.c-d\0", Ok(Some(b"a_b.c-d"))),
            (b"a.b.", Ok(Some(b"a.b"))),
            (b"*.a.b", Ok(Some(b"*.a.b"))),
            (b"*.b", Ok(Some(b"*.b"))),
            (b"*.", Ok(None)),
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
