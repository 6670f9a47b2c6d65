//! Other paths from a leaf to an anchor, where names leave a choice.
//!
//! OpenSSL takes the first issuer whose name fits, and stays with it: of two CAs of one name (a
//! roll-over without key identifiers, a cross-signed CA) it may take the wrong one. So where its way
//! does not lead to a verdict that stands, the others are walked, in two steps. First names alone tell
//! who might stand between the leaf and a root that is listed. Then signatures are checked from the
//! roots down: no key computes anything before an anchor stands for it, so a peer cannot make us walk
//! a maze of its own making.

use std::ops::ControlFlow;

use super::path::IssuerSources;
use super::signature_budget::{KeyBacking, SignatureBudget};
use crate::identity::x509::certificate::Certificate;

/// Signatures that one verification may check.
pub const STEPS_MAX: u32 = 32;
/// Whole paths that one search may try.
pub const PATHS_MAX: u32 = 8;
/// Certificates that are looked at: what a peer may send, and listed CAs of the names in it.
const NODES_MAX: usize = 32;
/// Steps up along good signatures, dead ends included.
const CLIMBS_MAX: u32 = 256;

/// The certificates that may stand on a way, and which of them signed which.
#[derive(Debug)]
pub struct PathSearch<'s, 'a, 'p> {
    sources: &'s IssuerSources<'a, 'p>,
    /// The leaf first.
    nodes: Vec<SearchNode<'a>>,
    /// By node: its possible issuers, as far as names tell; after their signatures were checked, the true
    /// ones.
    issuers: Vec<Vec<usize>>,
    trail: Vec<usize>,
    climbs: u32,
    paths: u32,
}

/// A certificate that may stand on a path.
#[derive(Clone, Debug)]
struct SearchNode<'a> {
    certificate: Certificate<'a>,
    /// It is one of the trust anchors; the peer sent it otherwise.
    listed: bool,
}

/// How a way is examined: the certificates, how many of them came from the peer, and the account.
pub type PathVisitor<'s, 'a> =
    dyn FnMut(Vec<Certificate<'a>>, usize, &mut SignatureBudget<'a>) -> ControlFlow<()> + 's;

impl<'s, 'a, 'p> PathSearch<'s, 'a, 'p> {
    /// From this leaf.
    #[must_use]
    pub fn new(leaf: Certificate<'a>, sources: &'s IssuerSources<'a, 'p>) -> Self {
        Self {
            sources,
            nodes: vec![SearchNode { certificate: leaf, listed: false }],
            issuers: Vec::new(),
            trail: vec![0],
            climbs: 0,
            paths: 0,
        }
    }

    /// Shows every way that ends in a listed root.
    pub fn run(
        &mut self,
        budget: &mut SignatureBudget<'a>,
        visit: &mut PathVisitor<'_, 'a>,
    ) -> ControlFlow<()> {
        self.gather();
        self.prove(budget);
        self.climb(budget, visit)
    }

    /// Everybody whom the leaf may lead to by names and key identifiers, each once.
    fn gather(&mut self) {
        let mut at = 0;
        while let Some(SearchNode { certificate: current, listed }) = self.nodes.get(at).cloned() {
            let mut issuers = Vec::new();
            if !current.self_signed() {
                for candidate in self.candidates(&current, listed) {
                    issuers.extend(self.index_of(candidate));
                }
            }
            self.issuers.push(issuers);
            at += 1;
        }
    }

    /// Who may have issued it: anchors first; behind an anchor, anchors only.
    fn candidates(&self, current: &Certificate<'a>, listed: bool) -> Vec<SearchNode<'a>> {
        let anchors = (self.sources.anchors)(current.raw.issuer);
        let anchors = anchors
            .into_iter()
            .filter_map(Certificate::parse)
            .map(|anchor| SearchNode { certificate: anchor, listed: true });
        let peers = self.sources.peer.iter().filter(|_| !listed).cloned();
        // The peer's own roots lead nowhere.
        let peers = peers
            .filter(|peer| !peer.self_signed())
            .map(|peer| SearchNode { certificate: peer, listed: false });
        let fits = |candidate: &Certificate<'_>| {
            candidate.raw.der != current.raw.der && current.may_be_issued_by(candidate)
        };
        anchors.chain(peers).filter(|candidate| fits(&candidate.certificate)).collect()
    }

    fn index_of(&mut self, candidate: SearchNode<'a>) -> Option<usize> {
        let known = self.nodes.iter().position(|node| {
            node.listed == candidate.listed
                && node.certificate.raw.der == candidate.certificate.raw.der
        });
        if known.is_some() || self.nodes.len() >= NODES_MAX {
            return known;
        }
        self.nodes.push(candidate);
        Some(self.nodes.len() - 1)
    }

    fn is_root(&self, at: usize) -> bool {
        self.nodes.get(at).is_some_and(|node| node.listed && node.certificate.self_signed())
    }

    /// From the roots down: keeps of all issuers those whose signature is good.
    fn prove(&mut self, budget: &mut SignatureBudget<'a>) {
        let mut proven: Vec<usize> = (0..self.nodes.len()).filter(|at| self.is_root(*at)).collect();
        let mut found: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut next = 0;
        while let Some(issuer) = proven.get(next).copied() {
            next += 1;
            for (subject, issuers) in self.issuers.iter().enumerate() {
                if !issuers.contains(&issuer) || budget.signatures() >= STEPS_MAX {
                    continue;
                }
                let (Some(by), Some(of)) = (self.nodes.get(issuer), self.nodes.get(subject)) else {
                    continue;
                };
                if budget.check(&by.certificate, &of.certificate, KeyBacking::Anchored).is_err() {
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
    fn climb(
        &mut self,
        budget: &mut SignatureBudget<'a>,
        visit: &mut PathVisitor<'_, 'a>,
    ) -> ControlFlow<()> {
        let longest = usize::try_from(self.sources.depth).unwrap_or(usize::MAX).saturating_add(1);
        let issuers = self.trail.last().and_then(|at| self.issuers.get(*at)).cloned();
        if self.trail.len() > longest {
            return ControlFlow::Continue(());
        }
        for issuer in issuers.unwrap_or_default() {
            if self.trail.contains(&issuer) {
                continue;
            }
            if self.climbs >= CLIMBS_MAX || self.paths >= PATHS_MAX {
                return ControlFlow::Break(());
            }
            self.climbs += 1;
            self.trail.push(issuer);
            let next = if self.is_root(issuer) {
                self.paths += 1;
                let path: Vec<&SearchNode<'a>> =
                    self.trail.iter().filter_map(|at| self.nodes.get(*at)).collect();
                let from_peer = path.iter().take_while(|node| !node.listed).count();
                visit(
                    path.into_iter().map(|node| node.certificate.clone()).collect(),
                    from_peer,
                    budget,
                )
            } else {
                self.climb(budget, visit)
            };
            self.trail.pop();
            if next.is_break() {
                return next;
            }
        }
        ControlFlow::Continue(())
    }
}
