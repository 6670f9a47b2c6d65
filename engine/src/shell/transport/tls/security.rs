//! What both directions of a connection share: the session, what it has to send, and what was sent.

use super::output::Said;
use super::session::Session;
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::sent_bytes::SentBytes;

/// The TLS session and what it wants sent in front of the next message.
#[derive(Debug)]
pub struct Security {
    /// The session.
    pub session: Session,
    /// What it has to say, and to remember.
    pub said: Said,
    /// The sending half holds records that were sealed before what is pending, or is about to send
    /// some: it sends that itself.
    pub sending: bool,
    /// What the kernel was given.
    pub handed: SentBytes,
}

impl Security {
    /// Nothing was said yet.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session, said: Said::default(), sending: false, handed: SentBytes::default() }
    }

    /// Says what TLS has to say, with or without a message of ours in sight: now, unless the sending
    /// half is at it. What the kernel does not take stays pending.
    pub fn speak(&mut self, descriptor: Descriptor) {
        let Self { session, said, sending, handed } = self;
        session.say_what_is_due(said);
        if said.pending.is_empty() || *sending {
            return;
        }
        let sent = descriptor.send_now(&said.pending);
        handed.note(sent);
        said.pending.drain(..sent.min(said.pending.len()));
        said.pending.shrink_to_fit();
    }
}
