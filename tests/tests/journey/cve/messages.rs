//! Where one request ends and the next begins: everybody has to see the same.

use std::fs;

use ferrule_tests::{
    Driver, Gateway, Message, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};
use tempfile::TempDir;

/// What must not be taken for a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Client-Verify: SUCCESS\r\n\r\n";

const CONFIG: &str = r#"
[http]
error_pages = { 4xx = "page.txt" }

[identity_headers]
X-Client-Verify = "$ssl_client_verify"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/open/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/limited/*"
client_max_body_size = "1"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Place {
    _scratch: TempDir,
    upstream: Upstream,
    gateway: Gateway,
}

impl Place {
    fn start(driver: Driver) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        fs::write(scratch.path().join("page.txt"), "a page of our own").expect("a file");
        let gateway =
            Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        Self { _scratch: scratch, upstream, gateway }
    }

    /// The answers to these bytes, up to the end of the connection or of patience for another.
    fn answers(&self, bytes: &[u8], most: usize) -> Vec<Message> {
        let mut raw = raw::plain(self.gateway.port("front"));
        raw.send(bytes).expect("a connection");
        raw.stream.finish().expect("a connection");
        (0..most).map_while(|_| raw.response("GET").ok()).collect()
    }

    /// Answered by 400 once, then closed; nothing reaches the upstream.
    fn refused(&self, case: &str, bytes: &[u8]) {
        let (answer, closed) = raw::exchange(self.gateway.port("front"), bytes);
        assert_eq!((answer.status(), closed), (400, true), "{case}: {answer:?}");
        self.nothing_smuggled(case);
    }

    fn nothing_smuggled(&self, case: &str) {
        for seen in self.upstream.seen() {
            let head = &seen.message.head;
            assert!(!head.target().contains("smuggled"), "{case}: {head:?}");
            assert!(!head.raw.contains("SUCCESS"), "{case}: {head:?}");
        }
    }
}

fn post(target: &str, version: &str, fields: &str) -> String {
    format!("POST {target} HTTP/{version}\r\nHost: x\r\n{fields}\r\n")
}

on_both_drivers! {
    /// Pingora handed everything behind a request with `Upgrade` through before anybody had agreed
    /// to it. Here the next request is a request: routed, refused or marked like any other.
    fn cve_2026_2833_an_upgrade_that_nobody_agreed_to_opens_no_tunnel(driver) {
        let place = Place::start(driver);
        for fields in ["Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: foo\r\n"] {
            let first = format!("GET /open/a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let bytes = format!("{first}{SMUGGLED}GET /open/b HTTP/1.1\r\nHost: x\r\nX-Client-Verify: SUCCESS\r\n\r\n");
            let answers = place.answers(bytes.as_bytes(), 4);
            // Answers to a pipeline may end with a refusal, but none comes from behind the gateway's back.
            for answer in &answers {
                assert!([200, 400, 404, 426, 501].contains(&answer.status()), "{answer:?}");
                assert!(!answer.text().contains("smuggled"), "{answer:?}");
            }
            place.nothing_smuggled(fields);
        }
    }

    /// Pingora took the body of an HTTP/1.0 request with `Transfer-Encoding`, and of several codings,
    /// for the next request. Here both are refused.
    fn cve_2026_2835_codings_that_have_no_meaning_are_refused(driver) {
        let place = Place::start(driver);
        let chunked = "Transfer-Encoding: chunked\r\n";
        for (version, fields) in [
            ("1.0", chunked.to_owned()),
            ("1.0", format!("Connection: keep-alive\r\n{chunked}")),
            ("1.0", format!("{chunked}Content-Length: 5\r\n")),
            ("1.1", format!("{chunked}Content-Length: 5\r\n")),
            ("1.1", format!("{chunked}{chunked}")),
            ("1.1", "Transfer-Encoding: chunked, identity\r\n".to_owned()),
        ] {
            let bytes = format!("{}0\r\n\r\n{SMUGGLED}", post("/open/", version, &fields));
            let answers = place.answers(bytes.as_bytes(), 3);
            assert_eq!(answers.len(), 1, "{version} {fields}: {answers:?}");
            assert!([400, 501].contains(&answers[0].status()), "{version} {fields}: {answers:?}");
            place.nothing_smuggled(&fields);
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// Pingora left the body of a request that it had answered itself in the connection. Here it is
    /// read to its end, or the connection ends.
    fn cve_2025_4366_a_body_that_nobody_read_is_no_request(driver) {
        let place = Place::start(driver);
        for target in ["/nowhere", "/limited/x", "/open/../x"] {
            let fields = format!("Content-Length: {}\r\n", SMUGGLED.len());
            let bytes = format!("{}{SMUGGLED}GET /open/after HTTP/1.1\r\nHost: x\r\n\r\n", post(target, "1.1", &fields));
            let answers = place.answers(bytes.as_bytes(), 4);
            assert!(answers[0].status() >= 400, "{target}: {answers:?}");
            assert!(answers.len() <= 2, "{target}: {answers:?}");
            place.nothing_smuggled(target);
        }
    }

    /// nginx answered by an `error_page` and took the body for the next request. Here pages of our own
    /// change nothing in what is read.
    fn cve_2019_20372_a_page_of_our_own_leaves_no_body_behind(driver) {
        let place = Place::start(driver);
        for fields in [format!("Content-Length: {}\r\n", SMUGGLED.len()), "Transfer-Encoding: chunked\r\n".to_owned()] {
            let body = if fields.starts_with('C') { SMUGGLED.to_owned() } else { format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()) };
            let answers = place.answers(format!("{}{body}", post("/nowhere", "1.1", &fields)).as_bytes(), 3);
            assert_eq!(answers.len(), 1, "{fields}: {answers:?}");
            assert_eq!((answers[0].status(), answers[0].text().as_str()), (404, "a page of our own"));
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// HAProxy kept a field name's length in a byte, so that a longer one became `Content-Length` with
    /// another value. Here a name is as long as it is, and such a field is an ordinary one.
    fn cve_2021_40346_a_long_name_is_no_other_name(driver) {
        let place = Place::start(driver);
        for length in [255, 256, 257, 270, 511, 512, 4096] {
            let name = format!("Content-Length{}", "0".repeat(length - 14));
            let fields = format!("{name}:\r\nContent-Length: {}\r\n", SMUGGLED.len());
            let bytes = format!("{}{SMUGGLED}", post("/open/long", "1.1", &fields));
            let answers = place.answers(bytes.as_bytes(), 3);
            assert_eq!(answers.len(), 1, "{length}: {answers:?}");
            place.nothing_smuggled(&length.to_string());
            if answers[0].status() == 200 {
                let seen = place.upstream.seen();
                let message = &seen.last().expect("a request").message;
                assert_eq!(message.body, SMUGGLED.as_bytes(), "{length}");
                assert_eq!(message.head.all("content-length").len(), 1, "{length}");
            }
        }
    }

    /// HAProxy stopped reading fields at one with an empty name, and dropped those behind it. Here it
    /// is a bad request.
    fn cve_2023_25725_a_field_without_a_name_is_refused(driver) {
        let place = Place::start(driver);
        for line in [": x", ":", " : x", "\t: x"] {
            let fields = format!("X-One: 1\r\n{line}\r\nContent-Length: {}\r\n", SMUGGLED.len());
            place.refused(line, format!("{}{SMUGGLED}", post("/open/", "1.1", &fields)).as_bytes());
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// HAProxy passed an empty `Content-Length` on, which others read as none or as 0. Here it is a bad
    /// request, alone or beside a good one.
    fn cve_2023_40225_an_empty_length_is_refused(driver) {
        let place = Place::start(driver);
        for fields in ["Content-Length:\r\n", "Content-Length: \t\r\n", "Content-Length:\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length:\r\n", "Content-Length: ,\r\n"] {
            place.refused(fields, format!("{}{SMUGGLED}", post("/open/", "1.1", fields)).as_bytes());
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// HAProxy took `#` for part of the path, so that a rule for one ending let another file through.
    /// Here a target with a fragment is a bad request.
    fn cve_2023_45539_a_fragment_is_refused(driver) {
        let place = Place::start(driver);
        for target in ["/open/x#.png", "/open/#", "/open/x?y#z", "http://x/open/#", "#", "/open/%2e%2e#/"] {
            place.refused(target, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// Kestrel ended a chunk extension at a lone LF or CR, others at CRLF alone. Here neither may stand in
    /// one.
    fn cve_2025_55315_an_extension_ends_at_crlf_alone(driver) {
        let place = Place::start(driver);
        for extension in [";\n", ";a\n", ";a=b\n", ";a=\"b\n\"", ";\r", ";a\rb"] {
            let bytes = format!(
                "{}2{extension}xx\r\nab\r\n0\r\n\r\n{SMUGGLED}", post("/open/", "1.1", "Transfer-Encoding: chunked\r\n")
            );
            let answers = place.answers(bytes.as_bytes(), 3);
            assert!(answers.len() <= 1, "{extension:?}: {answers:?}");
            assert!(answers.iter().all(|answer| answer.status() == 400), "{extension:?}: {answers:?}");
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// Go took a lone LF for the end of a chunk-size line. Here every line of a chunked body ends
    /// with CRLF.
    fn cve_2025_22871_a_chunk_line_ends_with_crlf(driver) {
        let place = Place::start(driver);
        for body in ["2\nab\r\n0\r\n\r\n", "2\r\nab\n0\r\n\r\n", "2\r\nab\r\n0\n\r\n", "2\r\nab\r\n0\r\n\n", "2\r\nab\r\n0\r\nX: y\n\r\n"] {
            let bytes = format!("{}{body}{SMUGGLED}", post("/open/", "1.1", "Transfer-Encoding: chunked\r\n"));
            let answers = place.answers(bytes.as_bytes(), 3);
            assert!(answers.len() <= 1, "{body:?}: {answers:?}");
            assert!(answers.iter().all(|answer| answer.status() == 400), "{body:?}: {answers:?}");
        }
        assert!(place.upstream.seen().is_empty());
    }

    /// Pingora's cache key did not hold the host. Ferrule keeps no answers: the same path of two hosts
    /// is two requests to two upstreams, also when both come on one connection.
    fn cve_2026_2836_an_answer_belongs_to_its_host(driver) {
        let scratch = scratch();
        let (one, two) = (named("one"), named("two"));
        let route = |host: &str, upstream: &Upstream| {
            format!(
                "[[routes]]\nhost = \"{host}\"\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:{}\" = 1 }}\n",
                upstream.port
            )
        };
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\n{}{}", route("one.test", &one), route("two.test", &two)
        );
        let gateway = Setup::new(scratch.path(), driver, &text).start();
        let mut raw = raw::plain(gateway.port("front"));
        for _ in 0..5 {
            assert_eq!(raw::get(&mut raw, "one.test", "/same").text(), "one");
            assert_eq!(raw::get(&mut raw, "two.test", "/same").text(), "two");
        }
        assert_eq!((one.seen().len(), two.seen().len()), (5, 5));
    }
}

/// Answers everything with its name, to be kept for long.
fn named(name: &'static str) -> Upstream {
    Upstream::plain(std::sync::Arc::new(move |client| {
        while client.request().is_some() {
            let length = name.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: {length}\r\n\r\n{name}"
            );
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    }))
}
