//! `response` (docs/responses.md): what is made of responses, and that framing stays the gateway's.

use std::sync::Arc;

use ferrule_tests::{Driver, Gateway, Script, Setup, Upstream, on_both_drivers, raw, scratch};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[global_rules]]
response.headers.set = { Strict-Transport-Security = "max-age=1", X-Over = "global" }

[[services]]
id = "up"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
response.headers.set = { X-Service = "1" }

[[routes]]
uri = "/plain/*"
service_id = "up"

[[routes]]
uri = "/fields/*"
service_id = "up"
response.headers = { add = { X-Many = ["$status", "$arg_x"] }, set = { X-Over = "own", X-List = ["a", "b"], X-Gone = "" }, remove = ["Server"] }

[[routes]]
uri = "/body/*"
service_id = "up"
response = [
  { vars = [["status", ">=", 500]], status = 200, body = '{"was":"$status","x":"$http_x"}', content_type = "application/json" },
  { vars = [["status", "==", 404]], status = 204 },
  { vars = [["status", "==", 304]], status = 200 },
  { vars = [["status", "==", 204]], body = "filled" },
  { vars = [["status", "==", 201]], body = "" },
]

[[routes]]
uri = "/return"
return = { status = 418, body = "tea" }
response.headers.set = { X-Own = "$status" }

[[routes]]
uri = "/dead"
upstream.nodes = { "127.0.0.1:@dead@" = 1 }
response = { status = 200, body = "never", headers.set = { X-Own = "$status" } }
"#;

/// Answers with the status in the path, a body where there may be one, and fields to be changed. `/.../chunked` comes
/// in chunks with a trailer.
fn script() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            let start = message.head.start().to_owned();
            let (method, path) = start.split_once(' ').expect("a request line");
            let status = path
                .split('/')
                .nth(2)
                .and_then(|text| text.split([' ', '?']).next())
                .unwrap_or_default();
            let fields = "Server: up\r\nX-Many: 1\r\nx-over: theirs\r\nX-Gone: 1\r\nX-List: 0\r\nETag: \"1\"\r\n\
                          Content-Encoding: gzip\r\nContent-Type: text/css\r\n";
            let bodiless = method == "HEAD" || matches!(status, "204" | "304");
            let (framing, body) = match bodiless {
                true if status == "204" => ("", ""),
                true => ("Content-Length: 5\r\n", ""),
                false if path.contains("chunked") => (
                    "Transfer-Encoding: chunked\r\nTrailer: X-Sum, x_gone, X-Over\r\n",
                    "5\r\nhello\r\n0\r\nX-Sum: 1\r\nx_gone: 1\r\nX-Over: 2\r\n\r\n",
                ),
                false => ("Content-Length: 5\r\n", "hello"),
            };
            let answer = format!("HTTP/1.1 {status} Theirs\r\n{fields}{framing}\r\n{body}");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    })
}

fn start(dir: &std::path::Path, driver: Driver) -> (Gateway, Upstream) {
    let upstream = Upstream::plain(script());
    let gateway = Setup::new(dir, driver, CONFIG)
        .set("upstream", &upstream.port)
        .set("dead", &ferrule_tests::free_port())
        .start();
    (gateway, upstream)
}

on_both_drivers! {
    fn fields_of_responses_are_changed(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let get = |path: &str| raw::plain_get(gateway.port("front"), "x", path);
        let plain = get("/plain/200");
        assert_eq!(plain.head.start(), "HTTP/1.1 200 Theirs");
        assert_eq!(plain.head.get("strict-transport-security"), Some("max-age=1"));
        assert_eq!((plain.head.all("x-over"), plain.head.all("x-service")), (vec!["global"], vec!["1"]));
        assert_eq!((plain.text(), plain.head.get("etag")), ("hello".to_owned(), Some("\"1\"")));
        let changed = get("/fields/404?x=%0d%0aX-Evil:1");
        assert_eq!((changed.status(), changed.text()), (404, "hello".to_owned()));
        assert_eq!(changed.head.all("x-many"), ["1", "404", "%0d%0aX-Evil:1"]);
        assert_eq!((changed.head.all("x-over"), changed.head.all("x-list")), (vec!["own"], vec!["a", "b"]));
        for name in ["server", "x-gone", "x-service", "x-evil"] {
            assert!(changed.head.all(name).is_empty(), "{name}: {changed:?}");
        }
        let own = get("/return");
        assert_eq!((own.status(), own.head.get("x-own"), own.text()), (418, Some("418"), "tea".to_owned()));
        assert_eq!(own.head.get("strict-transport-security"), Some("max-age=1"));
        let dead = get("/dead");
        assert_eq!((dead.status(), dead.head.get("x-own")), (502, Some("502")));
        assert!(get("/nowhere").head.get("strict-transport-security").is_none());
    }

    /// What is removed or set in the head does not come back behind the body; all else does.
    fn trailers_follow_the_rules_for_fields(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let mut client = raw::plain(gateway.port("front"));
        for (path, announced, wanted) in [
            ("/plain/200/chunked", "X-Sum, x_gone", "X-Sum: 1\r\nx_gone: 1"),
            ("/fields/200/chunked", "X-Sum", "X-Sum: 1"),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n");
            client.send(request.as_bytes()).expect("a connection");
            let answer = client.response("GET").expect("a response");
            assert_eq!(answer.head.get("trailer"), Some(announced), "{path}");
            assert_eq!(answer.trailers.trim(), wanted, "{path}");
        }
    }

    /// Whatever the upstream sends and the rules say, the client knows where each answer ends.
    fn bodies_are_framed_anew(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        let mut client = raw::plain(gateway.port("front"));
        for _ in 0..2 {
            for kind in ["", "/chunked"] {
                for (sent, status, body, length) in [
                    ("500", 200, r#"{"was":"500","x":"\""}"#, Some("22")),
                    ("404", 204, "", None),
                    ("304", 200, "", Some("0")),
                    ("204", 204, "", None),
                    ("201", 201, "", Some("0")),
                    ("202", 202, "hello", if kind.is_empty() { Some("5") } else { None }),
                ] {
                    for method in ["GET", "HEAD"] {
                        let request = format!("{method} /body/{sent}{kind} HTTP/1.1\r\nHost: x\r\nX: \"\r\nTE: trailers\r\n\r\n");
                        client.send(request.as_bytes()).expect("a connection");
                        let answer = client.response(method).expect("a response");
                        let is_get = method == "GET";
                        assert_eq!(answer.status(), status, "{request}{answer:?}");
                        assert_eq!(answer.text(), if is_get { body } else { "" }, "{request}{answer:?}");
                        if is_get {
                            assert_eq!(answer.head.get("content-length"), length, "{request}{answer:?}");
                        }
                        let is_theirs = matches!(sent, "202" | "304" | "204");
                        if !is_theirs && is_get {
                            assert!(answer.head.get("content-encoding").is_none() && answer.head.get("etag").is_none(), "{answer:?}");
                            assert!(answer.trailers.is_empty() && answer.head.get("trailer").is_none(), "{answer:?}");
                        }
                        let wanted = if sent == "500" { "application/json" } else { "text/css" };
                        assert_eq!(answer.head.get("content-type"), Some(wanted), "{answer:?}");
                    }
                }
            }
        }
    }
}
