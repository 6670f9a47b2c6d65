//! A gateway between strangers and an upstream that floods, stalls or never answers.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Client, Dial, Driver, Gateway, PATIENCE, Raw, Script, Setup, Upstream, poll, raw,
    scratch, tls,
};
use rustls::version::TLS13;

use crate::write_ca;

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

pub(super) const CROWD: i32 = 16;

/// More than all sockets between two ends hold.
pub(super) const FLOOD: usize = 10 << 20;

const GRANT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

pub(super) const ASK: &str = "GET /tunnel HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
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
                if !endless(client, other) {
                    // Says what it has begun with, and reads nothing.
                    client.send(&begun(other).unwrap_or_default());
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

pub(super) struct Place {
    _scratch: tempfile::TempDir,
    _upstreams: [Upstream; 2],
    pub(super) gateway: Gateway,
}

impl Place {
    pub(super) fn start(driver: Driver, runtime: &str) -> Self {
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

    pub(super) fn scrape(&self) -> Exposition {
        let text = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics").text();
        Exposition::read(&text)
    }

    /// KiB of buffers that each of the crowd holds.
    pub(super) fn each(&self) -> f64 {
        self.rented(0.5) / f64::from(CROWD)
    }

    /// KiB of buffers that are rented, at least so many, once nothing changes any more.
    pub(super) fn rented(&self, least: f64) -> f64 {
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

    pub(super) fn tls(&self) -> Raw {
        let dial = Dial::with(Some("a.test"), None, &[&TLS13]);
        dial.connect(self.gateway.port("front")).expect("a handshake")
    }

    pub(super) fn socket(&self, port: &str) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.gateway.port(port))).expect("a connection")
    }
}

/// What an upstream does that has no end; false if the target is another one.
fn endless(client: &mut Client, target: &str) -> bool {
    let (head, piece): (&[u8], &[u8]) = match target {
        "/hints" => (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        "/endless-head" => {
            (b"HTTP/1.1 200 OK\r\n", b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
        }
        "/endless-field" => (b"HTTP/1.1 200 OK\r\nX-Filler: ", b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        "/endless-extension" => {
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"yyyyyyyyyyyyyyyyyy")
        }
        "/endless-trailers" => (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
            b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        ),
        _ => return false,
    };
    if client.send(head) {
        client.send(&piece.repeat(FLOOD / piece.len()));
    }
    true
}

/// What an upstream begins and does not go on with; nothing if the target is another one.
fn begun(target: &str) -> Option<Vec<u8>> {
    let large = "y".repeat(7_000);
    let text = match target {
        "/half-head" => format!("HTTP/1.1 200 OK\r\nX-A: {large}\r\nX-B: {large}"),
        "/half-chunk" => {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{large}")
        }
        "/half-size" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff".to_owned(),
        _ => return None,
    };
    Some(text.into_bytes())
}

/// Sends until nothing goes any more, for a while at most.
pub(super) fn send_all(mut socket: &TcpStream, bytes: &[u8], most: usize) {
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
