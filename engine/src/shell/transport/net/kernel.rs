//! The kernel's network, by way of monoio.

use std::cell::UnsafeCell;
use std::io;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};

use crate::shell::transport::buffers::Buffer;
use crate::shell::transport::fd;

pub(crate) use crate::shell::transport::fd::Descriptor;
pub(crate) use monoio::io::{CancelHandle, Canceller};
pub(crate) use monoio::net::{TcpListener, TcpStream, UnixStream};
pub(crate) use monoio::spawn;
pub(crate) use monoio::time::{sleep, timeout};

/// Receives.
pub(crate) enum ReadHalf {
    /// From a TCP connection.
    Tcp(OwnedReadHalf<TcpStream>),
    /// From a Unix socket.
    Unix(OwnedReadHalf<UnixStream>),
}

/// Sends.
pub(crate) enum WriteHalf {
    /// To a TCP connection.
    Tcp(OwnedWriteHalf<TcpStream>),
    /// To a Unix socket.
    Unix(OwnedWriteHalf<UnixStream>),
}

/// Tells when a connection has room for what is sent. It is held beside both halves.
pub(crate) enum SendRoom {
    /// Of a TCP connection.
    Tcp(Rc<UnsafeCell<TcpStream>>),
    /// Of a Unix socket.
    Unix(Rc<UnsafeCell<UnixStream>>),
}

/// Both halves of a TCP connection.
pub(crate) fn tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
}

/// Both halves of a Unix socket.
pub(crate) fn unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (ReadHalf::Unix(read), WriteHalf::Unix(write))
}

impl ReadHalf {
    /// Is it one of a TCP connection?
    #[must_use]
    pub(crate) const fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// One receive behind what the buffer holds.
    pub(crate) async fn receive(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match self {
            Self::Tcp(half) => half.read(buffer).await,
            Self::Unix(half) => half.read(buffer).await,
        }
    }

    /// Waits until there is something to receive, or the end; whoever drops this loses nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => fd::tcp_readable(half).await,
            Self::Unix(half) => fd::unix_readable(half).await,
        }
    }
}

impl ReadHalf {
    /// Tells when there is room in the other direction.
    #[must_use]
    pub(crate) fn send_room(&self) -> SendRoom {
        match self {
            Self::Tcp(half) => SendRoom::Tcp(Rc::clone(&half.0)),
            Self::Unix(half) => SendRoom::Unix(Rc::clone(&half.0)),
        }
    }
}

impl SendRoom {
    /// Waits until there is room, or the connection is over; whoever drops this loses nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => fd::tcp_writable(stream).await,
            Self::Unix(stream) => fd::unix_writable(stream).await,
        }
    }
}

impl WriteHalf {
    /// One send of what the buffer holds.
    pub(crate) async fn send(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match self {
            Self::Tcp(half) => half.write(buffer).await,
            Self::Unix(half) => half.write(buffer).await,
        }
    }
}
