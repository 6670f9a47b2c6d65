//! Answers that are complete before the request is: the client gets each, whether it reads while it sends or
//! only when it has sent everything, and whoever gives the answer.
//!
//! Every way in which an answer comes early, times every framing of the body, every size, every kind of
//! client and every transport. Whoever sends more than all sockets hold is stuck unless somebody reads.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Conversation, Dial, Driver, Gateway, KernelSocket, PATIENCE, Setup, now,
    on_both_drivers, poll, raw, scratch,
};
use rustix::net::sockopt::set_socket_linger;
use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};

use crate::write_ca;

const CONFIG: &str = r#"
[http]
@http@

[[listen]]
address = "127.0.0.1:@front@"
mtls_routes = "allow"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"

[[ssls]]
sni = "b.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", reject = "handshake" }

[[routes]]
uri = "/ours"
client_max_body_size = 1
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/get"
methods = ["GET"]
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/upstream/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.retries = 0
"#;

/// More than all sockets between two ends hold.
const LARGE: usize = 8 << 20;

/// Who answers early, and how the connection fares: the target, and the status.
const WAYS: [(&str, u16); 9] = [
    ("/ours", 413),
    // A method that no route takes, and a path that no route has.
    ("/get", 405),
    ("/nothing", 404),
    ("/upstream/reads-on", 413),
    ("/upstream/closes", 413),
    ("/upstream/shuts", 401),
    ("/upstream/resets", 202),
    ("/upstream/leaves-silently", 502),
    ("/upstream/accepts", 202),
];

/// What an upstream has received of each request that it answered with 202.
type Received = Arc<Mutex<Vec<usize>>>;

fn upstream(received: &Received) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let received = Arc::clone(received);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let received = Arc::clone(&received);
            thread::spawn(move || serve(stream, &received));
        }
    });
    port
}

fn serve(stream: TcpStream, received: &Received) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut talk = Conversation::new(stream);
    while let Some(head) = talk.head()? {
        let way = head.target().rsplit('/').next().unwrap_or_default().to_owned();
        let answer = match way.as_str() {
            "closes" => "413 Too Large\r\nConnection: close",
            "shuts" => "401 Unauthorized\r\nConnection: close",
            "accepts" => "202 Accepted",
            // Not to be taken for a connection that lives on: nobody could tell a reset that comes later.
            "resets" => "202 Accepted\r\nConnection: close",
            _ => "413 Too Large",
        };
        if way == "leaves-silently" {
            return Ok(());
        }
        talk.send(format!("HTTP/1.1 {answer}\r\nContent-Length: 5\r\n\r\nearly").as_bytes())?;
        match way.as_str() {
            "closes" => return Ok(()),
            "shuts" => {
                talk.stream.shutdown(Shutdown::Write)?;
                // Reads on for a while, as a server does that lingers.
                talk.exactly(LARGE / 4)?;
                return Ok(());
            }
            "resets" => {
                set_socket_linger(&talk.stream, Some(Duration::ZERO))?;
                // What was sent leaves first.
                thread::park_timeout(Duration::from_millis(20));
                return Ok(());
            }
            "stalls" => {
                thread::park_timeout(PATIENCE * 3);
                return Ok(());
            }
            _ => {}
        }
        // All of it, and then the next request.
        let bytes = if head.is_chunked() {
            talk.chunked()?.0.len()
        } else {
            talk.exactly(head.length().unwrap_or(0))?.len()
        };
        if way == "accepts" {
            received.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }
    Ok(())
}

struct Place {
    _scratch: tempfile::TempDir,
    gateway: Gateway,
    received: Received,
}

impl Place {
    fn start(driver: Driver, fast: bool, http: &str) -> Self {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test", "b.test"]).write(scratch.path(), "server");
        let received = Received::default();
        let setup = Setup::new(scratch.path(), driver, CONFIG).fast_path(fast).quiet();
        let gateway = setup.set("http", &http).set("upstream", &upstream(&received)).start();
        Self { _scratch: scratch, gateway, received }
    }

    fn connect(&self, transport: Transport) -> Line {
        let version = match transport {
            Transport::Plain => return raw::plain(self.gateway.port("front")).stream,
            Transport::Tls12 => &TLS12,
            Transport::Tls13 => &TLS13,
        };
        let dial = Dial::with(Some("a.test"), None, &[version]);
        dial.connect(self.gateway.port("secure")).expect("a handshake").stream
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transport {
    Plain,
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Body {
    Length(usize),
    Chunked(usize),
    /// With a length, and the client waits a moment for a 100.
    Expected(usize),
    /// HTTP/1.0
    Old(usize),
    /// Half of what was announced comes at once, the rest after a second.
    Paused(usize),
}

const BODIES: [Body; 7] = [
    Body::Length(100_000),
    Body::Length(LARGE),
    Body::Chunked(100_000),
    Body::Chunked(LARGE),
    Body::Expected(LARGE),
    Body::Old(LARGE),
    Body::Paused(400_000),
];

impl Body {
    const fn bytes(self) -> usize {
        match self {
            Self::Length(bytes)
            | Self::Chunked(bytes)
            | Self::Expected(bytes)
            | Self::Old(bytes)
            | Self::Paused(bytes) => bytes,
        }
    }
}

/// When a client looks for its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Looks {
    /// It has sent everything by then; nothing that it sends may fail.
    AtTheEnd,
    /// After every piece that it sends. Behind a whole answer it sends on.
    AllTheTime,
}

fn head(target: &str, body: Body) -> String {
    let version = if matches!(body, Body::Old(_)) { "1.0" } else { "1.1" };
    let length = format!("Content-Length: {}\r\n", body.bytes());
    let framing = match body {
        Body::Chunked(_) => String::from("Transfer-Encoding: chunked\r\n"),
        Body::Length(_) | Body::Old(_) | Body::Paused(_) => length,
        Body::Expected(_) => format!("{length}Expect: 100-continue\r\n"),
    };
    format!("POST {target} HTTP/{version}\r\nHost: a.test\r\n{framing}\r\n")
}

/// The pieces of a body, as they are sent.
fn pieces(body: Body) -> impl Iterator<Item = Vec<u8>> {
    const PIECE: usize = 100_000;
    let (bytes, chunked) = (body.bytes(), matches!(body, Body::Chunked(_)));
    let data = (0..bytes.div_ceil(PIECE)).map(move |at| PIECE.min(bytes - at * PIECE));
    let framed = data.map(move |length| {
        let data = vec![b'x'; length];
        if chunked { [format!("{length:x}\r\n").as_bytes(), &data, b"\r\n"].concat() } else { data }
    });
    framed.chain(chunked.then(|| b"0\r\n\r\n".to_vec()))
}

/// Uploads, and reads the answer; its text, with whatever came behind it, or what went wrong.
fn upload(line: &mut Line, target: &str, body: Body, looks: Looks) -> Result<String, String> {
    line.write_all(head(target, body).as_bytes()).map_err(|error| format!("the head: {error}"))?;
    let mut heard = Vec::new();
    if matches!(body, Body::Expected(_)) {
        wait_for(line, &mut heard, Duration::from_millis(300));
    }
    for (at, piece) in pieces(body).enumerate() {
        line.write_all(&piece).map_err(|error| format!("piece {at}: {error}"))?;
        if looks == Looks::AllTheTime {
            wait_for(line, &mut heard, Duration::from_millis(1));
        }
        if matches!(body, Body::Paused(_)) && at == 1 {
            thread::park_timeout(Duration::from_secs(1));
        }
    }
    line.flush().map_err(|error| format!("the end: {error}"))?;
    set_patience(line, PATIENCE);
    while !is_whole(&heard) {
        let mut room = [0; 4_096];
        match line.read(&mut room) {
            Ok(0) => return Err(format!("ended behind {:?}", String::from_utf8_lossy(&heard))),
            Ok(count) => heard.extend_from_slice(&room[..count]),
            Err(error) => {
                return Err(format!("{error} behind {:?}", String::from_utf8_lossy(&heard)));
            }
        }
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

fn set_patience(line: &Line, time: Duration) {
    line.socket().set_read_timeout(Some(time)).expect("a socket");
}

/// Takes what comes within this time, if anything does.
fn wait_for(line: &mut Line, heard: &mut Vec<u8>, time: Duration) {
    set_patience(line, time);
    let mut room = [0; 4_096];
    if let Ok(count) = line.read(&mut room) {
        heard.extend_from_slice(&room[..count]);
    }
}

/// Is a final answer there, with its body?
fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.and_then(|text| text.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

/// Every row of the matrix with this transport; what went wrong.
fn matrix(place: &Place, transport: Transport) -> Vec<String> {
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for looks in [Looks::AtTheEnd, Looks::AllTheTime] {
            for (target, status) in WAYS {
                let wrong = &wrong;
                scope.spawn(move || {
                    for body in BODIES {
                        let mut line = place.connect(transport);
                        let told = upload(&mut line, target, body, looks);
                        let wanted = format!("HTTP/1.1 {status} ");
                        let seen = told.as_ref().is_ok_and(|text| {
                            let text =
                                text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(text);
                            text.starts_with(&wanted)
                        });
                        if !seen {
                            let name = format!("{transport:?} {target} {body:?} {looks:?}");
                            let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                            wrong.push(format!("{name}: {told:?}\n"));
                        }
                    }
                });
            }
        }
    });
    wrong.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory that are the process's alone, in KiB.
fn resident(gateway: &Gateway) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", gateway.process.id());
    let text = std::fs::read_to_string(path).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a sum");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Does the gateway still have this connection?
fn is_held(line: &Line) -> bool {
    KernelSocket::other_end(line.socket()).is_some_and(|end| end.is_open)
}

/// Sends a body of this length as fast as it is taken; how many bytes were.
fn pour(line: &mut Line, bytes: usize) -> usize {
    let piece = vec![b'x'; 1 << 16];
    let mut sent = 0;
    while sent < bytes && line.write_all(&piece).is_ok() {
        sent += piece.len();
    }
    sent
}

on_both_drivers! {
    fn every_early_answer_arrives(driver) {
        let place = Place::start(driver, true, "");
        let mut wrong = matrix(&place, Transport::Plain);
        wrong.extend(matrix(&place, Transport::Tls13));
        let slow_path = Place::start(driver, false, "");
        wrong.extend(matrix(&slow_path, Transport::Tls12));
        assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.concat());
        // Whoever has accepted a request early still gets all of it.
        let large = BODIES.iter().filter(|body| body.bytes() == LARGE).count() * 2;
        for (place, transports) in [(&place, 2), (&slow_path, 1)] {
            let all = || place.received.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let whole = || all().iter().filter(|bytes| **bytes == LARGE).count();
            let done = poll(PATIENCE, || (whole() == large * transports).then_some(()));
            assert!(done.is_some(), "{:?}", all());
            assert_eq!(all().len(), BODIES.len() * 2 * transports);
        }
    }

    /// The upstream has answered and reads nothing more: it is given up, and the client gets its answer.
    fn an_upstream_that_answers_and_stalls_is_given_up(driver) {
        let place = Place::start(driver, true, "lingering_timeout = \"1s\"");
        for transport in [Transport::Plain, Transport::Tls13] {
            let mut line = place.connect(transport);
            let started = now();
            let text = upload(&mut line, "/upstream/stalls", Body::Length(LARGE), Looks::AtTheEnd);
            assert!(text.as_ref().is_ok_and(|text| text.starts_with("HTTP/1.1 413 ")), "{text:?}");
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        }
    }

    /// A connection whose request was read to its end behind an early answer brings the next one.
    fn a_connection_goes_on_behind_an_early_answer(driver) {
        let place = Place::start(driver, true, "");
        for transport in [Transport::Plain, Transport::Tls12, Transport::Tls13] {
            let mut line = place.connect(transport);
            for target in ["/upstream/reads-on", "/upstream/accepts", "/upstream/reads-on"] {
                for body in [Body::Length(LARGE), Body::Chunked(100_000)] {
                    let text = upload(&mut line, target, body, Looks::AtTheEnd);
                    assert!(text.is_ok(), "{transport:?} {target} {body:?}: {text:?}");
                }
            }
        }
    }

    /// It takes no memory, and no longer than it may: a client that sends for ever, one that trickles, and one
    /// that says nothing.
    fn what_nobody_reads_is_dropped_within_bounds(driver) {
        let http = "lingering_time = \"3s\"\nlingering_timeout = \"1s\"\nclient_body_min_rate = 20000";
        let place = Place::start(driver, true, http);
        for transport in [Transport::Plain, Transport::Tls13] {
            let asked = head("/ours", Body::Length(1 << 40));
            // For ever.
            let mut line = place.connect(transport);
            line.write_all(asked.as_bytes()).expect("a connection");
            let before = resident(&place.gateway);
            let started = now();
            let sent = pour(&mut line, 1 << 40);
            let took = started.elapsed();
            assert!(sent > 16 << 20, "{transport:?}: {sent} bytes in {took:?}");
            assert!(took > Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
            let grown = resident(&place.gateway).saturating_sub(before);
            assert!(grown < 1_024, "{transport:?}: {grown} KiB");
            drop(line);
            // A trickle, and silence.
            for piece in [&b"x"[..], b""] {
                let mut line = place.connect(transport);
                line.write_all(asked.as_bytes()).expect("a connection");
                set_patience(&line, PATIENCE);
                line.read_exact(&mut [0; 12]).expect("an answer");
                let started = now();
                let closed = poll(PATIENCE, || {
                    if !piece.is_empty() {
                        // It may be closed already.
                        let _ = line.write_all(piece);
                    }
                    let _: Option<()> = poll(Duration::from_millis(30), || None);
                    (!is_held(&line)).then_some(())
                });
                let took = started.elapsed();
                assert!(closed.is_some(), "{transport:?} {piece:?}");
                let lasts = Duration::from_millis(700)..Duration::from_millis(2_900);
                assert!(lasts.contains(&took), "{transport:?} {piece:?}: {took:?}");
            }
        }
    }

    /// The request follows the client's last flight without a pause, or is no handshake at all.
    fn a_client_whose_handshake_is_refused_is_told_so(driver) {
        let place = Place::start(driver, true, "");
        let request = head("/ours", Body::Length(LARGE));
        let mut plain = raw::plain(place.gateway.port("secure")).stream;
        plain.write_all(request.as_bytes()).expect("a connection");
        assert_eq!(pour(&mut plain, LARGE), LARGE);
        let mut status = [0; 12];
        plain.read_exact(&mut status).expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 400");
        let dial = Dial::with(Some("b.test"), None, &[&TLS13]);
        let mut line = dial.connect(place.gateway.port("secure")).expect("a handshake").stream;
        line.write_all(request.as_bytes()).expect("a connection");
        assert_eq!(pour(&mut line, LARGE), LARGE);
        let refused = line.read(&mut status).expect_err("no certificate");
        assert_eq!(raw::alert(&refused), Some(AlertDescription::CertificateRequired), "{refused}");
    }

    fn a_drain_lets_an_early_answer_arrive(driver) {
        let mut place = Place::start(driver, true, "");
        let mut lines = [Transport::Plain, Transport::Tls13].map(|transport| {
            let mut line = place.connect(transport);
            line.write_all(head("/ours", Body::Length(LARGE)).as_bytes()).expect("a connection");
            pour(&mut line, 1 << 20);
            line
        });
        place.gateway.process.signal(rustix::process::Signal::TERM);
        let drains = poll(PATIENCE, || place.gateway.log().contains("drain").then_some(()));
        assert!(drains.is_some(), "{}", place.gateway.log());
        for line in &mut lines {
            assert_eq!(pour(line, LARGE - (1 << 20)), LARGE - (1 << 20));
            set_patience(line, PATIENCE);
            let mut room = [0; 12];
            line.read_exact(&mut room).expect("an answer");
            assert_eq!(&room, b"HTTP/1.1 413");
        }
        drop(lines);
        assert!(place.gateway.stop().success());
    }
}
