//! A storm of reloads under load, the server certificate changed before each one.
//!
//! Kept connections send as fast as they are answered, others come for one request each; behind the gateway an nginx
//! that wants a certificate. No request may fail, no kept connection may end, no handshake may fail,
//! and whoever connects after a reload has been logged must see the certificate of that reload.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};

use crate::clock::{PATIENCE, now};
use crate::gateway::{Driver, Gateway, Reloaded, Setup};
use crate::load::{Histogram, Kind, Outcome, Plan, Request, TlsTarget, run, serial};
use crate::nginx::{Nginx, Shape};
use crate::pki::{Authority, Leaf};
use crate::process::free_port;
use crate::tls;

const NAME: &str = "storm.test";
const FIRST_SERIAL: u64 = 0x1000;
/// New connections after each reload that must see its certificate.
const PROBES: usize = 4;

const CONFIG: &str = r#"
[http]
connections_per_address = 0
keepalive_requests = 1000000000

[identity_headers]
X-Client-Subject = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "storm.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert = "proxy.crt", client_key = "proxy.key", ca = "ca.crt", server_name = "up.test" }
"#;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Which kernel interface.
    pub driver: Driver,
    /// How many reloads.
    pub reloads: u32,
    /// From one to the next.
    pub between: Duration,
    /// Data cores of the gateway.
    pub workers: u32,
    /// Connections that are kept.
    pub kept: usize,
    /// New connections a second.
    pub fresh: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct StormReport {
    storm: Storm,
    kept: Outcome,
    fresh: Outcome,
    taken: u32,
    refused: u32,
    /// From the signal to the line in the log.
    latency: Histogram,
    /// Serials that were put in force and that no connection saw.
    unseen: Vec<String>,
    /// New connections that did not see what the log had promised.
    stale: Vec<String>,
    /// CPU time over elapsed time and workers.
    busy: f64,
    /// Did the gateway end in good order?
    ended_well: bool,
    /// What the gateway warned of.
    complaints: Vec<String>,
}

/// What the loop of reloads found.
#[derive(Default)]
struct Reloads {
    taken: u32,
    refused: u32,
    latency: Histogram,
    stale: Vec<String>,
    /// Serials that the probes saw: on a busy machine the load may miss one.
    seen: BTreeSet<String>,
}

impl Storm {
    /// Runs it in `dir`.
    #[must_use]
    pub fn run(self, dir: &Path) -> StormReport {
        let authority = Authority::new("Storm CA");
        fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.client("proxy").write(dir, "proxy");
        let key = authority.server(&[NAME]).key_pem;
        authority.server_with(&[NAME], FIRST_SERIAL, &key).write(dir, "server");
        let client = authority.client("load");
        let port = free_port();
        let _upstream = upstream(dir, &authority, port);
        let runtime = format!(
            "workers = {}\nmax_connections = 4096\ncpu_affinity = false\nio_driver = \"{}\"\n",
            self.workers, self.driver
        );
        let mut gateway = Setup::new(dir, self.driver, CONFIG)
            .runtime(&runtime)
            .quiet()
            .set("upstream", &port)
            .start();
        let front = gateway.port("front");
        let time = self.between * (self.reloads + 2);
        let (cpu, start) = (cpu_time(gateway.process.id()), now());
        let kept = self.plan(front, &client, time, 0, Kind::Kept);
        let fresh = self.plan(front, &client, time, self.fresh, Kind::Fresh);
        let kept = thread::spawn(move || run(&kept));
        let fresh = thread::spawn(move || run(&fresh));
        let reloads = self.reload_often(&mut gateway, dir, &authority, &key, &client, start);
        let kept = kept.join().expect("the load does not panic");
        let fresh = fresh.join().expect("the load does not panic");
        let cpu = cpu_time(gateway.process.id()).saturating_sub(cpu);
        let busy = cpu.as_secs_f64() / start.elapsed().as_secs_f64() / f64::from(self.workers);
        let seen: BTreeSet<&String> = fresh.serials.keys().chain(&reloads.seen).collect();
        let wanted = (1..=u64::from(reloads.taken)).map(|number| text(FIRST_SERIAL + number));
        let unseen = wanted.filter(|serial| !seen.contains(serial)).collect();
        let ended_well = gateway.stop().success();
        let Reloads { taken, refused, latency, stale, .. } = reloads;
        let complaints = complaints(&gateway.log());
        StormReport {
            storm: self,
            kept,
            fresh,
            taken,
            refused,
            latency,
            unseen,
            stale,
            busy,
            ended_well,
            complaints,
        }
    }

    /// `rate` 0 is as fast as it goes.
    fn plan(&self, port: u16, client: &Leaf, time: Duration, rate: u64, kind: Kind) -> Plan {
        let config = tls::client(Some(client), &[&rustls::version::TLS13]);
        Plan {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            tls: Some(TlsTarget {
                config: Arc::new(config),
                server_name: NAME.try_into().expect("a server name"),
            }),
            request: Request::get(NAME, "/", kind),
            kind,
            nagle: false,
            connections: if kind == Kind::Fresh { 8 } else { self.kept },
            threads: 1,
            time,
            rate,
        }
    }

    fn reload_often(
        &self,
        gateway: &mut Gateway,
        dir: &Path,
        authority: &Authority,
        key: &str,
        client: &Leaf,
        start: Instant,
    ) -> Reloads {
        let config = Arc::new(tls::client(Some(client), &[&rustls::version::TLS13]));
        let address = (Ipv4Addr::LOCALHOST, gateway.port("front")).into();
        let mut reloads = Reloads::default();
        for number in 1..=self.reloads {
            let due = start + self.between * number;
            while now() < due {
                thread::park_timeout(due.saturating_duration_since(now()));
            }
            let number = FIRST_SERIAL + u64::from(number);
            authority.server_with(&[NAME], number, key).write(dir, "server");
            let signalled = now();
            match gateway.signal_reload() {
                Reloaded::Taken => reloads.taken += 1,
                Reloaded::Refused => reloads.refused += 1,
            }
            reloads.latency.record(signalled.elapsed());
            for _ in 0..PROBES {
                let seen = served_serial(address, &config, NAME);
                let seen = seen.unwrap_or_else(|error| error.to_string());
                if seen != text(number) {
                    reloads.stale.push(format!("{seen} instead of {}", text(number)));
                }
                reloads.seen.insert(seen);
            }
        }
        reloads
    }
}

/// A serial number as [`serial`] writes it.
fn text(serial: u64) -> String {
    format!("{serial:04X}")
}

/// The serial of the certificate that a new connection to this name sees, as [`serial`] writes it.
///
/// # Errors
/// If the connection fails, or its handshake.
pub fn served_serial(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &'static str,
) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = name.try_into().expect("a server name");
    let session = ClientConnection::new(Arc::clone(config), name);
    let mut session = session.map_err(std::io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let seen = leaf.and_then(|leaf| serial(leaf)).unwrap_or_default();
    session.send_close_notify();
    session.complete_io(&mut socket)?;
    Ok(seen)
}

fn upstream(dir: &Path, authority: &Authority, port: u16) -> Nginx {
    authority.server(&["up.test"]).write(dir, "upstream");
    let at = dir.display();
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} ssl backlog=4096;\nssl_protocols TLSv1.3;\n\
         ssl_certificate {at}/upstream.crt;\nssl_certificate_key {at}/upstream.key;\n\
         ssl_client_certificate {at}/ca.crt;\nssl_verify_client on;\nkeepalive_time 24h;\n\
         location / {{ return 200 \"ok\"; }}\n}}"
    );
    Nginx::start(dir, port, &http, Shape::MasterAndWorker)
}

/// User and system time of a process so far.
#[must_use]
pub fn cpu_time(id: u32) -> Duration {
    // USER_HZ is 100 wherever Linux runs this.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name may hold anything, a closing bracket included.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Fields 14 and 15 of the manual, counted here from the third.
    let ticks = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u32>().ok()).sum::<u32>();
    TICK * ticks
}

/// Warnings and errors, without what the configuration check says at every load.
fn complaints(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
    lines.filter(|line| !line.contains("warning: ")).map(str::to_owned).take(20).collect()
}

impl StormReport {
    /// How much of its cores the gateway used, 1 being all of it.
    #[must_use]
    pub const fn busy(&self) -> f64 {
        self.busy
    }

    /// Requests a second.
    fn rate(&self) -> u64 {
        let seconds = self.kept.elapsed.as_secs().max(1);
        (self.kept.answered + self.fresh.answered) / seconds
    }

    /// All that should not have happened.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, outcome) in [("kept", &self.kept), ("new", &self.fresh)] {
            for (reason, count) in &outcome.failed {
                found.push(format!("{count} requests on {name} connections failed: {reason}"));
            }
            if outcome.answered == 0 {
                found.push(format!("no request on {name} connections was answered"));
            }
        }
        let kept = u64::try_from(self.storm.kept).unwrap_or(u64::MAX);
        if self.kept.connections != kept {
            found.push(format!("{} connections for {kept} kept ones", self.kept.connections));
        }
        if self.taken != self.storm.reloads {
            found.push(format!("{} reloads taken of {}", self.taken, self.storm.reloads));
        }
        found.extend(self.stale.iter().map(|text| format!("after the reload was logged: {text}")));
        found.extend(self.unseen.iter().map(|serial| format!("nobody saw certificate {serial}")));
        if !self.ended_well {
            found.push(String::from("the gateway did not end in good order"));
        }
        found.extend(self.complaints.iter().cloned());
        found
    }
}

/// The summary, as a Markdown table.
impl fmt::Display for StormReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(out, "| {name} | {value} |");
        let millis = |micros: u64| format!("{}.{} ms", micros / 1000, micros % 1000 / 100);
        row("storm", format!("{}, {} worker(s)", self.storm.driver, self.storm.workers))?;
        row("---", String::from("---"))?;
        row("load", format!("{} requests/s", self.rate()))?;
        for (name, outcome) in [("kept", &self.kept), ("new", &self.fresh)] {
            let seconds = outcome.elapsed.as_secs_f64();
            row(
                &format!("requests on {name} connections"),
                format!(
                    "{} on {} in {seconds:.1} s; p50 {}, p99 {}, max {}",
                    outcome.answered,
                    outcome.connections,
                    millis(outcome.latency.at(5_000)),
                    millis(outcome.latency.at(9_900)),
                    millis(outcome.latency.at(10_000))
                ),
            )?;
        }
        row("share of a core used", format!("{:.0} %", self.busy * 100.0))?;
        row("reloads taken, refused", format!("{}, {}", self.taken, self.refused))?;
        row("server certificates seen", self.fresh.serials.len().to_string())?;
        row("stale certificates", self.stale.len().to_string())?;
        let (half, most) = (self.latency.at(5_000), self.latency.at(10_000));
        row("signal to log line", format!("p50 {}, max {}", millis(half), millis(most)))?;
        let failed = self.kept.failures() + self.fresh.failures();
        row("failed requests, resets, handshakes", failed.to_string())
    }
}
