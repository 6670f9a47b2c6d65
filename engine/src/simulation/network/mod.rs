//! A network in memory, for seeded runs of the shell: no socket, no thread, no clock of the system.
//!
//! [`world`] holds what is there (both ends of every connection, what is under way, the time);
//! [`tasks`] runs futures in an order drawn from the seed. Everything is local to a thread, so tests
//! run side by side. As with `io_uring`, an operation takes effect when it is submitted, and its
//! completion may be heard of later.

mod ends;
mod listening;
pub(crate) mod random;
pub(crate) mod tasks;
pub(crate) mod world;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::shell::transport::buffers::Buffer;
use crate::shell::transport::fd::Peek;

use ends::Shutting;
pub use listening::{CancelHandle, Canceller, TcpListener};
pub use tasks::{next_round, sleep, spawn, timeout};
use world::{pause, with};

/// Seconds since 1970 at which every run begins.
const EPOCH: u64 = 1_795_301_728;

/// The simulated monotonic time.
#[must_use]
pub(crate) fn instant() -> Instant {
    with(|world| world.base + world.now)
}

/// The simulated time of day.
#[must_use]
pub(crate) fn system() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(EPOCH) + with(|world| world.now)
}

/// Rounds need no opening here.
///
/// # Errors
/// None.
pub const fn open_rounds(_: bool) -> io::Result<()> {
    Ok(())
}

/// What is asked of an end without owning it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Descriptor(usize);

/// Whatever has a descriptor.
pub trait Described {
    /// Its number.
    fn number(&self) -> usize;
}

impl Descriptor {
    /// Of something that outlives it.
    #[must_use]
    pub fn of(described: &impl Described) -> Self {
        Self(described.number())
    }

    /// Ends reading: a pending receive completes, answers can still be sent.
    pub fn shut_read(self) {
        with(|world| world.shut(self.0, Shutting::Read));
    }

    /// Ends writing: the peer sees the end of the stream.
    pub fn shut_write(self) {
        with(|world| world.shut(self.0, Shutting::Write));
    }

    /// Ends both.
    pub fn shut_both(self) {
        with(|world| world.shut(self.0, Shutting::Both));
    }

    /// Resets the connection.
    pub fn reset(self) {
        with(|world| world.reset(self.0));
    }

    /// Sends as much of `bytes` as fits under way; how much that is.
    #[must_use]
    pub fn send_now(self, bytes: &[u8]) -> usize {
        with(|world| world.send_now(self.0, bytes))
    }

    /// Receives what is there; 0 if that is nothing, or the end.
    #[must_use]
    pub fn receive_now(self, room: &mut [u8]) -> usize {
        with(|world| world.receive_now(self.0, room))
    }

    /// Acknowledgements are not simulated.
    pub const fn acknowledge(self) {}

    /// Has the peer ended its direction, or the whole connection?
    #[must_use]
    pub fn has_left(self) -> bool {
        with(|world| world.has_left(self.0))
    }

    /// Is it over in both directions?
    #[must_use]
    pub fn is_over(self) -> bool {
        with(|world| world.is_over(self.0))
    }

    /// There is nobody to turn away here.
    #[must_use]
    pub const fn accept_now(self) -> Option<std::os::fd::OwnedFd> {
        None
    }

    /// Bytes that have not arrived at the peer.
    #[must_use]
    pub fn unacknowledged(self) -> Option<u64> {
        Some(with(|world| world.under_way(self.0)))
    }

    /// Bytes that wait to be received.
    #[must_use]
    pub fn available(self) -> usize {
        with(|world| world.waiting(self.0))
    }

    /// Bytes that will be taken at once.
    #[must_use]
    pub fn room(self) -> usize {
        with(|world| world.room(self.0))
    }

    /// Looks without reading.
    #[must_use]
    pub fn peek(self) -> Peek {
        with(|world| world.peek(self.0))
    }

    /// Nothing is executed here.
    ///
    /// # Errors
    /// None.
    pub const fn close_on_exec(self) -> io::Result<()> {
        Ok(())
    }

    /// There are no options here.
    ///
    /// # Errors
    /// None.
    pub const fn tcp_options(self) -> io::Result<()> {
        Ok(())
    }
}

/// One end of a connection. Its last holder closes it.
#[derive(Debug)]
struct End(usize);

impl Drop for End {
    fn drop(&mut self) {
        // A thread that ends has no world any more, and nobody in it to tell.
        world::with_if_any(|world| world.release(self.0));
    }
}

/// A TCP connection.
#[derive(Debug)]
pub struct TcpStream {
    end: End,
    local: SocketAddr,
}

/// A connection over a Unix socket.
#[derive(Debug)]
pub struct UnixStream(End);

impl Described for TcpStream {
    fn number(&self) -> usize {
        self.end.0
    }
}

impl Described for UnixStream {
    fn number(&self) -> usize {
        self.0.0
    }
}

impl Described for TcpListener {
    fn number(&self) -> usize {
        usize::MAX
    }
}

impl TcpStream {
    /// Connects, or fails as the weather will have it.
    ///
    /// # Errors
    /// Nobody listens there, or the weather.
    pub async fn connect_addr(address: SocketAddr) -> io::Result<Self> {
        listening::weather_of_connecting().await?;
        Self::connect_surely(address).await
    }

    /// Connects whatever the weather.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect_surely(address: SocketAddr) -> io::Result<Self> {
        pause().await;
        with(|world| {
            let local = world.next_client();
            let ours = world.connect(address, local)?;
            Ok(Self { end: End(ours), local })
        })
    }

    /// Our own address.
    ///
    /// # Errors
    /// None.
    pub const fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl UnixStream {
    /// No path leads anywhere.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the kernel's takes time")]
    pub async fn connect(_: impl AsRef<Path>) -> io::Result<Self> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// Two that are connected.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let (one, other) = with(world::World::pair);
        (Self(End(one)), Self(End(other)))
    }
}

/// Receives.
#[derive(Debug)]
pub struct ReadHalf(End);

/// Sends.
#[derive(Debug)]
pub struct WriteHalf(End);

fn halves(end: End) -> (ReadHalf, WriteHalf) {
    with(|world| world.hold(end.0));
    let second = End(end.0);
    (ReadHalf(end), WriteHalf(second))
}

/// Both halves of a TCP connection.
#[must_use]
pub fn tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    halves(stream.end)
}

/// Both halves of a Unix socket.
#[must_use]
pub fn unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
    halves(stream.0)
}

impl Described for ReadHalf {
    fn number(&self) -> usize {
        self.0.0
    }
}

impl Described for WriteHalf {
    fn number(&self) -> usize {
        self.0.0
    }
}

impl ReadHalf {
    /// All of them acknowledge as TCP does.
    #[must_use]
    pub const fn is_tcp(&self) -> bool {
        true
    }

    /// One receive behind what the buffer holds.
    pub async fn receive(&mut self, mut buffer: Buffer) -> (io::Result<usize>, Buffer) {
        let result = self.receive_into(buffer.spare_mut()).await;
        if let Ok(count) = result {
            buffer.fill(count);
        }
        (result, buffer)
    }

    /// Waits until there is something to receive, or the end.
    ///
    /// # Errors
    /// None.
    pub async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|context| with(|world| world.readable(self.0.0, context.waker()))).await;
        Ok(())
    }

    /// One receive into `room`.
    ///
    /// # Errors
    /// The connection was reset.
    pub async fn receive_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        pause().await;
        poll_fn(|context| with(|world| world.receive(self.0.0, room, context.waker()))).await
    }
}

impl WriteHalf {
    /// One send of what the buffer holds.
    pub async fn send(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        (self.send_from(buffer.filled()).await, buffer)
    }

    /// One send from `bytes`: as much as fits under way.
    ///
    /// # Errors
    /// The connection was reset, or our direction is over.
    pub async fn send_from(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = poll_fn(|context| with(|world| world.send(self.0.0, bytes, context.waker())));
        let sent = sent.await;
        pause().await;
        sent
    }

    /// Sends `bytes`, all of which arrive at this very moment, behind whatever is under way.
    pub fn send_at_once(&mut self, bytes: &[u8]) {
        with(|world| world.send_at_once(self.0.0, bytes));
    }
}
