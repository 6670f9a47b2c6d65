//! How many bytes of a connection the kernel was given, and whether its peer spoke before it was asked.

use super::net::Descriptor;

/// What of a connection's bytes the kernel was given.
#[derive(Debug, Default)]
pub struct SentBytes {
    /// All of them, with those of a send that is under way.
    bytes: u64,
    /// As many were before the first request; nothing once that is answered.
    before_first_request: Option<u64>,
}

impl SentBytes {
    /// Nothing was asked for so far: what comes next is the first request.
    pub const fn mark_first_request(&mut self) {
        self.before_first_request = Some(self.bytes);
    }

    /// So many more.
    pub fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The kernel did not take so many of them.
    pub fn subtract(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Something came, and `descriptor`'s peer has so many bytes still to acknowledge. Did it leave the
    /// peer before a byte of the first request had arrived there? Whatever is sent acknowledges what
    /// has arrived, so that is certain; asked once.
    pub fn precedes_first_request(&mut self, descriptor: Descriptor) -> bool {
        let Some(before) = self.before_first_request.take() else { return false };
        let unacknowledged = descriptor.unacknowledged().unwrap_or(0);
        self.bytes.saturating_sub(unacknowledged) <= before
    }
}
