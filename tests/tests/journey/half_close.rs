//! Clients that end their sending direction while they wait for an answer, and what `http.client_half_close`
//! makes of them.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Script, Setup, Upstream, on_both_drivers, poll,
    raw, scratch,
};
use rustls::version::{TLS12, TLS13};

const CONFIG: &str = r#"
[http]
client_half_close = "@mode@"

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

/// Answers after a while: by then the gateway has looked whether the client is still there.
fn late() -> Script {
    Arc::new(|client| {
        while let Some(request) = client.request() {
            if request.head.target().contains("late") {
                thread::park_timeout(Duration::from_secs(1));
            }
            let large = request.head.target().contains("large");
            if !client.answer(&if large { vec![b'x'; 16 << 20] } else { request.body }) {
                return;
            }
        }
    })
}

struct Place {
    scratch: tempfile::TempDir,
    upstream: Upstream,
    gateway: Gateway,
}

impl Place {
    fn start(driver: Driver, fast: bool, mode: &str) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(late()));
        Authority::new("ca").server(&["a.test"]).write(scratch.path(), "server");
        let setup = Setup::new(scratch.path(), driver, CONFIG).fast_path(fast).set("mode", &mode);
        let log = "access = { path = \"access.log\", format = '$request_uri $status' }";
        let gateway = setup.log_line(log).set("upstream", &upstream.port).start();
        Self { scratch, upstream, gateway }
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

    /// Sends this, ends the direction in this way, and reads all that comes.
    fn ask(&self, transport: Transport, request: &str, end: End) -> String {
        let mut line = self.connect(transport);
        line.write_all(request.as_bytes()).and_then(|()| line.flush()).expect("a connection");
        end.act(&mut line);
        let mut heard = Vec::new();
        // How it ends is not asked here.
        let _ = line.read_to_end(&mut heard);
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Waits until the access log has this line so many times.
    fn logged(&self, line: &str, times: usize) {
        let read =
            || fs::read_to_string(self.scratch.path().join("access.log")).unwrap_or_default();
        let count = || read().lines().filter(|found| *found == line).count();
        let found = poll(PATIENCE, || (count() >= times).then_some(()));
        assert!(found.is_some(), "{line:?} is not there {times} times:\n{}", read());
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transport {
    Plain,
    Tls12,
    Tls13,
}

/// How a client says that nothing follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// The end of TCP's direction alone.
    Fin,
    /// `close_notify` before it.
    Goodbye,
    /// `close_notify` alone.
    GoodbyeAlone,
}

impl End {
    fn act(self, line: &mut Line) {
        if self != Self::Fin
            && let Line::Tls(stream) = &mut *line
        {
            stream.conn.send_close_notify();
            stream.flush().expect("a connection");
        }
        if self != Self::GoodbyeAlone {
            line.socket().shutdown(Shutdown::Write).expect("a connection");
        }
    }

    /// The ways that this transport has.
    const fn of(transport: Transport) -> &'static [Self] {
        match transport {
            Transport::Plain => &[Self::Fin],
            Transport::Tls12 | Transport::Tls13 => &[Self::Fin, Self::Goodbye, Self::GoodbyeAlone],
        }
    }
}

/// Every transport, and every end of a direction that it has, at the same time.
fn each(case: impl Fn(Transport, End) + Sync) {
    thread::scope(|scope| {
        for transport in [Transport::Plain, Transport::Tls12, Transport::Tls13] {
            for end in End::of(transport) {
                let case = &case;
                scope.spawn(move || case(transport, *end));
            }
        }
    });
}

/// How many those are, and in how many of them the direction of TCP ends.
const ALL: usize = 7;
const ENDED: usize = 5;

const GET: &str = "GET /late HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST: &str = "POST /late HTTP/1.1\r\nHost: a.test\r\n";

/// Statuses of the answers.
fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, words)| text.get(at + words.len()..at + 12))
        .collect()
}

on_both_drivers! {
    fn a_client_that_half_closes_is_served(driver) {
        for fast in [true, false] {
            let place = Place::start(driver, fast, "serve");
            each(|transport, end| {
                let name = format!("fast path {fast}, {transport:?}, {end:?}");
                let told = place.ask(transport, GET, end);
                assert_eq!(statuses(&told), ["200"], "{name}: {told}");
                // A body that is whole, and requests behind each other.
                let told = place.ask(transport, &format!("{POST}Content-Length: 3\r\n\r\nabc"), end);
                assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("abc"), "{name}: {told}");
                let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
                let told = place.ask(transport, &format!("{chunked}{GET}{GET}"), end);
                assert_eq!(statuses(&told), ["200", "200", "200"], "{name}: {told}");
            });
            place.logged("/late 200", 5 * ALL);
        }
    }

    /// As in nginx: whoever ends its direction has left.
    fn by_default_it_has_left(driver) {
        let place = Place::start(driver, true, "abort");
        each(|transport, end| {
            let told = place.ask(transport, GET, end);
            if end == End::GoodbyeAlone {
                assert_eq!(statuses(&told), ["200"], "{transport:?}: {told}");
            } else {
                assert_eq!(told, "", "{transport:?} {end:?}");
            }
        });
        place.logged("/late 499", ENDED);
        place.logged("/late 200", ALL - ENDED);
    }

    /// A request that is cut off is never taken for a whole one, whatever the mode.
    fn a_half_close_within_a_request_is_an_error(driver) {
        for mode in ["serve", "abort"] {
            let place = Place::start(driver, true, mode);
            for (rest, line) in [
                ("POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc", "/1 400"),
                ("POST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n", "/2 400"),
                ("POST /3 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "/3 400"),
                ("POST /4 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "/4 400"),
                ("GET /5 HTTP/1.1\r\nHost: a.test\r\n", ""),
                ("GET", ""),
            ] {
                each(|transport, end| {
                    let told = place.ask(transport, rest, end);
                    let wanted: &[&str] = if mode == "serve" { &["400"] } else { &[] };
                    assert_eq!(statuses(&told), wanted, "{mode} {transport:?} {end:?} {rest:?}: {told}");
                });
                if mode == "serve" && !line.is_empty() {
                    place.logged(line, ALL);
                }
            }
            // Nothing but an empty line is no request.
            each(|transport, end| assert_eq!(place.ask(transport, "\r\n", end), "", "{transport:?}"));
            assert!(place.upstream.seen().is_empty(), "{mode}: {:?}", place.upstream.seen());
        }
    }

    /// A reset leaves nobody to answer.
    fn a_client_that_resets_has_left(driver) {
        for mode in ["serve", "abort"] {
            let place = Place::start(driver, true, mode);
            for (at, transport) in [Transport::Plain, Transport::Tls12, Transport::Tls13].into_iter().enumerate() {
                let mut line = place.connect(transport);
                line.write_all(GET.as_bytes()).and_then(|()| line.flush()).expect("a connection");
                let seen = poll(PATIENCE, || (place.upstream.seen().len() > at).then_some(()));
                assert!(seen.is_some(), "{mode} {transport:?}");
                let none = Some(Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(line.socket(), none).expect("an option");
                drop(line);
                place.logged("/late 499", at + 1);
            }
        }
    }

    /// It has really left, and nobody can know before a write that fails; the next ones are not kept from it.
    fn a_client_that_is_gone_is_found_when_it_is_answered(driver) {
        let place = Place::start(driver, true, "serve");
        for (at, transport) in [Transport::Plain, Transport::Tls12, Transport::Tls13].into_iter().enumerate() {
            let mut line = place.connect(transport);
            let request = GET.replace("/late", "/large-late");
            line.write_all(request.as_bytes()).and_then(|()| line.flush()).expect("a connection");
            let seen = poll(PATIENCE, || (place.upstream.seen().len() > at).then_some(()));
            assert!(seen.is_some(), "{transport:?}");
            drop(line);
            let read = || fs::read_to_string(place.scratch.path().join("access.log")).unwrap_or_default();
            let logged = poll(PATIENCE, || (read().lines().count() > at).then_some(()));
            assert!(logged.is_some(), "{transport:?}: {}", read());
        }
    }
}
