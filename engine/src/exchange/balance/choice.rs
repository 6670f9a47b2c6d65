//! What a choice depends on, and what is told of it afterwards.

use std::time::Duration;

use crate::plan::NodeIndex;

/// Nodes already tried by one request. Nodes beyond the first 256 are not remembered; `retries`
/// bounds the tries in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tried {
    bits: [u64; 4],
}

impl Tried {
    /// Notes a node.
    pub fn insert(&mut self, node: NodeIndex) {
        if let Some(bits) = self.bits.get_mut(node.0 as usize / 64) {
            *bits |= 1 << (node.0 % 64);
        }
    }

    /// Forgets one.
    pub fn remove(&mut self, node: NodeIndex) {
        if let Some(bits) = self.bits.get_mut(node.0 as usize / 64) {
            *bits &= !(1 << (node.0 % 64));
        }
    }

    /// Those of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (bits, more) in self.bits.iter_mut().zip(other.bits) {
            *bits |= more;
        }
        self
    }

    /// Was it tried?
    #[must_use]
    pub fn contains(&self, node: NodeIndex) -> bool {
        self.bits.get(node.0 as usize / 64).is_some_and(|bits| bits & (1 << (node.0 % 64)) != 0)
    }

    /// Was none tried so far?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [first, second, third, fourth] = self.bits;
        first | second | third | fourth == 0
    }
}

/// What a choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct NodeChoice<'a> {
    /// The nodes that this request has tried.
    pub tried: &'a Tried,
    /// The hash of the request; only `chash` reads it.
    pub hash: Option<u64>,
    /// Time since the core started; read by `ewma` and slow start.
    pub now: Duration,
}

/// How a try ended, for those that choose by it.
#[derive(Clone, Copy, Debug)]
pub struct TryEnd {
    /// Time since the core started.
    pub now: Duration,
    /// How long the node took until the head of its response.
    pub micros: u64,
    /// Did the node fail?
    pub failed: bool,
}
