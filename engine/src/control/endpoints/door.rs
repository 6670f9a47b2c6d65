//! A door to the process: a listening socket that strangers may reach, and what it lets them cost.
//!
//! One thread accepts, one short-lived thread serves each guest with plain blocking reads and writes,
//! every one of them under the guest's deadline. At most [`GUESTS_MAX`] are inside; the next one makes
//! the oldest leave, so that those who say nothing cannot keep out those who do.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::control::process::clock;

/// Guests inside at a time.
pub(crate) const GUESTS_MAX: usize = 16;
/// How long a guest may take, reading and writing together.
pub(crate) const GUEST_TIME: Duration = Duration::from_secs(3);
/// How often the door looks whether it is to close.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Rest after an accept that failed: out of descriptors, asking at once would only burn the core.
const BACK_OFF: Duration = Duration::from_millis(100);
/// No guest needs more.
const STACK_BYTES: usize = 512 * 1024;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Bell {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Line {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

/// Who has come in.
#[derive(Debug)]
pub(crate) struct Guest {
    line: Line,
    /// When they have to be gone.
    pub(crate) deadline: Instant,
}

/// What is done with a guest.
pub(crate) type Service = dyn Fn(&mut Guest) + Send + Sync;

/// An open door; dropped, it closes.
pub(crate) struct Door {
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking, or the thread cannot be started.
    pub(crate) fn open(bell: Bell, service: Arc<Service>) -> io::Result<Self> {
        bell.set_nonblocking()?;
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let thread = std::thread::Builder::new()
            .name("ferrule-door".into())
            .stack_size(STACK_BYTES)
            .spawn(move || keep(&bell, &service, &seen))?;
        Ok(Self { closing, thread: Some(thread) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It ends within one look; a thread that panicked has said so.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Door")
    }
}

/// A guest inside, as the door sees it.
struct Inside {
    line: Line,
    gone: Arc<AtomicBool>,
}

/// Says that the guest is gone, even if serving it panics.
struct Leave(Arc<AtomicBool>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn keep(bell: &Bell, service: &Arc<Service>, closing: &AtomicBool) {
    let mut inside: Vec<Inside> = Vec::new();
    // Told to make room, but still on their way out.
    let mut leaving: Vec<Inside> = Vec::new();
    while !closing.load(Ordering::Acquire) {
        // Held any longer, what a guest sent and nobody read would keep its connection open.
        inside.retain(|guest| !guest.gone.load(Ordering::Acquire));
        leaving.retain(|guest| !guest.gone.load(Ordering::Acquire));
        if leaving.len() >= GUESTS_MAX {
            std::thread::park_timeout(BACK_OFF);
            continue;
        }
        let mut rings = [PollFd::new(bell, PollFlags::IN)];
        match poll(&mut rings, Some(&LOOK_EVERY)) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => continue,
            Err(_) => std::thread::park_timeout(BACK_OFF),
        }
        match bell.accept() {
            Ok(line) => {
                if inside.len() >= GUESTS_MAX {
                    let oldest = inside.remove(0);
                    oldest.line.hang_up();
                    leaving.push(oldest);
                }
                match serve(line, service) {
                    Ok(guest) => inside.push(guest),
                    Err(error) => tracing::warn!(%error, "cannot serve a guest"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => std::thread::park_timeout(BACK_OFF),
        }
    }
}

fn serve(line: Line, service: &Arc<Service>) -> io::Result<Inside> {
    let gone = Arc::new(AtomicBool::new(false));
    let seen = Inside { line: line.again()?, gone: Arc::clone(&gone) };
    let service = Arc::clone(service);
    let mut guest = Guest { line, deadline: clock::monotonic() + GUEST_TIME };
    let leave = Leave(gone);
    std::thread::Builder::new().name("ferrule-guest".into()).stack_size(STACK_BYTES).spawn(
        move || {
            let _leave = leave;
            service(&mut guest);
            guest.line.hang_up();
        },
    )?;
    Ok(seen)
}

impl Bell {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(bell) => bell.set_nonblocking(true),
            Self::Unix(bell) => bell.set_nonblocking(true),
        }
    }

    fn accept(&self) -> io::Result<Line> {
        let line = match self {
            Self::Tcp(bell) => Line::Tcp(bell.accept()?.0),
            Self::Unix(bell) => Line::Unix(bell.accept()?.0),
        };
        match &line {
            Line::Tcp(line) => line.set_nonblocking(false)?,
            Line::Unix(line) => line.set_nonblocking(false)?,
        }
        Ok(line)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(bell) => bell.as_fd(),
            Self::Unix(bell) => bell.as_fd(),
        }
    }
}

impl Line {
    fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(line) => Self::Tcp(line.try_clone()?),
            Self::Unix(line) => Self::Unix(line.try_clone()?),
        })
    }

    fn hang_up(&self) {
        // It fails only where the peer was faster.
        drop(match self {
            Self::Tcp(line) => line.shutdown(Shutdown::Both),
            Self::Unix(line) => line.shutdown(Shutdown::Both),
        });
    }
}

impl Guest {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(clock::monotonic());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// Reads what is there, waiting up to the deadline.
    ///
    /// # Errors
    /// The connection's, or the deadline has passed.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.line {
            Line::Tcp(line) => {
                line.set_read_timeout(left)?;
                line.read(buf)
            }
            Line::Unix(line) => {
                line.set_read_timeout(left)?;
                line.read(buf)
            }
        }
    }

    /// Writes everything, up to the deadline.
    ///
    /// # Errors
    /// The connection's, or the deadline has passed.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = self.left()?;
            let written = match &mut self.line {
                Line::Tcp(line) => {
                    line.set_write_timeout(left)?;
                    line.write(bytes)?
                }
                Line::Unix(line) => {
                    line.set_write_timeout(left)?;
                    line.write(bytes)?
                }
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Has the other end hung up, or have we? Who only has nothing more to say is still there.
    pub(crate) fn has_left(&self) -> bool {
        let mut line = [match &self.line {
            Line::Tcp(line) => PollFd::new(line, PollFlags::empty()),
            Line::Unix(line) => PollFd::new(line, PollFlags::empty()),
        }];
        let looked = poll(&mut line, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let gone = PollFlags::HUP | PollFlags::ERR;
        looked.is_ok() && line.iter().any(|line| line.revents().intersects(gone))
    }

    /// The user at the other end of a Unix socket.
    pub(crate) fn user(&self) -> Option<u32> {
        match &self.line {
            Line::Unix(line) => {
                rustix::net::sockopt::socket_peercred(line).ok().map(|peer| peer.uid.as_raw())
            }
            Line::Tcp(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> (Door, std::net::SocketAddr) {
        let bell = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = bell.local_addr().unwrap();
        let service: Arc<Service> = Arc::new(|guest| {
            let mut buf = [0; 16];
            if let Ok(count) = guest.read(&mut buf) {
                drop(guest.write_all(&buf[..count]));
            }
        });
        (Door::open(Bell::Tcp(bell), service).unwrap(), address)
    }

    fn ask(address: std::net::SocketAddr) -> Vec<u8> {
        let mut line = TcpStream::connect(address).unwrap();
        line.write_all(b"hello").unwrap();
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).unwrap();
        answer
    }

    #[test]
    fn silent_guests_keep_nobody_out() {
        let (_door, address) = echo();
        let silent: Vec<_> = std::iter::repeat_with(|| TcpStream::connect(address).unwrap())
            .take(3 * GUESTS_MAX)
            .collect();
        for _ in 0..5 {
            assert_eq!(ask(address), b"hello");
        }
        drop(silent);
    }

    #[test]
    fn a_closed_door_is_closed() {
        let (door, address) = echo();
        assert_eq!(ask(address), b"hello");
        drop(door);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn who_has_nothing_more_to_say_has_not_left() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let guest = Guest { line: Line::Unix(ours), deadline: clock::monotonic() };
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!guest.has_left());
        drop(theirs);
        assert!(guest.has_left());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let guest = Guest { line: Line::Unix(ours), deadline: clock::monotonic() };
        guest.line.hang_up();
        assert!(guest.has_left());
    }

    #[test]
    fn a_guest_has_to_leave_in_time() {
        let bell = UnixStream::pair().unwrap();
        let mut guest = Guest { line: Line::Unix(bell.0), deadline: clock::monotonic() };
        assert_eq!(guest.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(guest.write_all(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(guest.user(), Some(rustix::process::geteuid().as_raw()));
    }
}
