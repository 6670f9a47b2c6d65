//! What an upstream says behind an answer, or between two requests, answers nobody: its connection ends
//! before it is used again. Every end that an answer may have, with and without TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrule_tests::{
    Authority, Message, PATIENCE, Script, Setup, Upstream, on_both_drivers, poll, raw, scratch, tls,
};
use rustls::ServerConfig;

use crate::write_ca;

const LISTEN: &str = "[[listen]]\naddress = \"127.0.0.1:@front@\"\n";
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n";

/// A method, the answer to it, what follows, and in how many pieces that is sent.
struct Form {
    method: &'static str,
    answer: String,
    surplus: &'static str,
    pieces: usize,
}

fn forms() -> Vec<Form> {
    let form = |method, answer: &str, surplus, pieces| Form {
        method,
        answer: answer.to_owned(),
        surplus,
        pieces,
    };
    vec![
        form("GET", OK, POISON, 0),
        form("GET", OK, POISON, 1),
        form("GET", OK, POISON, 2),
        // Half a head, and its first byte: the rest may come with the next request.
        form("GET", OK, "HTTP/1.1 200 OK\r\nContent-Le", 1),
        form("GET", OK, "H", 1),
        form("GET", OK, "\r\n", 0),
        form("GET", OK, "\r\n", 1),
        form("GET", OK, "HTTP/1.1 100 Continue\r\n\r\n", 1),
        form("GET", OK, "HTTP/1.1 103 Early Hints\r\nX-Poison: 1\r\n\r\n", 1),
        form("GET", "HTTP/1.1 204 No Content\r\n\r\n", POISON, 0),
        form("GET", "HTTP/1.1 204 No Content\r\n\r\n", POISON, 1),
        form("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", "mine", 0),
        form("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", POISON, 1),
        form("GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", POISON, 1),
        form("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "mine", 0),
        form("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", POISON, 1),
        form("GET", &format!("{CHUNKED}\r\n"), POISON, 0),
        form("GET", &format!("{CHUNKED}X-Last: 1\r\n\r\n"), POISON, 1),
        form("GET", &format!("{CHUNKED}\r\n"), "0\r\n\r\n", 1),
    ]
}

/// A form over one transport, at a host of its own.
struct Case {
    version: &'static str,
    form: Form,
    host: String,
    upstream: Upstream,
    left: Arc<AtomicUsize>,
}

impl Case {
    fn start(version: &'static str, form: Form, host: String, config: &Arc<ServerConfig>) -> Self {
        let left = Arc::new(AtomicUsize::new(0));
        let script = script(&form, &left);
        let upstream = if version.is_empty() {
            Upstream::plain(script)
        } else {
            Upstream::tls(Arc::clone(config), script)
        };
        Self { version, form, host, upstream, left }
    }

    /// Its route.
    fn text(&self) -> String {
        let Self { version, host, upstream, .. } = self;
        let tls = if version.is_empty() {
            String::new()
        } else {
            format!(
                "scheme = \"https\"\ntls = {{ ca = \"ca.crt\", server_name = \"up.test\", \
                 ssl_protocols = [\"{version}\"] }}\n"
            )
        };
        format!(
            "[[routes]]\nhost = \"{host}\"\nuri = \"/*\"\n[routes.upstream]\n\
             nodes = {{ \"127.0.0.1:{}\" = 1 }}\n{tls}",
            upstream.port
        )
    }

    fn ask(&self, front: u16, method: &str) -> Message {
        let mut raw = raw::plain(front);
        let head = format!("{method} / HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        raw.send(head.as_bytes()).expect("a connection");
        raw.response(method).expect("an answer")
    }

    fn name(&self) -> String {
        format!("{} {:?} {:?}", self.version, self.form.answer, self.form.surplus)
    }
}

/// Answers the first request, says more, and counts itself when it is left.
fn script(form: &Form, left: &Arc<AtomicUsize>) -> Script {
    let (answer, surplus, pieces) = (form.answer.clone(), form.surplus, form.pieces);
    let left = Arc::clone(left);
    Arc::new(move |client| {
        if client.number > 0 {
            while client.request().is_some() && client.answer(b"fresh") {}
            return;
        }
        client.request();
        if pieces == 0 {
            client.send(format!("{answer}{surplus}").as_bytes());
        } else {
            client.send(answer.as_bytes());
            let size = surplus.len().div_ceil(pieces);
            for piece in surplus.as_bytes().chunks(size) {
                client.send(piece);
            }
        }
        // A request here would be one too many; it is seen by its number.
        client.request();
        left.fetch_add(1, Ordering::SeqCst);
    })
}

on_both_drivers! {
    fn what_is_said_between_two_requests_answers_nobody(driver) {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        let config = tls::server(&authority.server(&["up.test"]), None);
        let mut cases = Vec::new();
        for version in ["", "TLSv1.2", "TLSv1.3"] {
            for form in forms() {
                let host = format!("h{}.test", cases.len());
                cases.push(Case::start(version, form, host, &config));
            }
        }
        let routes: String = cases.iter().map(Case::text).collect();
        let gateway = Setup::new(scratch.path(), driver, &format!("{LISTEN}{routes}")).start();
        let front = gateway.port("front");
        for case in &cases {
            let answer = case.ask(front, case.form.method);
            let status = format!(" {} ", answer.status());
            assert!(case.form.answer.contains(&status), "{}: {status}", case.name());
            assert!(matches!(&*answer.text(), "mine" | ""), "{}: {}", case.name(), answer.text());
        }
        for case in &cases {
            let ended = poll(PATIENCE, || (case.left.load(Ordering::SeqCst) == 1).then_some(()));
            assert!(ended.is_some(), "{}: kept", case.name());
            assert_eq!(case.ask(front, "GET").text(), "fresh", "{}", case.name());
            let seen: Vec<usize> = case.upstream.seen().iter().map(|seen| seen.connection).collect();
            assert_eq!(seen, [0, 1], "{}", case.name());
        }
    }
}
