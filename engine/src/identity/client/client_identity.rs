//! Who a client is, made once per handshake and then only borrowed.

use super::access_lists::Access;
use super::client_values::ClientValues;
use super::identity_plan::IdentityPlan;
use super::leaf_view::LeafView;
use super::prospects::Prospects;
use crate::identity::digest::sha256;
use crate::identity::failure::VerifyFailure;
use crate::identity::verify::verdict::{Verdict, Verification};
use crate::identity::verify::verified_path::VerifiedPath;
use crate::identity::x509::time::{CertTime, TimeRange};

const DAY: i64 = 86_400;

/// The server name for whose requests an earlier verdict was kept.
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
    /// The leaf's `notBefore`, Unix seconds; 0 without a certificate or a readable date.
    pub not_before: i64,
    /// The leaf's `notAfter`, likewise.
    pub not_after: i64,
    /// Seconds by which its policy lets it end later.
    pub skew: i64,
    /// The seconds in which its verdict stays the same: other certificates of the path expire, too, and so
    /// do revocation lists.
    pub holds: TimeRange,
    /// Its verdict is not what its policy would say now, but an earlier one, kept for requests to this
    /// server name alone (`on_revoke = "keep"`): whoever trusts others must not be told of it.
    pub kept: Option<KeptFor>,
    /// What is known of its next certificate; decides nothing.
    pub prospects: Prospects,
    /// SHA-256 of the leaf's DER; zeros without a certificate.
    pub leaf_sha256: [u8; 32],
    /// What was presented, as DER, the leaf first: to be judged again by another policy.
    pub chain: Box<[Box<[u8]>]>,
    /// Every value that the configuration uses, rendered.
    pub values: ClientValues,
    /// What the lists of the configuration say of it, in the order of [`IdentityPlan::list`].
    pub access: Box<[Access]>,
}

impl ClientIdentity {
    /// The identity behind a chain, leaf first, as DER. A leaf that cannot be read fails whatever
    /// the verdict was, and has only those values that OpenSSL prints all the same. By which path it
    /// was verified is not known, so nothing is told of what came behind the leaf.
    #[must_use]
    pub fn of(chain: &[&[u8]], verdict: Verdict, wanted: &IdentityPlan) -> Self {
        Self::from_verification(&[], chain, Verification::of(verdict), wanted)
    }

    /// As [`ClientIdentity::of`], by this verification on that chain, shown to somebody whose own
    /// certificate holds these URIs.
    #[must_use]
    pub fn from_verification(
        own_uris: &[Box<[u8]>],
        chain: &[&[u8]],
        verification: Verification,
        wanted: &IdentityPlan,
    ) -> Self {
        let Some(leaf_der) = chain.first() else { return Self::none(wanted) };
        let issuers = verification.path.after_leaf(chain);
        let view = LeafView::read(leaf_der, &issuers, own_uris);
        let is_whole = view.as_ref().is_some_and(|view| view.is_whole);
        let verdict = match verification.verdict {
            Verdict::None | Verdict::Success if !is_whole => {
                Verdict::Failed(VerifyFailure::Unspecified)
            }
            verdict => verdict,
        };
        let seconds = |date: CertTime<'_>| date.seconds_lenient().unwrap_or(0);
        let dates = view.as_ref().map(|view| (view.leaf.not_before, view.leaf.not_after));
        let (not_before, not_after) =
            dates.map_or((0, 0), |(start, end)| (seconds(start), seconds(end)));
        Self {
            verdict,
            anchor: verification.anchor,
            path: verification.path,
            not_before,
            not_after,
            skew: 0,
            holds: verification.holds,
            kept: None,
            prospects: view.as_ref().map(|view| view.prospects).unwrap_or_default(),
            leaf_sha256: view.as_ref().map_or_else(|| sha256(leaf_der), |view| view.leaf_sha256),
            chain: chain.iter().map(|der| Box::from(*der)).collect(),
            values: ClientValues::render(view.as_ref(), verdict, wanted),
            access: wanted.access(view.as_ref(), verdict),
        }
    }

    /// Nobody: no certificate was sent, or none was asked for.
    #[must_use]
    pub fn none(wanted: &IdentityPlan) -> Self {
        Self {
            verdict: Verdict::None,
            anchor: None,
            path: VerifiedPath::default(),
            not_before: 0,
            not_after: 0,
            skew: 0,
            holds: TimeRange::ALWAYS,
            kept: None,
            prospects: Prospects::default(),
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

    /// Has it expired, clock skew allowed for?
    #[must_use]
    pub const fn has_ended(&self, now: i64) -> bool {
        self.not_after.saturating_add(self.skew) <= now
    }

    /// It was good and has not expired; but something else may have, so it has to be verified again.
    #[must_use]
    pub fn is_stale(&self, now: i64) -> bool {
        !self.holds.contains(now) && self.verdict == Verdict::Success && !self.has_ended(now)
    }

    /// `$ssl_client_v_remain`: whole days until `notAfter`, 0 if less than one; `None` without a
    /// certificate or a readable date, for which the variable is empty.
    #[must_use]
    pub const fn days_remaining(&self, now: i64) -> Option<i64> {
        match (self.verdict, self.not_after) {
            (Verdict::None, _) | (_, 0) => None,
            (_, end) if end - now < DAY => Some(0),
            (_, end) => Some((end - now) / DAY),
        }
    }
}
