//! A constant load whose every request has a name of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ferrule_tests::{Raw, now, raw};

/// What came of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When it began, from the start of the load.
    pub(super) at: Duration,
    /// A POST; else a GET.
    pub(super) post: bool,
    /// `None` if no answer came.
    pub(super) status: Option<u16>,
    /// How long it took.
    pub(super) time: Duration,
}

impl Sample {
    pub(super) fn is_good(&self) -> bool {
        self.status == Some(200)
    }
}

/// Sends requests until it is told to stop.
pub(super) struct Load {
    /// The front's port.
    pub(super) port: u16,
    /// Connections, each with a request at a time.
    pub(super) clients: u32,
    /// The time from one request of a connection to the next.
    pub(super) pace: Duration,
    /// The moment from which samples count.
    pub(super) start: Instant,
    pub(super) stop: AtomicBool,
    next: AtomicU64,
}

impl Load {
    pub(super) fn new(port: u16, clients: u32, pace: Duration) -> Self {
        let (start, stop, next) = (now(), AtomicBool::new(false), AtomicU64::new(0));
        Self { port, clients, pace, start, stop, next }
    }

    /// Every sample, in the order in which they began.
    pub(super) fn run(&self) -> Vec<Sample> {
        let mut all = Vec::new();
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for number in 0..self.clients {
                clients.push(scope.spawn(move || self.client(number)));
            }
            for client in clients {
                all.extend(client.join().expect("a client"));
            }
        });
        all.sort_by_key(|sample| sample.at);
        all
    }

    fn client(&self, number: u32) -> Vec<Sample> {
        let (mut line, mut samples) = (None, Vec::new());
        let mut due = self.start + self.pace * number / self.clients;
        while !self.stop.load(Ordering::SeqCst) {
            let early = due.saturating_duration_since(now());
            if !early.is_zero() {
                thread::park_timeout(early);
                continue;
            }
            let name = self.next.fetch_add(1, Ordering::SeqCst);
            let (post, began) = (name.is_multiple_of(4), now());
            let status = self.ask(&mut line, post, name);
            let (at, time) = (began - self.start, began.elapsed());
            samples.push(Sample { at, post, status, time });
            // Whoever was held up does not catch up.
            due = (due + self.pace).max(now());
        }
        samples
    }

    fn ask(&self, line: &mut Option<Raw>, post: bool, name: u64) -> Option<u16> {
        let mut open = match line.take() {
            Some(open) => open,
            None => raw::try_plain(self.port).ok()?,
        };
        let (method, length) = if post { ("POST", "Content-Length: 0\r\n") } else { ("GET", "") };
        let text = format!("{method} /r/{name} HTTP/1.1\r\nHost: nodes.test\r\n{length}\r\n");
        open.send(text.as_bytes()).ok()?;
        let answer = open.response(method).ok()?;
        let closes = answer.head.get("Connection").is_some_and(|word| word.contains("close"));
        if !closes {
            *line = Some(open);
        }
        Some(answer.status())
    }
}
