//! What one connection may hold: neither a core for itself, nor memory that it does not need.

use std::fs;
use std::io::{Read as _, Write};
use std::iter;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Raw, Script, Setup, Upstream, echo, now, on_both_drivers,
    poll, raw, scratch, tls,
};
use rustls::{ClientConnection, SupportedProtocolVersion};

const CONFIG: &str = r#"
[http]
keepalive_requests = 1_000_000_000

[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/up/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Records of one byte each: much work, and few bytes.
const RECORDS: usize = 150_000;
/// How long somebody else asks, one request behind the other, while a flood lasts.
const ASKED: Duration = Duration::from_millis(500);
/// No answer costs the gateway more of its own time than this, with what the flood gets meanwhile: a
/// turn is a fraction of a millisecond, and some are due before an answer (this is no release build).
const PROMPT: Duration = Duration::from_millis(40);
const STRAYS: usize = 20;

fn start(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    Authority::new("ca").server(&["a.test"]).write(dir, "server");
    Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start()
}

/// Who floods: its side of it, for as long as the flag is unset. Every write ends when the gateway does.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// The body of a request, in records of one byte.
    Records(&'static SupportedProtocolVersion),
    /// The body of a request, in chunks of one byte.
    Chunks,
    /// An answer of the upstream's in chunks of one byte, to whoever reads it.
    Answer,
    /// A body as fast as it goes.
    Body,
    /// Requests that the gateway answers by itself, one behind the other.
    Requests,
    /// Requests that it refuses and reads the body of.
    Refused,
    /// Bytes through a tunnel.
    Tunnel,
    /// Connections that come and go.
    Connections,
    /// The same to a TLS listener, with something that is no handshake.
    Handshakes,
}

const FLOODS: [Flood; 10] = [
    Flood::Records(&rustls::version::TLS13),
    Flood::Records(&rustls::version::TLS12),
    Flood::Chunks,
    Flood::Answer,
    Flood::Body,
    Flood::Requests,
    Flood::Refused,
    Flood::Tunnel,
    Flood::Connections,
    Flood::Handshakes,
];

impl Flood {
    /// Gets ready, and goes on until `over`.
    fn start(self, gateway: &Gateway, over: &Arc<AtomicBool>) {
        let (front, secure) = (gateway.port("front"), gateway.port("secure"));
        let endless = |start: &str, more: &[u8]| {
            let mut socket = dial(front);
            socket.write_all(start.as_bytes()).expect("a connection");
            let more = iter::repeat(more.repeat(65_536 / more.len()));
            reading(&socket);
            writing(socket, more, over);
        };
        match self {
            Self::Records(version) => {
                let (mut socket, bytes) = records(secure, version);
                let (begun, rest) = bytes.split_at(65_536);
                socket.write_all(begun).expect("a connection");
                reading(&socket);
                let rest: Vec<_> = rest.chunks(65_536).map(<[u8]>::to_vec).collect();
                writing(socket, rest, over);
            }
            Self::Chunks => endless(
                "POST /up/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"1\r\nx\r\n",
            ),
            Self::Answer => endless("GET /up/drip HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
            Self::Body => endless(
                "POST /up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
                b"x",
            ),
            Self::Requests => endless("", b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"),
            Self::Refused => endless(
                "",
                b"POST /none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                  1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n0\r\n\r\n",
            ),
            Self::Tunnel => endless(
                "GET /up/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                b"x",
            ),
            Self::Connections => connecting(front, b"", over),
            Self::Handshakes => connecting(secure, b"\x16\x03\x01\x00\x01\x02", over),
        }
    }
}

fn dial(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener")
}

fn reading(socket: &TcpStream) {
    let mut socket = socket.try_clone().expect("a descriptor");
    thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while matches!(socket.read(&mut bytes), Ok(1..)) {}
    });
}

fn writing(
    mut socket: TcpStream,
    pieces: impl IntoIterator<Item = Vec<u8>> + Send + 'static,
    over: &Arc<AtomicBool>,
) {
    let over = Arc::clone(over);
    thread::spawn(move || {
        // Who has written all stays on the line.
        for piece in pieces {
            if over.load(Ordering::SeqCst) || socket.write_all(&piece).is_err() {
                let _ = socket.shutdown(Shutdown::Both);
                return;
            }
        }
    });
}

fn connecting(port: u16, words: &'static [u8], over: &Arc<AtomicBool>) {
    let over = Arc::clone(over);
    thread::spawn(move || {
        while !over.load(Ordering::SeqCst) {
            if let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                let _ = socket.write_all(words);
                // A reset leaves no port behind.
                let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
            }
        }
    });
}

/// A connection past its handshake, and a request with its body in records of one byte.
fn records(port: u16, version: &'static SupportedProtocolVersion) -> (TcpStream, Vec<u8>) {
    let config = tls::client(None, &[version]);
    let name = "a.test".try_into().expect("a server name");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("good settings");
    session.set_buffer_limit(None);
    let mut socket = dial(port);
    while session.is_handshaking() || session.wants_write() {
        session.complete_io(&mut socket).expect("a handshake");
    }
    let head = format!("POST /up/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {RECORDS}\r\n\r\n");
    session.writer().write_all(head.as_bytes()).expect("memory");
    let mut bytes = Vec::new();
    for _ in 0..RECORDS {
        session.writer().write_all(b"x").expect("memory");
        session.write_tls(&mut bytes).expect("memory");
    }
    while session.wants_write() {
        session.write_tls(&mut bytes).expect("memory");
    }
    (socket, bytes)
}

/// Takes whatever comes; an answer never ends, if any begins.
fn swallowing() -> Script {
    Arc::new(|client| {
        let mut bytes = vec![0; 65_536];
        let count = client.talk.stream.read(&mut bytes).unwrap_or(0);
        let head = &bytes[..count];
        if head.starts_with(b"GET /up/chat") {
            client.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            );
        }
        if head.starts_with(b"GET /up/drip") {
            client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunks = b"1\r\nx\r\n".repeat(10_000);
            while client.send(&chunks) {}
        }
        while matches!(client.talk.stream.read(&mut bytes), Ok(1..)) {}
    })
}

/// What somebody else waited for answers, in the time that the gateway's threads ran meanwhile: a
/// machine with other things to do does not count.
#[derive(Debug, Default)]
struct Waits {
    answers: u32,
    longest: Duration,
    all: Duration,
    /// All that are longer than they should be. Counted by time: behind a long wait, many short ones fit
    /// in, and mean nothing.
    long: Duration,
}

impl Waits {
    fn measure(gateway: &Gateway, other: &mut Raw) -> Self {
        let (mut waits, started) = (Self::default(), now());
        while started.elapsed() < ASKED {
            let before = worked(gateway);
            assert_eq!(raw::get(other, "x", "/ping").status(), 404);
            let wait = worked(gateway).saturating_sub(before);
            waits.answers += 1;
            waits.all += wait;
            waits.longest = waits.longest.max(wait);
            if wait > PROMPT {
                waits.long += wait;
            }
        }
        waits
    }
}

/// How long the gateway's threads have run.
fn worked(gateway: &Gateway) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.process.id())).expect("a process");
    let ran = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|ran| ran.parse().ok())
            .map_or(Duration::ZERO, Duration::from_nanos)
    };
    tasks.flatten().map(ran).sum()
}

fn body_buffers(gateway: &Gateway) -> f64 {
    let text = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
    let labels = [("size", "body"), ("state", "rented")];
    Exposition::read(&text).sum("ferrule_buffers", &labels)
}

on_both_drivers! {
    /// A peer that gives a core more work than it can do has its turn, and then the others have theirs.
    fn a_flood_leaves_the_others_their_turn(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(swallowing()));
        let gateway = start(scratch.path(), driver, &upstream);
        let mut other = raw::plain(gateway.port("front"));
        let mut starved = Vec::new();
        for flood in FLOODS {
            let over = Arc::new(AtomicBool::new(false));
            flood.start(&gateway, &over);
            let waits = Waits::measure(&gateway, &mut other);
            over.store(true, Ordering::SeqCst);
            if waits.long > waits.all / 4 {
                starved.push((flood, waits));
            }
        }
        assert!(starved.is_empty(), "{starved:#?}");
    }

    /// The first byte of the next request lies where the body was.
    fn a_stray_byte_holds_no_large_buffer(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, &upstream);
        let body = 3_000_000;
        let mut request = format!("POST /up/ HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n\r\n").into_bytes();
        request.resize(request.len() + body, b'x');
        request.push(b'G');
        let crowd: Vec<_> = (0..STRAYS).map(|_| {
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(&request).expect("a connection");
            assert_eq!(raw.response("POST").expect("a response").status(), 200);
            raw
        }).collect();
        let none = poll(PATIENCE, || (body_buffers(&gateway) < 1.0).then_some(()));
        assert!(none.is_some(), "{} of {STRAYS}", body_buffers(&gateway));
        for mut raw in crowd {
            raw.send(b"ET /up/ HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            assert_eq!(raw.response("GET").expect("a response").status(), 200);
        }
    }
}
