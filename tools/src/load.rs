//! Load: many keep-alive connections, or many new ones, each on a thread of its own.
//!
//! With a rate, requests have an intended time, and latency counts from it: a stalled server is
//! charged for every request it kept from being sent (no coordinated omission).

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::clock::{PATIENCE, now};
use crate::http::Conversation;
use crate::upstream::Stream;

/// What to do.
#[derive(Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: SocketAddr,
    /// Over TLS, with these settings, to this name.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The request, sent as it is.
    pub request: Vec<u8>,
    /// How many connections at once.
    pub connections: usize,
    /// A new connection for every request.
    pub fresh: bool,
    /// When to stop.
    pub time: Duration,
    /// Requests altogether; 0 is no limit.
    pub count: u64,
    /// Requests a second, all connections together; 0 is as fast as it goes.
    pub rate: u64,
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
    /// How often each server certificate was seen, by its serial number.
    pub serials: BTreeMap<String, u64>,
    /// From the intended time of a request to the last byte of its response.
    pub latency: Histogram,
    /// The same, for each second of the run.
    pub seconds: Vec<Histogram>,
    /// How long it ran.
    pub elapsed: Duration,
}

/// Times in microseconds, in buckets of at most 1.6 % width.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    total: u64,
    max: u64,
}

const SUB_BITS: u32 = 6;

impl Histogram {
    /// Adds one time.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = Self::bucket(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(micros);
    }

    fn bucket(micros: u64) -> usize {
        let bits = 64 - micros.leading_zeros();
        let shift = bits.saturating_sub(SUB_BITS + 1);
        let bucket = (u64::from(shift) << SUB_BITS) + (micros >> shift);
        usize::try_from(bucket).expect("a few thousand")
    }

    /// The largest time that falls into this bucket.
    fn upper(bucket: usize) -> u64 {
        let bucket = u64::try_from(bucket).expect("a few thousand");
        let shift = (bucket >> SUB_BITS).saturating_sub(1);
        let base = bucket - (shift << SUB_BITS);
        ((base + 1) << shift) - 1
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many times it holds.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Microseconds that this share (in ten thousandths) of all times does not exceed.
    #[must_use]
    pub fn at(&self, share: u64) -> u64 {
        let wanted = (self.total * share).div_ceil(10_000).max(1);
        let mut sum = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return Self::upper(bucket).min(self.max);
            }
        }
        self.max
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
        for (mine, theirs) in [(&mut self.failed, other.failed), (&mut self.serials, other.serials)]
        {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        self.latency.merge(&other.latency);
        for (second, histogram) in other.seconds.iter().enumerate() {
            if self.seconds.len() <= second {
                self.seconds.resize_with(second + 1, Histogram::default);
            }
            if let Some(mine) = self.seconds.get_mut(second) {
                mine.merge(histogram);
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        *self.failed.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Runs the plan to its end.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let start = now();
    let sent = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..plan.connections)
        .map(|number| {
            let (plan, sent) = (plan.clone(), Arc::clone(&sent));
            thread::spawn(move || Worker { plan, start, number, sent }.run())
        })
        .collect();
    let mut all = Outcome::default();
    for thread in threads {
        all.merge(thread.join().expect("a worker does not panic"));
    }
    all.elapsed = start.elapsed();
    all
}

struct Worker {
    plan: Plan,
    start: Instant,
    number: usize,
    sent: Arc<AtomicU64>,
}

impl Worker {
    fn run(self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut open = None;
        let mut turn = 0;
        while let Some(due) = self.next(turn) {
            turn += 1;
            let result = self.once(&mut open, &mut outcome);
            let time = now().saturating_duration_since(due);
            match result {
                Ok(status) if status < 400 => outcome.answered += 1,
                Ok(status) => outcome.fail(&format!("status {status}")),
                Err(error) => {
                    open = None;
                    outcome.fail(&error.to_string());
                }
            }
            outcome.latency.record(time);
            let second = usize::try_from(self.start.elapsed().as_secs()).expect("a short run");
            if outcome.seconds.len() <= second {
                outcome.seconds.resize_with(second + 1, Histogram::default);
            }
            if let Some(histogram) = outcome.seconds.get_mut(second) {
                histogram.record(time);
            }
        }
        outcome
    }

    /// When the next request is due; waits until then. `None` at the end of the run.
    fn next(&self, turn: u32) -> Option<Instant> {
        if self.plan.count > 0 && self.sent.fetch_add(1, Ordering::Relaxed) >= self.plan.count {
            return None;
        }
        let end = self.start + self.plan.time;
        if self.plan.rate == 0 {
            let due = now();
            return (due < end).then_some(due);
        }
        let connections = u32::try_from(self.plan.connections).expect("a few thousand");
        let rate = u32::try_from(self.plan.rate).unwrap_or(u32::MAX);
        let own = Duration::from_secs(u64::from(connections)) / rate;
        let offset = own / connections * u32::try_from(self.number).expect("a few thousand");
        let due = self.start + offset + own * turn;
        if due >= end {
            return None;
        }
        loop {
            let left = due.saturating_duration_since(now());
            if left.is_zero() {
                return Some(due);
            }
            thread::park_timeout(left);
        }
    }

    fn once(
        &self,
        open: &mut Option<Conversation<Box<dyn Stream>>>,
        outcome: &mut Outcome,
    ) -> io::Result<u16> {
        let mut talk = match open.take() {
            Some(talk) => talk,
            None => self.connect(outcome)?,
        };
        talk.send(&self.plan.request)?;
        let response = talk.response("GET")?;
        let closes = response
            .head
            .get("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !self.plan.fresh && !closes {
            *open = Some(talk);
        }
        Ok(response.status())
    }

    fn connect(&self, outcome: &mut Outcome) -> io::Result<Conversation<Box<dyn Stream>>> {
        let mut socket = TcpStream::connect_timeout(&self.plan.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        outcome.connections += 1;
        let Some((config, name)) = &self.plan.tls else {
            return Ok(Conversation::new(Box::new(socket)));
        };
        let session = ClientConnection::new(Arc::clone(config), name.clone());
        let mut session = session.map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => outcome.resumed += 1,
            _ => outcome.full += 1,
        }
        if let Some(leaf) = session.peer_certificates().and_then(|chain| chain.first()) {
            *outcome.serials.entry(serial(leaf).unwrap_or_default()).or_default() += 1;
        }
        Ok(Conversation::new(Box::new(StreamOwned::new(session, socket))))
    }
}

/// The serial number of a certificate in DER, in upper-case hex.
#[must_use]
pub fn serial(der: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(der)?;
    let (_, fields, _) = element(certificate)?;
    let (tag, first, rest) = element(fields)?;
    // An explicit version stands in front of the serial of everything but v1.
    let value = if tag == 0xa0 { element(rest)?.1 } else { first };
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    Some(value.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// One DER element: its tag, its contents, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    if short < 0x80 {
        let (contents, rest) = rest.split_at_checked(usize::from(short))?;
        return Some((tag, contents, rest));
    }
    let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
    let length = long
        .iter()
        .try_fold(0_usize, |sum, byte| sum.checked_mul(256).map(|sum| sum + usize::from(*byte)))?;
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use crate::tls::certificates;

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, exact) in [(5_000, 5_000_u64), (9_900, 9_900), (10_000, 10_000)] {
            let found = histogram.at(share);
            assert!(found >= exact && found * 100 <= exact * 102, "{share}: {found}");
        }
    }

    #[test]
    fn the_serial_is_read_from_a_certificate() {
        let authority = Authority::new("ca");
        let key = authority.server(&["a.test"]).key_pem;
        let leaf = authority.server_with(&["a.test"], 0x00c0_ffee, &key);
        let der = certificates(&leaf.cert_pem).remove(0);
        assert_eq!(serial(&der).as_deref(), Some("C0FFEE"));
    }
}
