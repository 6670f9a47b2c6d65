//! What one connection may hold: neither a core for itself, nor memory that it does not need.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw,
    scratch, tls,
};
use rustls::ClientConnection;

const CONFIG: &str = r#"
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
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Records of one byte each: much work, and few bytes.
const RECORDS: usize = 400_000;
const STRAYS: usize = 20;

fn start(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    Authority::new("ca").server(&["a.test"]).write(dir, "server");
    Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start()
}

/// A connection past its handshake, and a request with its body in records of one byte.
fn flood(port: u16) -> (ClientConnection, TcpStream, Vec<u8>) {
    let config = tls::client(None, &[&rustls::version::TLS13]);
    let name = "a.test".try_into().expect("a server name");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("good settings");
    session.set_buffer_limit(None);
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
    socket.set_read_timeout(Some(6 * PATIENCE)).expect("a time");
    while session.is_handshaking() || session.wants_write() {
        session.complete_io(&mut socket).expect("a handshake");
    }
    let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {RECORDS}\r\n\r\n");
    session.writer().write_all(head.as_bytes()).expect("memory");
    let mut bytes = Vec::new();
    for _ in 0..RECORDS {
        session.writer().write_all(b"x").expect("memory");
        session.write_tls(&mut bytes).expect("memory");
    }
    while session.wants_write() {
        session.write_tls(&mut bytes).expect("memory");
    }
    (session, socket, bytes)
}

fn body_buffers(gateway: &Gateway) -> f64 {
    let text = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
    let labels = [("size", "body"), ("state", "rented")];
    Exposition::read(&text).sum("ferrule_buffers", &labels)
}

on_both_drivers! {
    /// Nobody waits for the end of it. How often the others are answered meanwhile depends on how many
    /// cores the flood, its upstream and those who ask have beside the gateway's: on two, epoll answers five
    /// to twenty times, and `io_uring` sixty.
    fn a_flood_on_one_connection_leaves_the_others_their_turn(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, &upstream);
        let (session, mut socket, bytes) = flood(gateway.port("secure"));
        let mut pings = raw::plain(gateway.port("front"));
        assert_eq!(raw::get(&mut pings, "x", "/ping").status(), 200);
        let over = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&over);
        let flooding = thread::spawn(move || {
            socket.write_all(&bytes).expect("a connection");
            let mut stream = rustls::StreamOwned::new(session, socket);
            let answer = std::io::Read::read(&mut stream, &mut [0; 64]).expect("an answer");
            done.store(true, Ordering::SeqCst);
            answer
        });
        let mut answered = 0;
        while !over.load(Ordering::SeqCst) {
            assert_eq!(raw::get(&mut pings, "x", "/ping").status(), 200);
            answered += 1;
        }
        assert!(flooding.join().expect("the flood is answered") > 0);
        let least = if driver == Driver::Epoll { 2 } else { 30 };
        assert!(answered > least, "{answered} pings while it lasted");
    }

    /// The first byte of the next request lies where the body was.
    fn a_stray_byte_holds_no_large_buffer(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, &upstream);
        let body = 3_000_000;
        let mut request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n\r\n").into_bytes();
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
            raw.send(b"ET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            assert_eq!(raw.response("GET").expect("a response").status(), 200);
        }
    }
}
