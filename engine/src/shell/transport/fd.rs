//! Borrows descriptors that the runtime owns: shutdown, peek, options. The second of the two
//! places with unsafe code.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use monoio::io::OwnedReadHalf;
use monoio::net::{TcpStream, UnixStream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, shutdown, sockopt,
};

use crate::setup::listening_sockets::{UNSENT_BYTES_MAX, connection_options};

/// Whoever has left no more than this unsent takes what it is given. The kernel's send buffer grows to
/// twice what is under way (`tcp_sndbuf_expand`), so a full one holds more that is unsent. The calls
/// that are saved cost some 10 us of the 750 us of a 1 MiB response (`cargo compare --case large`).
const KEEPS_UP_BYTES: usize = 32 * 1_024;

/// The most bytes that are dropped in one go.
const DROPPED_BYTES: usize = 16 * 1_024;

/// A descriptor that its connection keeps open for as long as this copy is used.
///
/// monoio's streams hand out only a raw number. Every `Descriptor` lives beside the stream it was
/// taken from, or in a timer slot that is cleared before that stream is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Descriptor(RawFd);

/// What an idle connection has to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peek {
    /// Nothing: it is still open and silent.
    Silent,
    /// Bytes nobody asked for.
    Bytes,
    /// Its end, or an error.
    Ended,
}

impl Descriptor {
    /// Of a stream that outlives it.
    #[must_use]
    pub(crate) fn of(stream: &impl AsRawFd) -> Self {
        Self(stream.as_raw_fd())
    }

    #[expect(unsafe_code, reason = "monoio's streams have no AsFd")]
    fn borrow(&self) -> BorrowedFd<'_> {
        debug_assert!(self.0 >= 0);
        // SAFETY: the descriptor is open: see the type's promise, kept by `stream` and `deadlines`.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }

    /// Ends reading: a pending receive completes with 0, answers can still be sent.
    pub(crate) fn shut_read(self) {
        // Only fails if the peer is gone already, and then the reader has been woken anyway.
        let _ = shutdown(self.borrow(), Shutdown::Read);
    }

    /// Ends writing: the peer sees the end of the stream.
    pub(crate) fn shut_write(self) {
        let _ = shutdown(self.borrow(), Shutdown::Write);
    }

    /// Ends both: every pending operation completes.
    pub(crate) fn shut_both(self) {
        let _ = shutdown(self.borrow(), Shutdown::Both);
    }

    /// Resets the connection: what was sent is not to be taken for the whole. At once, because
    /// monoio ends the writing direction before it closes, and a peer that sees that end first would
    /// take a body without a length for complete.
    pub(crate) fn reset(self) {
        let _ = sockopt::set_socket_linger(self.borrow(), Some(std::time::Duration::ZERO));
        // Dissolving a TCP connection by an address of no family sends the reset now.
        let _ = rustix::net::connect_unspec(self.borrow());
    }

    /// Sends as much of `bytes` as the kernel takes without waiting; how much that is. Only while no
    /// send of the runtime's is under way.
    #[must_use]
    pub(crate) fn send_now(self, bytes: &[u8]) -> usize {
        // A connection that takes nothing any more tells its reader.
        send(self.borrow(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap_or(0)
    }

    /// Receives what is there, without waiting; 0 if that is nothing, or the end. Only while no receive
    /// of the runtime's is under way.
    #[must_use]
    pub(crate) fn receive_now(self, room: &mut [u8]) -> usize {
        recv(self.borrow(), room, RecvFlags::DONTWAIT).map_or(0, |(count, _)| count)
    }

    /// Drops bytes that have arrived on a TCP connection, without waiting; how many that were, 0 if there
    /// are none, or at the end. Only while no receive of the runtime's is under way.
    #[must_use]
    pub(crate) fn drop_now(self) -> usize {
        // The kernel drops as many as there would be room for, and copies none (tcp(7), `MSG_TRUNC`).
        let mut room = [0_u8; DROPPED_BYTES];
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        recv(self.borrow(), &mut room, flags).map_or(0, |(count, _)| count)
    }

    /// Acknowledges at once what has arrived: a peer that gathers small writes (Nagle) sends its next
    /// one only then, and we have nothing to say that would carry the acknowledgement.
    pub(crate) fn acknowledge(self) {
        // Not TCP, or gone: nobody waits.
        let _ = sockopt::set_tcp_quickack(self.borrow(), true);
    }

    /// Has the peer ended its direction, or the whole connection? Unread bytes do not hide it.
    #[must_use]
    pub(crate) fn has_left(self) -> bool {
        let left = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        self.polls(PollFlags::RDHUP).intersects(left)
    }

    /// Is the connection over in both directions? One whose peer has only ended its own is not.
    #[must_use]
    pub(crate) fn is_over(self) -> bool {
        self.polls(PollFlags::empty()).intersects(PollFlags::HUP | PollFlags::ERR)
    }

    fn polls(&self, wanted: PollFlags) -> PollFlags {
        let mut polled = [PollFd::from_borrowed_fd(self.borrow(), wanted)];
        let now = rustix::event::Timespec::default();
        let _ = poll(&mut polled, Some(&now));
        let [polled] = polled;
        polled.revents()
    }

    /// Does a connection wait in this listener's queue?
    #[must_use]
    pub(crate) fn has_waiting(self) -> bool {
        self.polls(PollFlags::IN).contains(PollFlags::IN)
    }

    /// The next connection that waits in this listener's queue, without waiting for one.
    #[must_use]
    pub(crate) fn accept_now(self) -> Option<OwnedFd> {
        let listener = self.borrow();
        let before = rustix::fs::fcntl_getfl(listener).ok()?;
        rustix::fs::fcntl_setfl(listener, before | OFlags::NONBLOCK).ok()?;
        let accepted = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok();
        let _ = rustix::fs::fcntl_setfl(listener, before);
        accepted
    }

    /// Looks without reading.
    #[must_use]
    pub(crate) fn peek(self) -> Peek {
        let mut byte = [0_u8; 1];
        match recv(self.borrow(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => Peek::Ended,
            Ok(_) => Peek::Bytes,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Peek::Silent,
            Err(_) => Peek::Ended,
        }
    }

    /// Bytes given to the kernel that the peer's has not acknowledged; of a TCP connection.
    #[must_use]
    pub(crate) fn unacknowledged(self) -> Option<u64> {
        const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
        // SAFETY: that opcode writes one int, and reads nothing.
        #[expect(unsafe_code, reason = "rustix has no safe form of it")]
        let ask = unsafe { rustix::ioctl::Getter::<SIOCOUTQ, std::ffi::c_int>::new() };
        // SAFETY: as above; the descriptor is open.
        #[expect(unsafe_code, reason = "rustix has no safe form of it")]
        let bytes = unsafe { rustix::ioctl::ioctl(self.borrow(), ask) };
        bytes.ok().and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// Bytes that wait to be received, as far as is known.
    #[must_use]
    pub(crate) fn available(self) -> usize {
        let bytes = rustix::io::ioctl_fionread(self.borrow()).unwrap_or(0);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Bytes that the socket will about take at once. Of a receiver that keeps up, one call tells.
    #[must_use]
    pub(crate) fn room(self) -> usize {
        let held = self.unsent().map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let room = UNSENT_BYTES_MAX.saturating_sub(held);
        if held <= KEEPS_UP_BYTES {
            return room;
        }
        // Half of it is for the kernel's own.
        let size = sockopt::socket_send_buffer_size(self.borrow()).unwrap_or(0) / 2;
        let under_way = usize::try_from(self.unacknowledged().unwrap_or(0)).unwrap_or(usize::MAX);
        room.min(size.saturating_sub(under_way))
    }

    /// Bytes given to the kernel that it has not sent so far; of a TCP connection.
    fn unsent(self) -> Option<u64> {
        const SIOCOUTQNSD: rustix::ioctl::Opcode = 0x894b;
        // SAFETY: that opcode writes one int, and reads nothing.
        #[expect(unsafe_code, reason = "rustix has no safe form of it")]
        let ask = unsafe { rustix::ioctl::Getter::<SIOCOUTQNSD, std::ffi::c_int>::new() };
        // SAFETY: as above; the descriptor is open.
        #[expect(unsafe_code, reason = "rustix has no safe form of it")]
        let bytes = unsafe { rustix::ioctl::ioctl(self.borrow(), ask) };
        bytes.ok().and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// Close-on-exec, which accepted descriptors lack.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn close_on_exec(self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(self.borrow(), rustix::io::FdFlags::CLOEXEC)?)
    }

    /// What every TCP connection of ours has ([`connection_options`]).
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn tcp_options(self) -> io::Result<()> {
        connection_options(&socket2::SockRef::from(&self.borrow()))
    }
}

/// Waits until the connection has bytes for us, or its end; whoever drops this loses nothing.
///
/// # Errors
/// The kernel's.
pub(crate) async fn tcp_readable(half: &OwnedReadHalf<TcpStream>) -> io::Result<()> {
    // SAFETY: both halves are of this thread. This takes the number of the descriptor, which no half
    // ever changes, and nothing else.
    #[expect(unsafe_code, reason = "monoio's owned halves lend out nothing")]
    let stream = unsafe { &*half.0.get() };
    // Not relaxed: we receive by ourselves, and the runtime's notes are not to be trusted then.
    stream.readable(false).await
}

/// The same of a Unix socket.
///
/// # Errors
/// The kernel's.
pub(crate) async fn unix_readable(half: &OwnedReadHalf<UnixStream>) -> io::Result<()> {
    // SAFETY: as above.
    #[expect(unsafe_code, reason = "monoio's owned halves lend out nothing")]
    let stream = unsafe { &*half.0.get() };
    stream.readable(false).await
}

/// Waits until the connection has room for what is sent, or is over; whoever drops this loses nothing.
///
/// # Errors
/// The kernel's.
pub(crate) async fn tcp_writable(stream: &Rc<UnsafeCell<TcpStream>>) -> io::Result<()> {
    // SAFETY: as above.
    #[expect(unsafe_code, reason = "monoio's owned halves lend out nothing")]
    let stream = unsafe { &*stream.get() };
    stream.writable(false).await
}

/// The same of a Unix socket.
///
/// # Errors
/// The kernel's.
pub(crate) async fn unix_writable(stream: &Rc<UnsafeCell<UnixStream>>) -> io::Result<()> {
    // SAFETY: as above.
    #[expect(unsafe_code, reason = "monoio's owned halves lend out nothing")]
    let stream = unsafe { &*stream.get() };
    stream.writable(false).await
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_are_dropped_as_far_as_they_have_come() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        let descriptor = Descriptor::of(&ours);
        assert_eq!(descriptor.drop_now(), 0);
        theirs.write_all(&vec![7; DROPPED_BYTES + 5]).unwrap();
        // The kernel carries them over at once.
        let dropped = [descriptor.drop_now(), descriptor.drop_now(), descriptor.drop_now()];
        assert_eq!((dropped, descriptor.peek()), ([DROPPED_BYTES, 5, 0], Peek::Silent));
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!((descriptor.drop_now(), descriptor.peek()), (0, Peek::Ended));
    }

    #[test]
    fn peeking_tells_silence_bytes_and_the_end_apart() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let descriptor = Descriptor::of(&ours);
        assert_eq!(descriptor.peek(), Peek::Silent);
        theirs.write_all(b"x").unwrap();
        assert_eq!(descriptor.peek(), Peek::Bytes);
        assert_eq!(descriptor.peek(), Peek::Bytes);
        assert!(!descriptor.has_left());
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(descriptor.has_left() && !descriptor.is_over());
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(Descriptor::of(&ours).peek(), Peek::Ended);
        assert!(Descriptor::of(&ours).is_over());
    }
}
