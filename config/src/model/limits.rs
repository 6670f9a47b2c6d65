//! `upstreams.max_connections` and `upstreams.queue`: how much a node takes, and who waits for it.

use std::time::Duration;

/// `upstreams.queue`: requests that wait until a node has a place for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamQueue {
    /// Requests that wait at most, all cores together; 0: none does.
    pub size: u32,
    /// How long one waits at most.
    pub timeout: Duration,
    /// What one is told that did not get its turn.
    pub status: QueueStatus,
}

/// `upstreams.queue.status`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum QueueStatus {
    /// 503 (Service Unavailable)
    #[default]
    Unavailable,
    /// 429 (Too Many Requests)
    TooManyRequests,
}

impl QueueStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Unavailable => 503,
            Self::TooManyRequests => 429,
        }
    }
}
