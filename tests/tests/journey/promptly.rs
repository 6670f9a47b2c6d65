//! The first answer to a client that gathers small writes (Nagle) is as fast as to any other: its
//! request waits for the acknowledgement of its last flight, so somebody has to speak behind that.

use std::path::Path;
use std::time::Duration;

use ferrule_tests::raw::get;
use ferrule_tests::{Authority, Dial, Driver, Gateway, Leaf, Setup, Upstream, echo, now, scratch};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
session_tickets = @tickets@
client.ca = "ca.crt"
client.verify = "optional"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A delayed acknowledgement takes 40 ms.
const PROMPT: Duration = Duration::from_millis(20);

fn start(dir: &Path, driver: Driver, tickets: bool, upstream: &Upstream) -> (Gateway, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["x"]).write(dir, "server");
    let setup = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port);
    (setup.set("tickets", &tickets).start(), authority.client("me"))
}

/// From the end of the handshake, as the client sees it, to the first answer; the request in so many
/// pieces.
fn first_answer(gateway: &Gateway, dial: &Dial, pieces: usize) -> (Duration, bool) {
    let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
    let resumed = raw.stream.is_resumed();
    let started = now();
    if pieces == 1 {
        get(&mut raw, "x", "/");
    } else {
        for piece in ["GET / HTTP/1.1\r\n", "Host: x\r\n", "\r\n"] {
            raw.send(piece.as_bytes()).expect("a connection");
        }
        assert_eq!(raw.response("GET").expect("an answer").status(), 200);
    }
    (started.elapsed(), resumed)
}

/// Three of forty are as fast as any: a busy machine makes some slow, a delayed acknowledgement all.
fn is_prompt(gateway: &Gateway, dial: &Dial, (pieces, resumed): (usize, bool)) -> bool {
    first_answer(gateway, dial, 1);
    let prompt = |_: &i32| {
        let (time, was_resumed) = first_answer(gateway, dial, pieces);
        assert_eq!(was_resumed, resumed);
        time < PROMPT
    };
    (0..40).filter(prompt).take(3).count() == 3
}

#[test]
fn the_first_answer_does_not_wait_for_a_delayed_acknowledgement() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for tickets in [true, false] {
            let scratch = scratch();
            let upstream = Upstream::plain(echo());
            let (gateway, leaf) = start(scratch.path(), driver, tickets, &upstream);
            for version in [&TLS12, &TLS13] {
                for leaf in [None, Some(&leaf)] {
                    cases(&gateway, (version, tickets), leaf);
                }
            }
        }
    }
}

fn cases(
    gateway: &Gateway,
    (version, tickets): (&'static SupportedProtocolVersion, bool),
    leaf: Option<&Leaf>,
) {
    let dial = Dial::with(Some("x"), leaf, &[version]).gathering();
    // TLS 1.2 remembers sessions by their ids, too.
    let resumes = tickets || version.version == rustls::ProtocolVersion::TLSv1_2;
    for pieces in [1, 3] {
        let case = format!("{:?}, tickets {tickets}, {pieces} pieces", version.version);
        assert!(is_prompt(gateway, &dial, (pieces, false)), "{case}");
        let dial = dial.clone().resuming();
        assert!(is_prompt(gateway, &dial, (pieces, resumes)), "{case}, resumed");
    }
}
