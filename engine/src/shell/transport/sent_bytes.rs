//! How many bytes of a connection the kernel was given, and whether its peer answered before it could
//! have received a request.

use super::net::Descriptor;

/// The count of bytes that the kernel was given to send.
#[derive(Debug, Default)]
pub(crate) struct SentBytes {
    /// All of them, those of a send that is under way included.
    bytes: u64,
    /// How many there were before the first request; `None` once that was asked about.
    before_first_request: Option<u64>,
}

impl SentBytes {
    /// What is sent next is the first request.
    pub(crate) const fn mark_first_request(&mut self) {
        self.before_first_request = Some(self.bytes);
    }

    /// The kernel was given this many more.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The kernel did not take so many of them.
    pub(crate) fn subtract(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Bytes have arrived. Did the peer send them before any byte of the first request had reached it?
    /// Every TCP segment acknowledges what has arrived, so the bytes that `descriptor`'s peer has still
    /// to acknowledge tell it for certain. Only the first call can say yes.
    pub(crate) fn precedes_first_request(&mut self, descriptor: Descriptor) -> bool {
        let Some(before) = self.before_first_request.take() else { return false };
        let unacknowledged = descriptor.unacknowledged().unwrap_or(0);
        self.bytes.saturating_sub(unacknowledged) <= before
    }
}
