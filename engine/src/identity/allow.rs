//! Who is allowed: typed lists that a certificate is held against, once per connection.
//!
//! Every comparison is of whole values of one type: an alternative name with one of its own type, an
//! attribute with a whole attribute. A name that holds a NUL or another control byte equals nothing
//! (CVE-2022-21656 and CVE-2026-47778 are what comes of less). In doubt a certificate is not what
//! `allow` asks for, and is what `deny` names.

use super::alt_names::{self, AltKind};
use super::chain::Verdict;
use super::name::{self, Selector};
use super::outline::Outline;
use super::render::{self, Rendering};

/// An allow and a deny list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lists {
    /// Any of these; empty allows every client.
    pub allow: Vec<Entry>,
    /// None of these, whatever `allow` says.
    pub deny: Vec<Entry>,
}

/// What must hold together.
pub type Entry = Vec<Term>;

/// What may be asked of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Term {
    /// A URI among its alternative names.
    Uri(Uri),
    /// A DNS name among them: in lower case; with `true` for one label in front of it.
    Dns(Box<[u8]>, bool),
    /// An e-mail address among them: in front of the `@`, and behind it in lower case.
    Email(Box<[u8]>, Box<[u8]>),
    /// An IP address among them, whose first bits are these.
    Ip(Box<[u8]>, u8),
    /// An attribute of its subject, as a whole.
    Subject(Selector, Box<str>),
    /// An attribute of its issuer, as a whole.
    Issuer(Selector, Box<str>),
    /// The whole subject, by RFC 2253.
    SubjectName(Box<[u8]>),
    /// The whole issuer, by RFC 2253.
    IssuerName(Box<[u8]>),
    /// The serial number, as `$ssl_client_serial`.
    Serial(Box<[u8]>),
    /// SHA-256 of it.
    Sha256([u8; 32]),
    /// SHA-256 of its public key info.
    SpkiSha256([u8; 32]),
}

/// A URI to compare with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uri {
    /// Scheme and authority, in lower case.
    pub origin: Box<[u8]>,
    /// What follows.
    pub rest: Rest,
}

/// What follows a URI's authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rest {
    /// These bytes.
    Exact(Box<[u8]>),
    /// A path of these segments.
    Path(Vec<Segment>),
}

/// A segment of a URI's path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    /// These bytes.
    Exact(Box<[u8]>),
    /// Any one.
    One,
    /// The rest, which is at least one.
    More,
}

/// What the lists say of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// It may.
    Allowed,
    /// `allow` does not name it.
    NotAllowed,
    /// `deny` names it.
    Denied,
}

/// How a comparison in doubt ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    /// For `allow`.
    IsNot,
    /// For `deny`.
    Is,
}

impl Lists {
    /// What the lists say of this leaf, as it came. It is refused before it is read to the end
    /// only by the caller; what cannot be read is not allowed.
    #[must_use]
    pub fn judge(&self, leaf_der: &[u8], verdict: Verdict) -> Access {
        // Without lists there is nothing to read it for: 1.8 % of a full handshake.
        if self.deny.is_empty() && self.allow.is_empty() {
            return Access::Allowed;
        }
        let alt_names = alt_names::of_certificate(leaf_der);
        let rendering = Outline::read(leaf_der).map(|leaf| Rendering {
            leaf,
            alt_names,
            rest: &[],
            leaf_sha256: super::sha256(leaf_der),
            own_uris: &[],
        });
        self.judge_rendering(rendering.as_ref(), verdict)
    }

    /// What the lists say of this certificate, or of none. A certificate that did not verify is on
    /// no `allow` list, but may well be on a `deny` list.
    pub(super) fn judge_rendering(
        &self,
        rendering: Option<&Rendering<'_>>,
        verdict: Verdict,
    ) -> Access {
        let named = |entries: &[Entry], doubt: Doubt| {
            let Some(rendering) = rendering else { return false };
            entries.iter().any(|entry| entry.iter().all(|term| holds(term, rendering, doubt)))
        };
        if named(&self.deny, Doubt::Is) {
            Access::Denied
        } else if self.allow.is_empty()
            || (verdict == Verdict::Success && named(&self.allow, Doubt::IsNot))
        {
            Access::Allowed
        } else {
            Access::NotAllowed
        }
    }
}

fn holds(term: &Term, certificate: &Rendering<'_>, doubt: Doubt) -> bool {
    let leaf = &certificate.leaf;
    let rendered = |wanted: &[u8], write: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        write(&mut text);
        !text.is_empty() && text == wanted
    };
    match term {
        Term::Uri(wanted) => {
            // A SPIFFE id beside another URI is no SPIFFE id: two identities are none.
            let alone = doubt == Doubt::Is
                || !wanted.origin.starts_with(b"spiffe:")
                || alt_names::spiffe_id(&certificate.alt_names).is_some();
            alone && any_name(certificate, AltKind::Uri, |found| wanted.is(found))
        }
        Term::Dns(wanted, wildcard) => {
            any_name(certificate, AltKind::Dns, |found| is_dns(wanted, *wildcard, found, doubt))
        }
        Term::Email(local, domain) => any_name(certificate, AltKind::Email, |found| {
            let at = found.iter().rposition(|byte| *byte == b'@');
            at.and_then(|at| Some((found.get(..at)?, found.get(at + 1..)?)))
                .is_some_and(|(l, d)| l == &**local && d.eq_ignore_ascii_case(domain))
        }),
        Term::Ip(network, bits) => {
            any_name(certificate, AltKind::Ip, |found| in_network(network, *bits, found))
        }
        Term::Subject(selector, value) => name::has_value(leaf.subject, selector, value),
        Term::Issuer(selector, value) => name::has_value(leaf.issuer, selector, value),
        Term::SubjectName(wanted) => rendered(wanted, &|out| name::rfc2253(leaf.subject, out)),
        Term::IssuerName(wanted) => rendered(wanted, &|out| name::rfc2253(leaf.issuer, out)),
        Term::Serial(wanted) => rendered(wanted, &|out| render::serial(leaf.serial, out)),
        Term::Sha256(digest) => *digest == certificate.leaf_sha256,
        Term::SpkiSha256(digest) => *digest == super::sha256(leaf.spki),
    }
}

fn any_name(certificate: &Rendering<'_>, wanted: AltKind, is: impl Fn(&[u8]) -> bool) -> bool {
    alt_names::names(&certificate.alt_names).any(|(kind, found)| kind == wanted && is(found))
}

impl Uri {
    fn is(&self, found: &[u8]) -> bool {
        let Some((origin, rest)) = found.split_at_checked(self.origin.len()) else { return false };
        if !origin.eq_ignore_ascii_case(&self.origin) {
            return false;
        }
        match &self.rest {
            Rest::Exact(wanted) => rest == &**wanted,
            Rest::Path(segments) => {
                rest.strip_prefix(b"/").is_some_and(|path| is_path(segments, path))
            }
        }
    }
}

/// Does a path (behind its first slash) have these segments? A wildcard stands for plain segments
/// only: not for an empty one, `.` or `..`, nor for what holds an escape, a query or a fragment.
fn is_path(segments: &[Segment], path: &[u8]) -> bool {
    let mut found = path.split(|byte| *byte == b'/');
    for segment in segments {
        let Some(next) = found.next() else { return false };
        let fits = match segment {
            Segment::Exact(wanted) => next == &**wanted,
            Segment::One => is_plain(next),
            Segment::More => return is_plain(next) && found.all(is_plain),
        };
        if !fits {
            return false;
        }
    }
    found.next().is_none()
}

fn is_plain(segment: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte);
    !matches!(segment, b"" | b"." | b"..") && segment.iter().all(plain)
}

/// A wildcard of ours is one whole label. One in a certificate is a name like no other for
/// `allow`; for `deny` it stands for whatever it may cover.
fn is_dns(wanted: &[u8], wildcard: bool, found: &[u8], doubt: Doubt) -> bool {
    let found = match found.strip_suffix(b".") {
        Some(bare) if doubt == Doubt::Is => bare,
        _ => found,
    };
    let behind = |name: &[u8]| {
        let dot = memchr::memchr(b'.', name)?;
        name.get(dot + 1..).map(<[u8]>::to_vec)
    };
    if doubt == Doubt::Is && found.starts_with(b"*.") {
        let covered = if wildcard { Some(wanted.to_vec()) } else { behind(wanted) };
        return covered.is_some_and(|name| {
            behind(found).is_some_and(|found| found.eq_ignore_ascii_case(&name))
        });
    }
    if !wildcard {
        return found.eq_ignore_ascii_case(wanted);
    }
    let label = memchr::memchr(b'.', found).unwrap_or(0);
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = found.get(..label).unwrap_or_default();
    !label.is_empty()
        && label.iter().all(legal)
        && behind(found).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

fn in_network(network: &[u8], bits: u8, found: &[u8]) -> bool {
    let (whole, part) = (usize::from(bits / 8), bits % 8);
    let same_bytes = network.get(..whole) == found.get(..whole);
    let same_bits = part == 0
        || network
            .get(whole)
            .zip(found.get(whole))
            .is_some_and(|(a, b)| (a ^ b) >> (8 - part) == 0);
    network.len() == found.len() && same_bytes && same_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(origin: &str, segments: &[&str]) -> Uri {
        let segments = segments.iter().map(|segment| match *segment {
            "*" => Segment::One,
            "**" => Segment::More,
            text => Segment::Exact(text.as_bytes().into()),
        });
        Uri { origin: origin.as_bytes().into(), rest: Rest::Path(segments.collect()) }
    }

    #[test]
    fn a_wildcard_of_a_uri_is_a_plain_segment() {
        let one = uri("spiffe://example.com", &["ns", "pay", "*"]);
        for found in ["spiffe://example.com/ns/pay/sa", "SPIFFE://Example.COM/ns/pay/a-b_c.d"] {
            assert!(one.is(found.as_bytes()), "{found}");
        }
        for found in [
            "spiffe://example.com/ns/pay",
            "spiffe://example.com/ns/pay/",
            "spiffe://example.com/ns/pay/a/b",
            "spiffe://example.com/ns/PAY/a",
            "spiffe://example.com/ns/pay/..",
            "spiffe://example.com/ns/pay/.",
            "spiffe://example.com/ns/pay/a%2fb",
            "spiffe://example.com/ns/pay/a?b",
            "spiffe://example.com/ns/pay/a#b",
            "spiffe://example.com.evil/ns/pay/a",
            "spiffe://example.comns/pay/a",
            "https://example.com/ns/pay/a",
            "x",
        ] {
            assert!(!one.is(found.as_bytes()), "{found}");
        }
        let more = uri("spiffe://example.com", &["ns", "**"]);
        assert!(more.is(b"spiffe://example.com/ns/a") && more.is(b"spiffe://example.com/ns/a/b/c"));
        for found in ["/ns", "/ns/", "/ns/a/", "/ns//a", "/ns/a/../b", "/nsa/b"] {
            assert!(!more.is(format!("spiffe://example.com{found}").as_bytes()), "{found}");
        }
    }

    #[test]
    fn a_wildcard_of_a_name_is_one_label() {
        for (found, allow, deny) in [
            ("a.partner.com", true, true),
            ("A.Partner.COM", true, true),
            ("partner.com", false, false),
            (".partner.com", false, false),
            ("a.b.partner.com", false, false),
            ("a.partner.com.", false, true),
            ("*.partner.com", false, true),
            ("a.partner.com.evil", false, false),
            ("apartner.com", false, false),
        ] {
            let is = |doubt| is_dns(b"partner.com", true, found.as_bytes(), doubt);
            assert_eq!((is(Doubt::IsNot), is(Doubt::Is)), (allow, deny), "{found}");
        }
        let exact = |found: &[u8], doubt| is_dns(b"a.partner.com", false, found, doubt);
        assert!(exact(b"A.partner.com", Doubt::IsNot) && !exact(b"b.partner.com", Doubt::Is));
        assert!(!exact(b"*.partner.com", Doubt::IsNot) && exact(b"*.partner.com", Doubt::Is));
    }

    #[test]
    fn networks_are_compared_bit_by_bit() {
        for (bits, found, wanted) in [
            (8, &[10, 255, 0, 1][..], true),
            (8, &[11, 0, 0, 0], false),
            (12, &[10, 15, 0, 0], true),
            (12, &[10, 16, 0, 0], false),
            (32, &[10, 0, 0, 0], true),
            (32, &[10, 0, 0, 1], false),
            (0, &[1, 2, 3, 4], true),
            (0, &[0; 16], false),
        ] {
            assert_eq!(in_network(&[10, 0, 0, 0], bits, found), wanted, "{bits} {found:?}");
        }
    }
}
