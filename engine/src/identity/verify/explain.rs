//! What can be said about a refused certificate: what was shown, what is missing, who is trusted.
//!
//! In: the chain as it was sent, the anchors, the verdict. Out: text for the log and for the client's
//! operator. Made only when something was refused, and bounded whatever was sent. Nothing here decides.

use data_encoding::HEXLOWER;

use super::anchors::Anchors;
use super::verdict::Verdict;
use crate::identity::digest::sha256;
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::name;
use crate::identity::x509::raw_certificate::RawCertificate;

/// Bytes of one name.
const NAME_BYTES_MAX: usize = 512;
/// Authorities that are named; the others are counted.
const TRUSTED_MAX: usize = 16;
/// Certificates of a chain that are looked at.
const CHAIN_MAX: usize = 10;

/// The whole account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChainDiagnosis {
    /// The leaf's subject, RFC 2253; empty if none was sent or it cannot be read.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of its DER, hexadecimal.
    pub sha256: String,
    /// How many certificates were sent.
    pub sent: usize,
    /// What would have to be different, where that can be told.
    pub missing: String,
    /// Subjects of the trusted authorities.
    pub trusted: Vec<String>,
    /// Trusted authorities beyond those.
    pub trusted_more: usize,
}

impl ChainDiagnosis {
    /// Tells about this chain (leaf first, as DER) and this verdict. `now` is Unix seconds.
    #[must_use]
    pub fn of(chain: &[&[u8]], anchors: Option<&Anchors>, verdict: Verdict, now: i64) -> Self {
        let ders = anchors.map_or(&[][..], Anchors::ders);
        let trusted =
            ders.iter().take(TRUSTED_MAX).map(|der| subject(der).unwrap_or_default()).collect();
        let mut account = Self {
            sent: chain.len(),
            trusted,
            trusted_more: ders.len().saturating_sub(TRUSTED_MAX),
            ..Self::default()
        };
        let Some(leaf) = chain.first() else { return account };
        account.sha256 = hex(&sha256(leaf));
        if let Some(raw) = RawCertificate::read(leaf) {
            account.subject = text(raw.subject);
            account.issuer = text(raw.issuer);
            account.serial = serial(raw.serial);
        }
        if let Verdict::Failed(failure) = verdict {
            account.missing = missing(chain, ders, failure, now);
        }
        account
    }

    /// The authorities on one line.
    #[must_use]
    pub fn trusted_line(&self) -> String {
        let mut line = self.trusted.join("; ");
        if self.trusted_more > 0 {
            line.push_str("; and more: ");
            line.push_str(itoa::Buffer::new().format(self.trusted_more));
        }
        line
    }
}

/// The subject of a certificate, RFC 2253, cut if it is long.
#[must_use]
pub fn subject(der: &[u8]) -> Option<String> {
    RawCertificate::read(der).map(|raw| text(raw.subject))
}

/// A name (DER, with tag and length) as text, RFC 2253, cut if it is long.
#[must_use]
pub fn text(dn: &[u8]) -> String {
    let mut bytes = Vec::new();
    name::rfc2253(dn, &mut bytes);
    let long = bytes.len() > NAME_BYTES_MAX;
    bytes.truncate(NAME_BYTES_MAX);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if long {
        text.push_str("...");
    }
    text
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// A serial number as `$ssl_client_serial` has it.
#[must_use]
pub fn serial(content: &[u8]) -> String {
    let mut digits = Vec::new();
    crate::identity::client::render::serial(content, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

fn missing(chain: &[&[u8]], anchors: &[Vec<u8>], failure: VerifyFailure, now: i64) -> String {
    let sent: Vec<RawCertificate<'_>> =
        chain.iter().take(CHAIN_MAX).filter_map(|der| RawCertificate::read(der)).collect();
    match failure {
        VerifyFailure::Expired | VerifyFailure::NotYetValid => out_of_time(&sent, anchors, now),
        VerifyFailure::NoIssuer
        | VerifyFailure::SelfSignedLeaf
        | VerifyFailure::SelfSignedInChain
        | VerifyFailure::NoLocalIssuer
        | VerifyFailure::FirstCertificate => no_issuer(&sent, anchors),
        _ => String::new(),
    }
}

/// Names the first certificate, from the leaf on, that is not valid now.
fn out_of_time(sent: &[RawCertificate<'_>], anchors: &[Vec<u8>], now: i64) -> String {
    let listed = anchors.iter().filter_map(|der| RawCertificate::read(der));
    for one in sent.iter().copied().chain(listed) {
        let start = one.not_before.seconds_lenient();
        let end = one.not_after.seconds_lenient();
        let mut date = Vec::new();
        let words = if start.is_some_and(|start| now < start) {
            one.not_before.print(&mut date);
            "begins"
        } else if end.is_some_and(|end| end <= now) {
            one.not_after.print(&mut date);
            "ended"
        } else {
            continue;
        };
        return format!("{} {words} {}", text(one.subject), String::from_utf8_lossy(&date));
    }
    String::new()
}

/// Follows issuers by name to the one that nobody has.
fn no_issuer(sent: &[RawCertificate<'_>], anchors: &[Vec<u8>]) -> String {
    let Some(mut current) = sent.first().copied() else { return String::new() };
    // Every certificate is passed once, so a cycle ends.
    let mut left: Vec<RawCertificate<'_>> = sent.iter().skip(1).copied().collect();
    while !name::same(current.issuer, current.subject) {
        let issuer = |one: &RawCertificate<'_>| name::same(one.subject, current.issuer);
        let Some(at) = left.iter().position(issuer) else { break };
        current = left.swap_remove(at);
    }
    let (subject, issuer) = (text(current.subject), text(current.issuer));
    let named: Vec<Certificate<'_>> = anchors
        .iter()
        .filter_map(|der| Certificate::parse(der))
        .filter(|anchor| name::same(anchor.raw.subject, current.issuer))
        .collect();
    let sent_count = sent.len();
    if name::same(current.issuer, current.subject) {
        if named.is_empty() {
            return format!("{subject} is self-signed, and not among the trusted authorities");
        }
        return format!("an authority named {subject} is trusted, but with another certificate");
    }
    if named.iter().any(Certificate::self_signed) {
        return format!("an authority named {issuer} is trusted, but with another key");
    }
    if named.is_empty() {
        let listed = anchors.iter().filter_map(|der| RawCertificate::read(der));
        let others = sent.iter().copied().chain(listed).map(|one| one.subject);
        return format!(
            "{issuer}, the issuer of {subject}, is neither trusted nor among the {sent_count} \
             certificates that were sent{}",
            look_alike(current.issuer, others)
        );
    }
    format!("{issuer} is listed, but is not self-signed, and its own issuer is not listed")
}

/// Words about one of these names that is written like the wanted one and is another, because a
/// string in it has another type; empty if there is none.
pub fn look_alike<'n>(wanted: &[u8], others: impl Iterator<Item = &'n [u8]>) -> String {
    let written = text(wanted);
    let alike = |other: &&[u8]| !name::same(other, wanted) && text(other) == written;
    let Some(found) = others.into_iter().find(alike) else { return String::new() };
    let types = |name| -> Vec<u8> {
        let values = name::values(name).unwrap_or_default();
        values.into_iter().map(|(_, value)| value.tag).collect()
    };
    let (wanted, found) = (types(wanted), types(found));
    let pair = wanted.into_iter().zip(found).find(|(one, other)| one != other);
    let (one, other) = pair.map_or(("", ""), |(one, other)| (string_type(one), string_type(other)));
    format!("; one that looks like it has a {other} where a {one} is asked for: two names to TLS")
}

const fn string_type(tag: u8) -> &'static str {
    match tag {
        12 => "UTF8String",
        18 => "NumericString",
        19 => "PrintableString",
        20 => "T61String",
        22 => "IA5String",
        28 => "UniversalString",
        30 => "BMPString",
        _ => "string of another type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_that_look_alike_are_told_apart_by_their_types() {
        let name = |tag: u8| -> Vec<u8> {
            let pair = [&[6, 3, 0x55, 4, 3, tag, 2][..], b"42"].concat();
            [&[0x30, 13, 0x31, 11, 0x30, 9][..], &pair].concat()
        };
        let (number, text, utf8) = (name(18), name(19), name(12));
        let words = |wanted: &[u8], other: &[u8]| look_alike(wanted, std::iter::once(other));
        let told = words(&text, &number);
        assert!(
            told.contains("has a NumericString where a PrintableString is asked for"),
            "{told}"
        );
        assert_eq!(words(&text, &utf8), "", "one name");
        assert_eq!(words(&text, &text), "");
    }

    #[test]
    fn numbers_are_hexadecimal() {
        assert_eq!(hex(&[0, 0xab, 1]), "00ab01");
        assert_eq!(serial(&[0, 0xab, 1]), "AB01");
    }

    #[test]
    fn nothing_sent_names_nobody() {
        let account = ChainDiagnosis::of(&[], None, Verdict::None, 0);
        assert_eq!(account, ChainDiagnosis::default());
        let broken = ChainDiagnosis::of(&[b"x"], None, Verdict::Failed(VerifyFailure::Expired), 0);
        assert_eq!((broken.sent, broken.subject.as_str(), broken.sha256.len()), (1, "", 64));
    }

    #[test]
    fn the_rest_of_a_long_list_is_counted() {
        let account = ChainDiagnosis {
            trusted: vec!["CN=a".to_owned(), "CN=b".to_owned()],
            trusted_more: 3,
            ..ChainDiagnosis::default()
        };
        assert_eq!(account.trusted_line(), "CN=a; CN=b; and more: 3");
    }
}
