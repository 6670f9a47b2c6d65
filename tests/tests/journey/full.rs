//! Peers that have stopped reading, so that every buffer towards them is full: what they say is heard all
//! the same, and what TLS has to say to them leaves as soon as they read again.
//!
//! The kernel tells when a buffer is full and when the gateway has read what was sent to it, so nothing
//! here depends on time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Authority, Driver, Gateway, KernelSocket, PATIENCE, Setup, cpu_time, poll, scratch,
};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::bare::{
    ALERT, APPLICATION_DATA, ASK_FOR_KEYS, Bare, HANDSHAKE, NEW_KEYS, server_config,
};
use crate::spoken::{TUNNEL, WEBSOCKET, renegotiation};

mod no_room;
mod tunnels;

const CONFIG: &str = r#"
[http]
client_body_min_rate = 0
client_body_timeout = "30m"
keepalive_timeout = "30m"
send_min_rate = 0
send_timeout = "30m"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@plain@"

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/*"
client_max_body_size = 0
enable_websocket = true
upstream.nodes = { "@node@" = 1 }
upstream.scheme = "https"
upstream.tls = { verify = "off", ssl_protocols = ["@version@"] }
upstream.timeout = { send = "@patience@", read = "@patience@" }
"#;

/// More than all buffers between two ends hold.
const FLOOD: usize = 8 << 20;
const RECORD: usize = 16_000;
/// Less would make the kernel wait for room as large as a segment.
const WINDOW: usize = 65_536;
const CLOSE_NOTIFY: &[u8] = &[1, 0];
const NO_RENEGOTIATION: &[u8] = &[1, 100];

/// The next connection from the gateway.
type Accept = Box<dyn Fn() -> TcpStream + Send + Sync>;

/// A gateway, and its only upstream, which speaks TLS.
struct Stage {
    _scratch: tempfile::TempDir,
    gateway: Gateway,
    accept: Accept,
    leaf: ferrule_tests::Leaf,
    version: &'static SupportedProtocolVersion,
    name: String,
}

impl Stage {
    fn start(
        mode: (Driver, bool),
        version: &'static SupportedProtocolVersion,
        patience: &str,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, WINDOW).expect("an option");
        let node = listener.local_addr().expect("bound").to_string();
        let accept = Box::new(move || listener.accept().expect("the gateway").0);
        Self::at(scratch(), &node, accept, mode, version, patience)
    }

    /// The same, with an upstream that is elsewhere.
    fn at(
        scratch: tempfile::TempDir,
        node: &str,
        accept: Accept,
        (driver, fast): (Driver, bool),
        version: &'static SupportedProtocolVersion,
        patience: &str,
    ) -> Self {
        let leaf = Authority::new("ca").server(&["x"]);
        leaf.write(scratch.path(), "server");
        let word = if version.version == TLS13.version { "TLSv1.3" } else { "TLSv1.2" };
        let setup = Setup::new(scratch.path(), driver, CONFIG).fast_path(fast);
        let setup = setup.set("node", &node).set("version", &word).set("patience", &patience);
        let name = format!("{driver:?}, fast path {fast}, {word}");
        Self { _scratch: scratch, gateway: setup.start(), accept, leaf, version, name }
    }

    /// The next connection to the upstream.
    fn upstream(&self) -> Bare {
        Bare::accept((self.accept)(), &server_config(&self.leaf, self.version))
    }

    fn client(&self) -> Bare {
        let bare = Bare::connect(self.gateway.port("front"), "x", self.version);
        rustix::net::sockopt::set_socket_recv_buffer_size(&bare.socket, WINDOW).expect("an option");
        bare
    }

    /// An upload of so many bytes, sent by a thread of its own for as long as anybody takes it.
    fn upload(&self, size: usize) -> TcpStream {
        let port = self.gateway.port("plain");
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut writing = socket.try_clone().expect("a descriptor");
        thread::spawn(move || {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
            let _ =
                writing.write_all(head.as_bytes()).and_then(|()| writing.write_all(&body(size)));
        });
        socket
    }

    fn tunnel(&self) -> (Bare, Bare) {
        let mut client = self.client();
        client.send(APPLICATION_DATA, TUNNEL);
        let mut upstream = self.upstream();
        upstream.text_until("\r\n\r\n");
        upstream.send(APPLICATION_DATA, WEBSOCKET);
        client.text_until("\r\n\r\n");
        (client, upstream)
    }
}

/// Runs it on both drivers and both record layers, with both versions.
fn everywhere(case: impl Fn(&Stage)) {
    patiently("30m", case);
}

fn patiently(patience: &str, case: impl Fn(&Stage)) {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for (version, fast) in [(&TLS12, true), (&TLS13, true), (&TLS13, false)] {
            case(&Stage::start((driver, fast), version, patience));
        }
    }
}

/// Every place has its own byte.
fn body(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).expect("small")).collect()
}

/// Waits until the other end has sent what it can, and we have not taken it.
fn filled(socket: &TcpStream) {
    let (mut last, mut same) = (0, 0);
    let full = poll(PATIENCE, || {
        let now = KernelSocket::other_end(socket).map_or(0, |end| end.unacknowledged);
        same = if now > 0 && now == last { same + 1 } else { 0 };
        last = now;
        let _: Option<()> = poll(Duration::from_millis(10), || None);
        (same >= 20).then_some(())
    });
    assert!(full.is_some(), "it was never full: {last}");
}

/// Waits until the gateway has read all that we have sent.
fn heard(socket: &TcpStream) {
    let unread = || KernelSocket::other_end(socket).map_or(0, |end| end.unread);
    assert!(poll(PATIENCE, || (unread() == 0).then_some(())).is_some(), "not heard");
}

/// Says something that TLS has to answer; what the answer is.
fn say(bare: &mut Bare, stage: &Stage, client: bool) -> (u8, Vec<u8>) {
    if stage.version.version == TLS13.version {
        bare.send(HANDSHAKE, &ASK_FOR_KEYS);
        bare.renew_write();
        return (HANDSHAKE, NEW_KEYS.to_vec());
    }
    // A server asks for another handshake by a HelloRequest.
    let message = if client { renegotiation() } else { vec![0; 4] };
    bare.send(HANDSHAKE, &message);
    (ALERT, NO_RENEGOTIATION.to_vec())
}

/// Reads until so many bytes of data and these words have come, in any order.
fn take(bare: &mut Bare, size: usize, expected: &[(u8, Vec<u8>)], name: &str) -> Vec<u8> {
    let (mut data, mut words) = (Vec::new(), Vec::new());
    while data.len() < size || words.len() < expected.len() {
        let heard = bare.hear();
        assert!(heard.is_ok(), "{name}: {heard:?} behind {}, {words:?}", data.len());
        let Ok((kind, content)) = heard else { break };
        if kind == APPLICATION_DATA {
            data.extend(content);
        } else {
            words.push((kind, content));
        }
    }
    assert_eq!(words, expected, "{name}");
    data
}

/// Reads a head; how much came behind it.
fn head(bare: &mut Bare) -> usize {
    let mut text = Vec::new();
    loop {
        text.extend(bare.hear().expect("a head").1);
        if let Some(at) = text.windows(4).position(|end| end == b"\r\n\r\n") {
            return text.len() - at - 4;
        }
    }
}

/// The answer to an upload.
fn answer(mut socket: &TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut bytes = [0; 1024];
        match socket.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => text += &String::from_utf8_lossy(&bytes[..count]),
        }
    }
    text
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";

/// Whatever part of it is in whose buffers: of the largest most is still with the client.
const SIZES: [usize; 10] =
    [200_000, 320_000, 340_000, 360_000, 380_000, 400_000, 420_000, 440_000, 480_000, FLOOD];

#[test]
fn an_upstream_that_reads_again_has_its_answer_first() {
    everywhere(|stage| {
        thread::scope(|scope| {
            for size in SIZES {
                let client = stage.upload(size);
                let mut upstream = stage.upstream();
                scope.spawn(move || {
                    let begun = head(&mut upstream);
                    filled(&upstream.socket);
                    let word = say(&mut upstream, stage, false);
                    heard(&upstream.socket);
                    let name = format!("{}, {size}", stage.name);
                    let came = take(&mut upstream, size.saturating_sub(begun), &[word], &name);
                    let all = body(size);
                    assert!(all.ends_with(&came), "{name}: {} bytes", came.len());
                    upstream.send(APPLICATION_DATA, OK);
                    assert!(answer(&client, "done").starts_with("HTTP/1.1 200"), "{name}");
                });
            }
        });
    });
}

/// How an upstream may answer before it has read the request.
const EARLY: [&str; 5] = ["answers", "says goodbye", "ends its direction", "leaves", "breaks off"];

#[test]
fn an_early_answer_reaches_a_client_whose_upload_nobody_reads() {
    everywhere(|stage| {
        thread::scope(|scope| {
            for how in EARLY {
                let client = stage.upload(FLOOD);
                let mut upstream = stage.upstream();
                scope.spawn(move || {
                    head(&mut upstream);
                    filled(&upstream.socket);
                    say(&mut upstream, stage, false);
                    if how != "breaks off" {
                        upstream.send(APPLICATION_DATA, TOO_LARGE);
                    }
                    if how != "answers" {
                        upstream.send(ALERT, CLOSE_NOTIFY);
                    }
                    if how == "ends its direction" {
                        // The gateway may have left already.
                        let _ = upstream.socket.shutdown(Shutdown::Write);
                    }
                    if how == "leaves" {
                        heard(&upstream.socket);
                        // The gateway may have left, too.
                        let _ = upstream.socket.shutdown(Shutdown::Both);
                    }
                    let (status, end) =
                        if how == "breaks off" { ("502", "}") } else { ("413", "big") };
                    let text = answer(&client, end);
                    let name = format!("{}, {how}", stage.name);
                    assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {text}");
                    assert!(text.ends_with(end), "{name}: {text}");
                    // One that has answered gets the rest, if it reads that after all.
                    assert!(how != "breaks off" || cut(&mut upstream), "{name}");
                });
            }
        });
    });
}

/// Does it end before the whole request has come?
fn cut(upstream: &mut Bare) -> bool {
    let mut data = 0;
    while let Ok((_, content)) = upstream.hear() {
        data += content.len();
    }
    data < FLOOD
}

/// Each side writes, and reads only what it has written.
#[test]
fn an_upload_that_is_answered_while_it_comes_goes_on_when_its_client_reads() {
    everywhere(|stage| {
        let client = stage.upload(FLOOD);
        let mut upstream = stage.upstream();
        let begun = head(&mut upstream);
        thread::scope(|scope| {
            let echo = scope.spawn(move || {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {FLOOD}\r\n\r\n");
                upstream.send(APPLICATION_DATA, answer.as_bytes());
                upstream.send(APPLICATION_DATA, &body(begun));
                let mut data = begun;
                while data < FLOOD {
                    let (kind, content) = upstream.hear().expect("more of it");
                    assert_eq!(kind, APPLICATION_DATA);
                    data += content.len();
                    upstream.send(APPLICATION_DATA, &content);
                }
                upstream
            });
            filled(&client);
            let busy = busy(stage);
            let mut all = vec![0; FLOOD];
            let text = raw_head(&client);
            assert!(text.starts_with("HTTP/1.1 200"), "{}: {text}", stage.name);
            (&client).read_exact(&mut all).expect("all of it");
            assert!(all == body(FLOOD), "{}", stage.name);
            assert!(busy < Duration::from_millis(100), "{}: {busy:?}", stage.name);
            drop(echo.join().expect("an upstream"));
        });
    });
}

/// What the gateway works in a while in which everybody waits.
fn busy(stage: &Stage) -> Duration {
    let before = cpu_time(stage.gateway.process.id());
    let _: Option<()> = poll(Duration::from_millis(500), || None);
    cpu_time(stage.gateway.process.id()).saturating_sub(before)
}

fn raw_head(mut socket: &TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("a head");
        text.extend(byte);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// How a client may speak while its answer waits for it: what is said, and what comes of it.
const SAYINGS: [&str; 3] = ["asks", "says goodbye", "breaks the protocol"];

#[test]
fn a_client_that_does_not_read_its_answer_is_heard() {
    everywhere(|stage| {
        thread::scope(|scope| {
            for size in [200_000, 380_000, FLOOD] {
                for saying in SAYINGS {
                    let mut client = stage.client();
                    client.send(APPLICATION_DATA, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                    let upstream = stage.upstream();
                    scope.spawn(move || unread_answer(stage, (client, upstream), size, saying));
                }
            }
        });
    });
}

fn unread_answer(
    stage: &Stage,
    (mut client, mut upstream): (Bare, Bare),
    size: usize,
    saying: &str,
) {
    head(&mut upstream);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    upstream.send(APPLICATION_DATA, text.as_bytes());
    let all = body(size);
    let sending = upstream.socket.try_clone().expect("a descriptor");
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in all.chunks(RECORD) {
                let record = upstream.seal(APPLICATION_DATA, piece);
                // The gateway may have given up.
                if upstream.socket.write_all(&record).is_err() {
                    break;
                }
            }
        });
        filled(&client.socket);
        let mut words = Vec::new();
        match saying {
            "asks" => words.push(say(&mut client, stage, true)),
            "says goodbye" => client.send(ALERT, CLOSE_NOTIFY),
            _ => client.send(HANDSHAKE, &[99, 0, 0, 0]),
        }
        heard(&client.socket);
        let name = format!("{}, {size}, {saying}", stage.name);
        let size = size - head(&mut client);
        if saying == "breaks the protocol" {
            let (data, last) = rest(&mut client);
            let last = last.map(|(kind, alert)| (kind, alert[0]));
            assert_eq!(last, Some((ALERT, 2)), "{name}: {data}");
            assert!(data <= size, "{name}: {data}");
            // Nobody reads what is left.
            let _ = sending.shutdown(Shutdown::Both);
        } else {
            let came = take(&mut client, size, &words, &name);
            assert!(all.ends_with(&came), "{name}");
        }
    });
}

/// What comes up to the end: how much data, and the last thing that is none.
fn rest(bare: &mut Bare) -> (usize, Option<(u8, Vec<u8>)>) {
    let (mut data, mut last) = (0, None);
    while let Ok((kind, content)) = bare.hear() {
        if kind == APPLICATION_DATA { data += content.len() } else { last = Some((kind, content)) }
    }
    (data, last)
}
