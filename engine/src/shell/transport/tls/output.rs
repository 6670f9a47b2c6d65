//! What a TLS session has to send by itself, and what rustls still holds of what it received.
//!
//! Flights, tickets, answers and alerts are collected here and leave in front of the next message.

use super::outcome::SessionError;
use crate::shell::transport::buffers::Buffer;

/// What a session has queued to send, and which received bytes it still needs.
#[derive(Default)]
pub struct TlsOutput {
    /// Protocol bytes waiting for the next send: flights, tickets, alerts.
    pub pending: Vec<u8>,
    /// Received bytes, at the front of the buffer, that rustls has looked at and not finished with: the
    /// records of a handshake message whose end has not come.
    pub(crate) held: usize,
    /// A copy of those bytes.
    ///
    /// rustls keeps offsets into them, and panics if it is sent_bytes anything else; but the buffer itself
    /// may be with the kernel when we want to send.
    pub(crate) unread: Vec<u8>,
    /// The session has failed; only what is pending may still be sent.
    pub(crate) failed: bool,
}

/// Lengths only.
impl std::fmt::Debug for TlsOutput {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TlsOutput")
            .field("pending", &self.pending.len())
            .field("unread", &self.unread.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl TlsOutput {
    /// Copies the bytes at the front of `input` that rustls still holds.
    pub(crate) fn note(&mut self, input: &Buffer) {
        self.unread.clear();
        self.unread.extend_from_slice(input.filled().get(..self.held).unwrap_or_default());
    }

    /// Has the session failed? Its alert is the last that may be sent.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Gives memory back if nothing is held: the connection is idle now.
    pub fn release_memory(&mut self) {
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
    }
}

/// Moves what the protocol has queued in front of what we are about to send.
///
/// # Errors
/// [`SessionError::Exhausted`] without enough room.
pub fn flush_pending(pending: &mut Vec<u8>, output: &mut Buffer) -> Result<(), SessionError> {
    if pending.is_empty() {
        return Ok(());
    }
    if output.spare() < pending.len() {
        return Err(SessionError::Exhausted);
    }
    output.append(pending);
    pending.clear();
    // A handshake's flight is kilobytes; an idle connection keeps none of it.
    pending.shrink_to(0);
    Ok(())
}
