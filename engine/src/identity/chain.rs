//! The verdict on a client's chain: path, depth, extended key usage, revocation, v1 leaves.
//!
//! Two judges must agree before a v3 leaf is good: our own walk in OpenSSL's order, which also
//! finds the words ([`super::path`]), and webpki (`opinion`). An X.509 v1 leaf, which webpki never accepts, is
//! good only if a listed anchor issued it directly. A self-signed certificate that is itself listed is
//! good as a client too, as with OpenSSL: its holder could issue itself any other.

use std::sync::OnceLock;

use hashbrown::HashMap;
use rustls::pki_types::CertificateDer;

use super::certificate::Certificate;
use super::digest::sha256_parts;
use super::failure::VerifyFailure;
use super::name;
use super::opinion;
use super::outline::Outline;
use super::path::{self, Path, Purpose, Sources, Tests};
use super::revocation::Revocation;
use super::search::{Next, Search};
use super::signature;
use super::time::Clock;
use super::verified::VerifiedPath;
use super::work::Work;

/// Certificates of one chain; the rest of a longer one is refused unread.
pub(super) const CHAIN_CERTIFICATES_MAX: usize = 10;
/// Bytes of one chain.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// Which clients a server name trusts. Compared and hashed by content.
#[derive(Debug)]
pub struct ClientPolicy {
    depth: u32,
    allow_v1: bool,
    /// Seconds.
    skew: i64,
    anchors: Anchors,
    revocation: Option<Revocation>,
    /// Names (by [`name::key`]) of the listed CAs that may be revoked themselves, or are below one that may be.
    fallen: Vec<Vec<u8>>,
    /// [`Self::scope`], once it was asked for, and the same with the order of the anchors.
    scopes: OnceLock<([u8; 32], [u8; 32])>,
}

/// Trust anchors, found by their subject.
#[derive(Debug)]
pub struct Anchors {
    list: Vec<Vec<u8>>,
    /// By [`name::key`]: one that is spelt in another way (another string type, other spaces) is meant
    /// all the same.
    by_subject: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState>,
    /// Every `notBefore` and `notAfter`: the moments at which a verdict may change.
    pub(super) moments: Vec<(Option<i64>, Option<i64>)>,
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
    /// What of the chain stands on that path; nothing of one that is not verified.
    pub path: VerifiedPath,
    /// First second at which it is so.
    pub from: i64,
    /// First second at which it may be different.
    pub until: i64,
}

impl Judgement {
    /// A verdict that no date changes, of which no path is known.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            anchor: None,
            path: VerifiedPath::default(),
            from: i64::MIN,
            until: i64::MAX,
        }
    }
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
            let (subject, place) = (certificate.outline.subject, anchors.list.len());
            anchors.by_subject.entry(name::key(subject)).or_default().push(place);
            anchors.moments.push((Some(certificate.not_before), Some(certificate.not_after)));
            anchors.list.push(der.clone());
        }
        Ok(anchors)
    }

    /// The DER of each.
    #[must_use]
    pub fn ders(&self) -> &[Vec<u8>] {
        &self.list
    }

    /// The DER of the anchors with this subject (tag and length included).
    #[must_use]
    pub fn named(&self, subject: &[u8]) -> Vec<&[u8]> {
        let places = self.by_subject.get(&name::key(subject)).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.list.get(*at)).map(Vec::as_slice).collect()
    }

    /// Tells of each list which of these certificates signed it, so that of two CAs of one name each
    /// has its own.
    pub fn claim(&self, revocation: &Revocation) {
        for list in revocation.lists() {
            let named = self.named(list.issuer()).into_iter().filter_map(Certificate::parse);
            // The first that did is remembered by the list itself.
            let _ = named.into_iter().any(|anchor| list.check_signature(&anchor).is_ok());
        }
    }

    /// The names of those that a list may be about, and of those below them, by [`name::key`].
    fn fallen(&self, revocation: &Revocation) -> Vec<Vec<u8>> {
        let all: Vec<Outline<'_>> = self.list.iter().filter_map(|der| Outline::read(der)).collect();
        let mut fallen: Vec<Vec<u8>> = Vec::new();
        // Each round adds a name at least, and there are no more names than anchors.
        loop {
            let next = all.iter().find(|anchor| {
                let is = |name: &[u8]| fallen.contains(&name::key(name));
                !is(anchor.subject) && (revocation.may_revoke(anchor) || is(anchor.issuer))
            });
            let Some(next) = next else { return fallen };
            fallen.push(name::key(next.subject));
        }
    }

    /// A digest of the set, whatever its order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digests: Vec<[u8; 32]> = self.list.iter().map(|der| sha256_parts(&[der])).collect();
        digests.sort_unstable();
        let parts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        sha256_parts(&parts)
    }

    /// Examines a chain, leaf first, against these anchors.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn examine(&self, chain: &[&[u8]], rules: Rules<'_>) -> Result<(), VerifyFailure> {
        self.examine_step_by_step(chain, rules, &mut |_| {})
    }

    /// The same, telling every path that is tried.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn examine_step_by_step(
        &self,
        chain: &[&[u8]],
        rules: Rules<'_>,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), VerifyFailure> {
        self.examine_at_cost(chain, rules, &mut Work::default(), tell)
    }

    /// The same, on this account.
    ///
    /// # Errors
    /// In OpenSSL's words.
    pub fn examine_at_cost<'a>(
        &'a self,
        chain: &[&'a [u8]],
        rules: Rules<'_>,
        work: &mut Work<'a>,
        tell: &mut dyn FnMut(Step<'_>),
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
        if [leaf.outline.subject, leaf.outline.issuer].into_iter().any(name::is_overlong) {
            return Err(VerifyFailure::Unspecified);
        }
        // What is no certificate is not passed over: a TLS stack gives up at the first in the message.
        if rest.iter().any(|der| Outline::read(der).is_none()) {
            return Err(VerifyFailure::Unspecified);
        }
        let sources = Sources {
            // Whose extensions cannot be read cannot be an issuer.
            peer: rest.iter().copied().filter_map(Certificate::parse).collect(),
            anchors: &|subject| self.named(subject),
            depth: rules.depth,
            clock,
        };
        let mut path = Path::first(leaf.clone(), &sources);
        let first = judge_path(&mut path, rules, work);
        tell(Step::Path(&path.certificates, path.from_peer, first));
        if first.is_ok() || path.revoked || !path.ambiguous {
            return first;
        }
        // OpenSSL's word stays, unless another path is good or somebody on it is revoked.
        let mut decided = first;
        let before = work.signatures();
        let mut search = Search::new(leaf, &sources);
        search.run(work, &mut |certificates, from_peer, work| {
            let mut path = Path::of(certificates, from_peer);
            let verdict = judge_path(&mut path, rules, work);
            tell(Step::Path(&path.certificates, path.from_peer, verdict));
            if verdict.is_ok() || path.revoked {
                decided = verdict;
                return Next::Stop;
            }
            Next::Go
        });
        tell(Step::Searched(work.signatures() - before));
        decided
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
    /// Other paths were looked for; so many signatures were checked for it.
    Searched(u32),
}

/// Every judge there is, on one path.
fn judge_path<'a>(
    path: &mut Path<'a>,
    rules: Rules<'_>,
    work: &mut Work<'a>,
) -> Result<(), VerifyFailure> {
    let Rules { purpose, clock, revocation, .. } = rules;
    path.examine(Tests { purpose, clock, revocation }, work);
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
        opinion::second_opinion(path, rules, work)?;
    }
    // Only now is it known that these CAs are whom they say they are.
    path.asked.iter().try_for_each(|asked| match revocation {
        Some(lists) => lists.prove(&path.certificates, asked),
        None => Err(VerifyFailure::CrlSignature),
    })
}

/// What a chain is held against, besides anchors.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
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

impl ClientPolicy {
    /// A policy over these anchors (DER).
    ///
    /// # Errors
    /// If an anchor is not a certificate.
    pub fn new(anchors: &[Vec<u8>], depth: u32, allow_v1: bool) -> Result<Self, PolicyError> {
        Ok(Self {
            depth,
            allow_v1,
            skew: 0,
            anchors: Anchors::new(anchors)?,
            revocation: None,
            fallen: Vec::new(),
            scopes: OnceLock::new(),
        })
    }

    /// The same for clocks that may be this many seconds apart.
    #[must_use]
    pub fn with_clock_skew(mut self, skew: i64) -> Self {
        self.skew = skew;
        self.scopes = OnceLock::new();
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
        self.scopes = OnceLock::new();
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
    /// clock skew and what is revoked.
    #[must_use]
    pub fn scope(&self) -> [u8; 32] {
        self.scopes().0
    }

    /// The same, and the order of the anchors: to whoever comes to the same verdict by the same way.
    #[must_use]
    pub(super) fn exact_scope(&self) -> [u8; 32] {
        self.scopes().1
    }

    fn scopes(&self) -> &([u8; 32], [u8; 32]) {
        self.scopes.get_or_init(|| {
            let scope = sha256_parts(&[
                b"client policy",
                &self.anchors.digest(),
                &self.depth.to_be_bytes(),
                &[u8::from(self.allow_v1)],
                &self.skew.to_be_bytes(),
                &self.revocation.as_ref().map_or([0; 32], Revocation::digest),
            ]);
            let mut parts: Vec<&[u8]> = vec![&scope];
            parts.extend(self.anchors.list.iter().map(Vec::as_slice));
            (scope, sha256_parts(&parts))
        })
    }

    /// May a list be about this chain (DER) or about a listed CA above it? A first look at many, without
    /// a signature: who is found has still to be judged, and no list is about the others.
    #[must_use]
    pub fn may_have_revoked(&self, chain: &[Box<[u8]>]) -> bool {
        let Some(revocation) = &self.revocation else { return false };
        chain.iter().filter_map(|der| Outline::read(der)).any(|certificate| {
            revocation.may_revoke(&certificate)
                || (!self.fallen.is_empty() && self.fallen.contains(&name::key(certificate.issuer)))
        })
    }

    /// What a client's chain is held against, at this moment.
    #[must_use]
    pub const fn rules(&self, now: i64) -> Rules<'_> {
        Rules {
            depth: self.depth,
            allow_v1: self.allow_v1,
            purpose: Purpose::Client,
            clock: Clock { now, skew: self.skew },
            revocation: self.revocation.as_ref(),
        }
    }
}

/// Judges a client's chain, leaf first, as DER. `now` is Unix seconds.
#[must_use]
pub fn judge(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verdict {
    judge_now(chain, policy, now).verdict
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
    match policy.anchors.examine_step_by_step(chain, policy.rules(now), tell) {
        Ok(()) => Verdict::Success,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// The same, with the path that is good, for the moment.
pub(super) fn judge_now(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Judgement {
    let (mut anchor, mut path) = (None, VerifiedPath::default());
    // A good path is the last that is tried.
    let verdict = judge_step_by_step(chain, policy, now, &mut |step| {
        let Step::Path(certificates, _, Ok(())) = step else { return };
        anchor = certificates.last().and_then(|last| policy.anchors.place(last.outline.der));
        path = VerifiedPath::of(certificates, chain);
    });
    Judgement { path, anchor, ..Judgement::of(verdict) }
}
