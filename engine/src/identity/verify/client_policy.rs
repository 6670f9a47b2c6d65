//! Which clients a server name trusts: anchors, depth, clock skew and revocation, as one value.

use std::sync::OnceLock;

use super::anchors::{AnchorError, Anchors};
use super::purpose::Purpose;
use super::revocation::Revocation;
use super::rules::VerificationRules;
use crate::identity::digest::sha256_parts;
use crate::identity::x509::name;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::time::Clock;

/// Which clients a server name trusts. Compared and hashed by content.
#[derive(Debug)]
pub struct ClientPolicy {
    depth: u32,
    allow_v1: bool,
    purpose: Purpose,
    /// Seconds.
    skew: i64,
    anchors: Anchors,
    revocation: Option<Revocation>,
    /// Names (by [`name::key`]) of the listed CAs that may be revoked themselves, or are below one that may be.
    fallen: Vec<Vec<u8>>,
    /// The digests of its content, made when they are first asked for.
    digests: OnceLock<PolicyDigests>,
}

/// Digests of the content of a policy.
#[derive(Debug)]
struct PolicyDigests {
    /// Of everything that decides, whatever the order of the anchors.
    scope: [u8; 32],
    /// The same, and the order of the anchors.
    exact_scope: [u8; 32],
}

impl ClientPolicy {
    /// A policy over these anchors (DER).
    ///
    /// # Errors
    /// If an anchor is not a certificate.
    pub fn new(anchors: &[Vec<u8>], depth: u32, allow_v1: bool) -> Result<Self, AnchorError> {
        Ok(Self {
            depth,
            allow_v1,
            purpose: Purpose::Client,
            skew: 0,
            anchors: Anchors::new(anchors)?,
            revocation: None,
            fallen: Vec::new(),
            digests: OnceLock::new(),
        })
    }

    /// The same for clocks that may be this many seconds apart.
    #[must_use]
    pub fn with_clock_skew(mut self, skew: i64) -> Self {
        self.skew = skew;
        self.digests = OnceLock::new();
        self
    }

    /// The same for certificates that have to be good for this.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self.digests = OnceLock::new();
        self
    }

    /// The same with lists of what is revoked.
    #[must_use]
    pub fn with_revocation(mut self, revocation: Option<Revocation>) -> Self {
        if let Some(revocation) = &revocation {
            self.anchors.claim(revocation);
        }
        self.fallen =
            revocation.as_ref().map(|lists| self.anchors.fallen(lists)).unwrap_or_default();
        self.revocation = revocation;
        self.digests = OnceLock::new();
        self
    }

    /// Seconds by which clocks may be apart.
    #[must_use]
    pub const fn clock_skew(&self) -> i64 {
        self.skew
    }

    /// The trust anchors.
    #[must_use]
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The lists of what is revoked.
    #[must_use]
    pub const fn revocation(&self) -> Option<&Revocation> {
        self.revocation.as_ref()
    }

    /// When the first revocation list that holds at this time will have expired, Unix seconds; `None` if
    /// none does or if that does not matter.
    #[must_use]
    pub fn next_update(&self, now: i64) -> Option<i64> {
        let end = self.revocation.as_ref()?.next_update(now.saturating_sub(self.skew))?;
        Some(end.saturating_add(self.skew))
    }

    /// A digest of everything that decides: the set of anchors, the depth, whether v1 is allowed, the
    /// purpose, the clock skew and what is revoked.
    #[must_use]
    pub fn scope(&self) -> [u8; 32] {
        self.digests().scope
    }

    /// The same, and the order of the anchors: to whoever comes to the same verdict by the same way.
    #[must_use]
    pub(crate) fn exact_scope(&self) -> [u8; 32] {
        self.digests().exact_scope
    }

    fn digests(&self) -> &PolicyDigests {
        self.digests.get_or_init(|| {
            let scope = sha256_parts(&[
                b"client policy",
                &self.anchors.digest(),
                &self.depth.to_be_bytes(),
                &[u8::from(self.allow_v1), u8::from(self.purpose == Purpose::AnyClient)],
                &self.skew.to_be_bytes(),
                &self.revocation.as_ref().map_or([0; 32], Revocation::digest),
            ]);
            let mut parts: Vec<&[u8]> = vec![&scope];
            parts.extend(self.anchors.ders().iter().map(Vec::as_slice));
            PolicyDigests { scope, exact_scope: sha256_parts(&parts) }
        })
    }

    /// May a list be about this chain (DER) or about a listed CA above it? A first look at many, without
    /// a signature: who is found has still to be judged, and no list is about the others.
    #[must_use]
    pub fn may_have_revoked(&self, chain: &[Box<[u8]>]) -> bool {
        let Some(revocation) = &self.revocation else { return false };
        chain.iter().filter_map(|der| RawCertificate::read(der)).any(|certificate| {
            revocation.may_revoke(&certificate)
                || (!self.fallen.is_empty() && self.fallen.contains(&name::key(certificate.issuer)))
        })
    }

    /// What a client's chain is held against, at this moment.
    #[must_use]
    pub const fn rules(&self, now: i64) -> VerificationRules<'_> {
        VerificationRules {
            depth: self.depth,
            allow_v1: self.allow_v1,
            purpose: self.purpose,
            clock: Clock { now, skew: self.skew },
            revocation: self.revocation.as_ref(),
        }
    }
}
