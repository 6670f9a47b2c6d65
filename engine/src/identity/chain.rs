//! The verdict on a client's chain: path, depth, extended key usage, v1 leaves.
//!
//! Two judges must agree before a v3 leaf is good: our own walk in OpenSSL's order, which also
//! finds the words ([`super::path`]), and webpki. An X.509 v1 leaf, which webpki never accepts, is
//! good only if a listed anchor issued it directly. A self-signed certificate that is itself listed is
//! good as a client too, as with OpenSSL: its holder could issue itself any other.

use std::time::Duration;

use hashbrown::HashMap;
use ring::digest;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};

use super::certificate::Certificate;
pub use super::failure::VerifyFailure;
use super::outline::Outline;
use super::path::{self, Path, Purpose, Sources};
use super::signature;

/// Certificates of one chain; the rest of a longer one is refused unread.
const CHAIN_CERTIFICATES_MAX: usize = 10;
/// Bytes of one chain.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// Which clients a server name trusts. Compared and hashed by content.
#[derive(Debug)]
pub struct ClientPolicy {
    depth: u32,
    allow_v1: bool,
    anchors: Anchors,
}

/// Trust anchors, found by their subject.
#[derive(Debug)]
pub struct Anchors {
    list: Vec<Vec<u8>>,
    by_subject: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState>,
    /// Every `notBefore` and `notAfter`: the moments at which a verdict may change.
    moments: Vec<i64>,
}

/// Why a list of trust anchors cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyError {
    /// The anchor at this position is not a certificate.
    NotACertificate(usize),
}

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
pub struct Judgement {
    /// What verification said.
    pub verdict: Verdict,
    /// Which of the policy's anchors the path of a verified chain ends at.
    pub anchor: Option<u32>,
    /// First second at which it is so.
    pub from: i64,
    /// First second at which it may be different.
    pub until: i64,
}

impl Anchors {
    /// Keeps these certificates, once each.
    ///
    /// # Errors
    /// If one is not a certificate.
    pub fn new(ders: &[Vec<u8>]) -> Result<Self, PolicyError> {
        let mut anchors =
            Self { list: Vec::new(), by_subject: HashMap::default(), moments: Vec::new() };
        for (at, der) in ders.iter().enumerate() {
            let certificate = Certificate::parse(der).ok_or(PolicyError::NotACertificate(at))?;
            if webpki::anchor_from_trusted_cert(&CertificateDer::from(der.as_slice())).is_err() {
                return Err(PolicyError::NotACertificate(at));
            }
            if anchors.list.contains(der) {
                continue;
            }
            anchors
                .by_subject
                .entry_ref(certificate.outline.subject)
                .or_default()
                .push(anchors.list.len());
            anchors.moments.extend([certificate.not_before, certificate.not_after]);
            anchors.list.push(der.clone());
        }
        Ok(anchors)
    }

    /// The DER of each.
    #[must_use]
    pub fn ders(&self) -> &[Vec<u8>] {
        &self.list
    }

    /// The anchors with this subject.
    fn named(&self, subject: &[u8]) -> Vec<&[u8]> {
        let places = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.list.get(*at)).map(Vec::as_slice).collect()
    }

    /// A digest of the set, whatever its order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digests: Vec<[u8; 32]> = self.list.iter().map(|der| sha256(&[der])).collect();
        digests.sort_unstable();
        let parts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        sha256(&parts)
    }

    /// Examines a chain, leaf first, against these anchors.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn examine(&self, chain: &[&[u8]], rules: Rules) -> Result<(), VerifyFailure> {
        self.examine_step_by_step(chain, rules, &mut |_| {})
    }

    /// The same, telling every path that is tried.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn examine_step_by_step(
        &self,
        chain: &[&[u8]],
        rules: Rules,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), VerifyFailure> {
        let bytes: usize = chain.iter().map(|der| der.len()).sum();
        let Some((leaf_der, rest)) = chain.split_first() else {
            return Err(VerifyFailure::Unspecified);
        };
        if chain.len() > CHAIN_CERTIFICATES_MAX || bytes > CHAIN_BYTES_MAX {
            return Err(VerifyFailure::Unspecified);
        }
        let leaf = Certificate::parse(leaf_der).ok_or_else(|| path::unread(leaf_der, rules.now))?;
        let version = leaf.version;
        let sources = Sources {
            // What cannot be read cannot be an issuer.
            peer: rest.iter().copied().filter_map(Certificate::parse).collect(),
            anchors: &|subject| self.named(subject),
            depth: rules.depth,
            now: rules.now,
        };
        let path = Path::examine(leaf, sources, rules.purpose);
        let verdict = judge_path(&path, version, rules);
        tell(Step::Path(&path.certificates, path.from_peer, verdict));
        verdict
    }

    /// Which of [`Self::ders`] this is.
    fn place(&self, der: &[u8]) -> Option<u32> {
        self.list.iter().position(|one| one == der).and_then(|at| u32::try_from(at).ok())
    }
}

/// What was done on the way to a verdict.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// A path, leaf first, how many certificates of it came from the peer, and what came of it.
    Path(&'s [Certificate<'s>], usize, Result<(), VerifyFailure>),
}

/// Every judge there is, on one path.
fn judge_path(path: &Path<'_>, version: u8, rules: Rules) -> Result<(), VerifyFailure> {
    if let Some(failure) = path.failure {
        return Err(failure);
    }
    let length = path.certificates.len();
    if version < 3 {
        let direct = length == 1 || (length == 2 && path.from_peer == 1);
        return if direct && rules.allow_v1 { Ok(()) } else { Err(VerifyFailure::Application) };
    }
    if length == 1 {
        // Itself an anchor, and examined by the walk.
        return Ok(());
    }
    second_opinion(path, rules)
}

/// What a chain is held against, besides anchors.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Intermediates allowed.
    pub depth: u32,
    /// Accept v1 leaves issued directly by an anchor.
    pub allow_v1: bool,
    /// What the leaf must be good for.
    pub purpose: Purpose,
    /// Unix seconds.
    pub now: i64,
}

impl ClientPolicy {
    /// A policy over these anchors (DER).
    ///
    /// # Errors
    /// If an anchor is not a certificate.
    pub fn new(anchors: &[Vec<u8>], depth: u32, allow_v1: bool) -> Result<Self, PolicyError> {
        Ok(Self { depth, allow_v1, anchors: Anchors::new(anchors)? })
    }

    /// The trust anchors.
    #[must_use]
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// A digest of everything that decides: the set of anchors, the depth and whether v1 is allowed.
    #[must_use]
    pub fn scope(&self) -> [u8; 32] {
        sha256(&[
            b"client policy",
            &self.anchors.digest(),
            &self.depth.to_be_bytes(),
            &[u8::from(self.allow_v1)],
        ])
    }
}

/// Judges a client's chain, leaf first, as DER. `now` is Unix seconds.
#[must_use]
pub fn judge(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verdict {
    judge_to(chain, policy, now).0
}

/// The same, telling every path that is tried.
#[must_use]
pub fn judge_step_by_step(
    chain: &[&[u8]],
    policy: &ClientPolicy,
    now: i64,
    tell: &mut dyn FnMut(Step<'_>),
) -> Verdict {
    if chain.is_empty() {
        return Verdict::None;
    }
    let rules =
        Rules { depth: policy.depth, allow_v1: policy.allow_v1, purpose: Purpose::Client, now };
    match policy.anchors.examine_step_by_step(chain, rules, tell) {
        Ok(()) => Verdict::Success,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// The same, with the anchor that a good path ends at.
fn judge_to(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> (Verdict, Option<u32>) {
    let mut anchor = None;
    let verdict = judge_step_by_step(chain, policy, now, &mut |step| {
        let Step::Path(certificates, _, verdict) = step;
        let last = certificates.last().filter(|_| verdict.is_ok());
        anchor = last.and_then(|last| policy.anchors.place(last.outline.der));
    });
    (verdict, anchor)
}

/// The same, with the time in which the verdict holds.
#[must_use]
pub fn judge_for_a_while(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Judgement {
    let (verdict, anchor) = judge_to(chain, policy, now);
    let (mut from, mut until) = (i64::MIN, i64::MAX);
    // Of a leaf that cannot be read to the end, the dates still choose the word.
    let of_chain = chain.iter().copied().filter_map(Outline::read).flat_map(|outline| {
        [outline.not_before.seconds(), outline.not_after.seconds()].into_iter().flatten()
    });
    for moment in policy.anchors.moments.iter().copied().chain(of_chain) {
        if moment <= now {
            from = from.max(moment);
        } else {
            until = until.min(moment);
        }
    }
    Judgement { verdict, anchor, from, until }
}

/// webpki, given exactly the path that was found.
fn second_opinion(path: &Path<'_>, rules: Rules) -> Result<(), VerifyFailure> {
    let certificates = path.certificates.as_slice();
    let (Some(leaf), Some(root)) = (certificates.first(), certificates.last()) else {
        return Err(VerifyFailure::Unspecified);
    };
    let root = CertificateDer::from(root.outline.der);
    let Ok(anchor) = webpki::anchor_from_trusted_cert(&root) else {
        return Err(VerifyFailure::Application);
    };
    let anchors: [TrustAnchor<'_>; 1] = [anchor];
    let between: Vec<CertificateDer<'_>> = certificates
        .iter()
        .take(certificates.len() - 1)
        .skip(1)
        .map(|certificate| CertificateDer::from(certificate.outline.der))
        .collect();
    let usage = match rules.purpose {
        Purpose::Client => webpki::KeyUsage::client_auth(),
        Purpose::Server => webpki::KeyUsage::server_auth(),
    };
    let seconds = u64::try_from(rules.now).map_err(|_| VerifyFailure::Application)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let leaf_der = CertificateDer::from(leaf.outline.der);
    let leaf = webpki::EndEntityCert::try_from(&leaf_der).map_err(|error| word(&error))?;
    leaf.verify_for_usage(signature::ALGORITHMS, &anchors, &between, now, usage, None, None)
        .map(|_| ())
        .map_err(|error| word(&error))
}

/// OpenSSL's word for what webpki found, where it has one.
fn word(error: &webpki::Error) -> VerifyFailure {
    match error {
        webpki::Error::InvalidSignatureForPublicKey
        | webpki::Error::UnsupportedSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            VerifyFailure::Signature
        }
        webpki::Error::NameConstraintViolation => VerifyFailure::Subtree,
        webpki::Error::PathLenConstraintViolated => VerifyFailure::PathLength,
        webpki::Error::UnsupportedCriticalExtension => VerifyFailure::CriticalExtension,
        webpki::Error::EndEntityUsedAsCa => VerifyFailure::InvalidCa,
        webpki::Error::RequiredEkuNotFoundContext(_) => VerifyFailure::Purpose,
        _ => VerifyFailure::Application,
    }
}

/// SHA-256 over parts, each with its length in front, so that no two lists look alike.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
