//! One connection to a server of a store: bounded in time and in bytes.
//!
//! The crate `redis` writes commands and reads answers. Its own connections wait for each read anew and take
//! answers of any length; here an exchange as a whole has an end, and so has what may be read of it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_config::model::{Store, StoreNode};
use redis::{Cmd, Parser, Value};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::fault::StoreFault;
use crate::control::process::clock;
use crate::limits::StoreOutcome;
use crate::tls::client::{UpstreamTls, reason};

/// Of the answers to one exchange. A pipeline of the script's has 20 KB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A socket with an end in time and in bytes.
#[derive(Debug)]
struct BoundedSocket {
    socket: TcpStream,
    ends: Instant,
    bytes_left: usize,
    /// Why it has ended.
    ended: Option<StoreOutcome>,
}

impl BoundedSocket {
    fn begin(&mut self, timeout: Duration) {
        self.ends = clock::monotonic() + timeout;
        self.bytes_left = ANSWER_BYTES_MAX;
    }

    /// How long it may still take; never nothing, which a socket would take for no end at all.
    fn time_left(&mut self) -> io::Result<Duration> {
        let left = self.ends.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(self.end(StoreOutcome::Timeout));
        }
        Ok(left.max(Duration::from_millis(1)))
    }

    fn end(&mut self, outcome: StoreOutcome) -> io::Error {
        self.ended.get_or_insert(outcome);
        io::Error::other(outcome.word())
    }

    /// What became of one call; `None` is to be tried again.
    fn done(&mut self, called: io::Result<usize>) -> Option<io::Result<usize>> {
        let error = match called {
            Ok(bytes) => return Some(Ok(bytes)),
            Err(error) => error,
        };
        Some(Err(match error.kind() {
            io::ErrorKind::Interrupted => return None,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.end(StoreOutcome::Timeout),
            _ => self.end(StoreOutcome::Closed),
        }))
    }

    /// Has it said something that nobody has asked for, or ended?
    fn has_unread(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(!matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
    }
}

impl Read for BoundedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.bytes_left);
        if most == 0 && !buffer.is_empty() {
            return Err(self.end(StoreOutcome::Nonsense));
        }
        loop {
            let left = self.time_left()?;
            self.socket.set_read_timeout(Some(left))?;
            let called = self.socket.read(buffer.get_mut(..most).unwrap_or_default());
            let Some(done) = self.done(called) else { continue };
            let read = done?;
            if read == 0 && most > 0 {
                self.ended.get_or_insert(StoreOutcome::Closed);
            }
            self.bytes_left = self.bytes_left.saturating_sub(read);
            return Ok(read);
        }
    }
}

impl Write for BoundedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let left = self.time_left()?;
            self.socket.set_write_timeout(Some(left))?;
            let called = self.socket.write(bytes);
            if let Some(done) = self.done(called) {
                return done;
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// With TLS or without.
enum StoreStream {
    Plain(BoundedSocket),
    Tls(Box<StreamOwned<ClientConnection, BoundedSocket>>),
}

impl StoreStream {
    fn socket(&mut self) -> &mut BoundedSocket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream,
        }
    }
}

/// A connection to one server, logged in.
pub(super) struct StoreConnection {
    stream: StoreStream,
    timeout: Duration,
}

impl StoreConnection {
    /// Connects, and logs in.
    pub(super) fn open(
        store: &Store,
        node: &StoreNode,
        tls: Option<&UpstreamTls>,
    ) -> Result<Self, StoreFault> {
        let mut socket = connect(node, store.timeout)?;
        socket.begin(store.timeout);
        let stream = match tls {
            None => StoreStream::Plain(socket),
            Some(tls) => handshake(socket, node, tls)?,
        };
        let mut connection = Self { stream, timeout: store.timeout };
        connection.log_in(store)?;
        Ok(connection)
    }

    fn log_in(&mut self, store: &Store) -> Result<(), StoreFault> {
        let mut commands = Vec::new();
        if let Some(password) = &store.password {
            let mut auth = redis::cmd("AUTH");
            if let Some(name) = &store.username {
                auth.arg(name);
            }
            auth.arg(password.reveal());
            commands.push(auth);
        }
        if store.database > 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(store.database);
            commands.push(select);
        }
        commands.push(redis::cmd("PING"));
        for answer in self.exchange(&commands)? {
            match answer {
                Value::Okay | Value::SimpleString(_) => {}
                Value::ServerError(error) => {
                    let fault = StoreFault::answered(&error);
                    // An old server says no more than ERR to a wrong password.
                    return Err(match (store.password.is_some(), fault.outcome) {
                        (true, StoreOutcome::Refused) if error.code() == "ERR" => {
                            let words = "it does not take the password, or has no such database";
                            StoreFault::new(StoreOutcome::Login, words)
                        }
                        _ => fault,
                    });
                }
                _ => return Err(nonsense()),
            }
        }
        Ok(())
    }

    /// Sends commands, and reads an answer to each. More answers than commands are a fault: nobody could tell
    /// whose the next ones are.
    pub(super) fn exchange(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, StoreFault> {
        if let StoreStream::Plain(socket) = &self.stream
            && socket.has_unread().unwrap_or(true)
        {
            let words = "it has closed the connection, or says what nobody has asked for";
            return Err(StoreFault::new(StoreOutcome::Closed, words));
        }
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
        self.stream.socket().begin(self.timeout);
        let sent = match &mut self.stream {
            StoreStream::Plain(socket) => socket.write_all(&bytes),
            StoreStream::Tls(stream) => stream.write_all(&bytes).and_then(|()| stream.flush()),
        };
        sent.map_err(|_| self.fault(StoreOutcome::Closed))?;
        let (mut parser, mut answers) = (Parser::new(), Vec::with_capacity(commands.len()));
        for _ in commands {
            let answer = parser.parse_value(self.stream.reader());
            answers.push(answer.map_err(|_| self.fault(StoreOutcome::Nonsense))?);
        }
        // What it has read beyond the last answer.
        match parser.parse_value(io::empty()) {
            Ok(_) => Err(nonsense()),
            Err(_) => Ok(answers),
        }
    }

    fn fault(&mut self, otherwise: StoreOutcome) -> StoreFault {
        match self.stream.socket().ended.unwrap_or(otherwise) {
            StoreOutcome::Timeout => StoreFault::new(StoreOutcome::Timeout, "no answer in time"),
            StoreOutcome::Nonsense => nonsense(),
            outcome => StoreFault::new(outcome, "it has closed the connection"),
        }
    }
}

/// What it says is no answer.
pub(super) fn nonsense() -> StoreFault {
    StoreFault::new(StoreOutcome::Nonsense, "what it answers is none that was asked for")
}

/// The first address that takes the connection. Names are looked up here, on the store's own thread.
fn connect(node: &StoreNode, timeout: Duration) -> Result<BoundedSocket, StoreFault> {
    let fault = |error: &io::Error| {
        let outcome = match error.kind() {
            io::ErrorKind::TimedOut => StoreOutcome::Timeout,
            _ => StoreOutcome::Connect,
        };
        StoreFault::new(outcome, format!("{node}: {error}"))
    };
    let ends = clock::monotonic() + timeout;
    let addresses = (node.host.as_str(), node.port).to_socket_addrs();
    let mut last = StoreFault::new(StoreOutcome::Connect, format!("{node}: no address"));
    for address in addresses.map_err(|error| fault(&error))? {
        let left = ends.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(StoreFault::new(
                StoreOutcome::Timeout,
                format!("{node}: no connection in time"),
            ));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                // A pipeline is one write: without it the last segment would wait.
                socket.set_nodelay(true).map_err(|error| fault(&error))?;
                return Ok(BoundedSocket {
                    socket,
                    ends,
                    bytes_left: ANSWER_BYTES_MAX,
                    ended: None,
                });
            }
            Err(error) => last = fault(&error),
        }
    }
    Err(last)
}

fn handshake(
    mut socket: BoundedSocket,
    node: &StoreNode,
    tls: &UpstreamTls,
) -> Result<StoreStream, StoreFault> {
    let refused = |words: &str| StoreFault::new(StoreOutcome::Tls, format!("{node}: {words}"));
    let mut config = ClientConfig::clone(&tls.check_config());
    // It speaks no HTTP.
    config.alpn_protocols.clear();
    let session = ClientConnection::new(Arc::new(config), tls.server_name(&node.host));
    let mut session = session.map_err(|error| refused(reason(&error)))?;
    while session.is_handshaking() {
        if let Err(error) = session.complete_io(&mut socket) {
            let failure = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return Err(match (failure, socket.ended) {
                (Some(failure), _) => refused(reason(failure)),
                (None, Some(StoreOutcome::Timeout)) => StoreFault::new(
                    StoreOutcome::Timeout,
                    format!("{node}: no TLS handshake in time"),
                ),
                (None, _) => refused("it has ended the handshake"),
            });
        }
    }
    Ok(StoreStream::Tls(Box::new(StreamOwned::new(session, socket))))
}
