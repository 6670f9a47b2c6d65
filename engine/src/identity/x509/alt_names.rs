//! Subject alternative names, by type; the SPIFFE id.
//!
//! In: names as [`super::general_name`] has read them, and nothing else. Out: text for headers,
//! without white space or control characters. A certificate with a name that cannot be read has none.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::general_name::GeneralName;
use crate::identity::{name_syntax, uri};

/// The types of name that are handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AltKind {
    /// `rfc822Name`
    Email,
    /// `dNSName`
    Dns,
    /// `uniformResourceIdentifier`
    Uri,
    /// `iPAddress`
    Ip,
}

impl AltKind {
    /// As written in front of the name in `$ssl_client_san`.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Email => "email:",
            Self::Dns => "DNS:",
            Self::Uri => "URI:",
            Self::Ip => "IP:",
        }
    }
}

/// A name that can be handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AltName<'n> {
    /// Its type.
    pub kind: AltKind,
    /// Its text; the octets of an address.
    pub value: &'n [u8],
}

/// The names that can be handed out, in the order of the certificate.
pub fn names<'n>(names: &'n [GeneralName<'n>]) -> impl Iterator<Item = AltName<'n>> {
    names.iter().filter(|name| name.is_plain()).filter_map(|name| {
        let (kind, value) = match *name {
            GeneralName::Email(text) => (AltKind::Email, text),
            GeneralName::Dns(text) => (AltKind::Dns, text),
            GeneralName::Uri(text) => (AltKind::Uri, text),
            GeneralName::Ip(address) => (AltKind::Ip, address),
            GeneralName::Other(..)
            | GeneralName::X400(_)
            | GeneralName::Directory(_)
            | GeneralName::EdiParty(_)
            | GeneralName::RegisteredId(_) => return None,
        };
        Some(AltName { kind, value })
    })
}

/// Is there a name with a character that no name has: one that some readers drop, or end at?
pub(crate) fn holds_unreadable(names: &[GeneralName<'_>]) -> bool {
    names.iter().any(|name| match name {
        GeneralName::Email(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => {
            !text.iter().all(u8::is_ascii_graphic)
        }
        _ => false,
    })
}

/// The kinds of which there is a name that somebody may read as another one.
pub(crate) fn unclear<'n>(names: &'n [GeneralName<'n>]) -> impl Iterator<Item = AltKind> {
    names.iter().filter_map(|name| {
        let (kind, text) = match *name {
            GeneralName::Email(text) => (AltKind::Email, text),
            GeneralName::Dns(text) => (AltKind::Dns, text),
            GeneralName::Uri(text) => (AltKind::Uri, text),
            _ => return None,
        };
        (!is_clear(kind, text)).then_some(kind)
    })
}

/// Can it be read in one way only? The several readings of a URI are known, see [`crate::identity::uri`].
fn is_clear(kind: AltKind, name: &[u8]) -> bool {
    name_syntax::is_plain(name)
        && match kind {
            AltKind::Dns => name_syntax::is_host(name.strip_prefix(b"*.").unwrap_or(name)),
            AltKind::Email => name_syntax::is_mailbox(name),
            AltKind::Uri | AltKind::Ip => true,
        }
}

/// Alternative names that lists and conditions are held against.
const NAMES_MAX: usize = 1024;
/// URIs among them that can be read in several ways.
const ODD_URIS_MAX: usize = 32;
/// Bytes of these URIs: an escaped character may stand for eighteen others.
const ODD_URI_BYTES_MAX: usize = 8 * 1_024;

/// Are there more than can be held against long lists?
pub(crate) fn are_overmany(list: &[GeneralName<'_>]) -> bool {
    let odd = || names(list).filter(|name| name.kind == AltKind::Uri && uri::is_odd(name.value));
    names(list).count() > NAMES_MAX
        || odd().count() > ODD_URIS_MAX
        || odd().map(|name| name.value.len()).sum::<usize>() > ODD_URI_BYTES_MAX
}

/// As what else somebody may read a name: without case, without the root's dot, an address of IPv4 as
/// one of IPv6, a URI as [`uri::readings`] tells.
pub(crate) fn readings(kind: AltKind, name: &[u8]) -> Vec<Vec<u8>> {
    match kind {
        AltKind::Dns | AltKind::Email => {
            vec![name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()]
        }
        AltKind::Uri => {
            let odd = if uri::is_odd(name) { uri::readings(name) } else { Vec::new() };
            let lower = odd.iter().map(|reading| reading.to_ascii_lowercase());
            lower.chain([name.to_ascii_lowercase()]).chain(odd.iter().cloned()).collect()
        }
        AltKind::Ip => match (<[u8; 4]>::try_from(name), <[u8; 16]>::try_from(name)) {
            (Ok(four), _) => vec![Ipv4Addr::from(four).to_ipv6_mapped().to_string().into()],
            (_, Ok(long)) => vec![Ipv6Addr::from(long).to_canonical().to_string().into()],
            _ => Vec::new(),
        },
    }
}

/// Appends every name, `DNS:a.example,URI:spiffe://b/c`; a comma or backslash inside a name is
/// escaped with a backslash.
pub fn all(list: &[GeneralName<'_>], out: &mut Vec<u8>) {
    let start = out.len();
    for AltName { kind, value: name } in names(list) {
        separate(start, out);
        out.extend_from_slice(kind.prefix().as_bytes());
        value(kind, name, out);
    }
}

/// Appends the names of one type, separated by commas and escaped likewise.
pub fn of_kind(list: &[GeneralName<'_>], wanted: AltKind, out: &mut Vec<u8>) {
    let start = out.len();
    for AltName { kind, value: name } in names(list) {
        if kind == wanted {
            separate(start, out);
            value(kind, name, out);
        }
    }
}

/// The URIs among these names, one by one.
#[must_use]
pub fn uris(list: &[GeneralName<'_>]) -> Vec<Box<[u8]>> {
    let uris = names(list).filter(|name| name.kind == AltKind::Uri);
    uris.map(|uri| uri.value.into()).collect()
}

/// Appends a name without escapes.
pub(crate) fn plain(kind: AltKind, name: &[u8], out: &mut Vec<u8>) {
    if kind == AltKind::Ip {
        out.extend_from_slice(address(name).as_bytes());
    } else {
        out.extend_from_slice(name);
    }
}

/// The SPIFFE id: the URI, if it is the only one and a valid id (SPIFFE-ID section 2, X509-SVID
/// section 2).
#[must_use]
pub fn spiffe_id<'a>(list: &[GeneralName<'a>]) -> Option<&'a [u8]> {
    // Every URI counts, an empty one too: two identities are none.
    let mut uris = list.iter().filter_map(|name| match *name {
        GeneralName::Uri(text) => Some(text),
        _ => None,
    });
    let only = uris.next()?;
    (uris.next().is_none() && is_spiffe_id(only)).then_some(only)
}

fn is_spiffe_id(uri: &[u8]) -> bool {
    const URI_BYTES_MAX: usize = 2048;
    let Some(rest) = uri.strip_prefix(b"spiffe://") else { return false };
    let mut parts = rest.split(|byte| *byte == b'/');
    let domain = parts.next().unwrap_or_default();
    let in_domain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let in_path = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    uri.len() <= URI_BYTES_MAX
        && (1..=255).contains(&domain.len())
        && domain.iter().all(in_domain)
        && parts.all(|part| !matches!(part, b"" | b"." | b"..") && part.iter().all(in_path))
}

fn separate(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
}

fn value(kind: AltKind, name: &[u8], out: &mut Vec<u8>) {
    if kind == AltKind::Ip {
        out.extend_from_slice(address(name).as_bytes());
        return;
    }
    for byte in name {
        if matches!(byte, b',' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(four).to_string();
    }
    <[u8; 16]>::try_from(bytes).map(|long| Ipv6Addr::from(long).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_typed() {
        let list = [
            GeneralName::Dns(b"a.example"),
            GeneralName::Dns(b""),
            GeneralName::Dns(b"evil.example\0.good.example"),
            GeneralName::Uri(b"spiffe://b/c,d"),
            GeneralName::Ip(&[192, 0, 2, 1]),
            GeneralName::Ip(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            GeneralName::Email(b"x@y.z"),
            GeneralName::RegisteredId(b"\x2a\x03"),
        ];
        let mut out = Vec::new();
        all(&list, &mut out);
        let expected = "DNS:a.example,URI:spiffe://b/c\\,d,IP:192.0.2.1,IP:2001:db8::1,email:x@y.z";
        assert_eq!(out, expected.as_bytes());
        out.clear();
        of_kind(&list, AltKind::Ip, &mut out);
        assert_eq!(out, b"192.0.2.1,2001:db8::1");
    }

    #[test]
    fn what_has_two_readings_is_not_clear() {
        for (kind, name, plain, clear) in [
            (AltKind::Dns, "a.example", true, true),
            (AltKind::Dns, "*.a_b.example.", true, true),
            (AltKind::Dns, "a.example..", true, false),
            (AltKind::Dns, "a:1", true, false),
            (AltKind::Dns, "a b", false, false),
            (AltKind::Dns, "", false, false),
            (AltKind::Email, "a.b+c@x.example", true, true),
            (AltKind::Email, "\"a\"@x", true, false),
            (AltKind::Email, "a@b@c", true, false),
            (AltKind::Email, "a", true, false),
            (AltKind::Uri, "x:%00", true, true),
            (AltKind::Uri, "x: ", false, false),
        ] {
            let name = name.as_bytes();
            assert_eq!(
                (name_syntax::is_plain(name), is_clear(kind, name)),
                (plain, clear),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        fn one(uri: &str) -> [GeneralName<'_>; 2] {
            [GeneralName::Dns(b"x"), GeneralName::Uri(uri.as_bytes())]
        }
        let good = ["spiffe://example.com/ns/pay", "spiffe://example.com"];
        for uri in good {
            assert_eq!(spiffe_id(&one(uri)), Some(uri.as_bytes()));
        }
        let bad = [
            "spiffe://",
            "spiffe://Example.com/a",
            "spiffe://example.com/",
            "spiffe://example.com/a//b",
            "spiffe://example.com/../b",
            "spiffe://example.com/a?b",
            "spiffe://user@example.com/a",
            "https://example.com/a",
        ];
        for uri in bad {
            assert_eq!(spiffe_id(&one(uri)), None, "{uri}");
        }
        for other in [&b"https://c\0"[..], b""] {
            let two = [GeneralName::Uri(b"spiffe://a/b"), GeneralName::Uri(other)];
            assert_eq!(spiffe_id(&two), None);
        }
    }

    #[test]
    fn names_that_cost_too_much_to_compare_are_overmany() {
        let many = |name: GeneralName<'static>, count| are_overmany(&vec![name; count]);
        assert!(!many(GeneralName::Dns(b"a"), NAMES_MAX) && many(GeneralName::Dns(b"a"), 1_025));
        let odd = GeneralName::Uri(b"a://b/%61");
        assert!(!many(odd, ODD_URIS_MAX) && many(odd, ODD_URIS_MAX + 1));
        for (count, overmany) in [(900, false), (910, true)] {
            let long = format!("a://b/{}", "%EF%B7%BA".repeat(count));
            let list = [GeneralName::Uri(long.as_bytes())];
            assert_eq!(are_overmany(&list), overmany, "{}", long.len());
        }
        let plain = format!("a://b/{}", "c".repeat(ODD_URI_BYTES_MAX));
        assert!(!are_overmany(&[GeneralName::Uri(plain.as_bytes())]));
    }
}
