//! Is an upstream who we wanted to reach (RFC 9525)?
//!
//! In: its alternative names, and the name or the address that was dialled. Out: yes or no. Only
//! alternative names count; a wildcard is the whole left-most label, stands for one, and has two
//! labels behind it at least; an address is among the addresses only, byte for byte.

use std::net::IpAddr;

use rustls::pki_types::{DnsName, ServerName};

use crate::identity::x509::general_name::GeneralName;

/// A host without its port as the name or address that is dialled; `None` if it is neither.
#[must_use]
pub fn read(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    DnsName::try_from(bare.to_ascii_lowercase()).ok().map(ServerName::DnsName)
}

/// Is it a DNS name to [`read`]? Needs no memory.
#[must_use]
pub fn is_dns_name(host: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(host) else { return false };
    text.parse::<IpAddr>().is_err() && DnsName::try_from(text).is_ok()
}

/// Is one of these names the wanted one?
#[must_use]
pub fn is_among(names: &[GeneralName<'_>], wanted: &ServerName<'_>) -> bool {
    names.iter().any(|name| match (name, wanted) {
        (GeneralName::Dns(name), ServerName::DnsName(wanted)) => {
            is_host(name, wanted.as_ref().as_bytes())
        }
        (GeneralName::Ip(address), ServerName::IpAddress(wanted)) => {
            match IpAddr::from(*wanted) {
                // Who has no address in particular is nobody.
                wanted if wanted.is_unspecified() => false,
                IpAddr::V4(wanted) => *address == wanted.octets(),
                IpAddr::V6(wanted) => *address == wanted.octets(),
            }
        }
        _ => false,
    })
}

fn is_host(name: &[u8], wanted: &[u8]) -> bool {
    let wanted = wanted.strip_suffix(b".").unwrap_or(wanted);
    let Some(rest) = name.strip_prefix(b"*.") else { return name.eq_ignore_ascii_case(wanted) };
    let dot = memchr::memchr(b'.', wanted).unwrap_or(0);
    // RFC 6125 and webpki want two labels behind a wildcard.
    dot > 0
        && rest.contains(&b'.')
        && wanted.get(dot + 1..).is_some_and(|parent| parent.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_as_a_name_is_said_to_be_one() {
        for host in [
            "a.b", "A.b", "a_b", "a.b.", "-x", "x-", "1.2.3", "1.2.3.4", "::1", "[::1]", "", ".",
            "a..b", "a b", "a%2d", "*.b", "a.-", "xn--a", "\u{e4}",
        ] {
            let is_name = matches!(read(host), Some(ServerName::DnsName(_)));
            assert_eq!(is_dns_name(host.as_bytes()), is_name, "{host}");
        }
        assert!(!is_dns_name(b"a\xff"));
    }

    #[test]
    fn a_name_is_one_of_its_type() {
        for (name, wanted, expected) in [
            (GeneralName::Dns(b"a.b"), "A.b", true),
            (GeneralName::Dns(b"a.b"), "a.b.", true),
            (GeneralName::Dns(b"*.b.c"), "a.b.c", true),
            (GeneralName::Dns(b"*.b.c"), "b.c", false),
            (GeneralName::Dns(b"*.c"), "b.c", false),
            (GeneralName::Dns(b"*.b.c"), "x.a.b.c", false),
            (GeneralName::Dns(b"a*.b.c"), "ab.b.c", false),
            (GeneralName::Dns(b"a.b\0"), "a.b", false),
            (GeneralName::Uri(b"a.b"), "a.b", false),
            (GeneralName::Email(b"a.b"), "a.b", false),
            (GeneralName::Dns(b"10.0.0.1"), "10.0.0.1", false),
            (GeneralName::Ip(&[10, 0, 0, 1]), "10.0.0.1", true),
            (GeneralName::Ip(&[10, 0, 0, 2]), "10.0.0.1", false),
            (GeneralName::Ip(&[0, 0, 0, 0]), "0.0.0.0", false),
            (
                GeneralName::Ip(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]),
                "10.0.0.1",
                false,
            ),
        ] {
            let wanted = ServerName::try_from(wanted).unwrap();
            assert_eq!(is_among(&[name], &wanted), expected, "{name:?} {wanted:?}");
        }
    }
}
