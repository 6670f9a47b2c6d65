//! A node that lies where it is told to, and notices if a connection is used again over which it has lied.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ferrule_tests::{Conversation, PATIENCE};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What ends a lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finish {
    /// The end of the stream; over TLS without its goodbye.
    Ends,
    Resets,
    /// Nothing: it is for the gateway to leave.
    Stalls,
}

/// Where in the life of a connection it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// Before anything is read.
    Accepted,
    /// When something has come: of a handshake, or of a request.
    FirstBytes,
    /// Behind the handshake, before a request is read.
    Ready,
    /// Instead of an answer to a request that was read.
    Asked,
}

/// What is done once; over the next connection, the node is honest.
#[derive(Clone, Debug)]
pub(super) struct Lie {
    pub(super) when: When,
    /// Sent first: as it is before a handshake, within TLS behind it.
    pub(super) says: Vec<u8>,
    pub(super) finish: Finish,
}

pub(super) struct Node {
    pub(super) port: u16,
    state: Arc<NodeState>,
}

struct NodeState {
    next: Mutex<Option<Lie>>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    accepted: AtomicUsize,
    reused: AtomicUsize,
    over: AtomicBool,
}

/// The length of the head of an honest answer.
pub(super) fn head_len(answer: &[u8]) -> usize {
    answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4
}

/// An honest answer to this target, which it repeats.
pub(super) fn answer(target: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
}

impl Node {
    pub(super) fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(NodeState {
            next: Mutex::new(None),
            tls: Mutex::new(tls),
            accepted: AtomicUsize::new(0),
            reused: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                serving.accepted.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&serving);
                thread::spawn(move || state.serve(&stream));
            }
        });
        Self { port, state }
    }

    /// The next connection that comes to where this lie begins is lied to.
    pub(super) fn tell(&self, lie: Lie) {
        *self.state.next() = Some(lie);
    }

    /// Has the lie been told?
    pub(super) fn has_lied(&self) -> bool {
        self.state.next().is_none()
    }

    /// New connections are shown this certificate.
    pub(super) fn show(&self, tls: Arc<ServerConfig>) {
        *self.state.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(tls);
    }

    pub(super) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Requests over connections that nothing should have been sent over any more.
    pub(super) fn reused(&self) -> usize {
        self.state.reused.load(Ordering::SeqCst)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// A lie that a target asks for: `/lie/WAY/BYTES`.
fn asked_for(target: &str) -> Option<Lie> {
    let (way, bytes) = target.strip_prefix("/lie/")?.split_once('/')?;
    let says = answer(target);
    let says = says[..bytes.parse::<usize>().ok()?.min(says.len())].to_vec();
    let finish = match way {
        "ends" => Finish::Ends,
        "resets" => Finish::Resets,
        _ => Finish::Stalls,
    };
    Some(Lie { when: When::Asked, says, finish })
}

impl NodeState {
    fn next(&self) -> std::sync::MutexGuard<'_, Option<Lie>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, when: When) -> Option<Lie> {
        self.next().take_if(|lie| lie.when == when)
    }

    fn serve(&self, stream: &TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut raw = stream.try_clone().expect("a descriptor");
        if let Some(lie) = self.due(When::Accepted) {
            return self.lie(&mut raw, stream, &lie);
        }
        if self.next().as_ref().is_some_and(|lie| lie.when == When::FirstBytes) {
            let mut some = [0; 16];
            if !raw.read(&mut some).is_ok_and(|count| count > 0) {
                return;
            }
            if let Some(lie) = self.due(When::FirstBytes) {
                return self.lie(&mut raw, stream, &lie);
            }
        }
        let tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(tls) = tls else { return self.talk(raw, stream) };
        let mut session = ServerConnection::new(tls).expect("a session");
        while session.is_handshaking() {
            if session.complete_io(&mut raw).is_err() {
                return;
            }
        }
        self.talk(StreamOwned::new(session, raw), stream);
    }

    fn talk(&self, stream: impl Read + Write, socket: &TcpStream) {
        let mut talk = Conversation::new(stream);
        if let Some(lie) = self.due(When::Ready) {
            return self.lie(&mut talk.stream, socket, &lie);
        }
        let mut lied = false;
        while let Ok(Some(message)) = talk.request() {
            if lied {
                self.reused.fetch_add(1, Ordering::SeqCst);
            }
            let target = message.head.target();
            if let Some(lie) = self.due(When::Asked).or_else(|| asked_for(target)) {
                return self.lie(&mut talk.stream, socket, &lie);
            }
            let mut bytes = answer(target);
            // A second answer, or something else, behind the first.
            match target.split('/').nth(1) {
                Some("twice") => bytes.extend(answer("/evil")),
                Some("surplus") => bytes.extend(b"\r\nevil"),
                _ => {}
            }
            lied = !target.starts_with("/honest");
            if talk.stream.write_all(&bytes).and_then(|()| talk.stream.flush()).is_err() {
                return;
            }
        }
    }

    fn lie(&self, stream: &mut (impl Read + Write), socket: &TcpStream, lie: &Lie) {
        drop(stream.write_all(&lie.says).and_then(|()| stream.flush()));
        match lie.finish {
            Finish::Ends => drop(socket.shutdown(Shutdown::Write)),
            Finish::Resets => {
                let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
                // The last holder of the descriptor resets.
                return;
            }
            Finish::Stalls => {}
        }
        // A request behind the end of its answer would be a second one.
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        if rest.windows(5).any(|five| five == b"GET /") && lie.when == When::Asked {
            self.reused.fetch_add(1, Ordering::SeqCst);
        }
    }
}
