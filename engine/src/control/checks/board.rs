//! What active checks came to, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use strum::{EnumCount, VariantArray};

use crate::health::checks::CheckWord;

/// The nodes that are checked, with the counts of their checks. The checking thread writes, others read.
#[derive(Debug, Default)]
pub struct CheckBoard {
    nodes: Mutex<Arc<[Arc<CheckedNode>]>>,
}

/// The checks of one node.
#[derive(Debug)]
pub(crate) struct CheckedNode {
    /// The upstream's id.
    pub(crate) upstream: Box<str>,
    /// The node as written.
    pub(crate) node: Box<str>,
    counts: [AtomicU64; CheckWord::COUNT],
}

impl CheckedNode {
    pub(super) fn new(upstream: &str, node: &str) -> Self {
        Self { upstream: upstream.into(), node: node.into(), counts: Default::default() }
    }

    pub(super) fn count(&self, word: CheckWord) {
        if let Some(count) = self.counts.get(word as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every word with its count.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let words = CheckWord::VARIANTS.iter().map(|word| (*word).into());
        words.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl CheckBoard {
    /// The nodes that are checked now.
    pub(crate) fn nodes(&self) -> Arc<[Arc<CheckedNode>]> {
        Arc::clone(&self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, nodes: Vec<Arc<CheckedNode>>) {
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes.into();
    }
}
