//! The verdict on a chain: path, depth, extended key usage, revocation, v1 leaves.
//!
//! Two verifiers must agree before a v3 leaf is good: our own walk in OpenSSL's order, which also
//! finds the words ([`super::path`]), and webpki (`webpki_check`). An X.509 v1 leaf, which webpki never accepts, is
//! good only if a listed anchor issued it directly. A self-signed certificate that is itself listed is
//! good as a client too, as with OpenSSL: its holder could issue itself any other.

use std::ops::ControlFlow;

use super::anchors::Anchors;
use super::client_policy::ClientPolicy;
use super::path::{self, IssuerSources, Path};
use super::path_search::PathSearch;
use super::purpose::Purpose;
use super::rules::VerificationRules;
use super::signature_budget::SignatureBudget;
use super::verdict::{Verdict, Verification};
use super::verified_path::{CHAIN_CERTIFICATES_MAX, VerifiedPath};
use super::webpki_check;
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::{name, signature};

/// Bytes of one chain.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// What was done on the way to a verdict.
#[derive(Clone, Copy, Debug)]
pub enum VerificationStep<'s> {
    /// A path was tried.
    Path {
        /// Leaf first.
        certificates: &'s [Certificate<'s>],
        /// How many of them the peer sent; the others are anchors.
        from_peer: usize,
        /// What is wrong with it, if anything is.
        result: Result<(), VerifyFailure>,
    },
    /// Other paths were looked for.
    Searched {
        /// Signatures that were checked for it.
        signatures: u32,
    },
}

/// Judges a client's chain, leaf first, as DER. `now` is Unix seconds.
#[must_use]
pub fn verify_client(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verdict {
    verify_client_now(chain, policy, now).verdict
}

/// Is a client that was refused for its purpose good but for that (`client.eku = "any"`)?
#[must_use]
pub fn lacks_purpose_alone(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> bool {
    let rules = VerificationRules { purpose: Purpose::AnyClient, ..policy.rules(now) };
    policy.anchors().verify(chain, rules).is_ok()
}

/// As [`verify_client`], calling `trace` for every path that is tried.
#[must_use]
pub fn verify_client_traced(
    chain: &[&[u8]],
    policy: &ClientPolicy,
    now: i64,
    trace: &mut dyn FnMut(VerificationStep<'_>),
) -> Verdict {
    if chain.is_empty() {
        return Verdict::None;
    }
    match policy.anchors().verify_traced(chain, policy.rules(now), trace) {
        Ok(()) => Verdict::Success,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// The same, with the path that is good, for the moment.
pub(crate) fn verify_client_now(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verification {
    let (mut anchor, mut path) = (None, VerifiedPath::default());
    // A good path is the last that is tried.
    let verdict = verify_client_traced(chain, policy, now, &mut |step| {
        let VerificationStep::Path { certificates, result: Ok(()), .. } = step else { return };
        anchor = certificates.last().and_then(|last| policy.anchors().place(last.raw.der));
        path = VerifiedPath::of(certificates, chain);
    });
    Verification { path, anchor, ..Verification::of(verdict) }
}

impl Anchors {
    /// Verifies a chain, leaf first, against these anchors.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn verify(
        &self,
        chain: &[&[u8]],
        rules: VerificationRules<'_>,
    ) -> Result<(), VerifyFailure> {
        self.verify_traced(chain, rules, &mut |_| {})
    }

    /// The same, calling `trace` for every path that is tried.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn verify_traced(
        &self,
        chain: &[&[u8]],
        rules: VerificationRules<'_>,
        trace: &mut dyn FnMut(VerificationStep<'_>),
    ) -> Result<(), VerifyFailure> {
        self.verify_within(chain, rules, &mut SignatureBudget::default(), trace)
    }

    /// The same, within this budget.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn verify_within<'a>(
        &'a self,
        chain: &[&'a [u8]],
        rules: VerificationRules<'_>,
        budget: &mut SignatureBudget<'a>,
        trace: &mut dyn FnMut(VerificationStep<'_>),
    ) -> Result<(), VerifyFailure> {
        let bytes: usize = chain.iter().map(|der| der.len()).sum();
        let Some((leaf_der, rest)) = chain.split_first() else {
            return Err(VerifyFailure::Unspecified);
        };
        if chain.len() > CHAIN_CERTIFICATES_MAX || bytes > CHAIN_BYTES_MAX {
            return Err(VerifyFailure::Unspecified);
        }
        let clock = rules.clock;
        let leaf = Certificate::parse(leaf_der).ok_or_else(|| path::unread(leaf_der, clock))?;
        // Nobody is called by so many names, and each of them may be asked for.
        if [leaf.raw.subject, leaf.raw.issuer].into_iter().any(name::is_overlong) {
            return Err(VerifyFailure::Unspecified);
        }
        // What is no certificate is not passed over: a TLS stack gives up at the first in the message.
        if rest.iter().any(|der| RawCertificate::read(der).is_none()) {
            return Err(VerifyFailure::Unspecified);
        }
        let sources = IssuerSources {
            // Whose extensions cannot be read cannot be an issuer.
            peer: rest.iter().copied().filter_map(Certificate::parse).collect(),
            anchors: &|subject| self.named(subject),
            depth: rules.depth,
            clock,
        };
        let mut path = Path::first(leaf.clone(), &sources);
        let first = check_path(&mut path, rules, budget);
        trace(tried(&path, first));
        if first.is_ok() || path.revoked || !path.ambiguous {
            return first;
        }
        // OpenSSL's word stays, unless another path is good or somebody on it is revoked.
        let mut decided = first;
        let before = budget.signatures();
        let mut search = PathSearch::new(leaf, &sources);
        let _ = search.run(budget, &mut |certificates, from_peer, budget| {
            let mut path = Path::of(certificates, from_peer);
            let verdict = check_path(&mut path, rules, budget);
            trace(tried(&path, verdict));
            if verdict.is_ok() || path.revoked {
                decided = verdict;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        trace(VerificationStep::Searched { signatures: budget.signatures() - before });
        decided
    }
}

fn tried<'s>(path: &'s Path<'s>, result: Result<(), VerifyFailure>) -> VerificationStep<'s> {
    let Path { certificates, from_peer, .. } = path;
    VerificationStep::Path { certificates, from_peer: *from_peer, result }
}

/// Every check there is, on one path.
fn check_path<'a>(
    path: &mut Path<'a>,
    rules: VerificationRules<'_>,
    budget: &mut SignatureBudget<'a>,
) -> Result<(), VerifyFailure> {
    path.check(rules, budget);
    if let Some(failure) = path.failure {
        return Err(failure);
    }
    let Some(leaf) = path.certificates.first() else { return Err(VerifyFailure::Unspecified) };
    if !signature::key_is_usable(leaf) {
        return Err(VerifyFailure::Unsupported);
    }
    let length = path.certificates.len();
    if leaf.version < 3 {
        let direct = length == 1 || (length == 2 && path.from_peer == 1);
        if !(direct && rules.allow_v1) {
            return Err(VerifyFailure::Application);
        }
    } else if length > 1 && leaf.extensions.basic.is_some_and(|basic| basic.ca) {
        // webpki says so, too.
        return Err(VerifyFailure::Application);
    } else if length > 1 {
        // An anchor itself has been examined by the walk.
        webpki_check::check(path, rules, budget)?;
    }
    // Only now is it known that these CAs are whom they say they are.
    path.consulted.iter().try_for_each(|consulted| match rules.revocation {
        Some(lists) => lists.check_signatures(&path.certificates, consulted),
        None => Err(VerifyFailure::CrlSignature),
    })
}
