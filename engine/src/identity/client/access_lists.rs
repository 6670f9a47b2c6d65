//! Who is allowed: typed lists that a certificate is held against, once per connection.
//!
//! Every comparison is of whole values of one type: an alternative name with one of its own type, an
//! attribute with a whole attribute. A name that holds a NUL, another control byte or white space at
//! its ends equals nothing (CVE-2022-21656 and CVE-2026-47778 are what comes of less). In doubt a
//! certificate is not what `allow` asks for, and is what `deny` names: see [`crate::identity::x509::alt_names`].

use std::cell::OnceCell;
use std::net::Ipv4Addr;

use super::leaf_view::LeafView;
use super::render;
use crate::identity::crypto::algorithms;
use crate::identity::digest::sha256;
use crate::identity::uri;
pub use crate::identity::uri::PatternRest;
pub use crate::identity::uri::PatternSegment;
pub use crate::identity::uri::UriPattern;
use crate::identity::verify::verdict::Verdict;
use crate::identity::x509::alt_names::{self, AltKind, AltName};
use crate::identity::x509::folded_dn;
use crate::identity::x509::name::{self, Attributes, Selector};

/// An allow and a deny list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessLists {
    /// Any of these; empty allows every client.
    pub allow: Vec<AccessEntry>,
    /// None of these, whatever `allow` says.
    pub deny: Vec<AccessEntry>,
}

/// Terms all of which a certificate must fulfil.
pub type AccessEntry = Vec<AccessTerm>;

/// One demand on a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccessTerm {
    /// A URI among its alternative names.
    Uri(UriPattern),
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
    /// SHA-256 of the certificate.
    Sha256([u8; 32]),
    /// SHA-256 of its public key info.
    SpkiSha256([u8; 32]),
}

/// What the lists say of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// It may use the route.
    Allowed,
    /// `allow` does not name it.
    NotAllowed,
    /// `deny` names it.
    Denied,
}

/// How a comparison in doubt ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    /// Of `allow`: an unclear name does not match.
    IsNot,
    /// Of `deny`: an unclear name matches.
    Is,
}

impl AccessLists {
    /// What the lists say of this leaf, as it came. It is refused before it is read to the end
    /// only by the caller; what cannot be read is not allowed.
    #[must_use]
    pub fn check(&self, leaf_der: &[u8], verdict: Verdict) -> Access {
        // Without lists there is nothing to read it for: 1.8 % of a full handshake.
        if self.deny.is_empty() && self.allow.is_empty() {
            return Access::Allowed;
        }
        let leaf = LeafView::read(leaf_der, &[], &[]);
        self.check_leaf(leaf.as_ref().map(LeafFacts::of).as_ref(), verdict)
    }

    /// What each of these lists says of one certificate, or of none.
    pub(crate) fn check_all(
        all: &[Self],
        leaf: Option<&LeafView<'_>>,
        verdict: Verdict,
    ) -> Box<[Access]> {
        let traits = leaf.filter(|_| !all.is_empty()).map(LeafFacts::of);
        all.iter().map(|lists| lists.check_leaf(traits.as_ref(), verdict)).collect()
    }

    /// A certificate that did not verify is on no `allow` list, but may well be on a `deny` list.
    fn check_leaf(&self, traits: Option<&LeafFacts<'_>>, verdict: Verdict) -> Access {
        let named = |entries: &[AccessEntry], doubt: Doubt| {
            // Who shows no certificate is nobody; who shows none that can be read may be anybody.
            let anybody = match traits {
                None => verdict != Verdict::None,
                Some(traits) => traits.doubtful,
            };
            if anybody && doubt == Doubt::Is {
                return !entries.is_empty();
            }
            let Some(traits) = traits.filter(|_| !anybody) else { return false };
            entries.iter().any(|entry| entry.iter().all(|term| holds(term, traits, doubt)))
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

/// What lists ask of a certificate, read and rendered once for all their entries.
struct LeafFacts<'r> {
    subject: Attributes,
    issuer: Attributes,
    subject_name: WholeName,
    issuer_name: WholeName,
    serial: Vec<u8>,
    sha256: [u8; 32],
    spki_sha256: [u8; 32],
    key_algorithm: &'r [u8],
    public_key: &'r [u8],
    /// SHA-256 of the same key in other spellings, for `deny`.
    other_spkis: OnceCell<Vec<[u8; 32]>>,
    names: Vec<AltName<'r>>,
    /// The kinds of names that hold one with several readings.
    unclear: Vec<AltKind>,
    /// Other readings of its URIs, for `deny`.
    readings: Vec<Vec<u8>>,
    /// It has a SPIFFE id beside which there is no other URI.
    has_spiffe_id: bool,
    /// It has more of something than can be held against long lists, or cannot be read to the end, or
    /// has a name that is handed out to nobody and may be read as any.
    doubtful: bool,
}

impl<'r> LeafFacts<'r> {
    fn of(certificate: &'r LeafView<'r>) -> Self {
        let leaf = &certificate.leaf;
        let rendered = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut text = Vec::new();
            write(&mut text);
            text
        };
        let overlong = [leaf.subject, leaf.issuer].into_iter().any(folded_dn::is_overlong);
        let kept = |name| if overlong { Attributes::default() } else { Attributes::of(name) };
        let names: Vec<_> = alt_names::names(&certificate.alt_names).collect();
        let uris = names.iter().filter(|name| name.kind == AltKind::Uri).map(|name| name.value);
        let overmany = alt_names::are_overmany(&certificate.alt_names);
        let odd = uris.filter(|uri| uri::is_odd(uri) && !overmany);
        let readings = odd.flat_map(uri::readings).collect();
        Self {
            subject: kept(leaf.subject),
            issuer: kept(leaf.issuer),
            subject_name: WholeName::new(rendered(&|out| name::rfc2253(leaf.subject, out))),
            issuer_name: WholeName::new(rendered(&|out| name::rfc2253(leaf.issuer, out))),
            serial: rendered(&|out| render::serial(leaf.serial, out)),
            sha256: certificate.leaf_sha256,
            spki_sha256: sha256(leaf.spki),
            key_algorithm: leaf.key_algorithm,
            public_key: leaf.public_key,
            other_spkis: OnceCell::new(),
            doubtful: !certificate.is_whole
                || alt_names::holds_unreadable(&certificate.alt_names)
                || overlong
                || overmany,
            names,
            unclear: alt_names::unclear(&certificate.alt_names).collect(),
            readings,
            has_spiffe_id: alt_names::spiffe_id(&certificate.alt_names).is_some(),
        }
    }

    /// Is it this key, in another spelling?
    fn may_be_key(&self, wanted: &[u8; 32]) -> bool {
        let others = self.other_spkis.get_or_init(|| {
            let all = algorithms::other_spellings(self.key_algorithm, self.public_key);
            all.iter().map(|spki| sha256(spki)).collect()
        });
        others.contains(wanted)
    }

    /// Is there a name of this kind that may be any?
    fn may_be_any(&self, kind: AltKind, doubt: Doubt) -> bool {
        doubt == Doubt::Is && self.unclear.contains(&kind)
    }

    fn any_name(&self, wanted: AltKind, is: impl Fn(&[u8]) -> bool) -> bool {
        self.names.iter().any(|name| name.kind == wanted && is(name.value))
    }
}

fn holds(term: &AccessTerm, traits: &LeafFacts<'_>, doubt: Doubt) -> bool {
    let is = |found: &[u8], wanted: &[u8]| !found.is_empty() && found == wanted;
    match term {
        // A SPIFFE id beside another URI is no SPIFFE id: two identities are none.
        AccessTerm::Uri(wanted) if doubt == Doubt::IsNot => {
            let alone = !wanted.origin.starts_with(b"spiffe:") || traits.has_spiffe_id;
            alone && traits.any_name(AltKind::Uri, |found| wanted.is(found))
        }
        AccessTerm::Uri(wanted) => {
            traits.may_be_any(AltKind::Uri, doubt)
                || traits.any_name(AltKind::Uri, |found| wanted.is(found))
                || traits.readings.iter().any(|found| wanted.may_be(found))
        }
        AccessTerm::Dns(wanted, wildcard) => {
            traits.may_be_any(AltKind::Dns, doubt)
                || traits.any_name(AltKind::Dns, |found| is_dns(wanted, *wildcard, found, doubt))
        }
        AccessTerm::Email(local, domain) => {
            traits.may_be_any(AltKind::Email, doubt)
                || traits.any_name(AltKind::Email, |found| is_email(local, domain, found, doubt))
        }
        AccessTerm::Ip(network, bits) => {
            traits.may_be_any(AltKind::Ip, doubt)
                || traits.any_name(AltKind::Ip, |found| {
                    in_network(network, *bits, found)
                        || (doubt == Doubt::Is && may_be_in_network(network, *bits, found))
                })
        }
        AccessTerm::Subject(selector, value) => has(&traits.subject, selector, value, doubt),
        AccessTerm::Issuer(selector, value) => has(&traits.issuer, selector, value, doubt),
        AccessTerm::SubjectName(wanted) => {
            is_name(&traits.subject_name, wanted, &traits.subject, doubt)
        }
        AccessTerm::IssuerName(wanted) => {
            is_name(&traits.issuer_name, wanted, &traits.issuer, doubt)
        }
        AccessTerm::Serial(wanted) => is(&traits.serial, wanted),
        AccessTerm::Sha256(digest) => *digest == traits.sha256,
        AccessTerm::SpkiSha256(digest) => {
            *digest == traits.spki_sha256 || (doubt == Doubt::Is && traits.may_be_key(digest))
        }
    }
}

fn has(attributes: &Attributes, selector: &Selector, value: &str, doubt: Doubt) -> bool {
    match doubt {
        Doubt::IsNot => attributes.has(selector, value),
        Doubt::Is => attributes.may_have(selector, value),
    }
}

/// Is a whole name this one? For `deny` as directories compare: without case, surplus white space and
/// compatibility forms, whatever the string types and the order within a relative name.
fn is_name(found: &WholeName, wanted: &[u8], attributes: &Attributes, doubt: Doubt) -> bool {
    let clear = !attributes.are_unclear();
    match doubt {
        Doubt::IsNot => clear && !found.text.is_empty() && *found.text == *wanted,
        Doubt::Is => !clear || *found.folded() == folded_dn::folded_name(wanted),
    }
}

/// A name by RFC 2253.
struct WholeName {
    text: Vec<u8>,
    folded: OnceCell<Vec<Vec<String>>>,
}

impl WholeName {
    const fn new(text: Vec<u8>) -> Self {
        Self { text, folded: OnceCell::new() }
    }

    /// In one form for all that are the same to directories.
    fn folded(&self) -> &Vec<Vec<String>> {
        self.folded.get_or_init(|| folded_dn::folded_name(&self.text))
    }
}

/// Nobody but its own host knows whether case counts in a local part (RFC 5321, section 2.4).
fn is_email(local: &[u8], domain: &[u8], found: &[u8], doubt: Doubt) -> bool {
    let at = found.iter().rposition(|byte| *byte == b'@');
    let Some((found, host)) = at.and_then(|at| Some((found.get(..at)?, found.get(at + 1..)?)))
    else {
        return false;
    };
    match doubt {
        Doubt::IsNot => found == local && host.eq_ignore_ascii_case(domain),
        Doubt::Is => {
            let host = host.strip_suffix(b".").unwrap_or(host);
            found.eq_ignore_ascii_case(local) && host.eq_ignore_ascii_case(domain)
        }
    }
}

/// A wildcard of ours is one whole label. One in a certificate is a name like no other for
/// `allow`; for `deny` it stands for whatever it may cover.
fn is_dns(wanted: &[u8], wildcard: bool, found: &[u8], doubt: Doubt) -> bool {
    let found = match found.strip_suffix(b".") {
        Some(bare) if doubt == Doubt::Is => bare,
        _ => found,
    };
    if doubt == Doubt::Is && found.starts_with(b"*.") {
        let covered = if wildcard { Some(wanted) } else { behind(wanted) };
        return covered.is_some_and(|name| {
            behind(found).is_some_and(|found| found.eq_ignore_ascii_case(name))
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

/// Behind the first label.
fn behind(name: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', name)?;
    name.get(dot + 1..)
}

/// The same for an IPv4 address that is written as an IPv6 one, in the list or in the certificate.
fn may_be_in_network(network: &[u8], bits: u8, found: &[u8]) -> bool {
    let mapped = |bytes: &[u8]| -> Option<[u8; 16]> {
        match <[u8; 4]>::try_from(bytes) {
            Ok(four) => Some(Ipv4Addr::from(four).to_ipv6_mapped().octets()),
            Err(_) => bytes.try_into().ok(),
        }
    };
    let bits = if network.len() == 4 { bits.saturating_add(96) } else { bits };
    let (Some(network), Some(found)) = (mapped(network), mapped(found)) else { return false };
    bits >= 96 && in_network(&network, bits, &found)
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
    fn a_certificate_is_read_once_for_all_entries() {
        let attribute = |value: &str| {
            let value = [&[12, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
            let pair = [&[6, 3, 0x55, 4, 3][..], &value].concat();
            let pair = [&[0x30, u8::try_from(pair.len()).unwrap()][..], &pair].concat();
            [&[0x31, u8::try_from(pair.len()).unwrap()][..], &pair].concat()
        };
        let name = |count: usize| {
            let body = attribute("x").repeat(count);
            let len = u16::try_from(body.len()).unwrap().to_be_bytes();
            let head = match body.len() {
                0..128 => vec![0x30, len[1]],
                128..256 => vec![0x30, 0x81, len[1]],
                _ => vec![0x30, 0x82, len[0], len[1]],
            };
            [head, body].concat()
        };
        let cn = |name: &str| Selector::new(name).unwrap();
        let one = Attributes::of(&name(1));
        assert!(one.has(&cn("cn"), "x") && one.has(&cn("2.5.4.3"), "x"));
        assert!(!one.has(&cn("cn"), "y") && !one.has(&cn("o"), "x"));
        assert!(!name::is_overlong(&name(128)) && name::is_overlong(&name(129)));
        assert!(!name::is_overlong(b"broken"));
    }

    #[test]
    fn too_much_to_compare_is_what_deny_names() {
        let traits = LeafFacts {
            subject: Attributes::default(),
            issuer: Attributes::default(),
            subject_name: WholeName::new(Vec::new()),
            issuer_name: WholeName::new(Vec::new()),
            serial: Vec::new(),
            sha256: [7; 32],
            spki_sha256: [0; 32],
            key_algorithm: &[],
            public_key: &[],
            other_spkis: OnceCell::new(),
            names: Vec::new(),
            unclear: Vec::new(),
            readings: Vec::new(),
            has_spiffe_id: false,
            doubtful: true,
        };
        let mine = || vec![vec![AccessTerm::Sha256([7; 32])]];
        let allow = AccessLists { allow: mine(), deny: Vec::new() };
        assert_eq!(allow.check_leaf(Some(&traits), Verdict::Success), Access::NotAllowed);
        let deny = AccessLists { allow: Vec::new(), deny: vec![vec![AccessTerm::Sha256([8; 32])]] };
        assert_eq!(deny.check_leaf(Some(&traits), Verdict::Success), Access::Denied);
        let none = AccessLists::default();
        assert_eq!(none.check_leaf(Some(&traits), Verdict::Success), Access::Allowed);
    }

    #[test]
    fn networks_are_compared_bit_by_bit() {
        let mapped = Ipv4Addr::new(10, 1, 2, 3).to_ipv6_mapped().octets();
        let (ten, other) = ([10, 0, 0, 0], [10, 1, 2, 4]);
        assert!(!in_network(&ten, 8, &mapped) && may_be_in_network(&ten, 8, &mapped));
        assert!(may_be_in_network(&mapped, 104, &ten) && !may_be_in_network(&mapped, 128, &other));
        assert!(!may_be_in_network(&[0; 16], 0, &ten), "::/0 is not about IPv4");
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
