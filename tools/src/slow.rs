//! A siege: many slow clients, and what the others notice of it.
//!
//! Through mTLS on both sides. Clients that keep to a rate are measured without and with the slow
//! ones (latency counts from the intended time, so a stall is charged in full), and the gateway's
//! memory before, during and after. The slow ones are done with patience: one byte now and then.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use strum::{IntoStaticStr, VariantArray};

use crate::clock::{PATIENCE, now, poll};
use crate::gateway::{Driver, Gateway, Setup};
use crate::load::{Kind, Outcome, Plan, Request, TlsTarget, run};
use crate::nginx::{Nginx, Shape};
use crate::pki::{Authority, Leaf};
use crate::process::free_port;
use crate::storm::cpu_time;
use crate::tls;

const NAME: &str = "siege.test";
/// What a slow reader asks for: far more than all buffers on its way.
const LARGE_BYTES: u64 = 64 << 20;
/// Memory that may stay, in KiB, beside a twentieth: pages that an allocator keeps are not ours to judge.
/// What the gateway itself has not given back, it says when it ends.
const KEPT_KIB: u64 = 4 << 10;
/// In which everything that nobody needs is given back: two rounds of it, five seconds each.
const TWO_ROUNDS: Duration = Duration::from_secs(11);
/// How often a slow client does something.
const PACE: Duration = Duration::from_secs(1);

const CONFIG: &str = r#"
[http]
connections_per_address = 0
keepalive_requests = 1000000000
client_header_timeout = "10m"
client_body_timeout = "10m"
client_body_min_rate = 0
send_min_rate = 0
send_timeout = "10m"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
handshake_timeout = "60s"

[[ssls]]
sni = "siege.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
timeout = { connect = 10, send = 600, read = 600 }
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert = "proxy.crt", client_key = "proxy.key", ca = "ca.crt", server_name = "up.test" }
"#;

/// In which way clients are slow.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// A request head that never ends.
    Headers,
    /// A request body that never ends.
    Body,
    /// A large response, read in drops.
    Read,
    /// Nothing at all behind the handshake.
    Idle,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Siege {
    /// Which kernel interface.
    pub driver: Driver,
    /// In which way the clients are slow.
    pub mode: Mode,
    /// How many slow clients.
    pub connections: usize,
    /// How long the others are measured, without the slow ones and with them.
    pub time: Duration,
    /// Requests a second of the others.
    pub rate: u64,
    /// Data cores of the gateway.
    pub workers: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct SiegeReport {
    siege: Siege,
    /// The others, without slow clients and with them.
    without: Outcome,
    with: Outcome,
    /// Slow clients that were still there at the end.
    held: usize,
    /// The gateway's memory in KiB before, at its most, and after.
    memory: [u64; 3],
    /// Did the gateway end in good order?
    ended_well: bool,
    /// What it says it has never given back.
    left_over: Option<String>,
}

impl Mode {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl Siege {
    /// Runs it in `dir`.
    #[must_use]
    pub fn run(self, dir: &Path) -> SiegeReport {
        let authority = Authority::new("Siege CA");
        fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.client("proxy").write(dir, "proxy");
        authority.server(&[NAME]).write(dir, "server");
        let client = authority.client("load");
        let port = free_port();
        let _upstream = upstream(dir, &authority, port);
        let runtime = format!(
            "workers = {}\nmax_connections = 20000\ncpu_affinity = false\nio_driver = \"{}\"\n",
            self.workers, self.driver
        );
        let mut gateway = Setup::new(dir, self.driver, CONFIG)
            .runtime(&runtime)
            .quiet()
            .set("upstream", &port)
            .start();
        // The same crowd once, for a moment: what is compared afterwards is a gateway that has worked.
        let crowd = Crowd::gather(&self, gateway.port("front"), &client);
        calm(&gateway);
        drop(crowd);
        settled(&gateway, 0);
        let without = run(&self.others(&gateway, &client));
        let before = memory(gateway.process.id());
        let crowd = Crowd::gather(&self, gateway.port("front"), &client);
        // What a slow reader leaves in the buffers on its way is paid once.
        calm(&gateway);
        let with = run(&self.others(&gateway, &client));
        let most = memory(gateway.process.id());
        let held = crowd.held.load(Ordering::SeqCst);
        drop(crowd);
        let after = settled(&gateway, before);
        let ended_well = gateway.stop().success();
        let memory = [before, most, after];
        let log = gateway.log();
        let left_over = log.lines().find(|line| line.contains("never given back"));
        let left_over = left_over.map(str::to_owned);
        SiegeReport { siege: self, without, with, held, memory, ended_well, left_over }
    }

    /// The clients that are not slow.
    fn others(&self, gateway: &Gateway, client: &Leaf) -> Plan {
        let config = tls::client(Some(client), &[&rustls::version::TLS13]);
        Plan {
            address: (Ipv4Addr::LOCALHOST, gateway.port("front")).into(),
            tls: Some(TlsTarget {
                config: Arc::new(config),
                server_name: NAME.try_into().expect("a server name"),
            }),
            request: Request::get(NAME, "/", Kind::Kept),
            kind: Kind::Kept,
            nagle: false,
            connections: 16,
            threads: 1,
            time: self.time,
            rate: self.rate,
        }
    }
}

/// The slow clients, each on a thread of its own. They leave with the value.
struct Crowd {
    held: Arc<AtomicUsize>,
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Connects all of them, and waits until each has begun to be slow.
    fn gather(siege: &Siege, port: u16, client: &Leaf) -> Self {
        let config = Arc::new(tls::client(Some(client), &[&rustls::version::TLS13]));
        let (held, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let failed = Arc::new(AtomicUsize::new(0));
        let threads = (0..siege.connections).map(|number| {
            let (config, held, leave) =
                (Arc::clone(&config), Arc::clone(&held), Arc::clone(&leave));
            let (failed, mode) = (Arc::clone(&failed), siege.mode);
            // All at once would measure handshakes.
            if number % 32 == 31 {
                thread::park_timeout(Duration::from_millis(20));
            }
            let slow = move || match Slow::begin(mode, port, &config) {
                Ok(slow) => {
                    held.fetch_add(1, Ordering::SeqCst);
                    slow.carry_on(mode, &leave);
                    held.fetch_sub(1, Ordering::SeqCst);
                }
                Err(_) => {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            };
            thread::Builder::new().stack_size(256 << 10).spawn(slow).expect("a thread")
        });
        let threads: Vec<_> = threads.collect();
        let there = poll(12 * PATIENCE, || {
            let there = held.load(Ordering::SeqCst) + failed.load(Ordering::SeqCst);
            (there >= siege.connections).then_some(())
        });
        assert!(
            there.is_some(),
            "{} slow clients of {}",
            held.load(Ordering::SeqCst),
            siege.connections
        );
        Self { held, leave, threads }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // One that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// One slow client.
struct Slow {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Slow {
    fn begin(mode: Mode, port: u16, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(6 * PATIENCE))?;
        socket.set_nodelay(true)?;
        if mode == Mode::Read {
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4_096)?;
        }
        let name = NAME.try_into().expect("a server name");
        let session = ClientConnection::new(Arc::clone(config), name);
        let mut session = session.map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let mut stream = StreamOwned::new(session, socket);
        let request = match mode {
            Mode::Headers => format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: "),
            Mode::Body => {
                format!("POST /body HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1000000\r\n\r\n")
            }
            Mode::Read => format!("GET /large HTTP/1.1\r\nHost: {NAME}\r\n\r\n"),
            Mode::Idle => String::new(),
        };
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        Ok(Self { stream })
    }

    /// A drop now and then, until it is told to leave or the gateway has had enough.
    fn carry_on(mut self, mode: Mode, leave: &AtomicBool) {
        let mut next = now() + PACE;
        while !leave.load(Ordering::SeqCst) {
            let left = next.saturating_duration_since(now());
            if !left.is_zero() {
                thread::park_timeout(left);
                continue;
            }
            next += PACE;
            let done = match mode {
                Mode::Headers | Mode::Body => {
                    self.stream.write_all(b"a").and_then(|()| self.stream.flush())
                }
                Mode::Read => self.stream.read_exact(&mut [0; 64]),
                Mode::Idle => Ok(()),
            };
            if done.is_err() {
                break;
            }
        }
        let _ = self.stream.sock.shutdown(Shutdown::Both);
    }
}

fn upstream(dir: &Path, authority: &Authority, port: u16) -> Nginx {
    authority.server(&["up.test"]).write(dir, "upstream");
    let large = fs::File::create(dir.join("large")).expect("a writable directory");
    large.set_len(LARGE_BYTES).expect("a file with a hole");
    let (at, own) = (dir.display(), free_port());
    // The body is read to its end before the answer, which is what an application would do.
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} ssl backlog=4096;\nssl_protocols TLSv1.3;\n\
         ssl_certificate {at}/upstream.crt;\nssl_certificate_key {at}/upstream.key;\n\
         ssl_client_certificate {at}/ca.crt;\nssl_verify_client on;\nkeepalive_time 24h;\n\
         send_timeout 1h;\nclient_body_timeout 1h;\nroot {at};\n\
         location / {{ return 200 \"ok\"; }}\nlocation = /large {{ }}\n\
         location = /body {{ proxy_pass http://127.0.0.1:{own}; }}\n}}\n\
         server {{\nlisten 127.0.0.1:{own};\nlocation / {{ return 200 \"ok\"; }}\n}}"
    );
    Nginx::start(dir, port, &http, Shape::MasterAndWorker)
}

/// Memory in use by a process, in KiB.
#[must_use]
pub fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Waits until the gateway has little to do.
fn calm(gateway: &Gateway) {
    const LOOK: Duration = Duration::from_millis(500);
    let mut before = cpu_time(gateway.process.id());
    let _ = poll(12 * PATIENCE, || {
        thread::park_timeout(LOOK);
        let used = cpu_time(gateway.process.id());
        let busy = used.saturating_sub(std::mem::replace(&mut before, used));
        (busy < LOOK / 10).then_some(())
    });
}

/// Waits until the gateway's memory is back at `wanted`, or for a minute; what it is then. With 0, just
/// long enough for everything to be given back.
fn settled(gateway: &Gateway, wanted: u64) -> u64 {
    let id = gateway.process.id();
    let look = |time, slack| {
        poll(time, || {
            let memory = memory(id);
            is_back(wanted, memory, slack).then_some(memory)
        })
    };
    let back = look(TWO_ROUNDS, 0);
    let time = if wanted == 0 { Duration::ZERO } else { 5 * PATIENCE };
    back.or_else(|| look(time, KEPT_KIB)).unwrap_or_else(|| memory(id))
}

/// Is this no more memory than before, but for a twentieth and so many KiB?
const fn is_back(before: u64, now: u64, slack: u64) -> bool {
    before > 0 && now <= before + before / 20 + slack
}

impl SiegeReport {
    /// All that should not have happened; how much slower the others may be is for the reader to
    /// judge, because the machine's noise is not ours.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, outcome) in [("without", &self.without), ("with", &self.with)] {
            for (reason, count) in &outcome.failed {
                found.push(format!("{count} requests {name} slow clients failed: {reason}"));
            }
            if outcome.answered == 0 {
                found.push(format!("no request {name} slow clients was answered"));
            }
        }
        if self.held < self.siege.connections {
            found.push(format!("only {} of {} were held", self.held, self.siege.connections));
        }
        let [before, _, after] = self.memory;
        if !is_back(before, after, KEPT_KIB) {
            found.push(format!("{after} KiB afterwards are more than 5 % above {before} KiB"));
        }
        found.extend(self.left_over.clone());
        if !self.ended_well {
            found.push(String::from("the gateway did not end in good order"));
        }
        found
    }

    /// Microseconds that 99 % of the others' requests took at most, without slow clients and with.
    #[must_use]
    pub fn p99(&self) -> (u64, u64) {
        (self.without.latency.at(9_900), self.with.latency.at(9_900))
    }
}

/// The summary, as a Markdown table.
impl fmt::Display for SiegeReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(out, "| {name} | {value} |");
        let Siege { driver, mode, connections, .. } = self.siege;
        row("siege", format!("{driver}, slow {}", mode.word()))?;
        row("---", String::from("---"))?;
        row("slow connections held", format!("{} of {connections}", self.held))?;
        for (name, outcome) in [("without", &self.without), ("with", &self.with)] {
            row(
                &format!("others, {name} slow clients"),
                format!(
                    "{} answered; p50 {} us, p99 {} us, max {} us",
                    outcome.answered,
                    outcome.latency.at(5_000),
                    outcome.latency.at(9_900),
                    outcome.latency.at(10_000)
                ),
            )?;
        }
        let [before, most, after] = self.memory;
        row("memory before, with, after", format!("{before}, {most}, {after} KiB"))
    }
}
