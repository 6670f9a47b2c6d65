//! What is odd about the authorities in a bundle, before anybody comes.
//!
//! In: listed certificates, what their clients or upstreams are, the time. Out: of each what keeps it from
//! being of use, and what other software would not take. The rules are those of the walk
//! ([`super::path`]); nothing here decides about anybody.

use super::purpose::{self, Ca, Purpose};
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::signature;

/// Something to tell the operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthorityWarning {
    /// It has ended.
    Expired,
    /// It begins later.
    NotYetValid,
    /// It does not say that it is a CA, which OpenSSL takes of v1 alone.
    Unsaid(u8),
    /// It says that it is none, or may not sign certificates.
    NoCa,
    /// It is for other purposes.
    Purpose,
    /// A critical extension is not known.
    Critical,
    /// Its RSA key is too small.
    SmallKey,
    /// Nothing can be verified with its key.
    UnsupportedKey,
    /// It is no root, and no root that is listed leads to it.
    NoRoot,
}

impl AuthorityWarning {
    /// Words that follow its name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Expired => "has expired: certificates that it issued are refused",
            Self::NotYetValid => "is not yet valid: certificates that it issued are refused",
            Self::Unsaid(3) => {
                "does not say that it is one (basicConstraints); it is trusted because it is listed, but \
                 OpenSSL refuses it"
            }
            Self::Unsaid(_) => {
                "does not say that it is one (X.509 before v3 cannot); it is trusted because it is listed"
            }
            Self::NoCa => {
                "may not issue certificates (basicConstraints, keyUsage): those that it issued are refused"
            }
            Self::Purpose => {
                "is for other purposes (extKeyUsage, nsCertType): certificates that it issued are refused"
            }
            Self::Critical => {
                "has a critical extension that is not known: certificates that it issued are refused"
            }
            Self::SmallKey => {
                "has an RSA key below 2048 bits: certificates that it issued are refused"
            }
            Self::UnsupportedKey => {
                "has a key of a kind that is not verified (unsupported algorithm): certificates that it \
                 issued are refused"
            }
            Self::NoRoot => {
                "is not self-signed, and its root is not listed: certificates that it issued are refused \
                 until it is"
            }
        }
    }
}

/// What is odd, with the place in the list of whom it is about.
#[must_use]
pub fn warnings(listed: &[&[u8]], purpose: Purpose, now: i64) -> Vec<(usize, AuthorityWarning)> {
    let all: Vec<Option<Certificate<'_>>> =
        listed.iter().map(|der| Certificate::parse(der)).collect();
    let readable: Vec<&Certificate<'_>> = all.iter().flatten().collect();
    let mut found = Vec::new();
    for (at, authority) in all.iter().enumerate() {
        let Some(authority) = authority else { continue };
        let kind = purpose::ca_kind(authority, true);
        let unsaid = authority.extensions.basic.is_none() && kind == Ca::Tolerated;
        let table = [
            (authority.not_after <= now, AuthorityWarning::Expired),
            (now < authority.not_before, AuthorityWarning::NotYetValid),
            (unsaid, AuthorityWarning::Unsaid(authority.version)),
            // A certificate that stands for itself alone may be listed, too.
            (kind == Ca::No, AuthorityWarning::NoCa),
            (
                kind != Ca::No && !purpose::fits_purpose(authority, purpose, Some(kind)),
                AuthorityWarning::Purpose,
            ),
            (authority.extensions.unknown_critical, AuthorityWarning::Critical),
            (!signature::key_is_strong(authority), AuthorityWarning::SmallKey),
            (
                signature::key_is_strong(authority) && !signature::key_is_usable(authority),
                AuthorityWarning::UnsupportedKey,
            ),
            (!is_rooted(authority, &readable), AuthorityWarning::NoRoot),
        ];
        found.extend(table.into_iter().filter(|(odd, _)| *odd).map(|(_, oddity)| (at, oddity)));
    }
    found
}

/// Does a listed root lead to it?
fn is_rooted<'c>(authority: &'c Certificate<'c>, listed: &[&'c Certificate<'c>]) -> bool {
    let mut reached = vec![authority];
    let mut next = 0;
    while let Some(current) = reached.get(next).copied() {
        next += 1;
        if current.self_signed() {
            return true;
        }
        let signers = listed.iter().copied().filter(|issuer| {
            current.may_be_issued_by(issuer)
                && current.raw.der != issuer.raw.der
                && signature::issued(issuer, current)
        });
        for issuer in signers {
            if !reached.iter().any(|known| known.raw.der == issuer.raw.der) {
                reached.push(issuer);
            }
        }
    }
    false
}
