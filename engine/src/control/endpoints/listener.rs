//! The listener of an endpoint, with bounds on what its clients can cost.
//!
//! One thread accepts. A short-lived thread serves each connection with blocking reads and writes, all of
//! them under the connection's deadline. At most [`CONNECTIONS_MAX`] connections are open; the next one
//! closes the oldest, so that clients who send nothing cannot keep others out.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::{EndpointConnection, EndpointStream};
use crate::control::process::clock;
use crate::report::RateLimit;

/// Connections that are open at a time.
pub(crate) const CONNECTIONS_MAX: usize = 16;
/// How long a connection may last, reading and writing together.
pub(crate) const CONNECTION_TIME: Duration = Duration::from_secs(3);
/// How often the accept loop checks whether it is to end.
const CLOSING_CHECK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Pause after an accept that failed: without descriptors, another try at once would fail too.
const BACK_OFF: Duration = Duration::from_millis(100);
/// The stack of a thread that serves a connection or accepts them.
const STACK_BYTES: usize = 512 * 1024;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum EndpointSocket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// Serves one connection.
pub(crate) type Service = dyn Fn(&mut EndpointConnection) + Send + Sync;

/// An open endpoint. When it is dropped, it closes.
pub(crate) struct EndpointListener {
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EndpointListener {
    /// Starts the thread that accepts connections on this socket. `name` is the endpoint's in the log.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking, or the thread cannot be started.
    pub(crate) fn open(
        name: &'static str,
        socket: EndpointSocket,
        service: Arc<Service>,
    ) -> io::Result<Self> {
        socket.set_nonblocking()?;
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let thread = std::thread::Builder::new()
            .name("ferrule-accept".into())
            .stack_size(STACK_BYTES)
            .spawn(move || accept_loop(name, &socket, &service, &seen))?;
        Ok(Self { closing, thread: Some(thread) })
    }
}

impl Drop for EndpointListener {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It ends within one check. A panic of the thread was reported by the panic hook.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for EndpointListener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EndpointListener")
    }
}

/// An open connection, as the accept loop knows it.
struct OpenConnection {
    stream: EndpointStream,
    finished: Arc<AtomicBool>,
}

/// Sets its flag when it is dropped: the connection is finished, even if serving it panics.
struct FinishedFlag(Arc<AtomicBool>);

impl Drop for FinishedFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn accept_loop(
    endpoint: &str,
    socket: &EndpointSocket,
    service: &Arc<Service>,
    closing: &Arc<AtomicBool>,
) {
    let mut complaints = RateLimit::<1>::new(1);
    let mut open: Vec<OpenConnection> = Vec::new();
    // Shut down to make room, but their threads have not ended yet.
    let mut leaving: Vec<OpenConnection> = Vec::new();
    while !closing.load(Ordering::Acquire) {
        // Our duplicate of the stream would keep a finished connection open.
        open.retain(|connection| !connection.finished.load(Ordering::Acquire));
        leaving.retain(|connection| !connection.finished.load(Ordering::Acquire));
        if leaving.len() >= CONNECTIONS_MAX {
            std::thread::park_timeout(BACK_OFF);
            continue;
        }
        let mut waiting = [PollFd::new(socket, PollFlags::IN)];
        match poll(&mut waiting, Some(&CLOSING_CHECK_EVERY)) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => continue,
            Err(_) => std::thread::park_timeout(BACK_OFF),
        }
        match socket.accept() {
            Ok(stream) => {
                if open.len() >= CONNECTIONS_MAX {
                    let oldest = open.remove(0);
                    oldest.stream.shut_down();
                    leaving.push(oldest);
                }
                match serve(stream, service, closing) {
                    Ok(connection) => open.push(connection),
                    Err(error) => {
                        let second = clock::unix_seconds().unsigned_abs();
                        if let Some(suppressed) = complaints.allow(0, second) {
                            tracing::warn!(endpoint, %error, suppressed, "cannot serve a connection");
                        }
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => std::thread::park_timeout(BACK_OFF),
        }
    }
}

fn serve(
    stream: EndpointStream,
    service: &Arc<Service>,
    closing: &Arc<AtomicBool>,
) -> io::Result<OpenConnection> {
    let finished = Arc::new(AtomicBool::new(false));
    let open = OpenConnection { stream: stream.try_clone()?, finished: Arc::clone(&finished) };
    let service = Arc::clone(service);
    let (deadline, closing) = (clock::monotonic() + CONNECTION_TIME, Arc::clone(closing));
    let mut connection = EndpointConnection { stream, deadline, closing };
    let flag = FinishedFlag(finished);
    std::thread::Builder::new().name("ferrule-endpoint".into()).stack_size(STACK_BYTES).spawn(
        move || {
            let _flag = flag;
            service(&mut connection);
            connection.stream.shut_down();
        },
    )?;
    Ok(open)
}

impl EndpointSocket {
    /// Another descriptor of it, for a process that takes it over.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    fn accept(&self) -> io::Result<EndpointStream> {
        let stream = match self {
            Self::Tcp(socket) => EndpointStream::Tcp(socket.accept()?.0),
            Self::Unix(socket) => EndpointStream::Unix(socket.accept()?.0),
        };
        match &stream {
            EndpointStream::Tcp(stream) => stream.set_nonblocking(false)?,
            EndpointStream::Unix(stream) => stream.set_nonblocking(false)?,
        }
        Ok(stream)
    }
}

impl AsFd for EndpointSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn echo() -> (EndpointListener, std::net::SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let service: Arc<Service> = Arc::new(|connection| {
            let mut buf = [0; 16];
            if let Ok(count) = connection.read(&mut buf) {
                drop(connection.write_all(&buf[..count]));
            }
        });
        (EndpointListener::open("metrics", EndpointSocket::Tcp(socket), service).unwrap(), address)
    }

    fn ask(address: std::net::SocketAddr) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    #[test]
    fn silent_connections_keep_nobody_out() {
        let (_listener, address) = echo();
        let silent: Vec<_> = std::iter::repeat_with(|| TcpStream::connect(address).unwrap())
            .take(3 * CONNECTIONS_MAX)
            .collect();
        for _ in 0..5 {
            assert_eq!(ask(address), b"hello");
        }
        drop(silent);
    }

    #[test]
    fn a_dropped_listener_is_closed() {
        let (listener, address) = echo();
        assert_eq!(ask(address), b"hello");
        drop(listener);
        assert!(TcpStream::connect(address).is_err());
    }
}
