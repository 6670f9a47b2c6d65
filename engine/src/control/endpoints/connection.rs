//! One connection to an endpoint: blocking reads and writes that end at a deadline.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_send_buffer_size;

use crate::control::process::clock;

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct EndpointConnection {
    pub(super) stream: EndpointStream,
    /// No read or write goes on after this time.
    pub(crate) deadline: Instant,
    /// The endpoint is being closed.
    pub(super) closing: Arc<AtomicBool>,
}

/// The stream of a connection.
#[derive(Debug)]
pub(crate) enum EndpointStream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl EndpointConnection {
    fn time_left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(clock::monotonic());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// Reads what has arrived; waits for it until the deadline.
    ///
    /// # Errors
    /// The connection's, or the deadline has passed.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.time_left()?;
        match &mut self.stream {
            EndpointStream::Tcp(stream) => {
                stream.set_read_timeout(left)?;
                stream.read(buf)
            }
            EndpointStream::Unix(stream) => {
                stream.set_read_timeout(left)?;
                stream.read(buf)
            }
        }
    }

    /// Writes everything, until the deadline at most.
    ///
    /// # Errors
    /// The connection's, or the deadline has passed.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = self.time_left()?;
            let written = match &mut self.stream {
                EndpointStream::Tcp(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)?
                }
                EndpointStream::Unix(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)?
                }
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Has either side closed the connection? A peer that has only ended its sending side has not.
    pub(crate) fn is_closed(&self) -> bool {
        let mut stream = [match &self.stream {
            EndpointStream::Tcp(stream) => PollFd::new(stream, PollFlags::empty()),
            EndpointStream::Unix(stream) => PollFd::new(stream, PollFlags::empty()),
        }];
        let looked = poll(&mut stream, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let closed = PollFlags::HUP | PollFlags::ERR;
        looked.is_ok() && stream.iter().any(|stream| stream.revents().intersects(closed))
    }

    /// Is the endpoint being closed? Whoever serves a connection without end has to end then.
    pub(crate) fn is_endpoint_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Bounds what the kernel holds of bytes that the peer does not read.
    pub(crate) fn bound_send_buffer(&self, bytes: usize) {
        // Without it the bound is that of the system.
        let _: Result<(), _> = match &self.stream {
            EndpointStream::Tcp(stream) => set_socket_send_buffer_size(stream, bytes),
            EndpointStream::Unix(stream) => set_socket_send_buffer_size(stream, bytes),
        };
    }

    /// The user id of the peer of a Unix socket, as the kernel knows it.
    pub(crate) fn peer_user(&self) -> Option<u32> {
        match &self.stream {
            EndpointStream::Unix(stream) => {
                rustix::net::sockopt::socket_peercred(stream).ok().map(|peer| peer.uid.as_raw())
            }
            EndpointStream::Tcp(_) => None,
        }
    }
}

impl EndpointStream {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    pub(super) fn shut_down(&self) {
        // It fails only if the peer has closed the connection already.
        drop(match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stream: UnixStream) -> EndpointConnection {
        EndpointConnection {
            stream: EndpointStream::Unix(stream),
            deadline: clock::monotonic(),
            closing: Arc::default(),
        }
    }

    #[test]
    fn a_peer_that_only_ended_its_sending_side_is_connected() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = of(ours);
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!connection.is_closed());
        drop(theirs);
        assert!(connection.is_closed());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connection = of(ours);
        connection.stream.shut_down();
        assert!(connection.is_closed());
    }

    #[test]
    fn reads_and_writes_end_at_the_deadline() {
        let socket = UnixStream::pair().unwrap();
        let mut connection = of(socket.0);
        assert_eq!(connection.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(connection.write_all(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(connection.peer_user(), Some(rustix::process::geteuid().as_raw()));
    }
}
