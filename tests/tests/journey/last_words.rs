//! Whoever breaks a rule of TLS behind its handshake is told so, protected: every rule, both versions, both
//! record layers, both drivers, and clients like upstreams.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use ferrule_tests::{Authority, Driver, Gateway, Leaf, Setup, raw, scratch};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::bare::{
    ALERT, APPLICATION_DATA, ASK_FOR_KEYS, Bare, HANDSHAKE, NEW_KEYS, server_config,
};
use crate::spoken::renegotiation;
use crate::write_ca;

const CONFIG: &str = r#"
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
upstream.scheme = "https"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.tls = { verify = "off" }
upstream.retries = 0
"#;

const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HEARTBEAT: u8 = 24;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const DECODE_ERROR: u8 = 50;

type Act = Box<dyn Fn(&mut Bare)>;

/// What a peer does, and the alert for it.
struct Fault(String, u8, Act);

fn fault(name: impl Into<String>, alert: u8, act: impl Fn(&mut Bare) + 'static) -> Fault {
    Fault(name.into(), alert, Box::new(act))
}

/// Sends this record, and this one.
fn two(first: (u8, Vec<u8>), second: (u8, Vec<u8>)) -> impl Fn(&mut Bare) {
    move |bare| {
        let both = [bare.seal(first.0, &first.1), bare.seal(second.0, &second.1)].concat();
        bare.socket.write_all(&both).expect("a peer");
    }
}

/// Sends so many of a record.
fn many(count: usize, kind: u8, content: &'static [u8]) -> impl Fn(&mut Bare) {
    move |bare| {
        let all: Vec<u8> = (0..count).flat_map(|_| bare.seal(kind, content)).collect();
        bare.socket.write_all(&all).expect("a peer");
    }
}

/// Sends bytes as they are.
fn naked(bytes: &'static [u8]) -> impl Fn(&mut Bare) {
    move |bare| bare.socket.write_all(bytes).expect("a peer")
}

/// The beginning of a message that peers may send, and something between it and its end.
fn interleaved(message: &[u8]) -> Vec<Fault> {
    let mut all = Vec::new();
    for cut in [1, 3, message.len() - 1] {
        let records: [(u8, &[u8]); 4] = [
            (APPLICATION_DATA, b"x"),
            (APPLICATION_DATA, b""),
            (ALERT, &[WARNING, USER_CANCELED]),
            (ALERT, &[WARNING, 0]),
        ];
        for (kind, content) in records {
            let act = two((HANDSHAKE, message[..cut].to_vec()), (kind, content.to_vec()));
            let name = format!("{cut} bytes of a message, then {kind} {content:?}");
            all.push(fault(name, UNEXPECTED_MESSAGE, act));
        }
    }
    all
}

/// Headers that cannot be, whatever the version.
fn headers() -> Vec<Fault> {
    let rows: [(&'static [u8], u8); 15] = [
        (&[0], UNEXPECTED_MESSAGE),
        (&[20], UNEXPECTED_MESSAGE),
        (&[24], UNEXPECTED_MESSAGE),
        (&[99, 3, 3], UNEXPECTED_MESSAGE),
        (&[0, 3, 3, 0, 1, 0], UNEXPECTED_MESSAGE),
        (&[20, 3, 3, 0, 1, 1], UNEXPECTED_MESSAGE),
        (&[20, 3, 3, 0, 1, 2], UNEXPECTED_MESSAGE),
        (&[21, 3, 3, 0, 0], UNEXPECTED_MESSAGE),
        (&[22, 3, 3, 0, 0], UNEXPECTED_MESSAGE),
        (&[24, 3, 3, 0, 3, 1, 0, 0], UNEXPECTED_MESSAGE),
        (&[99, 3, 3, 0, 1, 0], UNEXPECTED_MESSAGE),
        (&[23, 2], BAD_RECORD_MAC),
        (&[23, 2, 3, 0, 20], BAD_RECORD_MAC),
        (&[23, 3, 1, 0, 20], BAD_RECORD_MAC),
        (&[23, 3, 3, 0xff, 0xff], RECORD_OVERFLOW),
    ];
    let mut all: Vec<_> = rows
        .into_iter()
        .map(|(bytes, alert)| fault(format!("{bytes:?}"), alert, naked(bytes)))
        .collect();
    for version in [0x81, 0x8a, 0x94, 0x96, 0xb2, 0xff] {
        all.push(fault(format!("version 3.{version}"), BAD_RECORD_MAC, move |bare| {
            bare.socket.write_all(&[23, 3, version, 0, 1, 0]).expect("a peer");
        }));
    }
    all
}

fn of_both(version: &SupportedProtocolVersion, message: &[u8]) -> Vec<Fault> {
    let (mut all, first) = (interleaved(message), message[0]);
    all.extend(headers());
    all.push(fault("empty records", UNEXPECTED_MESSAGE, many(33, APPLICATION_DATA, b"")));
    all.push(fault("warnings", UNEXPECTED_MESSAGE, many(5, ALERT, &[WARNING, USER_CANCELED])));
    for kind in [0, CHANGE_CIPHER_SPEC, HEARTBEAT, 99] {
        for content in [&b""[..], &[0; 20], &[1, 0, 0]] {
            // Behind zeros the type would be another one.
            if kind != 0
                || content.iter().all(|byte| *byte == 0)
                || version.version == TLS12.version
            {
                let name = format!("type {kind} with {content:?}");
                all.push(fault(name, UNEXPECTED_MESSAGE, move |bare| bare.send(kind, content)));
            }
        }
    }
    for kind in [ALERT, HANDSHAKE] {
        let name = format!("type {kind} without content");
        all.push(fault(name, UNEXPECTED_MESSAGE, move |bare| bare.send(kind, b"")));
    }
    all.push(fault("a message that is too long", DECODE_ERROR, move |bare| {
        let mut content = vec![0; 16_384];
        content[..4].copy_from_slice(&[first, 1, 0x86, 0xa0]);
        let records = [bare.seal(HANDSHAKE, &content), bare.seal(HANDSHAKE, &content)].concat();
        bare.socket.write_all(&records).expect("a peer");
    }));
    all.push(fault("a forged record", BAD_RECORD_MAC, |bare| {
        let mut record = bare.seal(APPLICATION_DATA, b"x");
        record[6] ^= 1;
        bare.socket.write_all(&record).expect("a peer");
    }));
    all
}

/// `again` asks for another handshake.
fn of_tls12(again: &[u8]) -> Vec<Fault> {
    let mut all = of_both(&TLS12, again);
    let one = again.to_vec();
    all.push(fault("a second renegotiation", UNEXPECTED_MESSAGE, move |bare| {
        for _ in 0..2 {
            bare.send(HANDSHAKE, &one);
        }
    }));
    for count in [2, 3, 40] {
        let together = again.repeat(count);
        let name = format!("{count} renegotiations in a record");
        all.push(fault(name, UNEXPECTED_MESSAGE, move |bare| bare.send(HANDSHAKE, &together)));
    }
    all
}

fn of_tls13() -> Vec<Fault> {
    let mut all = of_both(&TLS13, &ASK_FOR_KEYS);
    for message in [NEW_KEYS, ASK_FOR_KEYS] {
        let name = format!("too many key updates of {message:?}");
        all.push(fault(name, UNEXPECTED_MESSAGE, move |bare| {
            let mut records = Vec::new();
            for _ in 0..33 {
                records.extend(bare.seal(HANDSHAKE, &message));
                bare.renew_write();
            }
            bare.socket.write_all(&records).expect("a peer");
        }));
    }
    let both = [NEW_KEYS, NEW_KEYS].concat();
    all.push(fault("a message behind a key update", UNEXPECTED_MESSAGE, move |bare| {
        bare.send(HANDSHAKE, &both);
    }));
    all.push(fault("another warning", DECODE_ERROR, |bare| bare.send(ALERT, &[WARNING, 50])));
    all
}

/// What is wrong with what the peer is told.
fn wrong(bare: &mut Bare, Fault(name, alert, act): &Fault) -> Option<String> {
    act(bare);
    loop {
        match bare.hear() {
            // What was said before the rule was broken.
            Ok((ALERT, alert)) if alert == [WARNING, NO_RENEGOTIATION] => {}
            Ok((HANDSHAKE, message)) if message == NEW_KEYS => {}
            Ok((APPLICATION_DATA, _)) => {}
            Ok((ALERT, told)) if told == [FATAL, *alert] => break,
            other => return Some(format!("{name}: {other:?}, not {alert}")),
        }
    }
    bare.receive().is_ok().then(|| format!("{name}: more behind the alert"))
}

fn start(dir: &Path, driver: Driver, fast: bool, upstream: u16) -> (Gateway, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    let leaf = authority.server(&["x"]);
    leaf.write(dir, "server");
    let gateway =
        Setup::new(dir, driver, CONFIG).fast_path(fast).set("upstream", &upstream).start();
    (gateway, leaf)
}

#[test]
fn a_client_that_breaks_a_rule_gets_its_alert() {
    let mut all = Vec::new();
    for driver in [Driver::IoUring, Driver::Epoll] {
        for fast in [true, false] {
            let scratch = scratch();
            let (gateway, _) = start(scratch.path(), driver, fast, 9);
            let tables = [(&TLS12, of_tls12(&renegotiation())), (&TLS13, of_tls13())];
            for (version, table) in tables {
                for fault in &table {
                    let mut bare = Bare::connect(gateway.port("front"), "x", version);
                    let wrong = wrong(&mut bare, fault);
                    all.extend(wrong.map(|text| format!("{driver:?} {fast} {version:?} {text}\n")));
                }
            }
        }
    }
    assert!(all.is_empty(), "{}: {}", all.len(), all.concat());
}

/// The same rules; a `HelloRequest` has no content, so no message is cut in its middle.
#[test]
fn an_upstream_that_breaks_a_rule_gets_its_alert() {
    let mut all = Vec::new();
    for fast in [true, false] {
        let scratch = scratch();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (gateway, leaf) = start(scratch.path(), Driver::IoUring, fast, port);
        let plain = gateway.port("plain");
        for (version, table) in [(&TLS12, of_tls12(&[0, 0, 0, 0])), (&TLS13, of_tls13())] {
            let config = server_config(&leaf, version);
            for fault in &table {
                let asking = thread::spawn(move || raw::plain_get(plain, "x", "/").status());
                let (socket, _) = listener.accept().expect("the gateway");
                let mut bare = Bare::accept(socket, &config);
                bare.text_until("\r\n\r\n");
                let wrong = wrong(&mut bare, fault);
                all.extend(wrong.map(|text| format!("{fast} {version:?} {text}\n")));
                drop(bare);
                assert_eq!(asking.join().expect("an answer"), 502, "{}", fault.0);
            }
        }
    }
    assert!(all.is_empty(), "{}: {}", all.len(), all.concat());
}
