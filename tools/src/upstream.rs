//! A server behind the gateway that does as its script says and remembers what it saw.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::clock::PATIENCE;
use crate::http::{Conversation, Message};
use crate::process::free_port;

/// Anything that carries bytes both ways.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// One accepted connection, as the script sees it.
pub struct Client {
    /// Which connection this is, counted from 0.
    pub number: usize,
    /// The client's certificate, if it showed one.
    pub certificate: Option<Vec<u8>>,
    /// The bytes.
    pub talk: Conversation<Box<dyn Stream>>,
    seen: Arc<Mutex<Vec<ReceivedRequest>>>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// On which connection.
    pub connection: usize,
    /// What came.
    pub message: Message,
}

/// A running upstream. Ends with the value.
pub struct Upstream {
    /// Where it listens on 127.0.0.1 (0 for a Unix socket).
    pub port: u16,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<ReceivedRequest>>>,
    stop: Arc<AtomicBool>,
    wake: Box<dyn Fn() + Send + Sync>,
    listener: Option<JoinHandle<()>>,
}

/// What to do with one connection.
pub type Script = Arc<dyn Fn(&mut Client) + Send + Sync>;

impl Client {
    /// The next request, remembered; `None` when there is no further one.
    pub fn request(&mut self) -> Option<Message> {
        let message = self.talk.request().ok().flatten()?;
        let seen = ReceivedRequest { connection: self.number, message: message.clone() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        Some(message)
    }

    /// Sends these bytes; false if the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.talk.send(bytes).is_ok()
    }

    /// Sends a 200 with this body and its length.
    pub fn answer(&mut self, body: &[u8]) -> bool {
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        bytes.push_str(&String::from_utf8_lossy(body));
        self.send(bytes.as_bytes())
    }
}

/// Answers every request with its own head.
#[must_use]
pub fn echo() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            if !client.answer(message.head.raw.as_bytes()) {
                return;
            }
        }
    })
}

impl Upstream {
    /// On a free TCP port.
    #[must_use]
    pub fn plain(script: Script) -> Self {
        Self::on(free_port(), None, script)
    }

    /// On a free TCP port, over TLS.
    #[must_use]
    pub fn tls(config: Arc<ServerConfig>, script: Script) -> Self {
        Self::on(free_port(), Some(config), script)
    }

    /// On this TCP port.
    #[must_use]
    pub fn on(port: u16, tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, port).into(), tls, script)
    }

    /// On this address.
    #[must_use]
    pub fn at(address: SocketAddr, tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        let port = address.port();
        let listener = TcpListener::bind(address).expect("a free port");
        let accept = move || -> io::Result<Accepted> {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            Ok(match &tls {
                None => Accepted::Plain(Box::new(stream)),
                Some(config) => Accepted::Tls(stream, Arc::clone(config)),
            })
        };
        let wake = move || drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)));
        Self::run(port, accept, Box::new(wake), script)
    }

    /// On this Unix socket.
    #[must_use]
    pub fn unix(path: &Path, script: Script) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let accept = move || -> io::Result<Accepted> {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Accepted::Plain(Box::new(stream)))
        };
        let path = path.to_path_buf();
        let wake = move || drop(std::os::unix::net::UnixStream::connect(&path));
        Self::run(0, accept, Box::new(wake), script)
    }

    fn run(
        port: u16,
        accept: impl Fn() -> io::Result<Accepted> + Send + 'static,
        wake: Box<dyn Fn() + Send + Sync>,
        script: Script,
    ) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, log, end) = (Arc::clone(&accepted), Arc::clone(&seen), Arc::clone(&stop));
        let listener = thread::spawn(move || {
            loop {
                let Ok(stream) = accept() else { return };
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (Arc::clone(&script), Arc::clone(&log));
                thread::spawn(move || {
                    let Some((stream, certificate)) = stream.begin() else { return };
                    let talk = Conversation::new(stream);
                    script(&mut Client { number, certificate, talk, seen });
                });
            }
        });
        Self { port, accepted, seen, stop, wake, listener: Some(listener) }
    }

    /// Connections so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<ReceivedRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        (self.wake)();
        if let Some(listener) = self.listener.take() {
            // A script that panicked has said so already.
            let _ = listener.join();
        }
    }
}

/// A stream past its handshake, and the client's certificate.
type Begun = (Box<dyn Stream>, Option<Vec<u8>>);

enum Accepted {
    Plain(Box<dyn Stream>),
    Tls(TcpStream, Arc<ServerConfig>),
}

impl Accepted {
    /// The handshake, on the connection's own thread.
    fn begin(self) -> Option<Begun> {
        match self {
            Self::Plain(stream) => Some((stream, None)),
            Self::Tls(stream, config) => {
                let mut stream = stream;
                let mut session = ServerConnection::new(config).ok()?;
                while session.is_handshaking() {
                    if session.complete_io(&mut stream).is_err() {
                        let _ = stream.shutdown(Shutdown::Both);
                        return None;
                    }
                }
                let certificate = session.peer_certificates().and_then(|chain| chain.first());
                let certificate = certificate.map(|leaf| leaf.to_vec());
                Some((Box::new(StreamOwned::new(session, stream)), certificate))
            }
        }
    }
}
