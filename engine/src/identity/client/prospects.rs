//! Will a client's next certificate still be one for clients?
//!
//! In: its leaf. Out: whether `clientAuth` is missing from it, and whether its issuer is an authority that is known
//! to stop issuing certificates with it. Nothing here decides about a request: it is shown to operators, so that
//! they can warn their partners in time.

use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::name::{self, Selector};

/// An authority that stops issuing certificates for client authentication.
#[derive(Debug, Eq, PartialEq)]
pub struct StoppingIssuer {
    /// What its certificates have as `O`, and how it is shown.
    pub organisation: &'static str,
    /// Other values of `O` that it uses.
    aliases: &'static [&'static str],
    /// Since when a certificate has `clientAuth` only if it is asked for; `YYYY-MM-DD`, empty if not known.
    pub default_since: &'static str,
    /// From when on none has it.
    pub ends: &'static str,
    /// Who says so.
    pub source: &'static str,
}

/// The rule that all of them follow: Chrome's Root Program Policy, version 1.8 of 2026-02-05, section 1.3.2. From
/// 2026-06-15 on new intermediate certificates are for servers alone, from 2027-03-15 on so is each new
/// certificate below them. Before version 1.8 that was 2026-06-15 for both.
const CHROME: &str = "Chrome Root Program Policy 1.8";
const CHROME_ENDS: &str = "2027-03-15";

/// Those that have announced it, and other large ones whose roots the rule is for. An authority that is not in here
/// may stop as well; one that is in here may have another, private hierarchy under the same name.
pub const STOPPING_ISSUERS: [StoppingIssuer; 12] = [
    StoppingIssuer {
        organisation: "Let's Encrypt",
        aliases: &["Internet Security Research Group", "ISRG"],
        default_since: "2026-02-11",
        // The last profile with it took no new users from 2026-05-13 on.
        ends: "2026-07-08",
        source: "letsencrypt.org/2025/05/14/ending-tls-client-authentication",
    },
    StoppingIssuer {
        organisation: "Google Trust Services",
        aliases: &["Google Trust Services LLC"],
        default_since: "2025-11-10",
        ends: "2026-04-13",
        source: "pki.goog/updates/may2025-clientauth.html",
    },
    StoppingIssuer {
        organisation: "DigiCert",
        aliases: &["DigiCert Inc", "DigiCert, Inc.", "GeoTrust Inc.", "thawte, Inc."],
        default_since: "2025-10-01",
        ends: "2027-03-01",
        source: "docs.digicert.com, change log 619426",
    },
    StoppingIssuer {
        organisation: "Sectigo",
        aliases: &["Sectigo Limited", "COMODO CA Limited", "The USERTRUST Network", "ZeroSSL"],
        default_since: "2025-10-07",
        ends: "2027-02-10",
        source: "Sectigo, as resellers report it",
    },
    by_rule("GlobalSign", &["GlobalSign nv-sa"]),
    by_rule("GoDaddy", &["GoDaddy.com, Inc.", "Starfield Technologies, Inc."]),
    by_rule("SSL.com", &["SSL Corporation", "SSL Corp"]),
    by_rule("Amazon", &["Amazon Trust Services"]),
    by_rule("Entrust", &["Entrust, Inc.", "Entrust Limited"]),
    by_rule("IdenTrust", &["IdenTrust Inc."]),
    by_rule("HARICA", &["Hellenic Academic and Research Institutions CA"]),
    by_rule("Actalis", &["Actalis S.p.A.", "Actalis S.p.A./03358520967"]),
];

const fn by_rule(organisation: &'static str, aliases: &'static [&'static str]) -> StoppingIssuer {
    StoppingIssuer { organisation, aliases, default_since: "", ends: CHROME_ENDS, source: CHROME }
}

impl StoppingIssuer {
    fn is(&self, organisation: &str) -> bool {
        core::iter::once(&self.organisation)
            .chain(self.aliases)
            .any(|name| name.eq_ignore_ascii_case(organisation))
    }

    /// The one that this is, by the issuer's name (DER).
    #[must_use]
    pub fn of(issuer: &[u8]) -> Option<&'static Self> {
        let values = name::safe_values(issuer, &Selector::new("o")?);
        STOPPING_ISSUERS.iter().find(|one| values.iter().any(|value| one.is(value)))
    }
}

/// What is known of a client's next certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Prospects {
    /// This one says what it is for, and that is not to be a client.
    pub lacks_client_auth: bool,
    /// Who issued it, if it is one that stops.
    pub issuer: Option<&'static StoppingIssuer>,
}

impl Prospects {
    /// Those of this leaf.
    pub(crate) fn of(leaf: &Certificate<'_>) -> Self {
        Self {
            lacks_client_auth: leaf.extensions.extended.is_some_and(|usage| !usage.client_auth),
            issuer: StoppingIssuer::of(leaf.raw.issuer),
        }
    }

    /// The same, of DER; nothing is known of one that cannot be read.
    #[must_use]
    pub fn read(leaf: &[u8]) -> Self {
        Certificate::parse(leaf).map_or_else(Self::default, |leaf| Self::of(&leaf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with this organisation, as DER.
    fn named(organisation: &str) -> Vec<u8> {
        let wrap = |tag: u8, inner: &[u8]| {
            let mut out = vec![tag, u8::try_from(inner.len()).unwrap()];
            out.extend_from_slice(inner);
            out
        };
        let mut pair = vec![6, 3, 0x55, 4, 10];
        pair.extend(wrap(0x0c, organisation.as_bytes()));
        wrap(0x30, &wrap(0x31, &wrap(0x30, &pair)))
    }

    #[test]
    fn issuers_are_known_by_their_whole_organisation() {
        for (organisation, known) in [
            ("Let's Encrypt", Some("Let's Encrypt")),
            ("let's encrypt", Some("Let's Encrypt")),
            ("DigiCert Inc", Some("DigiCert")),
            ("Not DigiCert Inc", None),
            ("DigiCert Inc\u{202e}", None),
            ("", None),
        ] {
            let found = StoppingIssuer::of(&named(organisation)).map(|one| one.organisation);
            assert_eq!(found, known, "{organisation}");
        }
        assert_eq!(StoppingIssuer::of(b"\x30\x03x"), None);
        assert_eq!(Prospects::read(b"no certificate"), Prospects::default());
    }

    #[test]
    fn dates_are_dates() {
        for one in &STOPPING_ISSUERS {
            let is_date = |text: &str| {
                let parts: Vec<usize> = text.split('-').map(str::len).collect();
                parts == [4, 2, 2] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
            };
            assert!(is_date(one.ends), "{one:?}");
            assert!(one.default_since.is_empty() || is_date(one.default_since), "{one:?}");
            assert!(one.default_since < one.ends);
        }
    }
}
