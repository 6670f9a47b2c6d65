//! Answers without a length that we cut off ourselves: nobody may take them for whole.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Script, Setup, Upstream, now, on_both_drivers,
    poll, raw, scratch,
};

const METRICS: &str = "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

const CONFIG: &str = r#"
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
[routes.upstream]
timeout = { connect = 10, send = 1, read = 60 }
nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Answers the head of a request, reads nothing more, and sends a line now and then for as long as
/// anybody takes them.
fn dribble() -> Script {
    Arc::new(|client| {
        if !client.talk.head().is_ok_and(|head| head.is_some()) {
            return;
        }
        let mut going = client.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        for _ in 0..600 {
            going = going && client.send(b"one more line\n");
            if !going {
                return;
            }
            thread::park_timeout(Duration::from_millis(50));
        }
    })
}

fn gateway(dir: &std::path::Path, driver: Driver, upstream: &Upstream) -> Gateway {
    Authority::new("ca").server(&["a.test"]).write(dir, "server");
    Setup::new(dir, driver, &format!("{METRICS}{CONFIG}")).set("upstream", &upstream.port).start()
}

/// What a counter stands at.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn count(gateway: &Gateway, name: &str) -> u64 {
    let text = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
    Exposition::read(&text).sum(&format!("ferrule_{name}_total"), &[]) as u64
}

fn connect(gateway: &Gateway, request: &[u8]) -> TcpStream {
    let address = (Ipv4Addr::LOCALHOST, gateway.port("front"));
    let mut socket = TcpStream::connect(address).expect("a listener");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.write_all(request).expect("a connection");
    socket
}

/// Reads until this was said.
fn read_until(socket: &mut TcpStream, words: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.windows(words.len()).any(|window| window == words) {
        let mut piece = [0; 512];
        let count = socket.read(&mut piece).expect("an answer");
        assert!(count > 0, "ended early: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..count]);
    }
    heard
}

/// All that comes; and did it come to an end that may be taken for the answer's?
fn hear(mut stream: impl Read) -> (Vec<u8>, bool) {
    let mut heard = Vec::new();
    let ended = stream.read_to_end(&mut heard);
    let whole = match ended {
        Ok(_) => true,
        Err(error) => {
            use std::io::ErrorKind::{TimedOut, WouldBlock};
            assert!(!matches!(error.kind(), TimedOut | WouldBlock), "left hanging");
            false
        }
    };
    (heard, whole)
}

fn assert_cut(row: &str, (heard, whole): (Vec<u8>, bool)) {
    let text = String::from_utf8_lossy(&heard);
    assert!(!text.ends_with("0\r\n\r\n"), "{row}: a last chunk: {text}");
    assert!(!whole, "{row}: an orderly end: {text}");
}

/// It is counted for what it was, and the upstream is not to blame.
fn assert_counted(gateway: &Gateway, name: &str, before: u64) {
    let counted = poll(PATIENCE, || (count(gateway, name) > before).then_some(()));
    assert!(counted.is_some(), "{name}: {}", count(gateway, name));
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\n";

on_both_drivers! {
    fn a_client_that_half_closes_gets_no_forged_end(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(dribble()));
        let gateway = gateway(scratch.path(), driver, &upstream);
        for version in ["1.1", "1.0"] {
            let request = format!("GET / HTTP/{version}\r\nHost: a.test\r\n\r\n");
            let before = count(&gateway, "client_aborts");
            let socket = connect(&gateway, request.as_bytes());
            socket.shutdown(Shutdown::Write).expect("a connection");
            assert_cut(version, hear(&socket));
            assert_counted(&gateway, "client_aborts", before);
            let dial = Dial::new(Some("a.test"));
            let mut raw = dial.connect(gateway.port("secure")).expect("a handshake");
            raw.send(request.as_bytes()).expect("a connection");
            raw.stream.finish().expect("a connection");
            assert_cut(&format!("{version} over TLS"), hear(&mut raw.stream));
        }
        assert_eq!(count(&gateway, "upstream_lost"), 0);
    }

    fn a_broken_upload_beside_an_answer_ends_it_visibly(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(dribble()));
        let gateway = gateway(scratch.path(), driver, &upstream);
        let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        let before = count(&gateway, "refusals");
        let mut socket = connect(&gateway, request.as_bytes());
        read_until(&mut socket, b"line");
        socket.write_all(b"zz\r\n").expect("a connection");
        assert_cut("malformed", hear(&socket));
        assert_counted(&gateway, "refusals", before);
        assert_eq!(count(&gateway, "upstream_lost"), 0);
    }

    fn a_short_upload_beside_an_answer_ends_it_visibly(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(dribble()));
        let gateway = gateway(scratch.path(), driver, &upstream);
        let mut socket = connect(&gateway, format!("{POST}Content-Length: 100\r\n\r\nabc").as_bytes());
        read_until(&mut socket, b"line");
        socket.shutdown(Shutdown::Write).expect("a connection");
        assert_cut("short", hear(&socket));
        assert_counted(&gateway, "client_aborts", 0);
        assert_eq!(count(&gateway, "upstream_lost"), 0);
    }

    /// The upstream answers early and takes nothing more of the upload. That goes on for as long as its answer does;
    /// what ends it is the time of the whole exchange, and the client sees that it was cut.
    fn an_upload_that_nobody_takes_ends_the_answer_visibly(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(dribble()));
        let config = CONFIG.replace("read = 60 }", "read = 60, total = 3 }");
        let setup = Setup::new(scratch.path(), driver, &format!("{METRICS}{config}"));
        Authority::new("ca").server(&["a.test"]).write(scratch.path(), "server");
        let gateway = setup.set("upstream", &upstream.port).start();
        let began = now();
        let mut socket = connect(&gateway, format!("{POST}Content-Length: 200000000\r\n\r\n").as_bytes());
        read_until(&mut socket, b"line");
        let mut pushing = socket.try_clone().expect("a descriptor");
        let pusher = thread::spawn(move || {
            let piece = vec![b'x'; 64 * 1024];
            (0..3_000).find_map(|_| pushing.write_all(&piece).err())
        });
        let (heard, _) = hear(&socket);
        assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
        assert_counted(&gateway, "timeouts", 0);
        let _ = socket.shutdown(Shutdown::Both);
        assert!(pusher.join().expect("it only sends").is_some(), "nobody takes all of it");
        // Chunks end with a last one, or are cut: however the connection ends.
        let text = String::from_utf8_lossy(&heard);
        assert!(text.contains("e\r\none more line\n\r\n") && !text.ends_with("0\r\n\r\n"), "{text}");
    }
}
