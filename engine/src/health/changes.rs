//! The last changes of a node's state, and how many there were of each kind.

use std::sync::atomic::{AtomicU64, Ordering};

use strum::{EnumCount, IntoStaticStr, VariantArray};

/// How a node's state changes.
#[derive(Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum ChangeKind {
    /// Set aside: its connections failed or broke.
    TcpFailures,
    /// Set aside: it took too long.
    Timeouts,
    /// Set aside: it answered with statuses that say so.
    HttpFailures,
    /// Set aside: fewer of its requests were answered well than of the others'.
    SuccessRate,
    /// Set aside: nearly all of its requests failed.
    FailurePercentage,
    /// Set aside: it was slower than the others.
    Latency,
    /// It is used again: it answered when it was asked again.
    Answered,
    /// Set aside: an active check failed.
    CheckFailed,
    /// It is used again: the active check passes.
    CheckPassed,
    /// An operator takes its new requests away.
    Draining,
    /// An operator takes it out.
    Disabled,
    /// An operator lets it take part again.
    Enabled,
}

impl ChangeKind {
    /// Its word, for logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// One change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeChanged {
    /// When, in Unix seconds.
    pub unix_seconds: u64,
    /// What.
    pub kind: ChangeKind,
}

/// So many of the last changes are known.
const KEPT: usize = 8;

/// What has happened to a node; made with the first change.
#[derive(Debug, Default)]
pub(super) struct Changes {
    counts: [AtomicU64; ChangeKind::COUNT],
    last: [AtomicU64; KEPT],
    next: AtomicU64,
}

impl Changes {
    pub(super) fn push(&self, change: NodeChanged) {
        if let Some(count) = self.counts.get(change.kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(next).unwrap_or(0) % KEPT;
        if let Some(slot) = self.last.get(at) {
            let packed = change.unix_seconds << 8 | (change.kind as u64 + 1);
            slot.store(packed, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (ChangeKind, u64)> + '_ {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        ChangeKind::VARIANTS.iter().copied().zip(counts)
    }

    /// The last ones, in no order.
    pub(super) fn last(&self) -> impl Iterator<Item = NodeChanged> + '_ {
        self.last.iter().filter_map(|slot| {
            let packed = slot.load(Ordering::Relaxed);
            let kind = usize::try_from(packed & 0xff).ok()?.checked_sub(1)?;
            let kind = *ChangeKind::VARIANTS.get(kind)?;
            Some(NodeChanged { unix_seconds: packed >> 8, kind })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_changes_are_kept_and_all_are_counted() {
        let changes = Changes::default();
        for unix_seconds in 0..20 {
            let kind =
                ChangeKind::VARIANTS[usize::try_from(unix_seconds).unwrap() % ChangeKind::COUNT];
            changes.push(NodeChanged { unix_seconds, kind });
        }
        let mut seconds: Vec<u64> = changes.last().map(|change| change.unix_seconds).collect();
        seconds.sort_unstable();
        assert_eq!(seconds, (12..20).collect::<Vec<_>>());
        assert!(changes.last().all(|change| change.kind as u64 == change.unix_seconds % 12));
        assert_eq!(changes.counts().map(|(_, count)| count).sum::<u64>(), 20);
        assert_eq!(ChangeKind::TcpFailures.word(), "tcp-failures");
    }
}
