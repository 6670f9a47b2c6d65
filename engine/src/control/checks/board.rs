//! What active checks came to, for the metrics, and for the resolver, which has failing addresses left out.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use strum::{EnumCount, VariantArray};

use crate::health::checks::CheckWord;

/// The nodes that are checked, with the counts of their checks. The checking thread writes, others read.
#[derive(Debug, Default)]
pub struct CheckBoard {
    nodes: Mutex<Arc<[Arc<CheckedNode>]>>,
    failing: Mutex<BTreeSet<FailingAddress>>,
    watcher: OnceLock<Watcher>,
}

/// An address of a name that fails the checks of an upstream.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FailingAddress {
    /// The upstream's id.
    pub(super) upstream: Box<str>,
    /// Where requests would be sent to.
    pub(super) address: SocketAddr,
}

/// Who wants to know that other addresses fail.
struct Watcher(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watcher")
    }
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

    fn failing(&self) -> MutexGuard<'_, BTreeSet<FailingAddress>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this address of a name fail the checks of this upstream?
    pub(crate) fn fails(&self, upstream: &str, address: SocketAddr) -> bool {
        let failing = self.failing();
        !failing.is_empty()
            && failing.contains(&FailingAddress { upstream: upstream.into(), address })
    }

    /// Whoever is given is told, on the checking thread, that other addresses fail. The first one stays.
    pub(crate) fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        drop(self.watcher.set(Watcher(Box::new(watcher))));
    }

    /// These are all that fail.
    pub(super) fn set_failing(&self, failing: BTreeSet<FailingAddress>) {
        let changed = {
            let mut known = self.failing();
            let changed = *known != failing;
            *known = failing;
            changed
        };
        if changed {
            self.tell();
        }
    }

    /// This one fails, or passes.
    pub(super) fn note(&self, address: FailingAddress, fails: bool) {
        let mut failing = self.failing();
        let changed = if fails { failing.insert(address) } else { failing.remove(&address) };
        drop(failing);
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        if let Some(Watcher(tell)) = self.watcher.get() {
            tell();
        }
    }
}
