//! What a chain is held against, besides trust anchors.

use super::purpose::Purpose;
use super::revocation::Revocation;
use crate::identity::x509::time::Clock;

/// The rules of one verification.
#[derive(Clone, Copy, Debug)]
pub struct VerificationRules<'r> {
    /// Intermediates allowed.
    pub depth: u32,
    /// Accept v1 leaves issued directly by an anchor.
    pub allow_v1: bool,
    /// What the leaf must be good for.
    pub purpose: Purpose,
    /// Now.
    pub clock: Clock,
    /// Which certificates are revoked.
    pub revocation: Option<&'r Revocation>,
}
