//! A crowd of connected clients, each with a certificate of its own, of which some are revoked.
//!
//! From the moment the new list is in its place: how long until each of their connections ends, does
//! any other end, and what do those notice who go on sending. Before that: what a request costs with
//! the crowd connected, and without it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::clock::{PATIENCE, now};
use crate::gateway::{Driver, Gateway, Setup};
use crate::http::Conversation;
use crate::load::{Histogram, Kind, Outcome, Plan, Request, TlsTarget, run};
use crate::pki::{Authority, Leaf};
use crate::storm::cpu_time;
use crate::tls;
use crate::upstream::Upstream;

const NAME: &str = "crowd.test";
/// Serial number of the first of the crowd.
const FIRST_SERIAL: u64 = 0x10_0000;
/// Connections of those who go on sending.
const OTHERS: usize = 4;
/// How long a connection that should end is waited for.
const END_PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = r#"
[http]
connections_per_address = 0
keepalive_timeout = "10m"
keepalive_requests = 1000000000

[identity_headers]
X-Client = "$ssl_client_verify $ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "crowd.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", crl = "clients.crl" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Revoke {
    /// Which kernel interface.
    pub driver: Driver,
    /// Clients that are connected, each with its own certificate.
    pub connections: usize,
    /// How many of them are revoked.
    pub revoked: usize,
    /// Data cores of the gateway.
    pub workers: u32,
    /// How long the cost of a request is measured each time; zero leaves it out.
    pub measure: Duration,
    /// Requests a second of those who go on sending.
    pub rate: u64,
    /// Until when a revoked client's connection must have ended.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct RevocationReport {
    revoke: Revoke,
    /// A request's processor time without the crowd, with it, and without it again.
    cost: [Option<Duration>; 3],
    /// From the list's rename to the end of each revoked connection.
    ends: Histogram,
    /// Revoked connections that did not end, or not in good order.
    astray: usize,
    /// Of the other connections, those that answered afterwards.
    alive: usize,
    /// Those who go on sending, before the list and around it.
    before: Outcome,
    around: Outcome,
}

type Talk = Conversation<StreamOwned<ClientConnection, TcpStream>>;

impl Revoke {
    /// Runs it in `dir`.
    #[must_use]
    pub fn run(self, dir: &Path) -> RevocationReport {
        let clients = Authority::new("Crowd CA");
        fs::write(dir.join("clients.crt"), &clients.cert_pem).expect("a writable directory");
        fs::write(dir.join("clients.crl"), clients.revocation_list(&[], 1)).expect("a list");
        clients.server(&[NAME]).write(dir, "server");
        let upstream = Upstream::plain(Arc::new(|client| {
            while client.talk.head().is_ok_and(|head| head.is_some()) && client.answer(b"ok") {}
        }));
        let runtime = format!(
            "workers = {}\nmax_connections = {}\ncpu_affinity = false\nio_driver = \"{}\"\n",
            self.workers,
            self.connections + 64,
            self.driver
        );
        let gateway = Setup::new(dir, self.driver, CONFIG)
            .quiet()
            .runtime(&runtime)
            .set("upstream", &upstream.port)
            .start();
        let port = gateway.port("front");
        let other = plan(port, &clients.client("other"), self.measure, 0);
        let mut cost = [None; 3];
        cost[0] = self.cost_of_a_request(&gateway, &other);
        let mut crowd = self.gather(port, &clients);
        cost[1] = self.cost_of_a_request(&gateway, &other);
        let seconds = 3 + u64::try_from(self.connections).expect("some") / 1_000;
        let steady = Plan { rate: self.rate, time: Duration::from_secs(seconds), ..other.clone() };
        let before = run(&steady);
        let others = thread::spawn(move || run(&steady));
        thread::park_timeout(Duration::from_millis(500));
        let serials: Vec<u64> = (0..self.revoked).map(serial).collect();
        let kept = crowd.split_off(self.revoked);
        fs::write(dir.join("next.crl"), clients.revocation_list(&serials, 2)).expect("a list");
        fs::rename(dir.join("next.crl"), dir.join("clients.crl")).expect("a writable directory");
        let (ends, astray) = watch(crowd, now());
        let around = others.join().expect("load does not panic");
        let alive = kept.into_iter().map(|mut talk| ask(&mut talk)).filter(Result::is_ok).count();
        cost[2] = self.cost_of_a_request(&gateway, &other);
        RevocationReport { revoke: self, cost, ends, astray, alive, before, around }
    }

    /// The gateway's processor time over the requests it answered as fast as it could.
    fn cost_of_a_request(self, gateway: &Gateway, plan: &Plan) -> Option<Duration> {
        if self.measure.is_zero() {
            return None;
        }
        let id = gateway.process.id();
        let before = cpu_time(id);
        let outcome = run(plan);
        let used = cpu_time(id) - before;
        Some(used / u32::try_from(outcome.answered.max(1)).expect("a short run"))
    }

    /// Everybody, connected and answered once.
    fn gather(self, port: u16, clients: &Authority) -> Vec<Talk> {
        const THREADS: usize = 4;
        let leaves: Vec<Leaf> = (0..self.connections)
            .map(|number| clients.client_with(&format!("client {number}"), serial(number)))
            .collect();
        let share = leaves.len().div_ceil(THREADS).max(1);
        thread::scope(|scope| {
            let open = |leaf| connect(port, leaf).expect("a client that is let in");
            let mut threads = Vec::new();
            for leaves in leaves.chunks(share) {
                threads.push(scope.spawn(move || leaves.iter().map(open).collect::<Vec<_>>()));
            }
            threads.into_iter().flat_map(|thread| thread.join().expect("all connected")).collect()
        })
    }
}

fn serial(number: usize) -> u64 {
    FIRST_SERIAL + u64::try_from(number).expect("a small number")
}

fn plan(port: u16, leaf: &Leaf, time: Duration, rate: u64) -> Plan {
    let config = tls::client(Some(leaf), &[&rustls::version::TLS13]);
    Plan {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: Some(TlsTarget {
            config: Arc::new(config),
            server_name: ServerName::try_from(NAME).expect("a server name"),
        }),
        request: Request::get(NAME, "/", Kind::Kept),
        kind: Kind::Kept,
        nagle: false,
        connections: OTHERS,
        threads: 1,
        time,
        rate,
    }
}

fn request() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n").into_bytes()
}

fn connect(port: u16, leaf: &Leaf) -> io::Result<Talk> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let config = tls::client(Some(leaf), &[&rustls::version::TLS13]);
    let name = ServerName::try_from(NAME).expect("a server name");
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut talk = Conversation::new(StreamOwned::new(session, socket));
    ask(&mut talk)?;
    Ok(talk)
}

/// One request.
fn ask(talk: &mut Talk) -> io::Result<()> {
    talk.send(&request())?;
    match talk.response("GET")?.status() {
        200 => Ok(()),
        status => Err(io::Error::other(format!("status {status}"))),
    }
}

/// When each of them ended, counted from `start`; and how many did not, or not in good order.
fn watch(crowd: Vec<Talk>, start: Instant) -> (Histogram, usize) {
    let mut ends = Histogram::default();
    let (mut open, mut astray) = (crowd, 0);
    for talk in &open {
        talk.stream.sock.set_nonblocking(true).expect("a socket");
    }
    while !open.is_empty() && start.elapsed() < END_PATIENCE {
        let (ended, still): (Vec<_>, Vec<_>) = open.into_iter().partition(has_news);
        open = still;
        for mut talk in ended {
            ends.record(start.elapsed());
            talk.stream.sock.set_nonblocking(false).expect("a socket");
            astray += usize::from(!talk.rest().is_ok_and(|rest| rest.is_empty()));
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    (ends, astray + open.len())
}

/// Is there anything to read, were it the end?
fn has_news(talk: &Talk) -> bool {
    !matches!(talk.stream.sock.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl RevocationReport {
    /// All that should not have happened.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let Revoke { connections, revoked, limit, .. } = self.revoke;
        let mut found = Vec::new();
        if self.astray > 0 {
            found.push(format!("{} of {revoked} revoked clients stayed, or were cut", self.astray));
        }
        let last = Duration::from_micros(self.ends.at(10_000));
        if last > limit {
            found.push(format!("a revoked client was connected for {last:?} more"));
        }
        let expected = connections - revoked;
        if self.alive != expected {
            found.push(format!("{} of {expected} others are still connected", self.alive));
        }
        for outcome in [&self.before, &self.around] {
            for (reason, count) in &outcome.failed {
                found.push(format!("{count} requests of others failed: {reason}"));
            }
            if outcome.connections != u64::try_from(OTHERS).expect("some") {
                found.push(format!("{} connections of the others", outcome.connections));
            }
        }
        found
    }
}

/// The summary, as a Markdown table.
impl fmt::Display for RevocationReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Revoke { driver, connections, revoked, workers, .. } = self.revoke;
        let mut row = |name: &str, value: String| writeln!(out, "| {name} | {value} |");
        let millis = |micros: u64| format!("{}.{} ms", micros / 1000, micros % 1000 / 100);
        let times = |times: &Histogram| {
            let at = |share| millis(times.at(share));
            format!("p50 {}, p99 {}, max {}", at(5_000), at(9_900), at(10_000))
        };
        row("revoke", format!("{driver}, {workers} worker(s)"))?;
        row("---", String::from("---"))?;
        row("connected, revoked", format!("{connections}, {revoked}"))?;
        row("from the rename to the end", times(&self.ends))?;
        row("others still connected", self.alive.to_string())?;
        row("requests of others before it", times(&self.before.latency))?;
        row("requests of others around it", times(&self.around.latency))?;
        if let [Some(few), Some(many), Some(again)] = self.cost {
            row(
                "processor time of a request: crowd away, connected, away",
                format!("{few:?}, {many:?}, {again:?}"),
            )?;
        }
        Ok(())
    }
}
