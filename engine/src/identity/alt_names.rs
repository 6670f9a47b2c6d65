//! Subject alternative names, by type; the SPIFFE id.
//!
//! A name that holds a control byte, or a byte beyond ASCII, is not handed out: it has no valid
//! reading (RFC 5280 section 4.2.1.6), and a NUL in a name has been an attack before.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::der::Reader;

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
    const fn prefix(self) -> &'static str {
        match self {
            Self::Email => "email:",
            Self::Dns => "DNS:",
            Self::Uri => "URI:",
            Self::Ip => "IP:",
        }
    }
}

/// The names that can be handed out, in the order of the certificate. In: the content of the
/// `GeneralNames`.
pub fn names(content: &[u8]) -> impl Iterator<Item = (AltKind, &[u8])> {
    let mut reader = Reader::new(content);
    std::iter::from_fn(move || {
        loop {
            let name = reader.any()?;
            let kind = match name.tag {
                0x81 => AltKind::Email,
                0x82 => AltKind::Dns,
                0x86 => AltKind::Uri,
                0x87 => AltKind::Ip,
                _ => continue,
            };
            let clean = match kind {
                AltKind::Ip => matches!(name.content.len(), 4 | 16),
                AltKind::Email | AltKind::Dns | AltKind::Uri => {
                    !name.content.is_empty()
                        && name.content.iter().all(|byte| (0x20..0x7f).contains(byte))
                }
            };
            if clean {
                return Some((kind, name.content));
            }
        }
    })
}

/// Appends every name, `DNS:a.example,URI:spiffe://b/c`; a comma or backslash inside a name is
/// escaped with a backslash.
pub fn all(content: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for (kind, name) in names(content) {
        separate(start, out);
        out.extend_from_slice(kind.prefix().as_bytes());
        value(kind, name, out);
    }
}

/// Appends the names of one type, separated by commas and escaped likewise.
pub fn of_kind(content: &[u8], wanted: AltKind, out: &mut Vec<u8>) {
    let start = out.len();
    for (kind, name) in names(content) {
        if kind == wanted {
            separate(start, out);
            value(kind, name, out);
        }
    }
}

/// The SPIFFE id: the URI, if it is the only one and a valid id (SPIFFE-ID section 2, X509-SVID
/// section 2).
#[must_use]
pub fn spiffe_id(content: &[u8]) -> Option<&[u8]> {
    // Every URI counts, the unreadable ones too: two identities are none.
    let mut reader = Reader::new(content);
    let mut only = None;
    while !reader.is_empty() {
        let name = reader.any()?;
        if name.tag == 0x86 && only.replace(name.content).is_some() {
            return None;
        }
    }
    only.filter(|uri| is_spiffe_id(uri))
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

    fn general_names(list: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, name) in list {
            out.push(*tag);
            out.push(u8::try_from(name.len()).unwrap());
            out.extend_from_slice(name);
        }
        out
    }

    #[test]
    fn names_are_typed_and_clean() {
        let list = general_names(&[
            (0x82, b"a.example"),
            (0x82, b"evil.example\0.good.example"),
            (0x86, b"spiffe://b/c,d"),
            (0x87, &[192, 0, 2, 1]),
            (0x87, &[1, 2, 3]),
            (0x87, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            (0x81, b"x@y.z"),
            (0x88, b"\x2a\x03"),
        ]);
        let mut out = Vec::new();
        all(&list, &mut out);
        let expected = "DNS:a.example,URI:spiffe://b/c\\,d,IP:192.0.2.1,IP:2001:db8::1,email:x@y.z";
        assert_eq!(out, expected.as_bytes());
        out.clear();
        of_kind(&list, AltKind::Ip, &mut out);
        assert_eq!(out, b"192.0.2.1,2001:db8::1");
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        let one = |uri: &'static [u8]| general_names(&[(0x82, b"x"), (0x86, uri)]);
        let good = [&b"spiffe://example.com/ns/pay"[..], b"spiffe://example.com"];
        for uri in good {
            assert_eq!(spiffe_id(&one(uri)), Some(uri));
        }
        let bad = [
            &b"spiffe://"[..],
            b"spiffe://Example.com/a",
            b"spiffe://example.com/",
            b"spiffe://example.com/a//b",
            b"spiffe://example.com/../b",
            b"spiffe://example.com/a?b",
            b"spiffe://user@example.com/a",
            b"https://example.com/a",
        ];
        for uri in bad {
            assert_eq!(spiffe_id(&one(uri)), None, "{}", uri.escape_ascii());
        }
        let two = general_names(&[(0x86, b"spiffe://a/b"), (0x86, b"https://c\0")]);
        assert_eq!(spiffe_id(&two), None);
    }
}
