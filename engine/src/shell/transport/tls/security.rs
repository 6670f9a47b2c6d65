//! What both directions of a connection share: the session, what it has to send, and what was sent.

use super::output::TlsOutput;
use super::session::Session;
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::sent_bytes::SentBytes;

/// The TLS session and what it wants sent in front of the next message.
#[derive(Debug)]
pub(crate) struct Security {
    /// The session that opens and seals.
    pub(crate) session: Session,
    /// What it has queued to send.
    pub(crate) tls_output: TlsOutput,
    /// The sending half holds records that were sealed before what is queued, or is about to send some:
    /// it sends the queue itself, after them.
    pub(crate) sending: bool,
    /// How much the kernel was given.
    pub(crate) sent_bytes: SentBytes,
}

impl Security {
    /// A connection on which nothing was sent yet.
    #[must_use]
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            tls_output: TlsOutput::default(),
            sending: false,
            sent_bytes: SentBytes::default(),
        }
    }

    /// Is something queued that nobody is about to send?
    #[must_use]
    pub(crate) const fn has_unsent(&self) -> bool {
        !self.tls_output.pending.is_empty() && !self.sending
    }

    /// Sends what TLS has queued, without waiting for a message of ours; if the sending half is busy, it
    /// will do so. What the kernel does not take stays queued.
    pub(crate) fn send_pending(&mut self, descriptor: Descriptor) {
        let Self { session, tls_output, sending, sent_bytes } = self;
        session.queue_due_replies(tls_output);
        if tls_output.pending.is_empty() || *sending {
            return;
        }
        let sent = descriptor.send_now(&tls_output.pending);
        sent_bytes.add(sent);
        tls_output.pending.drain(..sent.min(tls_output.pending.len()));
        tls_output.pending.shrink_to_fit();
    }
}
