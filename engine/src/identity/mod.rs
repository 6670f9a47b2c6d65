//! A client certificate as facts, and the verdict on its chain.
//!
//! A [`ClientIdentity`] is made once per handshake and then only borrowed.

pub mod algorithms;
pub mod allow;
pub mod alt_names;
pub mod anchors;
pub mod authorities;
pub mod cache;
pub mod certificate;
pub mod constraints;
pub mod crl;
pub mod der;
pub mod digest;
pub mod ecdsa;
pub mod every;
pub mod explain;
pub mod extensions;
pub mod failure;
mod folded_dn;
pub mod forwarded;
pub mod general_name;
pub mod hash;
pub mod judged;
mod key_type;
pub mod name;
pub mod name_constraints;
mod name_syntax;
pub mod ocsp;
mod opinion;
pub mod outline;
pub mod path;
pub mod points;
pub mod policies;
pub mod policy;
pub mod purpose;
mod raw_extension;
mod render;
pub mod revocation;
pub mod rsa;
pub mod rules;
pub mod search;
pub mod server_name;
pub mod short_names;
pub mod signature;
pub mod time;
mod translation;
mod unicode;
mod uri;
pub mod variables;
pub mod verdict;
mod verified;
pub mod verify;
mod within;
pub mod work;

pub use allow::{Access, Lists};
pub use anchors::PolicyError;
pub use cache::{Asked, IdentityCache};
pub use failure::VerifyFailure;
pub use policy::ClientPolicy;
pub use variables::{ClientValue, ClientValues, Wanted};
pub use verdict::{Judgement, Verdict};
pub use verified::VerifiedPath;
pub use verify::judge;

use certificate::Certificate;
use digest::sha256;
use outline::Outline;
use render::Rendering;
use time::CertTime;

const DAY: i64 = 86_400;

/// Of a verdict that no date changes.
pub const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// For which server name a verdict was kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptFor {
    /// As the client sent it; empty if it sent none.
    pub name: Box<str>,
}

/// Who the client is, as far as its certificate proves it.
#[derive(Debug)]
pub struct ClientIdentity {
    /// What verification said.
    pub verdict: Verdict,
    /// Which of the policy's anchors the path of a verified chain ends at.
    pub anchor: Option<u32>,
    /// What of [`Self::chain`] stands on that path: whatever else is in there nobody has verified.
    pub path: VerifiedPath,
    /// The leaf's `notBefore` and `notAfter`, Unix seconds; 0 without a certificate or a readable date.
    pub validity: (i64, i64),
    /// Seconds by which its policy lets it end later.
    pub skew: i64,
    /// First second at which its verdict is so, and first second at which it may be different: other
    /// certificates end, too, and so do revocation lists.
    pub holds: (i64, i64),
    /// Its verdict is not what its policy would say now, but an earlier one, kept for requests to this
    /// server name alone (`on_revoke = "keep"`): whoever trusts others must not be told of it.
    pub kept: Option<KeptFor>,
    /// SHA-256 of the leaf's DER; zeros without a certificate.
    pub leaf_sha256: [u8; 32],
    /// What was presented, as DER, the leaf first: to be judged again by another policy.
    pub chain: Box<[Box<[u8]>]>,
    /// Every value that the configuration uses, rendered.
    pub values: ClientValues,
    /// What the lists of the configuration say of it, in the order of [`Wanted::list`].
    pub access: Box<[Access]>,
}

impl ClientIdentity {
    /// The identity behind a chain, leaf first, as DER. A leaf that cannot be read fails whatever
    /// the verdict was, and has only those values that OpenSSL prints all the same. By which path it
    /// was verified is not known, so nothing is told of what came behind the leaf.
    #[must_use]
    pub fn of(chain: &[&[u8]], verdict: Verdict, wanted: &Wanted) -> Self {
        Self::shown_to(&[], chain, Judgement::of(verdict), wanted)
    }

    /// As [`ClientIdentity::of`], by this judgement on that chain, shown to somebody whose own
    /// certificate holds these URIs.
    #[must_use]
    pub fn shown_to(
        own_uris: &[Box<[u8]>],
        chain: &[&[u8]],
        judgement: Judgement,
        wanted: &Wanted,
    ) -> Self {
        let Some(leaf_der) = chain.first() else { return Self::none(wanted) };
        let leaf_sha256 = sha256(leaf_der);
        let certificate = Certificate::parse(leaf_der);
        let verdict = match (judgement.verdict, &certificate) {
            (Verdict::None | Verdict::Success, None) => Verdict::Failed(VerifyFailure::Unspecified),
            (verdict, _) => verdict,
        };
        let is_whole = certificate.is_some();
        let alt_names = certificate.and_then(|one| one.extensions.alt_names).unwrap_or_default();
        let issuers = judgement.path.behind_leaf(chain);
        let rendering = Outline::read(leaf_der).map(|leaf| Rendering {
            leaf,
            is_whole,
            alt_names,
            issuers: &issuers,
            leaf_sha256,
            own_uris,
        });
        let seconds = |date: CertTime<'_>| date.seconds_lenient().unwrap_or(0);
        let validity = rendering.as_ref().map_or((0, 0), |rendering| {
            (seconds(rendering.leaf.not_before), seconds(rendering.leaf.not_after))
        });
        Self {
            verdict,
            anchor: judgement.anchor,
            path: judgement.path,
            validity,
            skew: 0,
            holds: (judgement.from, judgement.until),
            kept: None,
            leaf_sha256,
            chain: chain.iter().map(|der| Box::from(*der)).collect(),
            values: ClientValues::render(rendering.as_ref(), verdict, wanted),
            access: wanted.access(rendering.as_ref(), verdict),
        }
    }

    /// Nobody: no certificate was sent, or none was asked for.
    #[must_use]
    pub fn none(wanted: &Wanted) -> Self {
        Self {
            verdict: Verdict::None,
            anchor: None,
            path: VerifiedPath::default(),
            validity: (0, 0),
            skew: 0,
            holds: ALWAYS,
            kept: None,
            leaf_sha256: [0; 32],
            chain: Box::default(),
            values: ClientValues::render(None, Verdict::None, wanted),
            access: wanted.access(None, Verdict::None),
        }
    }

    /// What this list says of it. A list of another configuration allows nobody.
    #[must_use]
    pub fn access(&self, list: usize) -> Access {
        self.access.get(list).copied().unwrap_or(Access::NotAllowed)
    }

    /// Bytes that it holds: its values, and its chain.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.chain.iter().map(|der| der.len()).sum::<usize>()
    }

    /// Is its end over?
    #[must_use]
    pub const fn has_ended(&self, now: i64) -> bool {
        self.validity.1.saturating_add(self.skew) <= now
    }

    /// It was good, and has not ended; but something else may have, so it has to be judged again.
    #[must_use]
    pub fn is_stale(&self, now: i64) -> bool {
        let (from, until) = self.holds;
        (now < from || now >= until) && self.verdict == Verdict::Success && !self.has_ended(now)
    }

    /// `$ssl_client_v_remain`: whole days until `notAfter`, 0 if less than one; `None` without a
    /// certificate or a readable date, for which the variable is empty.
    #[must_use]
    pub const fn days_remaining(&self, now: i64) -> Option<i64> {
        match (self.verdict, self.validity) {
            (Verdict::None, _) | (_, (_, 0)) => None,
            (_, (_, end)) if end - now < DAY => Some(0),
            (_, (_, end)) => Some((end - now) / DAY),
        }
    }
}
