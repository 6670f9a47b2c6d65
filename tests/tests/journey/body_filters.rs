//! `response.filters` (docs/responses.md): search and replace in bodies, which are held until they are whole.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::raw::Raw;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, now, on_both_drivers, poll, raw, scratch,
};
use rustix::net::sockopt::set_socket_linger;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }
timeout = { read = "1s" }

[[routes]]
uri = "/filtered/*"
upstream_id = "up"

[[routes.response]]
vars = [["status", "<", 500]]
filters = [
  { regex = "(?i)http://([a-z]+)\\.internal", replace = "https://$1.example", scope = "global" },
  { regex = "secret", replace = "" },
]
filter_max_body_size = 1000

[[routes]]
uri = "/html/*"
upstream_id = "up"
response = { filters = [{ regex = "secret", replace = "public", scope = "global" }], filter_types = ["text/html"] }

[[routes]]
uri = "/cut/*"
upstream_id = "up"
response = { filters = [{ regex = "xx$", replace = "e" }], filter_max_body_size = 1000, filter_oversize = "cut" }

[[routes]]
uri = "/plain/*"
upstream_id = "up"
"#;

/// What the upstream says for the last part of the path: fields beside the framing, framing, and what follows the head.
fn answer(what: &str, asked: &str) -> String {
    let page = "<a href=\"HTTP://app.internal/\">secret, secret</a>";
    let length = format!("Content-Length: {}\r\n", page.len());
    let chunks = format!("{:x}\r\n{page}\r\n0\r\nX-Sum: 1\r\n\r\n", page.len());
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"1\"\r\nLast-Modified: yesterday\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\n";
    match what {
        "chunked" => format!("{ok}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{chunks}"),
        "closed" => format!("HTTP/1.1 200 OK\r\n\r\n{page}"),
        "empty" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "none" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "error" => format!("HTTP/1.1 500 Oh\r\nContent-Encoding: gzip\r\n{length}\r\n{page}"),
        "gzip" => format!("{ok}Content-Encoding: gzip\r\n{length}\r\n{page}"),
        "identity" => format!("{ok}Content-Encoding: identity\r\n{length}\r\n{page}"),
        "part" => format!(
            "HTTP/1.1 206 Part\r\nContent-Type: image/png\r\nContent-Range: bytes 0-{}/99\r\n{length}\r\n{page}",
            page.len() - 1
        ),
        "events" => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n".to_owned(),
        "long" => format!("{ok}Content-Length: 1001\r\n\r\n{}", "x".repeat(1001)),
        "endless" => format!("{ok}\r\n{}", "x".repeat(1001)),
        "cut" => format!("{ok}Content-Length: 100\r\n\r\nhalf"),
        "stuck" => format!("{ok}Content-Length: 100\r\n\r\nstill"),
        "asked" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{asked}", asked.len()),
        "untyped" => format!("HTTP/1.1 200 OK\r\n{length}\r\n{page}"),
        "twice" => format!("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Type: text/html\r\n{length}\r\n{page}"),
        "joined" => format!("HTTP/1.1 200 OK\r\nContent-Type: image/png, text/html\r\n{length}\r\n{page}"),
        "video" => format!("HTTP/1.1 200 OK\r\nContent-Type: video/mp4; codecs=\"a, text/html\"\r\n{length}\r\n{page}"),
        "image" => "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: br\r\nETag: \"1\"\r\nContent-Length: 6\r\n\r\nsecret".to_owned(),
        _ => format!("{ok}{length}\r\n{page}"),
    }
}

fn script() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            let start = message.head.start().to_owned();
            let (method, path) = start.split_once(' ').expect("a request line");
            let what = path
                .split([' ', '?'])
                .next()
                .and_then(|path| path.rsplit('/').next())
                .unwrap_or_default();
            let mut text = answer(what, &message.head.raw);
            if method == "HEAD" {
                let end = text.find("\r\n\r\n").expect("a head") + 4;
                text.truncate(end);
            }
            if !client.send(text.as_bytes()) || matches!(what, "closed" | "cut" | "endless") {
                return;
            }
            if what == "stuck" {
                // Until the gateway has had enough.
                let _ = client.request();
                return;
            }
        }
    })
}

fn start(dir: &Path, driver: Driver) -> (Gateway, Upstream) {
    let upstream = Upstream::plain(script());
    let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// How many were refused for this reason.
fn refused(gateway: &Gateway, reason: &str) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum("ferrule_refusals_total", &[("reason", reason)])
}

/// The page as clients get it.
const FILTERED: &str = "<a href=\"https://app.example/\">, secret</a>";

/// How many clients leave at a time: as many as may be there.
const CLIENTS: usize = 8;

/// How much of a body is there when they leave.
const HALF: usize = 100_000;
const HALF_BYTES: f64 = 100_000.0;

const HELD: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.max_connections = 8
upstream.keepalive_pool.size = 0
response = { filters = [{ regex = "secret", replace = "public" }], filter_max_body_size = "1m" }
limits.connections = { connections = 8, key = "$remote_addr" }
"#;

/// Half a body, and then nothing until the gateway goes; only a page is whole.
fn half() -> Script {
    Arc::new(|client| {
        let Some(message) = client.request() else { return };
        let part = "x".repeat(HALF);
        let text = match message.head.target() {
            "/sized" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{part}", 2 * HALF),
            "/chunked" => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{HALF:x}\r\n{part}\r\n"
            ),
            "/closed" => format!("HTTP/1.1 200 OK\r\n\r\n{part}"),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret".to_owned(),
        };
        if client.send(text.as_bytes()) {
            let _ = client.request();
        }
    })
}

/// What a gateway holds, and what it has counted.
#[derive(Debug)]
struct Held {
    bytes: f64,
    upstream: f64,
    connections: f64,
    aborts: f64,
}

impl Held {
    fn read(gateway: &Gateway) -> Self {
        let text = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
        let read = Exposition::read(&text);
        Self {
            bytes: read.sum("ferrule_buffer_bytes", &[("state", "rented")]),
            upstream: read.sum("ferrule_upstream_connections", &[]),
            connections: read.sum("ferrule_connections_open", &[]),
            aborts: read.sum("ferrule_client_aborts_total", &[]),
        }
    }
}

on_both_drivers! {
    /// However a body comes, it is changed as a whole, and sent with its own length over a connection that is kept.
    fn bodies_are_searched_as_a_whole(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let mut client = raw::plain(gateway.port("front"));
        for (what, wanted) in [
            ("page", FILTERED), ("chunked", FILTERED), ("closed", FILTERED), ("identity", FILTERED), ("empty", ""),
            ("page", FILTERED),
        ] {
            for method in ["GET", "HEAD", "POST"] {
                let request = format!("{method} /filtered/{what} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n");
                client.send(request.as_bytes()).expect("a connection");
                let answer = client.response(method).expect("a response");
                assert_eq!(answer.status(), 200, "{request}{answer:?}");
                let is_head = method == "HEAD";
                assert_eq!(answer.text(), if is_head { "" } else { wanted }, "{request}{answer:?}");
                let length = wanted.len().to_string();
                assert_eq!(answer.head.get("content-length"), (!is_head).then_some(&*length), "{request}{answer:?}");
                for name in ["etag", "last-modified", "accept-ranges", "content-md5", "transfer-encoding", "trailer"] {
                    assert!(answer.head.get(name).is_none(), "{name}: {request}{answer:?}");
                }
                assert!(answer.trailers.is_empty(), "{answer:?}");
            }
        }
        client.send(b"GET /filtered/none HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(client.response("GET").expect("a response").status(), 204);
        // An old client that wants no connection kept.
        let (old, closed) = raw::exchange(gateway.port("front"), b"GET /filtered/chunked HTTP/1.0\r\nHost: x\r\n\r\n");
        assert!(closed && old.text() == FILTERED && old.head.get("content-length").is_some(), "{old:?}");
    }

    /// What no condition names, or no type, passes as it came, encoded or not.
    fn other_bodies_pass_as_they_are(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let get = |path: &str| raw::plain_get(gateway.port("front"), "x", path);
        let error = get("/filtered/error");
        assert_eq!((error.status(), error.head.get("content-encoding")), (500, Some("gzip")));
        assert!(error.text().contains("secret, secret"), "{error:?}");
        let image = get("/html/image");
        assert_eq!((image.text().as_str(), image.head.get("etag")), ("secret", Some("\"1\"")));
        for (what, text) in [
            ("page", "public, public"), ("video", "secret, secret"),
            // What somebody may take for HTML is searched.
            ("untyped", "public, public"), ("twice", "public, public"), ("joined", "public, public"),
        ] {
            let answer = get(&format!("/html/{what}"));
            assert!(answer.text().contains(text), "{what}: {answer:?}");
        }
        assert!(get("/html/part").text().contains("secret, secret"));
        assert!(get("/plain/page").text().contains("secret, secret"));
    }

    /// A body that cannot be searched is not sent at all, and is no fault of the node's.
    fn what_cannot_be_searched_is_refused(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let mut client = raw::plain(gateway.port("front"));
        for (what, status, reason) in [
            ("gzip", 502, "upstream-unfilterable"),
            ("part", 502, "upstream-unfilterable"),
            ("events", 502, "upstream-unfilterable"),
            ("long", 502, "upstream-filter-too-large"),
            ("endless", 502, "upstream-filter-too-large"),
            ("cut", 502, "upstream-body-cut-off"),
            ("stuck", 504, "upstream-timeout"),
        ] {
            let request = format!("GET /filtered/{what} HTTP/1.1\r\nHost: x\r\n\r\n");
            client.send(request.as_bytes()).expect("a connection");
            let answer = client.response("GET").expect("a response");
            assert_eq!(answer.status(), status, "{what}: {answer:?}");
            assert!(!answer.text().contains("secret"), "{what}: {answer:?}");
            let counted = || Some(refused(&gateway, reason)).filter(|count| *count > 0.5);
            assert!(poll(PATIENCE, counted).is_some(), "{what}: {reason}");
        }
        // Where that is asked for, the beginning is searched and sent.
        let wanted = format!("{}e", "x".repeat(998));
        for path in ["/cut/long", "/cut/endless"] {
            let answer = raw::plain_get(gateway.port("front"), "x", path);
            assert_eq!((answer.status(), answer.text()), (200, wanted.clone()), "{path}");
            assert_eq!(answer.head.get("content-length"), Some("999"), "{path}");
        }
        // HEAD has no body to search.
        client.send(b"HEAD /filtered/gzip HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(client.response("HEAD").expect("a response").status(), 200);
    }

    /// A client must take a body of ours as fast as any other.
    fn a_reader_that_takes_too_little_of_a_filtered_body_is_cut(driver) {
        const BYTES: usize = 16 << 20;
        let answer: Script = Arc::new(|client| {
            let mut text = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n").into_bytes();
            text.resize(text.len() + BYTES, b'a');
            while client.request().is_some() && client.send(&text) {}
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(answer));
        for (rate, cut) in [(50_000_000, true), (0, false)] {
            let text = format!(
                "[http]\nsend_min_rate = {rate}\nmin_rate_grace = \"1s\"\n\
                 [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
                 [[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n\
                 response = {{ filters = [{{ regex = \"^a\", replace = \"b\" }}], filter_max_body_size = \"16m\" }}\n"
            );
            let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            let head = raw.head().expect("a head").expect("a head");
            assert_eq!(head.get("content-length"), Some(&*BYTES.to_string()), "{head:?}");
            let (started, mut taken) = (now(), 0);
            // Slowly for a while, and then as fast as it comes: all of it is there, or it was cut.
            while taken < BYTES && raw.exactly(16 * 1024).is_ok() {
                taken += 16 * 1024;
                if started.elapsed() < Duration::from_secs(4) {
                    thread::park_timeout(Duration::from_millis(20));
                }
            }
            assert_eq!(taken < BYTES, cut, "{taken} bytes at {rate}");
        }
    }

    /// The upstream is asked for what can be searched; what a write depends on is still asked for.
    fn the_upstream_is_asked_for_a_whole_body(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let fields = "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-Range: \"1\"\r\nIf-None-Match: \"1\"\r\nIf-Modified-Since: now\r\nIf-Match: \"2\"\r\n";
        for (method, path, wanted) in [
            ("GET", "/filtered/asked", "if-match"),
            ("PUT", "/filtered/asked", "if-match if-modified-since if-none-match"),
            ("GET", "/plain/asked", "accept-encoding if-match if-modified-since if-none-match if-range range"),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
            let (answer, _) = raw::exchange(gateway.port("front"), request.as_bytes());
            let text = answer.text().to_lowercase();
            let names = text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
            let mut names: Vec<_> = names.filter(|name| name.starts_with("if-") || matches!(*name, "range" | "accept-encoding")).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), wanted, "{method} {path}");
        }
    }

    /// A client that leaves while its body is held takes everything with it: the buffers, the upstream's connection, its
    /// place in limits. It is counted as one that left.
    fn a_client_that_leaves_while_a_body_is_held_leaves_nothing_behind(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(half()));
        let gateway = Setup::new(scratch.path(), driver, HELD).set("upstream", &upstream.port).start();
        let before = Held::read(&gateway);
        let mut gone = 0.0;
        for (framing, resets) in [("sized", false), ("chunked", true), ("closed", false), ("sized", true)] {
            let clients: Vec<Raw> = (0..CLIENTS).map(|_| {
                let mut client = raw::plain(gateway.port("front"));
                let request = format!("GET /{framing} HTTP/1.1\r\nHost: x\r\n\r\n");
                client.send(request.as_bytes()).expect("a connection");
                client
            }).collect();
            let count = f64::from(u32::try_from(CLIENTS).expect("a few"));
            let held = || {
                let now = Held::read(&gateway);
                let is_there = now.upstream > count - 0.5 && now.bytes - before.bytes > count * HALF_BYTES;
                is_there.then_some(now)
            };
            assert!(poll(PATIENCE, held).is_some(), "{framing}: {:?}", Held::read(&gateway));
            if resets {
                for client in &clients {
                    let raw::Line::Plain(socket) = &client.stream else { unreachable!("in clear") };
                    set_socket_linger(socket, Some(Duration::ZERO)).expect("an option");
                }
            }
            drop(clients);
            gone += count;
            let is_gone = || {
                let now = Held::read(&gateway);
                let is_as_before = now.upstream < 0.5
                    && now.bytes <= before.bytes
                    && now.connections <= before.connections
                    && now.aborts > gone - 0.5;
                is_as_before.then_some(now)
            };
            let now = poll(PATIENCE, is_gone);
            assert!(now.is_some(), "{framing}: {before:?} before, {:?} behind", Held::read(&gateway));
            assert!(now.is_some_and(|now| now.aborts < gone + 0.5), "{framing}: {:?}", Held::read(&gateway));
        }
        // There is room for others, and none of the nodes is blamed.
        let answer = raw::plain_get(gateway.port("front"), "x", "/page");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "public"), "{answer:?}");
    }
}
