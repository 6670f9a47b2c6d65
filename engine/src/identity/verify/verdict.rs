//! What verification says of a client's chain.

use super::verified_path::VerifiedPath;
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::time::TimeRange;

/// What verification said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// No certificate was sent.
    None,
    /// It verified.
    Success,
    /// It did not, for OpenSSL's reason.
    Failed(VerifyFailure),
}

/// A verdict and the time in which it stays the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verification {
    /// What verification said.
    pub verdict: Verdict,
    /// Which of the policy's anchors the path of a verified chain ends at.
    pub anchor: Option<u32>,
    /// What of the chain stands on that path; nothing of one that is not verified.
    pub path: VerifiedPath,
    /// The seconds in which it stays the same.
    pub holds: TimeRange,
}

impl Verification {
    /// A verdict that no date changes, of which no path is known.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, anchor: None, path: VerifiedPath::default(), holds: TimeRange::ALWAYS }
    }
}
