//! Memory per stranger: who does not get on holds what is in hand, and little more.
//!
//! A crowd of each kind against a gateway of its own, measured by what the gateway says its buffers
//! take: below 48 KiB before a request is admitted, and below 96 KiB for a body that stalls.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Client, Dial, Driver, Gateway, PATIENCE, Raw, Script, Setup, Upstream,
    on_both_drivers, poll, raw, scratch, tls,
};
use rustls::version::TLS13;

use crate::write_ca;

mod odd;
mod unread;

const CONFIG: &str = r#"
[http]
connections_per_address = 0
client_body_min_rate = 0
send_min_rate = 0

[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
handshake_timeout = "60s"

[[listen]]
address = "127.0.0.1:@plain@"

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/tls/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@tls@" = 1 }
upstream.scheme = "https"
upstream.tls = { ca = "ca.crt", server_name = "a.test" }
"#;

const CROWD: i32 = 16;

/// More than all sockets between two ends hold.
const FLOOD: usize = 10 << 20;

const GRANT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const ASK: &str = "GET /tunnel HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";

/// Answers by the target: with a flood, or never, or with a tunnel that floods and does not read.
fn upstream() -> Script {
    Arc::new(|client| {
        // The body is none of its business.
        let Ok(Some(head)) = client.talk.head() else { return };
        let target = head.target();
        let target = target.strip_prefix("/tls").unwrap_or(target);
        let first: &[u8] = match target {
            "/flood" => b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n",
            "/close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            "/chunks" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "/tunnel" => GRANT,
            "/short" => return answer_all(client, b"ok"),
            "/some" => return answer_all(client, &[b'x'; 4_000]),
            other => {
                if !odd::endless(client, other) {
                    // Says what it has begun with, and reads nothing.
                    client.send(&odd::begun(other).unwrap_or_default());
                    thread::park();
                }
                return;
            }
        };
        let body = match target {
            "/chunks" => [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat(),
            _ => vec![b'x'; 1 << 16],
        };
        if client.send(first) && client.send(&body.repeat(FLOOD >> 16)) {
            thread::park();
        }
    })
}

fn answer_all(client: &mut Client, body: &[u8]) {
    while client.answer(body) && client.talk.head().is_ok_and(|head| head.is_some()) {}
}

struct Place {
    _scratch: tempfile::TempDir,
    _upstreams: [Upstream; 2],
    gateway: Gateway,
}

impl Place {
    fn start(driver: Driver, runtime: &str) -> Self {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        let leaf = authority.server(&["a.test"]);
        leaf.write(scratch.path(), "server");
        let upstreams =
            [Upstream::plain(upstream()), Upstream::tls(tls::server(&leaf, None), upstream())];
        let gateway = Setup::new(scratch.path(), driver, CONFIG)
            .runtime_line(runtime)
            .set("upstream", &upstreams[0].port)
            .set("tls", &upstreams[1].port)
            .start();
        Self { _scratch: scratch, _upstreams: upstreams, gateway }
    }

    fn scrape(&self) -> Exposition {
        let text = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics").text();
        Exposition::read(&text)
    }

    /// KiB of buffers that each of the crowd holds.
    fn each(&self) -> f64 {
        self.rented(0.5) / f64::from(CROWD)
    }

    /// KiB of buffers that are rented, at least so many, once nothing changes any more.
    fn rented(&self, least: f64) -> f64 {
        let (mut last, mut same) = (0.0, 0);
        let look = || {
            let _: Option<()> = poll(Duration::from_millis(300), || None);
            let now = self.scrape().sum("ferrule_buffer_bytes", &[("state", "rented")]) / 1024.0;
            same = if now >= least && (now - last).abs() < 0.5 { same + 1 } else { 0 };
            last = now;
            (same == 2).then_some(now)
        };
        poll(PATIENCE * 3, look).expect("a calm gateway")
    }

    fn tls(&self) -> Raw {
        let dial = Dial::with(Some("a.test"), None, &[&TLS13]);
        dial.connect(self.gateway.port("front")).expect("a handshake")
    }

    fn socket(&self, port: &str) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.gateway.port(port))).expect("a connection")
    }
}

/// A record of a `ClientHello` that announces 30,000 bytes, and 21,000 of those, in records.
fn hello() -> Vec<u8> {
    let mut message = vec![1, 0, 0x75, 0x30];
    message.resize(21_000, 0);
    let records = message.chunks(16_384).flat_map(|content| {
        let len = u16::try_from(content.len()).expect("a record");
        [&[22, 3, 1][..], &len.to_be_bytes(), content].concat()
    });
    records.collect()
}

fn head(bytes: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a.test\r\n".to_vec();
    let mut number = 0;
    while head.len() < bytes {
        head.extend_from_slice(format!("X-{number}: {}\r\n", "x".repeat(900)).as_bytes());
        number += 1;
    }
    head.truncate(bytes);
    head
}

/// Sends until nothing goes any more, for a while at most.
fn send_all(mut socket: &TcpStream, bytes: &[u8], most: usize) {
    socket.set_write_timeout(Some(Duration::from_millis(300))).expect("a socket");
    let mut sent = 0;
    while sent < most {
        match socket.write(bytes) {
            Ok(count) => sent += count,
            Err(error) => {
                let full = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(full, "{error}");
                return;
            }
        }
    }
}

/// The sockets of a crowd of this kind, for as long as they are to be open.
fn crowd(place: &Place, kind: &str) -> Vec<Line> {
    let upload =
        format!("POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", FLOOD * 2);
    let piece = vec![b'x'; 1 << 16];
    let one = || match kind {
        "idle" => place.tls().stream,
        "hello" => {
            let mut socket = place.socket("front");
            socket.write_all(&hello()).expect("room");
            Line::Plain(socket)
        }
        "plain head" => {
            let mut socket = place.socket("plain");
            socket.write_all(&head(21_000)).expect("room");
            Line::Plain(socket)
        }
        "head" => {
            let mut raw = place.tls();
            raw.send(&head(21_000)).expect("room");
            raw.stream
        }
        "slow head" => {
            let mut raw = place.tls();
            for byte in &head(40) {
                raw.send(&[*byte]).expect("room");
            }
            raw.stream
        }
        "upload that stops" => {
            let mut raw = place.tls();
            raw.send(upload.as_bytes()).expect("room");
            for _ in 0..16 {
                raw.send(&piece).expect("room");
            }
            raw.stream
        }
        "upload that nobody reads" => {
            let socket = place.socket("plain");
            send_all(&socket, upload.as_bytes(), 1);
            send_all(&socket, &piece, FLOOD);
            Line::Plain(socket)
        }
        "unread answer" => {
            let mut raw = place.tls();
            raw.send(b"GET /flood HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("room");
            raw.stream
        }
        "unread plain answer" => {
            let mut socket = place.socket("plain");
            socket.write_all(b"GET /flood HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("room");
            Line::Plain(socket)
        }
        "tunnel" => {
            let mut socket = place.socket("plain");
            socket.write_all(ASK.as_bytes()).expect("room");
            send_all(&socket, &piece, FLOOD);
            Line::Plain(socket)
        }
        other => unreachable!("{other}"),
    };
    (0..CROWD).map(|_| one()).collect()
}

on_both_drivers! {
    fn nobody_holds_more_than_what_is_in_hand(driver) {
        for (kind, most) in [
            ("idle", 2),
            ("slow head", 4),
            ("hello", 40),
            ("plain head", 40),
            ("head", 40),
            ("upload that stops", 64),
            ("upload that nobody reads", 64),
            ("unread answer", 64),
            ("unread plain answer", 64),
            ("tunnel", 88),
        ] {
            let place = Place::start(driver, "");
            let crowd = crowd(&place, kind);
            let each = place.each();
            assert!(each <= f64::from(most), "{kind}: {each} KiB each; {}", place.gateway.log());
            drop(crowd);
        }
    }

    /// Those who have not got on for the longest make room; who rests or gets on stays.
    fn a_budget_is_won_back_from_those_who_stall(driver) {
        let place = Place::start(driver, "buffer_memory = \"1m\"");
        let mut kept = raw::plain(place.gateway.port("plain"));
        let ask = |raw: &mut Raw| raw::get(raw, "a.test", "/short").status();
        assert_eq!(ask(&mut kept), 200);
        let sockets: Vec<TcpStream> = (0..64)
            .filter_map(|_| {
                let mut socket = place.socket("plain");
                socket.write_all(&head(21_000)).ok().map(|()| socket)
            })
            .collect();
        let within = poll(PATIENCE * 2, || {
            let scrape = place.scrape();
            let stalled = scrape.sum("ferrule_connections_stalled_total", &[]);
            let rented = scrape.sum("ferrule_buffer_bytes", &[("state", "rented")]);
            (stalled >= 1.0 && rented <= f64::from(1 << 20)).then_some(())
        });
        assert!(within.is_some(), "{}", place.gateway.log());
        assert!(place.gateway.log().contains("runtime.buffer_memory is used up"));
        assert_eq!(ask(&mut kept), 200);
        assert_eq!(ask(&mut raw::plain(place.gateway.port("plain"))), 200);
        drop(sockets);
    }
}
