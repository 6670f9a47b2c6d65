//! What revocation lists say about a path, in OpenSSL's order.
//!
//! As nginx does with `ssl_crl`, every certificate of a path is looked up, the anchor included, and
//! the last thing that is wrong is reported. Of several lists of one issuer all are consulted that speak of
//! the certificate and hold now: who is on any of them is revoked. If none holds now, all that speak of
//! it are consulted; if none speaks of it, there is no list. So the order of lists means nothing.

use std::sync::Arc;

use hashbrown::HashMap;
use strum::VariantArray;

use crate::identity::der::Reader;
use crate::identity::digest::sha256_parts;
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::extensions::KeyUsage;
use crate::identity::x509::general_name::{GeneralName, Use};
use crate::identity::x509::name;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::signature::SignatureError;
use crate::identity::x509::time::{Clock, TimeBounds};

/// Lists, found by their issuer, and what it means if one is old or not there.
#[derive(Debug)]
pub struct Revocation {
    lists: Vec<Arc<Crl>>,
    /// By [`name::key`]: who is consulted for is spelt as the certificate has it.
    by_issuer: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState>,
    rules: RevocationRules,
}

/// How strictly lists are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RevocationRules {
    /// A list past its `nextUpdate` refuses.
    pub expired_refuses: bool,
    /// A CA without a list refuses. If not, a CA of which there are lists, none of which fits, still
    /// does.
    pub missing_refuses: bool,
}

/// What the lists say about one path.
#[derive(Debug, Default)]
pub struct RevocationFinding {
    /// The last thing that is wrong.
    pub failure: Option<VerifyFailure>,
    /// Some certificate is revoked, whatever else is wrong.
    pub revoked: bool,
    /// The lists that were consulted, by certificate: the issuer must have signed one of each.
    pub consulted: Vec<Vec<ConsultedCrl>>,
}

/// A revocation list that was consulted, and the certificate of the path that must have signed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConsultedCrl {
    list: usize,
    issuer: usize,
}

/// A revocation list that may be consulted.
struct CandidateCrl<'l> {
    list: &'l Crl,
    consulted: ConsultedCrl,
    in_scope: bool,
    in_time: bool,
}

impl Revocation {
    /// Over these lists.
    #[must_use]
    pub fn new<L: Into<Arc<Crl>>>(lists: Vec<L>, rules: RevocationRules) -> Self {
        let lists: Vec<Arc<Crl>> = lists.into_iter().map(Into::into).collect();
        let mut by_issuer: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState> =
            HashMap::default();
        for (at, list) in lists.iter().enumerate() {
            by_issuer.entry(name::key(list.issuer())).or_default().push(at);
        }
        Self { lists, by_issuer, rules }
    }

    /// The lists, in the order they were given; others may have the same ones.
    #[must_use]
    pub fn lists(&self) -> &[Arc<Crl>] {
        &self.lists
    }

    /// When the first of those that hold after this moment will have expired, Unix seconds; `None` if
    /// that does not matter. One that has ended beside a newer one says nothing any more.
    #[must_use]
    pub fn next_update(&self, after: i64) -> Option<i64> {
        let ends =
            self.lists.iter().filter_map(|list| list.next_update()).filter(|end| *end > after);
        if self.rules.expired_refuses { ends.min() } else { None }
    }

    /// A digest of what they say, whatever their order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digests: Vec<[u8; 32]> = self.lists.iter().map(|list| list.digest()).collect();
        digests.sort_unstable();
        digests.dedup();
        let flags = [u8::from(self.rules.expired_refuses), u8::from(self.rules.missing_refuses)];
        let mut parts: Vec<&[u8]> = vec![b"revocation", &flags];
        parts.extend(digests.iter().map(<[u8; 32]>::as_slice));
        sha256_parts(&parts)
    }

    /// The dates at which an answer may change, without any skew.
    pub fn time_bounds(&self) -> impl Iterator<Item = TimeBounds> + '_ {
        self.lists
            .iter()
            .map(|list| TimeBounds { start: Some(list.this_update()), end: list.next_update() })
    }

    /// Did the issuer in this path sign one of these lists? None that somebody else signed has
    /// vouched for anybody then: it is none of this issuer's.
    ///
    /// # Errors
    /// The word for lists of which that cannot be said.
    pub fn check_signatures(
        &self,
        path: &[Certificate<'_>],
        consulted: &[ConsultedCrl],
    ) -> Result<(), VerifyFailure> {
        let mut failure = VerifyFailure::CrlSignature;
        for consulted in consulted {
            let (Some(list), Some(issuer)) =
                (self.lists.get(consulted.list), path.get(consulted.issuer))
            else {
                continue;
            };
            match list.check_signature(issuer) {
                Ok(()) => return Ok(()),
                Err(SignatureError::Unsupported) => failure = VerifyFailure::Unsupported,
                Err(SignatureError::Wrong | SignatureError::OverBudget) => {}
            }
        }
        Err(failure)
    }

    /// Is its serial number on any list of the issuer that it names? A first look at many: of scopes,
    /// dates and signatures nothing is known yet.
    #[must_use]
    pub fn may_revoke(&self, certificate: &RawCertificate<'_>) -> bool {
        let named =
            self.by_issuer.get(&name::key(certificate.issuer)).map_or(&[][..], Vec::as_slice);
        let mut lists = named.iter().filter_map(|at| self.lists.get(*at));
        lists.any(|list| is_on(list, certificate.serial))
    }

    /// Looks every certificate up. The lists' signatures are left to [`Self::check_signatures`].
    #[must_use]
    pub fn look_up(&self, path: &[Certificate<'_>], clock: Clock) -> RevocationFinding {
        let mut finding = RevocationFinding::default();
        for (at, certificate) in path.iter().enumerate() {
            let named = self.by_issuer.get(&name::key(certificate.raw.issuer));
            let Some(named) = named.filter(|named| !named.is_empty()) else {
                if self.rules.missing_refuses {
                    finding.failure = Some(VerifyFailure::NoCrl);
                }
                continue;
            };
            let candidates = self.candidates(path, at, named, clock);
            if candidates.is_empty() {
                finding.failure = Some(VerifyFailure::NoCrl);
                continue;
            }
            let mut word = None;
            for candidate in &candidates {
                let revoked = is_on(candidate.list, certificate.raw.serial);
                finding.revoked |= revoked;
                let wrong = self.failure(candidate, path, revoked, clock);
                word = word.max(wrong.map(|failure| (rank(failure), failure.index())));
            }
            let failure = word.and_then(|(_, at)| VerifyFailure::VARIANTS.get(at).copied());
            finding.failure = failure.or(finding.failure);
            finding
                .consulted
                .push(candidates.into_iter().map(|candidate| candidate.consulted).collect());
        }
        finding
    }

    /// The last thing that is wrong with a list or on it.
    fn failure(
        &self,
        candidate: &CandidateCrl<'_>,
        path: &[Certificate<'_>],
        revoked: bool,
        clock: Clock,
    ) -> Option<VerifyFailure> {
        let CandidateCrl { list, consulted, in_scope, .. } = candidate;
        let usage =
            path.get(consulted.issuer).and_then(|issuer| issuer.extensions.key_usage.as_ref());
        let ended = list.next_update().is_some_and(|end| clock.is_past(end));
        let findings = [
            (!usage.is_none_or(KeyUsage::crl_sign), VerifyFailure::NoCrlSign),
            (!clock.has_begun(list.this_update()), VerifyFailure::CrlNotYetValid),
            (ended && self.rules.expired_refuses, VerifyFailure::CrlExpired),
            (revoked, VerifyFailure::Revoked),
            // A list that speaks of others has been consulted, and there is still none.
            (!in_scope, VerifyFailure::NoCrl),
        ];
        findings.into_iter().rfind(|(wrong, _)| *wrong).map(|(_, word)| word)
    }

    /// The lists to ask of this certificate: those of the first kind that there are any of.
    fn candidates(
        &self,
        path: &[Certificate<'_>],
        at: usize,
        named: &[usize],
        clock: Clock,
    ) -> Vec<CandidateCrl<'_>> {
        let Some(certificate) = path.get(at) else { return Vec::new() };
        let points = points_of(certificate);
        if matches!(points, PointNames::Partial) {
            // Lists of some reasons are not taken, so there is none for the others.
            return Vec::new();
        }
        let all = named.iter().filter_map(|place| {
            let list: &Crl = self.lists.get(*place)?;
            let consulted = ConsultedCrl { list: *place, issuer: issuer_of(list, path, at)? };
            let in_scope = is_in_scope(list, certificate, &points);
            let in_time = holds(list, clock);
            Some(CandidateCrl { list, consulted, in_scope, in_time })
        });
        let mut all: Vec<CandidateCrl<'_>> = all.collect();
        let best = all.iter().map(|one| (one.in_scope, one.in_scope && one.in_time)).max();
        all.retain(|one| Some((one.in_scope, one.in_scope && one.in_time)) == best);
        all
    }
}

/// Has it begun, and not ended?
#[must_use]
pub fn holds(list: &Crl, clock: Clock) -> bool {
    clock.has_begun(list.this_update()) && !list.next_update().is_some_and(|end| clock.is_past(end))
}

/// Of what several lists say the later is told.
const fn rank(failure: VerifyFailure) -> u8 {
    match failure {
        VerifyFailure::NoCrlSign => 0,
        VerifyFailure::CrlNotYetValid => 1,
        VerifyFailure::CrlExpired => 2,
        VerifyFailure::Revoked => 3,
        _ => 4,
    }
}

/// Which certificate of the path issued the list: the issuer of the one at this place, or one of its
/// name above. The last one answers for itself.
fn issuer_of(list: &Crl, path: &[Certificate<'_>], at: usize) -> Option<usize> {
    let own = (at + 1).min(path.len().saturating_sub(1));
    if list.may_be_issued_by(path.get(own)?) {
        return Some(own);
    }
    let issuer = name::key(list.issuer());
    let mut above = path.iter().enumerate().skip(own + 1);
    above
        .find(|(_, above)| name::key(above.raw.subject) == issuer && list.may_be_issued_by(above))
        .map(|(place, _)| place)
}

fn is_in_scope(list: &Crl, certificate: &Certificate<'_>, points: &PointNames<'_>) -> bool {
    let scope = list.scope();
    let ca = certificate.extensions.basic.as_ref().is_some_and(|basic| basic.ca);
    if (ca && scope.only_users) || (!ca && scope.only_cas) {
        return false;
    }
    match (&scope.points, points) {
        (None, _) => true,
        (Some(listed), PointNames::Whole(names)) => {
            names.iter().any(|name| listed.iter().any(|listed| is_same_place(listed, name)))
        }
        (Some(_), PointNames::Partial) => false,
    }
}

/// Are two whole `GeneralName`s one place? Directory names are, however they are spelled.
fn is_same_place(one: &[u8], other: &[u8]) -> bool {
    let directory = |name| match GeneralName::read(&mut Reader::new(name), Use::Name) {
        Some(GeneralName::Directory(name)) => Some(name),
        _ => None,
    };
    one == other || directory(one).zip(directory(other)).is_some_and(|(a, b)| name::same(a, b))
}

/// Is this serial number on the list? Also as those write it who leave out the zero that tells the sign,
/// or take it for nothing.
fn is_on(list: &Crl, serial: &[u8]) -> bool {
    let unsigned = match serial {
        [0, rest @ ..] => rest.to_vec(),
        [first, ..] if *first >= 0x80 => [&[0], serial].concat(),
        _ => return list.revokes(serial),
    };
    list.revokes(serial) || (!unsigned.is_empty() && list.revokes(&unsigned))
}

/// Where a certificate says that revocation lists about it are published.
enum PointNames<'a> {
    /// Whole `GeneralName`s of points that cover all reasons.
    Whole(Vec<&'a [u8]>),
    /// Some point is for some reasons only.
    Partial,
}

fn points_of<'a>(certificate: &Certificate<'a>) -> PointNames<'a> {
    let points = certificate.extensions.distribution_points.as_deref().unwrap_or_default();
    if points.iter().any(|point| point.some_reasons) {
        return PointNames::Partial;
    }
    // Another authority's list speaks of it there, and such lists are not taken.
    let own = points.iter().filter(|point| !point.indirect);
    PointNames::Whole(own.flat_map(|point| point.names.iter().copied()).collect())
}
