//! What TLS itself wants to say leaves when it wants to, whatever the connection is doing: no request
//! and no response need to be in sight. Every timeout of these gateways is far beyond every wait.

use std::path::Path;
use std::sync::{Arc, mpsc};

use ferrule_tests::{Authority, Driver, Gateway, Script, Setup, Upstream, echo, raw, scratch};
use rustls::version::{TLS12, TLS13};

use crate::bare::{
    ALERT, APPLICATION_DATA, ASK_FOR_KEYS, Bare, HANDSHAKE, NEW_KEYS, server_config,
};

const CONFIG: &str = r#"
[http]
client_header_timeout = "30m"
client_body_timeout = "30m"
keepalive_timeout = "30m"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
handshake_timeout = "5m"

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.timeout.read = "30m"
"#;

const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const NO_RENEGOTIATION: u8 = 100;

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
pub(crate) const TUNNEL: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The answer to that.
pub(crate) const WEBSOCKET: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Runs `case` on both drivers and on both record layers.
fn everywhere(script: fn() -> Script, case: impl Fn(&Gateway)) {
    everywhere_told(script, |gateway, _| case(gateway));
}

/// The same; `case` is told whether the record layer is ours.
fn everywhere_told(script: fn() -> Script, case: impl Fn(&Gateway, bool)) {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for fast in [true, false] {
            let scratch = scratch();
            let upstream = Upstream::plain(script());
            case(&start(scratch.path(), (driver, fast), &upstream), fast);
        }
    }
}

fn start(dir: &Path, (driver, fast): (Driver, bool), upstream: &Upstream) -> Gateway {
    Authority::new("ca").server(&["x"]).write(dir, "server");
    let setup = Setup::new(dir, driver, CONFIG).fast_path(fast);
    setup.set("upstream", &upstream.port).start()
}

/// A client that is connected and has had one answer, so that it is idle now.
fn idle(gateway: &Gateway, version: &'static rustls::SupportedProtocolVersion) -> Bare {
    let mut bare = Bare::connect(gateway.port("front"), "x", version);
    answered(&mut bare);
    bare
}

fn answered(bare: &mut Bare) {
    bare.send(APPLICATION_DATA, GET);
    let text = bare.text_until("\r\n\r\nGET / ");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// A `ClientHello` of TLS 1.2 that asks for another handshake.
pub(crate) fn renegotiation() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xcc, 0xa9, 1, 0, 0, 0]].concat();
    [&[1, 0, 0, u8::try_from(body.len()).expect("short")], &body[..]].concat()
}

/// Reads half of a body and no more, and says so; answers when it has all.
fn half_way() -> Script {
    Arc::new(|client| {
        if client.talk.head().is_ok_and(|head| head.is_some()) {
            let _ = client.talk.exactly(10);
            client.answer(b"all of it");
        }
    })
}

/// Grants an upgrade, and is silent.
fn granting() -> Script {
    Arc::new(|client| {
        if client.request().is_some() {
            client.send(WEBSOCKET);
            let _ = client.talk.exactly(1);
        }
    })
}

#[test]
fn a_renegotiation_is_declined_at_once() {
    everywhere(echo, |gateway| {
        let mut bare = idle(gateway, &TLS12);
        bare.send(HANDSHAKE, &renegotiation());
        assert_eq!(bare.hear().expect("an alert"), (ALERT, vec![WARNING, NO_RENEGOTIATION]));
        answered(&mut bare);
        // Before anything was asked, too.
        let mut bare = Bare::connect(gateway.port("front"), "x", &TLS12);
        bare.send(HANDSHAKE, &renegotiation());
        assert_eq!(bare.hear().expect("an alert"), (ALERT, vec![WARNING, NO_RENEGOTIATION]));
        answered(&mut bare);
    });
}

#[test]
fn a_key_update_is_answered_at_once() {
    everywhere(echo, |gateway| {
        let mut bare = idle(gateway, &TLS13);
        for _ in 0..3 {
            bare.send(HANDSHAKE, &ASK_FOR_KEYS);
            bare.renew_write();
            assert_eq!(bare.hear().expect("new keys"), (HANDSHAKE, NEW_KEYS.to_vec()));
            answered(&mut bare);
        }
        // One that asks for nothing gets nothing.
        bare.send(HANDSHAKE, &NEW_KEYS);
        bare.renew_write();
        answered(&mut bare);
    });
}

#[test]
fn what_is_asked_within_a_body_is_answered_within_it() {
    for (version, asked, answer) in [
        (&TLS13, ASK_FOR_KEYS.to_vec(), (HANDSHAKE, NEW_KEYS.to_vec())),
        (&TLS12, renegotiation(), (ALERT, vec![WARNING, NO_RENEGOTIATION])),
    ] {
        everywhere(half_way, |gateway| {
            let mut bare = Bare::connect(gateway.port("front"), "x", version);
            bare.send(
                APPLICATION_DATA,
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234",
            );
            bare.send(HANDSHAKE, &asked);
            if asked == ASK_FOR_KEYS {
                bare.renew_write();
            }
            assert_eq!(bare.hear().expect("an answer"), answer);
            bare.send(APPLICATION_DATA, b"56789");
            bare.text_until("all of it");
        });
    }
}

#[test]
fn a_goodbye_is_answered_at_once() {
    for version in [&TLS12, &TLS13] {
        everywhere(echo, |gateway| {
            let mut bare = idle(gateway, version);
            bare.send(ALERT, &[WARNING, CLOSE_NOTIFY]);
            assert_eq!(bare.hear().expect("a goodbye"), (ALERT, vec![WARNING, CLOSE_NOTIFY]));
            assert!(bare.hear().is_err());
        });
    }
}

#[test]
fn a_bad_record_gets_its_alert_wherever_the_connection_stands() {
    type Begin = fn(&mut Bare);
    let idle: Begin = answered;
    let body: Begin = |bare| {
        bare.send(
            APPLICATION_DATA,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234",
        );
    };
    let tunnel: Begin = |bare| {
        bare.send(APPLICATION_DATA, TUNNEL);
        bare.text_until("\r\n\r\n");
    };
    let scripts: [(fn() -> Script, Begin); 3] =
        [(echo, idle), (half_way, body), (granting, tunnel)];
    for version in [&TLS12, &TLS13] {
        for (script, begin) in scripts {
            everywhere(script, |gateway| {
                let mut bare = Bare::connect(gateway.port("front"), "x", version);
                begin(&mut bare);
                let mut record = bare.seal(APPLICATION_DATA, b"x");
                record[6] ^= 1;
                std::io::Write::write_all(&mut bare.socket, &record).expect("a peer");
                loop {
                    match bare.hear().expect("an alert") {
                        (APPLICATION_DATA, answer) => {
                            assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
                        }
                        alert => {
                            assert_eq!(alert, (ALERT, vec![FATAL, BAD_RECORD_MAC]));
                            break;
                        }
                    }
                }
            });
        }
    }
}

#[test]
fn a_flood_of_requests_to_tls_itself_is_ended_with_an_alert() {
    for (version, asked) in [(&TLS12, renegotiation()), (&TLS13, ASK_FOR_KEYS.to_vec())] {
        everywhere_told(echo, |gateway, fast| {
            let mut bare = idle(gateway, version);
            let mut answers = 0;
            let last = loop {
                bare.send(HANDSHAKE, &asked);
                if version.version == rustls::ProtocolVersion::TLSv1_3 {
                    bare.renew_write();
                }
                let heard = bare.hear();
                if !matches!(&heard, Ok(answer) if answer.1.first() != Some(&FATAL)) {
                    break heard;
                }
                answers += 1;
                assert!(answers < 64, "{answers} answers");
            };
            // rustls has no alert for the first of the two.
            if version.version == rustls::ProtocolVersion::TLSv1_3 && fast {
                assert_eq!(last.expect("an alert"), (ALERT, vec![FATAL, UNEXPECTED_MESSAGE]));
                assert!(bare.hear().is_err());
            }
        });
    }
}

const TO_TLS: &str = r#"
upstream.scheme = "https"
upstream.tls = { verify = "off" }
upstream.keepalive_pool.idle_timeout = "30m"
"#;

/// What an upstream says on a connection that lies in the pool, and what it hears.
type Talk = fn(&mut Bare);

/// Serves one request, says what `talk` says, and serves another one where the connection lives on.
fn pooled(version: &'static rustls::SupportedProtocolVersion, talk: Talk, lives: bool) {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for fast in [true, false] {
            let scratch = scratch();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("bound").port();
            let leaf = Authority::new("ca").server(&["x"]);
            let (told, done) = mpsc::channel();
            let upstream = std::thread::spawn(move || {
                let config = server_config(&leaf, version);
                let mut bare = Bare::accept(listener.accept().expect("a gateway").0, &config);
                let serve = |bare: &mut Bare| {
                    bare.text_until("\r\n\r\n");
                    bare.send(APPLICATION_DATA, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                };
                serve(&mut bare);
                talk(&mut bare);
                told.send(()).expect("the test waits");
                if lives {
                    serve(&mut bare);
                }
            });
            let text = format!("{}{TO_TLS}", crate::PLAIN.trim_end());
            let setup = Setup::new(scratch.path(), driver, &text).fast_path(fast);
            let gateway = setup.set("upstream", &port).start();
            let ask = || raw::plain_get(gateway.port("front"), "x", "/").status();
            assert_eq!(ask(), 200);
            if done.recv().is_ok() && lives {
                assert_eq!(ask(), 200);
            }
            upstream.join().expect("heard what it should");
        }
    }
}

#[test]
fn an_idle_upstream_connection_answers_what_tls_asks() {
    let keys: Talk = |bare| {
        bare.send(HANDSHAKE, &ASK_FOR_KEYS);
        bare.renew_write();
        assert_eq!(bare.hear().expect("new keys"), (HANDSHAKE, NEW_KEYS.to_vec()));
    };
    pooled(&TLS13, keys, true);
    // A HelloRequest, as servers of TLS 1.2 send it.
    let again: Talk = |bare| {
        bare.send(HANDSHAKE, &[0, 0, 0, 0]);
        assert_eq!(bare.hear().expect("an alert"), (ALERT, vec![WARNING, NO_RENEGOTIATION]));
    };
    pooled(&TLS12, again, true);
}

#[test]
fn an_idle_upstream_connection_that_is_over_is_told_so() {
    let goodbye: Talk = |bare| {
        bare.send(ALERT, &[WARNING, CLOSE_NOTIFY]);
        assert_eq!(bare.hear().expect("a goodbye"), (ALERT, vec![WARNING, CLOSE_NOTIFY]));
        assert!(bare.hear().is_err());
    };
    let broken: Talk = |bare| {
        let mut record = bare.seal(APPLICATION_DATA, b"x");
        record[6] ^= 1;
        std::io::Write::write_all(&mut bare.socket, &record).expect("a peer");
        assert_eq!(bare.hear().expect("an alert"), (ALERT, vec![FATAL, BAD_RECORD_MAC]));
    };
    for version in [&TLS12, &TLS13] {
        pooled(version, goodbye, false);
        pooled(version, broken, false);
    }
}
