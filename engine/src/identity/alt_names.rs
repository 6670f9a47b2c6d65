//! Subject alternative names, by type; the SPIFFE id.
//!
//! A name that holds a control byte, or a byte beyond ASCII, is not handed out: it has no valid
//! reading (RFC 5280 section 4.2.1.6), and a NUL in a name has been an attack before.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::Tag;
use x509_parser::extensions::GeneralName;

use super::certificate::Certificate;

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

/// The names that can be handed out, in the order of the certificate.
pub fn names<'n>(names: &'n [GeneralName<'n>]) -> impl Iterator<Item = (AltKind, &'n [u8])> {
    names.iter().filter_map(|name| match name {
        GeneralName::RFC822Name(text) => clean(AltKind::Email, text),
        GeneralName::DNSName(text) => clean(AltKind::Dns, text),
        GeneralName::URI(text) => clean(AltKind::Uri, text),
        GeneralName::IPAddress(bytes) => {
            matches!(bytes.len(), 4 | 16).then_some((AltKind::Ip, *bytes))
        }
        _ => None,
    })
}

fn clean(kind: AltKind, text: &str) -> Option<(AltKind, &[u8])> {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (!text.is_empty() && plain).then_some((kind, text.as_bytes()))
}

/// Appends every name, `DNS:a.example,URI:spiffe://b/c`; a comma or backslash inside a name is
/// escaped with a backslash.
pub fn all(list: &[GeneralName<'_>], out: &mut Vec<u8>) {
    let start = out.len();
    for (kind, name) in names(list) {
        separate(start, out);
        out.extend_from_slice(kind.prefix().as_bytes());
        value(kind, name, out);
    }
}

/// Appends the names of one type, separated by commas and escaped likewise.
pub fn of_kind(list: &[GeneralName<'_>], wanted: AltKind, out: &mut Vec<u8>) {
    let start = out.len();
    for (kind, name) in names(list) {
        if kind == wanted {
            separate(start, out);
            value(kind, name, out);
        }
    }
}

/// The names of a certificate; none if it cannot be read to the end.
#[must_use]
pub fn of_certificate(der: &[u8]) -> Vec<GeneralName<'_>> {
    Certificate::parse(der).and_then(|one| one.extensions.alt_names).unwrap_or_default()
}

/// The URIs that a certificate holds, one by one.
#[must_use]
pub fn uris_of(der: &[u8]) -> Vec<Box<[u8]>> {
    let names_of = of_certificate(der);
    let uris = names(&names_of).filter(|(kind, _)| *kind == AltKind::Uri);
    uris.map(|(_, uri)| uri.into()).collect()
}

/// Appends a name without escapes.
pub(super) fn plain(kind: AltKind, name: &[u8], out: &mut Vec<u8>) {
    if kind == AltKind::Ip {
        out.extend_from_slice(address(name).as_bytes());
    } else {
        out.extend_from_slice(name);
    }
}

/// The SPIFFE id: the URI, if it is the only one and a valid id (SPIFFE-ID section 2, X509-SVID
/// section 2).
#[must_use]
pub fn spiffe_id<'a>(list: &[GeneralName<'a>]) -> Option<&'a str> {
    const URI: Tag = Tag(6);
    // Every URI counts, the unreadable ones too: two identities are none.
    let mut uris = list.iter().filter_map(|name| match name {
        GeneralName::URI(text) => Some(Some(*text)),
        GeneralName::Invalid(URI, _) => Some(None),
        _ => None,
    });
    let only = uris.next()??;
    (uris.next().is_none() && is_spiffe_id(only.as_bytes())).then_some(only)
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
    use x509_parser::asn1_rs::FromDer;
    use x509_parser::extensions::SubjectAlternativeName;

    use super::*;

    fn general_names(list: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, name) in list {
            out.push(*tag);
            out.push(u8::try_from(name.len()).unwrap());
            out.extend_from_slice(name);
        }
        let mut whole = vec![0x30, u8::try_from(out.len()).unwrap()];
        whole.extend(out);
        whole
    }

    fn read(der: &[u8]) -> Vec<GeneralName<'_>> {
        let (rest, read) = SubjectAlternativeName::from_der(der).unwrap();
        assert!(rest.is_empty());
        read.general_names
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
        all(&read(&list), &mut out);
        let expected = "DNS:a.example,URI:spiffe://b/c\\,d,IP:192.0.2.1,IP:2001:db8::1,email:x@y.z";
        assert_eq!(out, expected.as_bytes());
        out.clear();
        of_kind(&read(&list), AltKind::Ip, &mut out);
        assert_eq!(out, b"192.0.2.1,2001:db8::1");
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        let one = |uri: &str| general_names(&[(0x82, b"x"), (0x86, uri.as_bytes())]);
        let good = ["spiffe://example.com/ns/pay", "spiffe://example.com"];
        for uri in good {
            assert_eq!(spiffe_id(&read(&one(uri))), Some(uri));
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
            assert_eq!(spiffe_id(&read(&one(uri))), None, "{uri}");
        }
        for other in [&b"https://c\0"[..], b"\xff"] {
            let two = general_names(&[(0x86, b"spiffe://a/b"), (0x86, other)]);
            assert_eq!(spiffe_id(&read(&two)), None);
        }
    }
}
