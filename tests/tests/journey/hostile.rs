//! Peers that do not play by the rules, on either side, and the operator who has to live with them.

mod client;
mod operator;
mod server;
mod session;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use ferrule_tests::{Authority, Driver, Gateway, Leaf, Setup, Upstream, now, tls};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned, SupportedProtocolVersion};

use crate::write_ca;

/// One name whose clients need a certificate, told by `reject`; deadlines of a second.
const MUTUAL: &str = r#"
[http]
client_header_timeout = "2s"

[identity_headers]
X-Client = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
handshake_timeout = "1s"

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"
client.reject = "@reject@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// [`MUTUAL`] at work, and a client that it knows.
struct Mutual {
    scratch: tempfile::TempDir,
    gateway: Gateway,
    client: Leaf,
}

impl Mutual {
    fn start(driver: Driver, reject: &str, upstream: &Upstream) -> Self {
        let scratch = ferrule_tests::scratch();
        let dir = scratch.path();
        let clients = Authority::new("clients");
        write_ca(dir, "clients", &clients);
        clients.server(&["a.test"]).write(dir, "server");
        let setup = Setup::new(dir, driver, MUTUAL).set("reject", &reject);
        let gateway = setup.set("upstream", &upstream.port).start();
        Self { client: clients.client("me"), scratch, gateway }
    }

    fn port(&self) -> u16 {
        self.gateway.port("front")
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// A session of which every byte is ours to change.
    fn session(&self, version: &'static SupportedProtocolVersion) -> ClientConnection {
        let config = tls::client(Some(&self.client), &[version]);
        let name = ServerName::try_from("a.test").expect("a server name");
        ClientConnection::new(config.into(), name).expect("a session")
    }

    /// Past the handshake.
    fn open(&self, version: &'static SupportedProtocolVersion) -> Open {
        let (mut session, mut socket) = (self.session(version), socket(self.port()));
        while session.is_handshaking() {
            session.complete_io(&mut socket).expect("a handshake");
        }
        StreamOwned::new(session, socket)
    }
}

type Open = StreamOwned<ClientConnection, TcpStream>;

/// A TCP connection whose waits are bounded.
fn socket(port: u16) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpStream::connect(address).expect("a listener");
    socket.set_read_timeout(Some(ferrule_tests::PATIENCE)).expect("a timeout");
    socket.set_write_timeout(Some(ferrule_tests::PATIENCE)).expect("a timeout");
    socket.set_nodelay(true).expect("no delay");
    socket
}

/// Lets the other side get what was sent so far.
pub(crate) fn pause(millis: u64) {
    let end = now() + Duration::from_millis(millis);
    while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// One byte every 200 ms until the other side has had enough: how long that took. Panics after `most`.
fn drip(socket: &mut TcpStream, most: Duration) -> Duration {
    let started = now();
    loop {
        // A write to a connection that is gone fails once the reset has come back.
        if socket.write_all(b"x").is_err() {
            return started.elapsed();
        }
        assert!(started.elapsed() < most, "still there after {most:?}");
        pause(200);
    }
}

/// Reads to the end, whatever kind of end that is.
fn read_all(stream: &mut impl Read) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend(&piece[..count]),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Descriptors that the process has open.
fn descriptors(gateway: &Gateway) -> usize {
    fs::read_dir(format!("/proc/{}/fd", gateway.process.id())).expect("a process").count()
}

/// Processor time of the process so far, in ticks of 10 ms.
fn processor_ticks(gateway: &Gateway) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/stat", gateway.process.id()));
    let text = text.expect("a process");
    let behind_name = text.rsplit(')').next().expect("fields");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    // utime and stime are fields 14 and 15; the name is the second.
    [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum()
}

/// Resident memory in KiB.
fn memory_kib(gateway: &Gateway) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/status", gateway.process.id()));
    let text = text.expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
