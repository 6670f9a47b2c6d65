//! Wherever an exchange waits, its client is heard out: what it says to TLS is answered as on an idle
//! connection, and what it says behind its request is kept for the next one.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ferrule_tests::{Authority, Driver, Gateway, Script, Setup, Upstream, echo, scratch};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::bare::{ALERT, APPLICATION_DATA, ASK_FOR_KEYS, Bare, HANDSHAKE};
use crate::spoken::{GET, TUNNEL, WEBSOCKET, renegotiation};

const CONFIG: &str = r#"
[http]
client_header_timeout = "30m"
client_body_timeout = "30m"
keepalive_timeout = "30m"
send_timeout = "30m"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
handshake_timeout = "5m"

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/connect"
upstream.nodes = { "127.0.0.1:@silent@" = 1 }
upstream.scheme = "https"
upstream.tls = { verify = "off" }
upstream.timeout = { connect = "30m", send = "30m", read = "30m" }

[[routes]]
uri = "/silent"
upstream.nodes = { "127.0.0.1:@silent@" = 1 }
upstream.timeout = { send = "30m", read = "30m" }

[[routes]]
uri = "/echo"
upstream.nodes = { "127.0.0.1:@echo@" = 1 }

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.timeout = { send = "30m", read = "30m" }
"#;

/// Answers once it is told to: with half of it before, with all of it then, or with a tunnel at once.
fn told() -> (Sender<()>, Script) {
    let (go, orders) = channel();
    let orders = Arc::new(Mutex::new(orders));
    let script: Script = Arc::new(move |client| {
        let Some(request) = client.request() else { return };
        if request.head.get("upgrade").is_some() {
            client.send(WEBSOCKET);
            let _ = client.talk.exactly(1);
            return;
        }
        if request.head.target() == "/half" {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        }
        // It ends with the test.
        if orders.lock().unwrap_or_else(PoisonError::into_inner).recv().is_err() {
            return;
        }
        if request.head.target() == "/half" {
            client.send(b"done");
        } else {
            client.answer(b"done");
        }
    });
    (go, script)
}

/// Where a connection can wait: how it gets there.
type Begin = fn(&mut Bare);

fn get(bare: &mut Bare, target: &str) {
    let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    bare.send(APPLICATION_DATA, text.as_bytes());
}

fn post(bare: &mut Bare, target: &str, body: &str) {
    let text = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{body}");
    bare.send(APPLICATION_DATA, text.as_bytes());
}

const PLACES: [(&str, Begin); 10] = [
    ("before the first request", |_| {}),
    ("within a head", |bare| bare.send(APPLICATION_DATA, b"GET / HTTP")),
    ("while its upstream is connected to", |bare| get(bare, "/connect")),
    ("before the response", |bare| get(bare, "/silent")),
    ("before the response, with another request behind", |bare| {
        get(bare, "/silent");
        get(bare, "/echo");
    }),
    ("within the response", |bare| {
        get(bare, "/half");
        bare.text_until("half");
    }),
    ("within its body", |bare| post(bare, "/silent", "1234")),
    ("behind its body", |bare| post(bare, "/silent", "12345678")),
    ("behind a body that came late", |bare| {
        post(bare, "/silent", "1234");
        bare.send(APPLICATION_DATA, b"5678");
    }),
    ("in a tunnel", |bare| {
        bare.send(APPLICATION_DATA, TUNNEL);
        bare.text_until("\r\n\r\n");
    }),
];

/// What somebody may say.
type Saying = (&'static str, fn(&mut Bare));

fn damaged(bare: &mut Bare) {
    let mut record = bare.seal(APPLICATION_DATA, b"x");
    record[6] ^= 1;
    bare.socket.write_all(&record).expect("a peer");
}

fn asks_for_keys(bare: &mut Bare) {
    bare.send(HANDSHAKE, &ASK_FOR_KEYS);
    bare.renew_write();
}

fn sayings(tls13: bool) -> [Saying; 4] {
    let harmless: Saying = if tls13 {
        ("a KeyUpdate", asks_for_keys)
    } else {
        ("a renegotiation", |bare| bare.send(HANDSHAKE, &renegotiation()))
    };
    [
        harmless,
        ("a damaged record", damaged),
        ("half an alert", |bare| bare.send(ALERT, &[2])),
        ("a message that nobody sends", |bare| bare.send(HANDSHAKE, &[99, 0, 0, 0])),
    ]
}

struct Stage {
    gateway: Gateway,
    _upstreams: [Upstream; 2],
    _silent: TcpListener,
    go: Sender<()>,
}

fn start(dir: &Path, driver: Driver, fast: bool) -> Stage {
    Authority::new("ca").server(&["x"]).write(dir, "server");
    let (go, script) = told();
    let upstreams = [Upstream::plain(script), Upstream::plain(echo())];
    // The kernel connects, and nobody reads.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let setup = Setup::new(dir, driver, CONFIG).fast_path(fast).set("silent", &port);
    let setup = setup.set("upstream", &upstreams[0].port).set("echo", &upstreams[1].port);
    Stage { gateway: setup.start(), _upstreams: upstreams, _silent: silent, go }
}

/// Runs it on both drivers and both record layers, with both versions.
fn everywhere(case: impl Fn(&Stage, &'static SupportedProtocolVersion)) {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for fast in [true, false] {
            let scratch = scratch();
            let stage = start(scratch.path(), driver, fast);
            for version in [&TLS12, &TLS13] {
                // Without its keys, there is one record layer for TLS 1.2.
                if fast || version.version == TLS13.version {
                    case(&stage, version);
                }
            }
        }
    }
}

/// The next record that is none of an answer of HTTP.
fn word(bare: &mut Bare, place: &str, saying: &str) -> (u8, Vec<u8>) {
    loop {
        let heard = bare.hear();
        assert!(heard.is_ok(), "{saying} {place}: {heard:?}");
        if let Some(heard) = heard.ok().filter(|heard| heard.0 != APPLICATION_DATA) {
            return heard;
        }
    }
}

#[test]
fn what_is_said_to_tls_is_answered_wherever_the_exchange_waits() {
    everywhere(|stage, version| {
        let connect = || Bare::connect(stage.gateway.port("front"), "x", version);
        for (number, (saying, say)) in sayings(version.version == TLS13.version).iter().enumerate()
        {
            let mut idle = connect();
            get(&mut idle, "/echo");
            idle.text_until("GET /");
            say(&mut idle);
            let expected = word(&mut idle, "on an idle connection", saying);
            thread::scope(|scope| {
                for (place, begin) in PLACES {
                    let expected = &expected;
                    scope.spawn(move || {
                        let mut bare = connect();
                        begin(&mut bare);
                        say(&mut bare);
                        let heard = word(&mut bare, place, saying);
                        assert_eq!(heard, *expected, "{saying} {place} {version:?}");
                        if number > 0 {
                            let end = bare.hear().expect_err("an end");
                            let end = end.kind();
                            assert_eq!(end, ErrorKind::UnexpectedEof, "{saying} {place}");
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn an_exchange_whose_client_talks_to_tls_goes_on() {
    everywhere(|stage, version| {
        let (_, say) = sayings(version.version == TLS13.version)[0];
        for target in ["/half", "/whole"] {
            for late in [false, true] {
                let mut bare = Bare::connect(stage.gateway.port("front"), "x", version);
                if late {
                    post(&mut bare, target, "1234");
                    bare.send(APPLICATION_DATA, b"5678");
                } else {
                    get(&mut bare, target);
                }
                // Requests behind it keep their order, whatever is said between them.
                let ask = |bare: &mut Bare, number: u32| {
                    let text = format!("GET /echo HTTP/1.1\r\nHost: x\r\nNumber: {number}\r\n\r\n");
                    bare.send(APPLICATION_DATA, text.as_bytes());
                };
                ask(&mut bare, 1);
                if target == "/half" {
                    bare.text_until("half");
                }
                for number in 2..5 {
                    // A second renegotiation is one too many.
                    if number == 2 || version.version == TLS13.version {
                        say(&mut bare);
                        assert_ne!(bare.hear().expect("an answer").0, APPLICATION_DATA);
                    }
                    ask(&mut bare, number);
                }
                stage.go.send(()).expect("an upstream");
                let text = bare.text_until("Number: 4");
                let places = ["done", "Number: 1", "Number: 2", "Number: 3", "Number: 4"];
                let places = places.map(|word| text.find(word).expect("all of them"));
                assert!(places.is_sorted(), "{text}");
            }
        }
        let mut bare = Bare::connect(stage.gateway.port("front"), "x", version);
        bare.send(APPLICATION_DATA, GET);
        stage.go.send(()).expect("an upstream");
        bare.text_until("done");
    });
}
