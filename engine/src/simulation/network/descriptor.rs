//! What is asked of an end of a connection by whoever does not own it.

use std::io;

use super::half::Shutting;
use super::world::with;
use crate::shell::transport::fd::Peek;

/// What is asked of an end without owning it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Descriptor(usize);

/// Whatever has a descriptor.
pub(crate) trait Described {
    /// Its number.
    fn number(&self) -> usize;
}

impl Descriptor {
    /// Of something that outlives it.
    #[must_use]
    pub(crate) fn of(described: &impl Described) -> Self {
        Self(described.number())
    }

    /// Ends reading: a pending receive completes, answers can still be sent.
    pub(crate) fn shut_read(self) {
        with(|world| world.shut(self.0, Shutting::Read));
    }

    /// Ends writing: the peer sees the end of the stream.
    pub(crate) fn shut_write(self) {
        with(|world| world.shut(self.0, Shutting::Write));
    }

    /// Ends both.
    pub(crate) fn shut_both(self) {
        with(|world| world.shut(self.0, Shutting::Both));
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        with(|world| world.reset(self.0));
    }

    /// Sends as much of `bytes` as fits under way; how much that is.
    #[must_use]
    pub(crate) fn send_now(self, bytes: &[u8]) -> usize {
        with(|world| world.send_now(self.0, bytes))
    }

    /// Receives what is there; 0 if that is nothing, or the end.
    #[must_use]
    pub(crate) fn receive_now(self, room: &mut [u8]) -> usize {
        with(|world| world.receive_now(self.0, room))
    }

    /// Drops what is there; how many bytes, 0 if that is nothing, or the end.
    #[must_use]
    pub(crate) fn drop_now(self) -> usize {
        self.receive_now(&mut [0; 4_096])
    }

    /// Acknowledgements are not simulated.
    pub(crate) const fn acknowledge(self) {}

    /// Has the peer ended its direction, or the whole connection?
    #[must_use]
    pub(crate) fn has_left(self) -> bool {
        with(|world| world.has_left(self.0))
    }

    /// Is it over in both directions?
    #[must_use]
    pub(crate) fn is_over(self) -> bool {
        with(|world| world.is_over(self.0))
    }

    /// Nobody else accepts here, so that nobody has to look.
    #[must_use]
    pub(crate) const fn has_waiting(self) -> bool {
        false
    }

    /// There is nobody to turn away here.
    #[must_use]
    pub(crate) const fn accept_now(self) -> Option<std::os::fd::OwnedFd> {
        None
    }

    /// Bytes that have not arrived at the peer.
    #[must_use]
    pub(crate) fn unacknowledged(self) -> Option<u64> {
        Some(with(|world| world.under_way(self.0)))
    }

    /// Bytes that wait to be received.
    #[must_use]
    pub(crate) fn available(self) -> usize {
        with(|world| world.waiting(self.0))
    }

    /// Bytes that will be taken at once.
    #[must_use]
    pub(crate) fn room(self) -> usize {
        with(|world| world.room(self.0))
    }

    /// Looks without reading.
    #[must_use]
    pub(crate) fn peek(self) -> Peek {
        with(|world| world.peek(self.0))
    }

    /// Nothing is executed here.
    ///
    /// # Errors
    /// None.
    pub(crate) const fn close_on_exec(self) -> io::Result<()> {
        Ok(())
    }

    /// There are no options here.
    ///
    /// # Errors
    /// None.
    pub(crate) const fn tcp_options(self) -> io::Result<()> {
        Ok(())
    }
}

/// Has the peer of this end said anything that nobody has read, arrived or not?
#[must_use]
pub(crate) fn is_spoken_to(described: &impl Described) -> bool {
    with(|world| world.is_spoken_to(described.number()))
}

/// Has the peer of this end read everything that was sent to it?
#[must_use]
pub(crate) fn is_heard_out(described: &impl Described) -> bool {
    with(|world| world.is_heard_out(described.number()))
}
