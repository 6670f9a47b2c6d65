//! What both directions of a connection share: the session, what it has to send, and what was sent.

use super::output::TlsOutput;
use super::session::Session;
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::sent_bytes::SentBytes;

/// The TLS session and what it wants sent in front of the next message.
#[derive(Debug)]
pub struct Security {
    /// The session.
    pub session: Session,
    /// What it has to say, and to remember.
    pub tls_output: TlsOutput,
    /// The sending half holds records that were sealed before what is pending, or is about to send
    /// some: it sends that itself.
    pub sending: bool,
    /// What the kernel was given.
    pub sent_bytes: SentBytes,
}

impl Security {
    /// Nothing was said yet.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            tls_output: TlsOutput::default(),
            sending: false,
            sent_bytes: SentBytes::default(),
        }
    }

    /// Says what TLS has to say, with or without a message of ours in sight: now, unless the sending
    /// half is at it. What the kernel does not take stays pending.
    pub fn send_pending(&mut self, descriptor: Descriptor) {
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
