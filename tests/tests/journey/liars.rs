//! A node that lies, in whichever way and at whichever byte: one failed try with its reason, which is counted;
//! the connection serves nobody else, and nobody gets bytes that were meant for another request.
//!
//! What the next node does about it is in `next_node.rs`, and the answers that are none in `hostile/server.rs`.

mod node;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Setup, on_both_drivers, poll, raw, scratch, tls,
};
use rustls::ServerConfig;

use crate::write_ca;
use node::{Finish, Lie, Node, When, answer, head_len};

/// Is the node spoken to in plain HTTP, or over TLS?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    Plain,
    Tls,
}

const SCHEMES: [Scheme; 2] = [Scheme::Plain, Scheme::Tls];

const TEXT: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream_id = "node"

[[upstreams]]
id = "node"
nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Failed tries for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Fault {
    reason: String,
    count: usize,
}

fn sum(faults: &[Fault]) -> usize {
    faults.iter().map(|fault| fault.count).sum()
}

/// A gateway in front of one node, and what it takes to lie over TLS.
struct Stage {
    gateway: Gateway,
    node: Node,
    authority: Authority,
    _dir: tempfile::TempDir,
}

fn server(authority: &Authority) -> Arc<ServerConfig> {
    tls::server(&authority.server(&["node.test"]), None)
}

impl Stage {
    fn new(driver: Driver, scheme: Scheme, timeouts: &str) -> Self {
        let (scratch, authority) = (scratch(), Authority::new("ca"));
        write_ca(scratch.path(), "ca", &authority);
        let (lines, node) = match scheme {
            Scheme::Plain => (String::new(), Node::start(None)),
            Scheme::Tls => (
                "scheme = \"https\"\ntls = { ca = \"ca.crt\", server_name = \"node.test\" }\n"
                    .to_owned(),
                Node::start(Some(server(&authority))),
            ),
        };
        let gateway = start(scratch.path(), driver, &format!("{TEXT}{lines}{timeouts}"), node.port);
        Self { gateway, node, authority, _dir: scratch }
    }

    fn scrape(&self) -> Exposition {
        let answer = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics");
        Exposition::read(&answer.text())
    }

    /// Failed tries so far, by their reasons.
    fn faults(&self) -> Vec<Fault> {
        let found = self.scrape();
        let samples = found.samples("ferrule_upstream_faults_total");
        let faults = samples.map(|(labels, count)| Fault {
            reason: labels["reason"].clone(),
            count: count.to_string().parse().expect("a whole number"),
        });
        faults.filter(|fault| fault.count > 0).collect()
    }

    /// The failed tries, once there are so many: a core counts a request after it has answered.
    fn faults_when(&self, wanted: usize) -> Vec<Fault> {
        let found = poll(PATIENCE, || Some(self.faults()).filter(|faults| sum(faults) >= wanted));
        found.unwrap_or_else(|| self.faults())
    }

    fn is_honest(&self, number: usize) {
        let target = format!("/honest/{number}");
        let answer = raw::plain_get(self.gateway.port("front"), "x", &target);
        assert_eq!((answer.status(), answer.text()), (200, target), "{}", self.gateway.log());
    }
}

fn start(dir: &Path, driver: Driver, text: &str, port: u16) -> Gateway {
    Setup::new(dir, driver, text).set("upstream", &port).start()
}

/// What a client sees of a lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Status(u16),
    /// An answer that is visibly not whole.
    Cut,
}

fn ask(port: u16, target: &str) -> Seen {
    let mut client = raw::plain(port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a gateway");
    client.response("GET").map_or(Seen::Cut, |answer| Seen::Status(answer.status()))
}

/// One lie that is told once.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    when: When,
    says: &'static [u8],
    finish: Finish,
    /// What the reason that is counted may begin with.
    reasons: &'static [&'static str],
}

const fn case(
    name: &'static str,
    when: When,
    says: &'static [u8],
    finish: Finish,
    reasons: &'static [&'static str],
) -> Case {
    Case { name, when, says, finish, reasons }
}

const CONNECT: &[&str] = &["upstream-connect", "upstream-lost", "upstream-tls"];
const LATE: &[&str] = &["upstream-timeout"];
const ANSWER: &[&str] = &["upstream-"];
const FLOOD: &[u8] = &[b'H'; 200_000];

/// Those that both schemes know.
const CASES: &[Case] = &[
    case("ends at once", When::Accepted, b"", Finish::Ends, CONNECT),
    case("resets at once", When::Accepted, b"", Finish::Resets, CONNECT),
    case("says nothing", When::Accepted, b"", Finish::Stalls, LATE),
    case("ends in what it gets", When::FirstBytes, b"", Finish::Ends, CONNECT),
    case("resets in what it gets", When::FirstBytes, b"", Finish::Resets, CONNECT),
    case("stops in what it gets", When::FirstBytes, b"", Finish::Stalls, LATE),
    case("ends when it is asked", When::Ready, b"", Finish::Ends, CONNECT),
    case("resets when it is asked", When::Ready, b"", Finish::Resets, CONNECT),
    case("stops when it is asked", When::Ready, b"", Finish::Stalls, LATE),
    case(
        "is no server of HTTP",
        When::Asked,
        b"220 mail.test ESMTP\r\n\r\n",
        Finish::Stalls,
        ANSWER,
    ),
    case("has no end of lines", When::Asked, FLOOD, Finish::Stalls, ANSWER),
];

/// What is wrong with a handshake.
const HANDSHAKES: &[Case] = &[
    case(
        "is no server of TLS",
        When::FirstBytes,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Finish::Ends,
        CONNECT,
    ),
    case(
        "ends in a record",
        When::FirstBytes,
        b"\x16\x03\x03\x00\x7a\x02\x00",
        Finish::Ends,
        CONNECT,
    ),
    case(
        "resets in a record",
        When::FirstBytes,
        b"\x16\x03\x03\x00\x7a\x02\x00",
        Finish::Resets,
        CONNECT,
    ),
    case(
        "stops in a record",
        When::FirstBytes,
        b"\x16\x03\x03\x00\x7a\x02\x00",
        Finish::Stalls,
        LATE,
    ),
    case("refuses", When::FirstBytes, b"\x15\x03\x03\x00\x02\x02\x28", Finish::Ends, CONNECT),
];

fn lie_once(driver: Driver, scheme: Scheme, case: Case) {
    let Case { name, when, says, finish, reasons } = case;
    let status = if reasons == LATE { 504 } else { 502 };
    let stage = Stage::new(driver, scheme, "timeout = { connect = 4, send = 4, read = 4 }\n");
    stage.node.tell(Lie { when, says: says.to_vec(), finish });
    let seen = ask(stage.gateway.port("front"), "/honest/liar");
    assert_eq!(seen, Seen::Status(status), "{scheme:?}: {name}");
    assert!(stage.node.has_lied(), "{scheme:?}: {name}");
    let faults = stage.faults_when(1);
    let [Fault { reason, .. }] = &faults[..] else {
        unreachable!("{scheme:?}: {name}: {faults:?}")
    };
    assert_eq!(sum(&faults), 1, "{scheme:?}: {name}: {faults:?}");
    assert!(reasons.iter().any(|known| reason.starts_with(known)), "{scheme:?}: {name}: {reason}");
    let told = || Some(stage.gateway.log().matches("an upstream node fails").count());
    assert_eq!(poll(PATIENCE, || told().filter(|lines| *lines > 0)), Some(1), "{scheme:?}: {name}");
    for number in 0..3 {
        stage.is_honest(number);
    }
    assert_eq!((stage.node.accepted(), stage.node.reused()), (2, 0), "{scheme:?}: {name}");
    assert_eq!(stage.faults(), faults, "{scheme:?}: {name}");
}

/// Runs all of `work`, several at a time.
fn share<T: Sync>(work: &[T], do_it: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(one) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    do_it(one);
                }
            });
        }
    });
}

on_both_drivers! {
    /// In whichever way a connection or an answer comes to nothing.
    fn a_lie_is_one_failed_try(driver) {
        let both = SCHEMES.iter().flat_map(|scheme| CASES.iter().map(|case| (*scheme, *case)));
        let handshakes = HANDSHAKES.iter().map(|case| (Scheme::Tls, *case));
        let work: Vec<_> = both.chain(handshakes).collect();
        share(&work, |(scheme, case)| lie_once(driver, *scheme, *case));
    }

    /// Another authority, a name that is not its own, a certificate whose time is over: nothing is sent there.
    fn a_node_with_a_wrong_certificate_is_one_failed_try(driver) {
        let stage = Stage::new(driver, Scheme::Tls, "");
        let stranger = Authority::new("stranger");
        let of = |leaf| tls::server(&leaf, None);
        let shown = [
            ("another authority", of(stranger.server(&["node.test"]))),
            ("another name", of(stage.authority.server(&["other.test"]))),
            ("expired", of(stage.authority.server_valid(&["node.test"], 2001, 2002))),
            ("not valid yet", of(stage.authority.server_valid(&["node.test"], 2090, 2091))),
            ("a client's", of(stage.authority.client("node.test"))),
        ];
        for (number, (name, certificate)) in shown.into_iter().enumerate() {
            stage.node.show(certificate);
            assert_eq!(ask(stage.gateway.port("front"), "/honest/liar"), Seen::Status(502), "{name}");
            let faults = stage.faults_when(number + 1);
            let wanted = Fault { reason: "upstream-tls".to_owned(), count: number + 1 };
            assert_eq!(faults, [wanted], "{name}");
            assert_eq!(stage.node.accepted(), number + 1, "{name}");
        }
        stage.node.show(server(&stage.authority));
        stage.is_honest(0);
    }

    /// An answer that ends, is reset or stops at each of its bytes, honest ones between them.
    fn an_answer_may_fail_at_each_byte(driver) {
        share(&SCHEMES, |scheme| {
            let stage = Stage::new(driver, *scheme, "timeout = { connect = 10, send = 10, read = 2 }\n");
            let port = stage.gateway.port("front");
            let mut work = Vec::new();
            for way in ["ends", "resets", "stalls"] {
                let target = |at: usize| format!("/lie/{way}/{at:03}");
                let whole = answer(&target(0)).len();
                work.extend((0..whole).map(|at| (way, target(at), at)));
            }
            let head = head_len(&answer("/lie/stalls/000"));
            let seen = Mutex::new(Vec::new());
            share(&work, |(way, target, at)| {
                let wanted = match *way {
                    _ if *at >= head => Seen::Cut,
                    "stalls" => Seen::Status(504),
                    _ => Seen::Status(502),
                };
                let got = ask(port, target);
                if got != wanted {
                    seen.lock().expect("nobody panics").push(format!("{target}: {got:?}"));
                }
                stage.is_honest(*at);
            });
            let seen = seen.into_inner().expect("nobody panics");
            assert!(seen.is_empty(), "{scheme:?}: {seen:?}");
            let faults = stage.faults_when(work.len());
            // The two that say nothing at all end kept connections: each is asked once more, over a new one.
            let tries = work.len()..=work.len() + 2;
            assert!(tries.contains(&sum(&faults)), "{scheme:?}: {tries:?} {faults:?}");
            assert_eq!(stage.node.reused(), 0, "{scheme:?}");
        });
    }

    /// The answer is whole, and what follows it is nobody's.
    fn what_follows_an_answer_is_nobodys(driver) {
        share(&SCHEMES, |scheme| {
            let stage = Stage::new(driver, *scheme, "");
            let port = stage.gateway.port("front");
            let work: Vec<_> = (0..120).collect();
            share(&work, |number| {
                let target = match number % 3 {
                    0 => format!("/twice/{number}"),
                    1 => format!("/surplus/{number}"),
                    _ => format!("/honest/{number}"),
                };
                let answer = raw::plain_get(port, "x", &target);
                assert_eq!((answer.status(), answer.text()), (200, target));
            });
            let counted = || Some(stage.scrape().sum("ferrule_upstream_surplus_total", &[])).filter(|sum| *sum > 79.5);
            assert!(poll(PATIENCE, counted).is_some_and(|sum| sum < 80.5), "{scheme:?}");
            assert_eq!((stage.node.reused(), stage.faults()), (0, Vec::new()), "{scheme:?}");
        });
    }
}
