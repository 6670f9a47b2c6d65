//! Load from a few threads: many keep-alive connections, many new ones, uploads, or idle ones by the
//! ten thousand.
//!
//! Every thread has an epoll instance, its share of the connections, and one part of the schedule.
//! With a rate, the time of every request is fixed beforehand, and latency counts from it: a request
//! that is due while all connections are busy waits in a queue and goes out late, so that a stalled
//! server is charged for everything it kept from being sent (no coordinated omission).
//!
//! Connections are made and used once, and sessions gathered, before the clock starts.

mod connection;
mod histogram;
mod report;
mod response;
mod serial;
mod slot;
mod tickets;
mod worker;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub use self::histogram::Histogram;
pub use self::serial::serial;
use self::worker::Worker;
use crate::clock::now;

/// What to do.
#[derive(Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: SocketAddr,
    /// Over TLS, with these settings, to this name.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// What is sent.
    pub request: Request,
    /// On what kind of connections.
    pub kind: Kind,
    /// Small writes wait for the acknowledgement of what was sent before (no `TCP_NODELAY`).
    pub nagle: bool,
    /// How many connections at once.
    pub connections: usize,
    /// How many threads share them.
    pub threads: usize,
    /// When to stop.
    pub time: Duration,
    /// Requests a second, all connections together; 0 is as fast as they are answered.
    pub rate: u64,
}

/// What happens to a connection behind a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It serves the next request.
    Kept,
    /// A new one takes its place, with the session settings of the plan.
    Fresh,
    /// A new one takes its place, and resumes a session.
    Resumed,
    /// It is held without a request, then asked whether it still lives.
    Idle,
}

/// A request as it is sent: a head, and a body of any length.
#[derive(Clone, Debug)]
pub struct Request {
    /// The head and the beginning of the body.
    start: Vec<u8>,
    total: u64,
    body: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answered with a status below 400.
    pub answered: u64,
    /// Answered otherwise, or not at all; by reason.
    pub failed: BTreeMap<String, u64>,
    /// TLS handshakes, full ones.
    pub full: u64,
    /// TLS handshakes, resumed ones.
    pub resumed: u64,
    /// Connections made.
    pub connections: u64,
    /// Bytes of bodies: of what was sent with uploads, otherwise of what was answered.
    pub bytes: u64,
    /// How often each server certificate was seen, by its serial number.
    pub serials: BTreeMap<String, u64>,
    /// From the intended time of an answered request to the last byte of its response.
    pub latency: Histogram,
    /// How long it ran.
    pub elapsed: Duration,
    /// Idle connections that had one answer, and so were held.
    pub held: u64,
    /// Those of them that answered at the end.
    pub alive: u64,
}

/// The body of every upload, over and over.
const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+\n";

/// So much of a body is at hand in one piece.
const PIECE: usize = 64 * 1024;

impl Request {
    /// A GET that leaves the connection open, or has it closed.
    #[must_use]
    pub fn get(host: &str, path: &str, kind: Kind) -> Self {
        let close = match kind {
            Kind::Kept | Kind::Idle => "",
            Kind::Fresh | Kind::Resumed => "Connection: close\r\n",
        };
        Self::new(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n"), 0)
    }

    /// A POST with a body of so many bytes.
    #[must_use]
    pub fn upload(host: &str, path: &str, body: u64) -> Self {
        let length = format!("Content-Length: {body}\r\nContent-Type: text/plain\r\n");
        Self::new(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n"), body)
    }

    fn new(head: String, body: u64) -> Self {
        let mut start = head.into_bytes();
        let total = count(start.len()) + body;
        // The pieces that follow begin where the letters begin.
        let first = usize::try_from(body).unwrap_or(PIECE).min(PIECE);
        start.extend(LETTERS.iter().cycle().take(first));
        Self { start, total, body }
    }

    const fn total(&self) -> u64 {
        self.total
    }

    /// Some of the bytes from this one on.
    fn at(&self, sent: u64) -> &[u8] {
        let left = usize::try_from(self.total.saturating_sub(sent)).unwrap_or(usize::MAX);
        let from = usize::try_from(sent).unwrap_or(usize::MAX);
        let piece = match self.start.get(from..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => {
                // The last piece of the start is whole letters, and so is every one behind it.
                let behind = from.saturating_sub(self.start.len()) % LETTERS.len();
                let letters = self.start.len().saturating_sub(PIECE) + behind;
                self.start.get(letters..).unwrap_or_default()
            }
        };
        piece.get(..left.min(piece.len())).unwrap_or_default()
    }
}

impl Outcome {
    /// All failures.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn merge(&mut self, other: Self) {
        self.answered += other.answered;
        self.full += other.full;
        self.resumed += other.resumed;
        self.connections += other.connections;
        self.bytes += other.bytes;
        self.held += other.held;
        self.alive += other.alive;
        for (mine, theirs) in [(&mut self.failed, other.failed), (&mut self.serials, other.serials)]
        {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        self.latency.merge(&other.latency);
    }

    fn fail(&mut self, reason: &str) {
        if let Some(count) = self.failed.get_mut(reason) {
            *count += 1;
        } else {
            self.failed.insert(reason.to_owned(), 1);
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Runs the plan to its end.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    run_held(plan, || ())
}

/// Runs the plan to its end; `hold` comes when all connections are made, and the clock starts when it
/// is done.
#[must_use]
pub fn run_held(plan: &Plan, hold: impl FnOnce()) -> Outcome {
    let threads = plan.threads.clamp(1, plan.connections.max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let (warm, is_warm) = mpsc::channel::<()>();
                let (go, start) = mpsc::channel::<Instant>();
                let work = move || {
                    let mut worker = Worker::new(plan, number, threads);
                    worker.warm_up();
                    // The other ends live as long as we do, unless a thread panics, which is told.
                    let _ = warm.send(());
                    start.recv().map_or_else(|_| Outcome::default(), |start| worker.run(start))
                };
                (is_warm, go, scope.spawn(work))
            })
            .collect();
        for (is_warm, ..) in &workers {
            let _ = is_warm.recv();
        }
        hold();
        let start = now();
        for (_, go, _) in &workers {
            let _ = go.send(start);
        }
        let mut all = Outcome::default();
        for (_, _, thread) in workers {
            all.merge(thread.join().expect("a worker does not panic"));
        }
        all.elapsed = start.elapsed();
        all
    })
}

/// Lets this process have so many descriptors, if it may.
///
/// # Errors
/// If it may not.
pub fn allow_descriptors(wanted: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|most| most >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|most| most.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the socket cuts it.
    #[test]
    fn the_whole_body_is_sent() {
        for body in [0, 1, 1_000, 65_536, 65_537, 300_001] {
            let request = Request::upload("a.test", "/", body);
            let mut sent: Vec<u8> = Vec::new();
            while count(sent.len()) < request.total() {
                let piece = request.at(count(sent.len()));
                let size = piece.len().div_ceil(3).max(1);
                sent.extend(&piece[..size]);
            }
            let head = sent.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let expected: Vec<u8> =
                LETTERS.iter().copied().cycle().take(usize::try_from(body).unwrap()).collect();
            assert!(sent[head..] == expected, "{body}");
        }
    }
}
