//! Other ways from a leaf to an anchor, where names leave a choice.
//!
//! OpenSSL takes the first issuer whose name fits, and stays with it: of two CAs of one name (a
//! roll-over without key identifiers, a cross-signed CA) it may take the wrong one. So where its way
//! does not lead to a verdict that stands, the others are walked. Each step costs a signature,
//! which is checked before the step is taken; their number is bounded, so that a peer cannot
//! make us walk a maze of its own making.

use super::certificate::Certificate;
use super::path::Sources;
use super::signature;

/// Signatures that one search may check.
pub const STEPS_MAX: u32 = 32;
/// Whole ways that one search may examine.
pub const PATHS_MAX: u32 = 8;

/// A depth-first walk over every way that signatures allow.
#[derive(Debug)]
pub struct Search<'s, 'a, 'p> {
    sources: &'s Sources<'a, 'p>,
    trail: Vec<Certificate<'a>>,
    from_peer: usize,
    steps: u32,
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

impl<'s, 'a, 'p> Search<'s, 'a, 'p> {
    /// From this leaf.
    #[must_use]
    pub fn new(leaf: Certificate<'a>, sources: &'s Sources<'a, 'p>) -> Self {
        Self { sources, trail: vec![leaf], from_peer: 1, steps: 0, paths: 0 }
    }

    /// Signatures checked so far.
    #[must_use]
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// Shows every way that ends in an anchor, with how many of it came from the peer.
    pub fn run(&mut self, show: &mut dyn FnMut(&[Certificate<'a>], usize) -> Next) -> Next {
        let longest = usize::try_from(self.sources.depth).unwrap_or(usize::MAX).saturating_add(1);
        let Some(current) = self.trail.last().cloned() else { return Next::Stop };
        if self.trail.len() > longest || current.self_signed() {
            return Next::Go;
        }
        for (candidate, anchor) in self.candidates(&current) {
            let root = candidate.self_signed();
            // The peer's own roots lead nowhere.
            if root && !anchor {
                continue;
            }
            if self.steps >= STEPS_MAX || self.paths >= PATHS_MAX {
                return Next::Stop;
            }
            self.steps += 1;
            if !signature::issued(&candidate, &current) {
                continue;
            }
            self.trail.push(candidate);
            self.from_peer += usize::from(!anchor);
            let next = if root {
                self.paths += 1;
                show(&self.trail, self.from_peer)
            } else {
                self.run(show)
            };
            self.trail.pop();
            self.from_peer -= usize::from(!anchor);
            if next == Next::Stop {
                return next;
            }
        }
        Next::Go
    }

    /// Who may have issued it, by name: anchors first; behind an anchor, anchors only.
    fn candidates(&self, current: &Certificate<'a>) -> Vec<(Certificate<'a>, bool)> {
        let anchors = (self.sources.anchors)(current.outline.issuer);
        let anchors =
            anchors.into_iter().filter_map(Certificate::parse).map(|anchor| (anchor, true));
        let untrusted = self.from_peer == self.trail.len();
        let peers =
            self.sources.peer.iter().filter(|_| untrusted).cloned().map(|peer| (peer, false));
        anchors
            .chain(peers)
            .filter(|(candidate, _)| {
                current.may_be_issued_by(candidate)
                    && !self.trail.iter().any(|used| used.outline.der == candidate.outline.der)
            })
            .collect()
    }
}
