//! Other ways from a leaf to an anchor, where names leave a choice.
//!
//! OpenSSL takes the first issuer whose name fits, and stays with it: of two CAs of one name (a
//! roll-over without key identifiers, a cross-signed CA) it may take the wrong one. So where its way
//! does not lead to a verdict that stands, the others are walked, in two steps. First names alone tell
//! who might stand between the leaf and a root that is listed. Then signatures are checked from the
//! roots down: no key computes anything before an anchor stands for it, so a peer cannot make us walk
//! a maze of its own making.

use super::certificate::Certificate;
use super::path::IssuerSources;
use super::signature_budget::{KeyBacking, SignatureBudget};

/// Signatures that one judgement may check.
pub const STEPS_MAX: u32 = 32;
/// Whole ways that one search may examine.
pub const PATHS_MAX: u32 = 8;
/// Certificates that are looked at: what a peer may send, and listed CAs of the names in it.
const PLACES_MAX: usize = 32;
/// Steps up along good signatures, dead ends included.
const CLIMBS_MAX: u32 = 256;

/// The certificates that may stand on a way, and which of them signed which.
#[derive(Debug)]
pub struct PathSearch<'s, 'a, 'p> {
    sources: &'s IssuerSources<'a, 'p>,
    /// The leaf first; where it comes from a peer, `false`.
    places: Vec<(Certificate<'a>, bool)>,
    /// By place: who may be its issuer, as far as names tell, and later who is.
    issuers: Vec<Vec<usize>>,
    trail: Vec<usize>,
    climbs: u32,
    paths: u32,
}

/// What to do after a way was examined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Look for another.
    Go,
    /// It is decided.
    Stop,
}

/// How a way is examined: the certificates, how many of them came from the peer, and the account.
pub type Show<'s, 'a> =
    dyn FnMut(Vec<Certificate<'a>>, usize, &mut SignatureBudget<'a>) -> Next + 's;

impl<'s, 'a, 'p> PathSearch<'s, 'a, 'p> {
    /// From this leaf.
    #[must_use]
    pub fn new(leaf: Certificate<'a>, sources: &'s IssuerSources<'a, 'p>) -> Self {
        Self {
            sources,
            places: vec![(leaf, false)],
            issuers: Vec::new(),
            trail: vec![0],
            climbs: 0,
            paths: 0,
        }
    }

    /// Shows every way that ends in a listed root.
    pub fn run(&mut self, budget: &mut SignatureBudget<'a>, show: &mut Show<'_, 'a>) -> Next {
        self.gather();
        self.prove(budget);
        self.climb(budget, show)
    }

    /// Everybody whom the leaf may lead to by names and key identifiers, each once.
    fn gather(&mut self) {
        let mut at = 0;
        while let Some((current, listed)) = self.places.get(at).cloned() {
            let mut issuers = Vec::new();
            if !current.self_signed() {
                for candidate in self.candidates(&current, listed) {
                    issuers.extend(self.place_of(candidate));
                }
            }
            self.issuers.push(issuers);
            at += 1;
        }
    }

    /// Who may have issued it: anchors first; behind an anchor, anchors only.
    fn candidates(&self, current: &Certificate<'a>, listed: bool) -> Vec<(Certificate<'a>, bool)> {
        let anchors = (self.sources.anchors)(current.raw.issuer);
        let anchors =
            anchors.into_iter().filter_map(Certificate::parse).map(|anchor| (anchor, true));
        let peers = self.sources.peer.iter().filter(|_| !listed).cloned();
        // The peer's own roots lead nowhere.
        let peers = peers.filter(|peer| !peer.self_signed()).map(|peer| (peer, false));
        let fits = |candidate: &Certificate<'_>| {
            candidate.raw.der != current.raw.der && current.may_be_issued_by(candidate)
        };
        anchors.chain(peers).filter(|(candidate, _)| fits(candidate)).collect()
    }

    fn place_of(&mut self, candidate: (Certificate<'a>, bool)) -> Option<usize> {
        let known = self.places.iter().position(|(place, listed)| {
            *listed == candidate.1 && place.raw.der == candidate.0.raw.der
        });
        if known.is_some() || self.places.len() >= PLACES_MAX {
            return known;
        }
        self.places.push(candidate);
        Some(self.places.len() - 1)
    }

    fn is_root(&self, at: usize) -> bool {
        self.places.get(at).is_some_and(|(place, listed)| *listed && place.self_signed())
    }

    /// From the roots down: keeps of all issuers those whose signature is good.
    fn prove(&mut self, budget: &mut SignatureBudget<'a>) {
        let mut proven: Vec<usize> =
            (0..self.places.len()).filter(|at| self.is_root(*at)).collect();
        let mut found: Vec<Vec<usize>> = vec![Vec::new(); self.places.len()];
        let mut next = 0;
        while let Some(issuer) = proven.get(next).copied() {
            next += 1;
            for (subject, issuers) in self.issuers.iter().enumerate() {
                if !issuers.contains(&issuer) || budget.signatures() >= STEPS_MAX {
                    continue;
                }
                let (Some((by, _)), Some((of, _))) =
                    (self.places.get(issuer), self.places.get(subject))
                else {
                    continue;
                };
                if budget.check(by, of, KeyBacking::Anchored).is_err() {
                    continue;
                }
                if let Some(list) = found.get_mut(subject) {
                    list.push(issuer);
                }
                if !proven.contains(&subject) {
                    proven.push(subject);
                }
            }
        }
        self.issuers = found;
    }

    /// Up from the end of the trail, along good signatures.
    fn climb(&mut self, budget: &mut SignatureBudget<'a>, show: &mut Show<'_, 'a>) -> Next {
        let longest = usize::try_from(self.sources.depth).unwrap_or(usize::MAX).saturating_add(1);
        let issuers = self.trail.last().and_then(|at| self.issuers.get(*at)).cloned();
        if self.trail.len() > longest {
            return Next::Go;
        }
        for issuer in issuers.unwrap_or_default() {
            if self.trail.contains(&issuer) {
                continue;
            }
            if self.climbs >= CLIMBS_MAX || self.paths >= PATHS_MAX {
                return Next::Stop;
            }
            self.climbs += 1;
            self.trail.push(issuer);
            let next = if self.is_root(issuer) {
                self.paths += 1;
                let way: Vec<&(Certificate<'a>, bool)> =
                    self.trail.iter().filter_map(|at| self.places.get(*at)).collect();
                let from_peer = way.iter().take_while(|(_, listed)| !listed).count();
                show(way.into_iter().map(|(one, _)| one.clone()).collect(), from_peer, budget)
            } else {
                self.climb(budget, show)
            };
            self.trail.pop();
            if next == Next::Stop {
                return next;
            }
        }
        Next::Go
    }
}
