//! Is a name within the base of a constraint? (RFC 5280, section 4.2.1.10.)
//!
//! In: two names of one type. Out: yes, no, or why that cannot be said, in OpenSSL's words. Hosts of
//! URIs and mail addresses are plain host names, so that nobody reads another host out of them;
//! whatever else stands there refuses, where OpenSSL compares it as text.

use super::failure::VerifyFailure;
use super::general_name::GeneralName;
use super::uri;

/// Is this name within this base? Directory names are compared by their canonical spelling
/// ([`super::constraints`]), not here.
pub(super) fn is_within(
    name: &GeneralName<'_>,
    base: &GeneralName<'_>,
) -> Result<bool, VerifyFailure> {
    match (name, base) {
        (GeneralName::Dns(name), GeneralName::Dns(base)) => Ok(host_is_within(name, base)),
        (GeneralName::Email(name), GeneralName::Email(base)) => email_is_within(name, base),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => uri_is_within(name, base),
        (GeneralName::Ip(name), GeneralName::Ip(base)) => Ok(address_is_within(name, base)),
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
    if !uri::is_host_name(host) {
        return Err(VerifyFailure::NameSyntax);
    }
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

/// The host by RFC 3986, which is within a base with a dot in front only as a part of it.
fn uri_is_within(uri: &[u8], base: &[u8]) -> Result<bool, VerifyFailure> {
    let host = uri::host(uri).ok_or(VerifyFailure::NameSyntax)?;
    // No host is within what is none, so a base that is none must not be taken to exclude nothing.
    let bare = base.strip_prefix(b".").unwrap_or(base);
    if !uri::is_host_name(bare) {
        return Err(VerifyFailure::ConstraintSyntax);
    }
    if base.starts_with(b".") {
        return Ok(host.len() > base.len() && ends_with(host, base));
    }
    Ok(host.eq_ignore_ascii_case(base))
}

fn address_is_within(address: &[u8], base: &[u8]) -> bool {
    if base.len() != 2 * address.len() {
        return false;
    }
    let (network, mask) = base.split_at(address.len());
    let same = |((address, network), mask): ((&u8, &u8), &u8)| address & mask == network & mask;
    address.iter().zip(network).zip(mask).all(same)
}

fn ends_with(text: &[u8], tail: &[u8]) -> bool {
    text.len()
        .checked_sub(tail.len())
        .and_then(|cut| text.get(cut..))
        .is_some_and(|end| end.eq_ignore_ascii_case(tail))
}

/// A common name that may be taken for a host: letters, digits, `_`, and dots and hyphens between
/// them, with at least one dot.
pub(super) fn host_of(text: &[u8]) -> Result<Option<&[u8]>, VerifyFailure> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
            (Email(b"x@y.z"), Email(b"Y.Z"), Ok(true)),
            (Email(b"x@a.y.z"), Email(b"y.z"), Ok(false)),
            (Email(b"x@a.y.z"), Email(b".y.z"), Ok(true)),
            (Email(b"x@y"), Email(b"x@Y"), Ok(true)),
            (Email(b"X@y"), Email(b"x@y"), Ok(false)),
            (Email(b"x@y"), Email(b"@y"), Ok(true)),
            (Email(b"xy"), Email(b"y"), Err(VerifyFailure::NameSyntax)),
            (Email(b"x@y."), Email(b"y"), Err(VerifyFailure::NameSyntax)),
            (Uri(b"spiffe://a.b/c"), Uri(b"A.b"), Ok(true)),
            (Uri(b"spiffe://a.b:1/c"), Uri(b".b"), Ok(true)),
            (Uri(b"spiffe://b/c"), Uri(b".b"), Ok(false)),
            (Uri(b"spiffe://b/c"), Uri(b"x://b"), Err(VerifyFailure::ConstraintSyntax)),
            (Ip(&[10, 1, 2, 3]), Ip(&[10, 1, 0, 0, 255, 255, 0, 0]), Ok(true)),
            (Ip(&[10, 2, 2, 3]), Ip(&[10, 1, 0, 0, 255, 255, 0, 0]), Ok(false)),
            (RegisteredId(b"x"), RegisteredId(b"x"), Err(VerifyFailure::ConstraintType)),
        ];
        for (name, base, expected) in table {
            assert_eq!(is_within(&name, &base), expected, "{name:?} in {base:?}");
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
