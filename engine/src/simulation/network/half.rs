//! One end of a connection: what has arrived there, and what is under way to it.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

/// Which directions are shut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shutting {
    /// Receiving.
    Read,
    /// Sending.
    Write,
    /// Both.
    Both,
}

/// What is sent from one end to the other.
#[derive(Debug)]
pub(super) enum Parcel {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// A parcel that is under way.
#[derive(Debug)]
pub(super) struct InFlight {
    /// When it arrives.
    pub(super) due: Duration,
    /// What it is.
    pub(super) parcel: Parcel,
}

/// One end of a connection.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Half {
    pub(super) peer: usize,
    /// Holders; nobody is left at 0.
    pub(super) holders: u8,
    pub(super) arrived: VecDeque<u8>,
    pub(super) coming: VecDeque<InFlight>,
    /// Bytes within `coming`.
    pub(super) coming_bytes: usize,
    /// The peer's end has arrived.
    pub(super) ended: bool,
    /// Nothing goes either way any more.
    pub(super) broken: bool,
    pub(super) read_shut: bool,
    pub(super) write_shut: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Bytes that may be under way to this end and unread.
    pub(super) room: usize,
}

impl Half {
    /// Wakes whoever waits for this end.
    pub(super) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}
