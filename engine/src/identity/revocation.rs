//! What revocation lists say about a path, in OpenSSL's order.
//!
//! As nginx does with `ssl_crl`, every certificate of a path is looked up, the anchor included, and
//! the last thing that is wrong is reported. Of several lists of one issuer the one that fits best is
//! asked: one that speaks of this kind of certificate before others, one that holds now before others,
//! the newest.

use hashbrown::HashMap;

use super::certificate::Certificate;
use super::chain::sha256;
use super::crl::Crl;
use super::extensions::KeyUsage;
use super::failure::VerifyFailure;
use super::name;
use super::outline::Outline;
use super::time::Clock;

/// Lists, found by their issuer, and what it means if one is old or not there.
#[derive(Debug)]
pub struct Revocation {
    lists: Vec<Crl>,
    /// By [`name::key`]: who is asked for is spelt as the certificate has it.
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
pub struct Finding {
    /// The last thing that is wrong.
    pub failure: Option<VerifyFailure>,
    /// Some certificate is revoked, whatever else is wrong.
    pub revoked: bool,
    /// Lists that were asked, each with the place in the path of the certificate that must have
    /// signed it.
    pub asked: Vec<(usize, usize)>,
}

/// A list that may be asked.
struct Candidate {
    list: usize,
    issuer: usize,
    in_scope: bool,
    in_time: bool,
    direct: bool,
}

impl Revocation {
    /// Over these lists.
    #[must_use]
    pub fn new(lists: Vec<Crl>, rules: RevocationRules) -> Self {
        let mut by_issuer: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState> =
            HashMap::default();
        for (at, list) in lists.iter().enumerate() {
            by_issuer.entry(name::key(list.issuer())).or_default().push(at);
        }
        Self { lists, by_issuer, rules }
    }

    /// The lists, in the order they were given.
    #[must_use]
    pub fn lists(&self) -> &[Crl] {
        &self.lists
    }

    /// When the first of them will have expired, Unix seconds; `None` if that does not matter.
    #[must_use]
    pub fn next_update(&self) -> Option<i64> {
        let ends = self.lists.iter().filter_map(Crl::next_update);
        if self.rules.expired_refuses { ends.min() } else { None }
    }

    /// A digest of what they say, whatever their order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digests: Vec<[u8; 32]> = self.lists.iter().map(Crl::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let flags = [u8::from(self.rules.expired_refuses), u8::from(self.rules.missing_refuses)];
        let mut parts: Vec<&[u8]> = vec![b"revocation", &flags];
        parts.extend(digests.iter().map(<[u8; 32]>::as_slice));
        sha256(&parts)
    }

    /// The moments at which an answer may change, without any skew.
    pub fn moments(&self) -> impl Iterator<Item = (Option<i64>, Option<i64>)> + '_ {
        self.lists.iter().map(|list| (Some(list.this_update()), list.next_update()))
    }

    /// Did the certificate at this place of the path sign this list?
    #[must_use]
    pub fn is_proven(&self, path: &[Certificate<'_>], (list, issuer): (usize, usize)) -> bool {
        match (self.lists.get(list), path.get(issuer)) {
            (Some(list), Some(issuer)) => list.is_signed_by(issuer),
            _ => false,
        }
    }

    /// Is its serial number on any list of the issuer that it names? A first look at many: of scopes,
    /// dates and signatures nothing is known yet.
    #[must_use]
    pub fn may_revoke(&self, certificate: &Outline<'_>) -> bool {
        let named =
            self.by_issuer.get(&name::key(certificate.issuer)).map_or(&[][..], Vec::as_slice);
        let mut lists = named.iter().filter_map(|at| self.lists.get(*at));
        lists.any(|list| list.revokes(certificate.serial))
    }

    /// Looks every certificate up. The lists' signatures are left to [`Self::is_proven`].
    #[must_use]
    pub fn look_up(&self, path: &[Certificate<'_>], clock: Clock) -> Finding {
        let mut finding = Finding::default();
        for (at, certificate) in path.iter().enumerate() {
            let named = self.by_issuer.get(&name::key(certificate.outline.issuer));
            let Some(named) = named.filter(|named| !named.is_empty()) else {
                if self.rules.missing_refuses {
                    finding.failure = Some(VerifyFailure::NoCrl);
                }
                continue;
            };
            let candidate = self.best(path, (at, named), clock);
            let Some((candidate, list, issuer)) = candidate.and_then(|candidate| {
                let list = self.lists.get(candidate.list)?;
                let issuer = path.get(candidate.issuer)?;
                Some((candidate, list, issuer))
            }) else {
                finding.failure = Some(VerifyFailure::NoCrl);
                continue;
            };
            finding.asked.push((candidate.list, candidate.issuer));
            let revoked = list.revokes(certificate.outline.serial);
            finding.revoked |= revoked;
            let may_sign = issuer.extensions.key_usage.as_ref().is_none_or(KeyUsage::crl_sign);
            let ended = list.next_update().is_some_and(|end| clock.is_past(end));
            let findings = [
                (!may_sign, VerifyFailure::NoCrlSign),
                (!clock.has_begun(list.this_update()), VerifyFailure::CrlNotYetValid),
                (ended && self.rules.expired_refuses, VerifyFailure::CrlExpired),
                (revoked, VerifyFailure::Revoked),
                // A list that speaks of others has been asked, and there is still none.
                (!candidate.in_scope, VerifyFailure::NoCrl),
            ];
            let last = findings.into_iter().rfind(|(wrong, _)| *wrong).map(|(_, word)| word);
            finding.failure = last.or(finding.failure);
        }
        finding
    }

    /// The list that fits this certificate best.
    fn best(
        &self,
        path: &[Certificate<'_>],
        (at, named): (usize, &[usize]),
        clock: Clock,
    ) -> Option<Candidate> {
        let certificate = path.get(at)?;
        let points = points_of(certificate);
        if matches!(points, Points::Partial) {
            // Lists of some reasons are not taken, so there is none for the others.
            return None;
        }
        let mut best: Option<(Candidate, (bool, bool, bool, i64))> = None;
        for index in named {
            let Some(list) = self.lists.get(*index) else { continue };
            let Some((issuer, direct)) = issuer_of(list, path, at) else { continue };
            let in_scope = is_in_scope(list, certificate, &points);
            let in_time = clock.has_begun(list.this_update())
                && !list.next_update().is_some_and(|end| clock.is_past(end));
            let candidate = Candidate { list: *index, issuer, in_scope, in_time, direct };
            let rank =
                (candidate.in_scope, candidate.in_time, candidate.direct, list.this_update());
            if best.as_ref().is_none_or(|(_, known)| rank > *known) {
                best = Some((candidate, rank));
            }
        }
        best.map(|(candidate, _)| candidate)
    }
}

/// Which certificate of the path issued the list, and is it the very issuer of the certificate at
/// this place? The last one answers for itself.
fn issuer_of(list: &Crl, path: &[Certificate<'_>], at: usize) -> Option<(usize, bool)> {
    let own = (at + 1).min(path.len().saturating_sub(1));
    if list.may_be_issued_by(path.get(own)?) {
        return Some((own, true));
    }
    let above = path.iter().enumerate().skip(own + 1);
    let issuer = name::key(list.issuer());
    above
        .filter(|(_, above)| {
            name::key(above.outline.subject) == issuer && list.may_be_issued_by(above)
        })
        .map(|(place, _)| (place, false))
        .next()
}

fn is_in_scope(list: &Crl, certificate: &Certificate<'_>, points: &Points<'_>) -> bool {
    let scope = list.scope();
    let ca = certificate.extensions.basic.as_ref().is_some_and(|basic| basic.ca);
    if (ca && scope.only_users) || (!ca && scope.only_cas) {
        return false;
    }
    match (&scope.points, points) {
        (None, _) => true,
        (Some(listed), Points::Whole(names)) => {
            names.iter().any(|name| listed.iter().any(|listed| listed == name))
        }
        (Some(_), Points::Partial) => false,
    }
}

/// Where a certificate says that lists about it are.
enum Points<'a> {
    /// Whole `GeneralName`s of points for all reasons.
    Whole(Vec<&'a [u8]>),
    /// Some point is for some reasons only.
    Partial,
}

fn points_of<'a>(certificate: &Certificate<'a>) -> Points<'a> {
    let points = certificate.extensions.distribution_points.as_deref().unwrap_or_default();
    if points.iter().any(|point| point.some_reasons) {
        return Points::Partial;
    }
    // Another authority's list speaks of it there, and such lists are not taken.
    let own = points.iter().filter(|point| !point.of_another);
    Points::Whole(own.flat_map(|point| point.names.iter().copied()).collect())
}
