//! Connections in memory, and their halves.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::descriptor::Described;
use super::tasks::{pause, sleep};
use super::world::{World, with, with_if_any};
use crate::shell::transport::buffers::Buffer;

/// One end of a connection. Its last holder closes it.
#[derive(Debug)]
pub(super) struct End(pub(super) usize);

impl Drop for End {
    fn drop(&mut self) {
        // A thread that ends has no world any more, and nobody in it to tell.
        with_if_any(|world| world.release(self.0));
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct TcpStream {
    pub(super) end: End,
    pub(super) local: SocketAddr,
}

/// A connection over a Unix socket.
#[derive(Debug)]
pub(crate) struct UnixStream(End);

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

impl TcpStream {
    /// Connects, or fails as the weather will have it.
    ///
    /// # Errors
    /// Nobody listens there, or the weather.
    pub(crate) async fn connect_addr(address: SocketAddr) -> io::Result<Self> {
        weather_of_connecting().await?;
        if with(|world| world.swallows(address)) {
            pending::<()>().await;
        }
        Self::connect_surely(address).await
    }

    /// Connects whatever the weather.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) async fn connect_surely(address: SocketAddr) -> io::Result<Self> {
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
    pub(crate) const fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl UnixStream {
    /// No path leads anywhere.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the kernel's takes time")]
    pub(crate) async fn connect(_: impl AsRef<Path>) -> io::Result<Self> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// Two that are connected.
    #[must_use]
    pub(crate) fn pair() -> (Self, Self) {
        let (one, other) = with(World::pair);
        (Self(End(one)), Self(End(other)))
    }
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct ReadHalf(End);

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct WriteHalf(End);

/// Tells when a connection has room for what is sent.
#[derive(Debug)]
pub(crate) struct EndRoom(End);

impl EndRoom {
    /// Waits until there is room, or the connection is over.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        poll_fn(|context| with(|world| world.writable(self.0.0, context.waker()))).await;
        Ok(())
    }
}

fn halves(end: End) -> (ReadHalf, WriteHalf) {
    with(|world| world.hold(end.0));
    let second = End(end.0);
    (ReadHalf(end), WriteHalf(second))
}

/// Both halves of a TCP connection.
#[must_use]
pub(crate) fn tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    halves(stream.end)
}

/// Both halves of a Unix socket.
#[must_use]
pub(crate) fn unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
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
    pub(crate) const fn is_tcp(&self) -> bool {
        true
    }

    /// Tells when there is room in the other direction.
    #[must_use]
    pub(crate) fn send_room(&self) -> EndRoom {
        with(|world| world.hold(self.0.0));
        EndRoom(End(self.0.0))
    }

    /// One receive after what the buffer holds.
    pub(crate) async fn receive(&mut self, mut buffer: Buffer) -> (io::Result<usize>, Buffer) {
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
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|context| with(|world| world.readable(self.0.0, context.waker()))).await;
        Ok(())
    }

    /// One receive into `room`.
    ///
    /// # Errors
    /// The connection was reset.
    pub(crate) async fn receive_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        pause().await;
        poll_fn(|context| with(|world| world.receive(self.0.0, room, context.waker()))).await
    }
}

impl WriteHalf {
    /// One send of what the buffer holds.
    pub(crate) async fn send(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        (self.send_from(buffer.filled()).await, buffer)
    }

    /// One send from `bytes`: as much as fits under way.
    ///
    /// # Errors
    /// The connection was reset, or our direction is over.
    pub(crate) async fn send_from(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = poll_fn(|context| with(|world| world.send(self.0.0, bytes, context.waker())));
        let sent = sent.await;
        pause().await;
        sent
    }

    /// Sends `bytes`, all of which arrive at this very moment, after whatever is under way.
    pub(crate) fn send_at_once(&mut self, bytes: &[u8]) {
        with(|world| world.send_at_once(self.0.0, bytes));
    }
}

/// What becomes of a connect, before anybody hears of it.
async fn weather_of_connecting() -> io::Result<()> {
    let fate = with(|world| {
        let [refused, hangs, none] = world.weather.no_connection;
        let drawn = world.random.below(100);
        if drawn < refused {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        if drawn < refused + hangs {
            return None;
        }
        if drawn < refused + hangs + none {
            return Some(Err(Errno::MFILE.into()));
        }
        let delay = world.delay();
        Some(Ok(delay))
    });
    match fate {
        None => pending().await,
        Some(Ok(delay)) if delay == Duration::ZERO => Ok(()),
        Some(Ok(delay)) => {
            sleep(delay).await;
            Ok(())
        }
        Some(Err(error)) => Err(error),
    }
}
