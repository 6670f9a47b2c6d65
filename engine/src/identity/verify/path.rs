//! The way from a leaf to a trust anchor, built and examined in OpenSSL's order.
//!
//! nginx lets OpenSSL go on after every error and reports the last one, so this does the same:
//! each check that fails overwrites what was found before. Of two candidates for an issuer the one
//! that is valid now is taken, else the one that ends last. Bounded by the depth. Where that leaves
//! a choice, [`super::path_search`] walks the other ways.

use super::certificate_policies;
use super::constraint_check;
use super::purpose::{Ca, Purpose, ca_kind, fits_purpose};
use super::revocation::ConsultedCrl;
use super::rules::VerificationRules;
use super::signature_budget::{KeyBacking, SignatureBudget};
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::signature::{self, SignatureError};
use crate::identity::x509::time::Clock;

/// A chain from the leaf towards an anchor.
#[derive(Debug)]
pub struct Path<'a> {
    /// The leaf first.
    pub certificates: Vec<Certificate<'a>>,
    /// How many of them came from the peer; the others are anchors.
    pub from_peer: usize,
    /// The last thing that is wrong.
    pub failure: Option<VerifyFailure>,
    /// Some certificate of it is revoked, whatever else is wrong.
    pub revoked: bool,
    /// Somewhere there was more than one issuer to choose from.
    pub ambiguous: bool,
    /// Revocation lists that were consulted, by certificate.
    pub consulted: Vec<Vec<ConsultedCrl>>,
}

/// Where issuers come from.
pub struct IssuerSources<'a, 'p> {
    /// What the peer sent behind its leaf.
    pub peer: Vec<Certificate<'a>>,
    /// DER of the anchors with this subject (tag and length included).
    pub anchors: &'p dyn Fn(&[u8]) -> Vec<&'a [u8]>,
    /// Intermediates allowed between leaf and anchor.
    pub depth: u32,
    /// Now.
    pub clock: Clock,
}

impl std::fmt::Debug for IssuerSources<'_, '_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sources").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<'a> Path<'a> {
    /// The path that OpenSSL would take from this leaf, not yet checked.
    #[must_use]
    pub fn first(leaf: Certificate<'a>, sources: &IssuerSources<'a, '_>) -> Self {
        let mut path = Self::of(vec![leaf], 1);
        path.build(sources);
        path
    }

    /// A path that somebody else has found, not yet checked.
    #[must_use]
    pub const fn of(certificates: Vec<Certificate<'a>>, from_peer: usize) -> Self {
        Self {
            certificates,
            from_peer,
            failure: None,
            revoked: false,
            ambiguous: false,
            consulted: Vec::new(),
        }
    }

    /// Checks it from end to end, as OpenSSL would.
    pub fn check(&mut self, rules: VerificationRules<'_>, budget: &mut SignatureBudget<'a>) {
        self.check_leaf_key();
        self.check_extensions(rules.purpose);
        self.check_strength();
        if let Some(revocation) = rules.revocation {
            let finding = revocation.look_up(&self.certificates, rules.clock);
            self.failure = finding.failure.or(self.failure);
            self.revoked = finding.revoked;
            self.consulted = finding.consulted;
        }
        self.check_signatures_and_times(rules.clock, budget);
        self.failure = constraint_check::violation(&self.certificates).or(self.failure);
        // nginx does not ask OpenSSL about policies, so its words for anything else stay.
        if self.failure.is_none() {
            self.failure = certificate_policies::violation(&self.certificates);
        }
    }

    fn fail(&mut self, failure: VerifyFailure) {
        self.failure = Some(failure);
    }

    fn last(&self) -> Option<&Certificate<'a>> {
        self.certificates.last()
    }

    /// OpenSSL looks at it before it builds the path, so any other failure is told instead.
    fn check_leaf_key(&mut self) {
        let leaf = self.certificates.first();
        if self.failure.is_none() && leaf.is_some_and(|leaf| !signature::key_is_strong(leaf)) {
            self.fail(VerifyFailure::LeafKeyTooSmall);
        }
    }

    /// Anchors first, then what the peer sent; after the first anchor, anchors only.
    fn build(&mut self, sources: &IssuerSources<'a, '_>) {
        // The anchor itself does not count.
        let longest = usize::try_from(sources.depth).unwrap_or(usize::MAX).saturating_add(1);
        let mut untrusted = true;
        while let Some(current) = self.last() {
            let room = self.certificates.len() <= longest;
            let self_signed = current.self_signed();
            let (anchor, anchors) =
                if room { anchor_for(current, sources) } else { (None, Choice::default()) };
            let (issuer, peers) = if room && !self_signed && untrusted {
                self.issuer_for(sources)
            } else {
                (None, Choice::default())
            };
            self.ambiguous |= anchors.0 + peers.0 > 1;
            if let Some(anchor) = anchor {
                if !self_signed {
                    let root = anchor.self_signed();
                    self.certificates.push(anchor);
                    if root {
                        return;
                    }
                    untrusted = false;
                    continue;
                }
                // A self-signed certificate of the peer must be the anchor itself, not just
                // carry its name.
                let same = self.last().is_some_and(|last| last.raw.der == anchor.raw.der);
                if same {
                    self.from_peer = self.from_peer.min(self.certificates.len() - 1);
                    return;
                }
            }
            let Some(issuer) = issuer.filter(|_| untrusted) else { break };
            self.certificates.push(issuer);
            self.from_peer += 1;
        }
        self.report_untrusted(longest);
    }

    /// The best issuer among what the peer sent.
    fn issuer_for(&self, sources: &IssuerSources<'a, '_>) -> (Option<Certificate<'a>>, Choice) {
        let Some(current) = self.last() else { return (None, Choice::default()) };
        let fits = |candidate: &Certificate<'_>| {
            current.may_be_issued_by(candidate)
                && !self.certificates.iter().any(|used| used.raw.der == candidate.raw.der)
        };
        let (at, choice) = best(&sources.peer, fits, sources.clock);
        (at.and_then(|at| sources.peer.get(at)).cloned(), choice)
    }

    fn report_untrusted(&mut self, longest: usize) {
        let count = self.certificates.len();
        if count > longest {
            self.fail(VerifyFailure::ChainTooLong);
        }
        let self_signed = self.last().is_some_and(Certificate::self_signed);
        self.fail(match (self_signed, count) {
            (true, 1) => VerifyFailure::SelfSignedLeaf,
            (true, _) => VerifyFailure::SelfSignedInChain,
            (false, _) if self.from_peer < count => VerifyFailure::NoIssuer,
            (false, _) => VerifyFailure::NoLocalIssuer,
        });
    }

    fn check_extensions(&mut self, purpose: Purpose) {
        let count = self.certificates.len();
        let mut below = 0_u32;
        for at in 0..count {
            let Some(certificate) = self.certificates.get(at) else { return };
            let extensions = &certificate.extensions;
            let must_be_ca = at > 0;
            let anchor = at >= self.from_peer;
            let ca = ca_kind(certificate, anchor);
            let self_issued = certificate.self_issued();
            let limit = extensions.basic.as_ref().and_then(|basic| basic.path_len_constraint);
            let findings = [
                (extensions.unknown_critical, VerifyFailure::CriticalExtension),
                (
                    must_be_ca && (ca == Ca::No || (at + 1 < count && ca != Ca::Stated)),
                    VerifyFailure::InvalidCa,
                ),
                (
                    !fits_purpose(certificate, purpose, must_be_ca.then_some(ca)),
                    VerifyFailure::Purpose,
                ),
                (at > 1 && limit.is_some_and(|limit| below > limit), VerifyFailure::PathLength),
            ];
            if at > 0 && !self_issued {
                below += 1;
            }
            for (wrong, failure) in findings {
                if wrong {
                    self.fail(failure);
                }
            }
        }
    }

    fn check_strength(&mut self) {
        let count = self.certificates.len();
        for at in 0..count {
            let Some(certificate) = self.certificates.get(at) else { return };
            let small = at > 0 && !signature::key_is_strong(certificate);
            let weak = at + 1 < count && signature::digest_is_weak(certificate);
            if small {
                self.fail(VerifyFailure::CaKeyTooSmall);
            }
            if weak {
                self.fail(VerifyFailure::WeakDigest);
            }
        }
    }

    /// From the anchor down to the leaf. The dates of the anchor count, its signature does not.
    fn check_signatures_and_times(&mut self, clock: Clock, budget: &mut SignatureBudget<'a>) {
        let count = self.certificates.len();
        let ends_self_signed = self.last().is_some_and(Certificate::self_signed);
        if count == 1 && !ends_self_signed {
            self.fail(VerifyFailure::FirstCertificate);
        }
        let mut backing = KeyBacking::Unanchored;
        // Below a signature that is not good nothing is proved by others, so they are not looked at.
        let mut sound = true;
        for at in (0..count).rev() {
            let Some(certificate) = self.certificates.get(at) else { return };
            let mut findings = [None; 2];
            if let Some(issuer) = self.certificates.get(at + 1) {
                if issuer.extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
                    findings[0] = Some(VerifyFailure::NoCertSign);
                }
                if at + 1 >= self.from_peer {
                    backing = KeyBacking::Anchored;
                }
                if signature::digest_is_weak(certificate) {
                    // It has been refused by name already, and we could not verify it.
                    backing = KeyBacking::Unanchored;
                } else if sound && let Err(fault) = budget.check(issuer, certificate, backing) {
                    sound = false;
                    // Nobody stands for such a chain anyway, so it keeps the word it has.
                    let spared = fault == SignatureError::OverBudget
                        && backing == KeyBacking::Unanchored
                        && self.failure.is_some();
                    findings[1] = (!spared).then(|| fault.failure());
                }
            } else if count > 1 && !ends_self_signed {
                // OpenSSL has no issuer to hold this one against, and passes it over.
                continue;
            }
            let findings = findings.into_iter().chain(time_failures(&certificate.raw, clock));
            for failure in findings.flatten() {
                self.fail(failure);
            }
        }
    }
}

/// OpenSSL's word for a leaf that x509-parser refuses: it looks at the dates last.
#[must_use]
pub fn unread(leaf: &[u8], clock: Clock) -> VerifyFailure {
    let raw = RawCertificate::read(leaf);
    let findings = raw.map_or([None; 2], |raw| time_failures(&raw, clock));
    findings.into_iter().flatten().last().unwrap_or(VerifyFailure::Unspecified)
}

fn time_failures(raw: &RawCertificate<'_>, clock: Clock) -> [Option<VerifyFailure>; 2] {
    let start = match raw.not_before.seconds() {
        None => Some(VerifyFailure::BadNotBefore),
        Some(start) if !clock.has_begun(start) => Some(VerifyFailure::NotYetValid),
        Some(_) => None,
    };
    let end = match raw.not_after.seconds() {
        None => Some(VerifyFailure::BadNotAfter),
        Some(end) if clock.is_past(end) => Some(VerifyFailure::Expired),
        Some(_) => None,
    };
    [start, end]
}

/// How many there were to choose from.
#[derive(Clone, Copy, Debug, Default)]
struct Choice(usize);

/// The anchor that may have issued this certificate.
fn anchor_for<'a>(
    current: &Certificate<'a>,
    sources: &IssuerSources<'a, '_>,
) -> (Option<Certificate<'a>>, Choice) {
    let mut candidates: Vec<Certificate<'a>> =
        (sources.anchors)(current.raw.issuer).into_iter().filter_map(Certificate::parse).collect();
    // Of several with one name, one that is itself listed is its own.
    let own = candidates.iter().position(|candidate| candidate.raw.der == current.raw.der);
    if let Some(own) = own.filter(|_| current.self_signed()) {
        return (Some(candidates.swap_remove(own)), Choice(1));
    }
    let (at, choice) =
        best(&candidates, |candidate| current.may_be_issued_by(candidate), sources.clock);
    (at.map(|at| candidates.swap_remove(at)), choice)
}

/// The first candidate that is valid now, else the one that ends last.
fn best(
    candidates: &[Certificate<'_>],
    fits: impl Fn(&Certificate<'_>) -> bool,
    clock: Clock,
) -> (Option<usize>, Choice) {
    let mut count = 0;
    let mut valid: Option<usize> = None;
    let mut latest: Option<(usize, i64)> = None;
    for (at, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| fits(candidate)) {
        count += 1;
        let (start, end) = (candidate.not_before, candidate.not_after);
        if clock.has_begun(start) && !clock.is_past(end) {
            valid = valid.or(Some(at));
        }
        if latest.is_none_or(|(_, best_end)| end > best_end) {
            latest = Some((at, end));
        }
    }
    (valid.or_else(|| latest.map(|(at, _)| at)), Choice(count))
}
