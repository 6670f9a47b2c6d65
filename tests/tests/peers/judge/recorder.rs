//! The upstream that keeps every byte, stamps every answer, and answers badly where it is told to.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferrule_tests::{PATIENCE, free_port, poll};

use super::line::{End, Keys, Stream, read_on};
use super::message::{Kind, Message};
use super::reading;
use super::ways::STRICT;

/// A piece of a bad answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Pause(u64),
    /// Ends the connection; without one it goes on with the next request.
    Close,
}

/// What to do for a request whose target ends like this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) target: String,
    pub(crate) steps: Vec<Step>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) message: Message,
}

#[derive(Default)]
struct Connection {
    bytes: Vec<u8>,
    /// Where the first message begins that is not yet whole.
    pending: usize,
    open: bool,
}

#[derive(Default)]
struct Log {
    connections: Vec<Connection>,
    seen: Vec<Seen>,
    script: Script,
    stamp: u64,
}

/// A running upstream. Ends with the value.
pub(crate) struct Recorder {
    pub(crate) port: u16,
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

/// Where everything stood at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    connections: Vec<usize>,
    seen: usize,
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    pub(crate) fn start(keys: &Keys) -> Self {
        let port = free_port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).expect("a free port");
        let (log, stop) = (Arc::<Mutex<Log>>::default(), Arc::<AtomicBool>::default());
        let (shared, end, keys) = (Arc::clone(&log), Arc::clone(&stop), keys.clone());
        let listener = thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (log, keys) = (Arc::clone(&shared), keys.clone());
                thread::spawn(move || serve(&keys, socket, &log));
            }
        });
        Self { port, log, stop, listener: Some(listener) }
    }

    /// Now.
    pub(crate) fn mark(&self) -> Mark {
        let log = lock(&self.log);
        Mark {
            connections: log.connections.iter().map(|c| c.bytes.len()).collect(),
            seen: log.seen.len(),
        }
    }

    pub(crate) fn play(&self, script: Script) {
        lock(&self.log).script = script;
    }

    /// Waits until no open connection is within a message.
    pub(crate) fn settle(&self) {
        let _ = poll(Duration::from_millis(500), || {
            let log = lock(&self.log);
            let rest = |c: &Connection| c.open && c.pending < c.bytes.len();
            (!log.connections.iter().any(rest)).then_some(())
        });
    }

    /// What came on each connection since then, and the requests in it in their order.
    pub(crate) fn since(&self, mark: &Mark) -> (Vec<Vec<u8>>, Vec<Seen>) {
        let log = lock(&self.log);
        let pieces = log.connections.iter().enumerate().map(|(at, connection)| {
            let from = mark.connections.get(at).copied().unwrap_or(0);
            connection.bytes.get(from..).unwrap_or_default().to_vec()
        });
        let pieces = pieces.filter(|bytes| !bytes.is_empty()).collect();
        (pieces, log.seen.get(mark.seen..).unwrap_or_default().to_vec())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn serve(keys: &Keys, socket: TcpStream, log: &Mutex<Log>) {
    let Ok(mut stream) = keys.accept(socket) else { return };
    let number = {
        let mut log = lock(log);
        log.connections.push(Connection { open: true, ..Connection::default() });
        log.connections.len() - 1
    };
    while let Some(message) = next(stream.as_mut(), log, number) {
        if !answer(stream.as_mut(), log, &message) {
            break;
        }
    }
    stream.finish();
    // What still comes is kept too: it may be the rest of an attack.
    let mut rest = Vec::new();
    while read_on(stream.as_mut(), Duration::from_millis(20), &mut rest) == End::Quiet {
        let mut log = lock(log);
        log.connections[number].bytes.append(&mut rest);
        log.connections[number].open = false;
    }
    let mut log = lock(log);
    log.connections[number].bytes.append(&mut rest);
    log.connections[number].open = false;
}

/// The next whole request; nothing if the connection ends or the bytes are none.
fn next(stream: &mut dyn Stream, log: &Mutex<Log>, number: usize) -> Option<Message> {
    let mut piece = vec![0; 65_536];
    stream.socket().set_read_timeout(Some(PATIENCE)).ok()?;
    loop {
        {
            let mut log = lock(log);
            let Log { connections, seen, .. } = &mut *log;
            let connection = &mut connections[number];
            let pending = connection.bytes.get(connection.pending..).unwrap_or_default();
            match reading::one(pending, Kind::Request, &STRICT) {
                Ok(Some((message, len))) => {
                    connection.pending += len;
                    seen.push(Seen { message: message.clone() });
                    return Some(message);
                }
                Ok(None) => {}
                Err(_) => {
                    drop(log);
                    let _ = stream.write_all(
                        b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nX-Recorder: bad\r\nConnection: close\r\n\r\n",
                    );
                    return None;
                }
            }
        }
        let count = match stream.read(&mut piece) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            _ => return None,
        };
        lock(log).connections[number].bytes.extend_from_slice(&piece[..count]);
    }
}

/// Answers; false if the connection ends.
fn answer(stream: &mut dyn Stream, log: &Mutex<Log>, request: &Message) -> bool {
    let target = request.target.escape_ascii().to_string();
    let (stamp, script) = {
        let mut log = lock(log);
        log.stamp += 1;
        let mine = !log.script.target.is_empty() && target.ends_with(&log.script.target);
        (log.stamp, mine.then(|| log.script.steps.clone()))
    };
    let Some(steps) = script else {
        return stream.write_all(&honest(stamp, request, &target)).is_ok() && !request.closes();
    };
    for step in VecDeque::from(steps) {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                    return false;
                }
            }
            Step::Pause(millis) => thread::park_timeout(Duration::from_millis(millis)),
            Step::Close => return false,
        }
    }
    true
}

fn honest(stamp: u64, request: &Message, target: &str) -> Vec<u8> {
    let body = format!("stamp {stamp} for {target}\n");
    let status = if request.first == b"CONNECT" { "405 No" } else { "200 OK" };
    let head = format!(
        "HTTP/1.1 {status}\r\nX-Stamp: {stamp}\r\nX-Target: {target}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let body = if request.first == b"HEAD" { "" } else { &body };
    [head.as_bytes(), body.as_bytes()].concat()
}
