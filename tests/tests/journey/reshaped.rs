//! `rewrite` (docs/rewrite.md) and `redirect` (docs/responses.md): what is sent upstream, and where clients are sent.

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Script, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

use crate::write_ca;

const REWRITE: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[services]]
id = "v1"
path_prefix = "/v1"
strip_path_prefix = true
upstream_id = "up"

[[routes]]
uri = "/uri/*"
upstream_id = "up"
rewrite = { uri = "/new/$arg_x?fixed=1", host = "inner.test:81", method = "POST" }

[[routes]]
uri = "/regex/*"
upstream_id = "up"
headers.set = { X-Id = "$rewrite_id", X-Groups = "<$rewrite_1/${rewrite_2}>", X-All = "$rewrite_0" }
rewrite.regex_uri = ["^/regex/(?P<id>[0-9]+)/(.*)$", "/by-id/$id/$2", "^/regex(/[a-z].*)", "$1-$request_method?", "/b", "/c"]

[[routes]]
uri = "/head"
upstream_id = "up"
rewrite.method = "HEAD"

[[routes]]
uri = "/get"
upstream_id = "up"
rewrite.method = "GET"

[[routes]]
uri = "/*"
service_id = "v1"
rewrite.regex_uri = ["^/v1/old(/.*)?$", "/very-old$1"]
"#;

fn start(dir: &std::path::Path, driver: Driver, text: &str, script: Script) -> (Gateway, Upstream) {
    let upstream = Upstream::plain(script);
    let gateway = Setup::new(dir, driver, text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// The first line of the text that an upstream saw, which it has echoed.
fn line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

on_both_drivers! {
    /// Of the expression that matched, and of no other; what the client says in these fields is gone.
    fn groups_of_the_path_stand_in_fields(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, REWRITE, echo());
        let mut client = raw::plain(gateway.port("front"));
        for (target, id, groups) in [
            ("/regex/17/a%20b/c?q", Some("17"), Some("<17/a b/c>")),
            ("/regex/some", None, Some("</some/>")),
            ("/regex/0", None, Some("</>")),
            ("/regex/8/a%3Cb%20", Some("8"), Some("<8/a<b >")),
            ("/regex/9/", Some("9"), Some("<9/>")),
        ] {
            let fields = "X-Id: theirs\r\nX-Groups: theirs\r\n";
            let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            client.send(head.as_bytes()).expect("a connection");
            let answer = client.response("GET").expect("an answer");
            assert_eq!(answer.status(), 200, "{target}");
            let seen = upstream.seen().pop().expect("a request").message;
            assert_eq!((seen.head.get("x-id"), seen.head.get("x-groups")), (id, groups), "{target}");
        }
    }

    fn another_request_is_sent_than_was_asked_for(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver, REWRITE, echo());
        let port = gateway.port("front");
        let answer = raw::plain_get(port, "x.test", "/uri/a?x=a%2Fb%20c&y");
        assert_eq!(line(&answer.text()), "POST /new/a/b%20c?fixed=1&x=a%2Fb%20c&y HTTP/1.1");
        assert!(answer.text().contains("\r\nHost: inner.test:81\r\nContent-Length: 0\r\n"), "{}", answer.text());
        for (target, wanted) in [
            ("/regex/17/a%2Fb%3F/c?q=1", "GET /by-id/17/a%2Fb%3F/c?q=1 HTTP/1.1"),
            ("/regex/some%20thing?q", "GET /some%20thing-GET HTTP/1.1"),
            ("/regex/17/b", "GET /by-id/17/b HTTP/1.1"),
            ("/regex/0b/b%41/b", "GET /regex/0b/cA/b HTTP/1.1"),
            ("/regex/0", "GET /regex/0 HTTP/1.1"),
            ("/v1/old", "GET /very-old HTTP/1.1"),
            ("/v1/older?q", "GET /older?q HTTP/1.1"),
            ("/v1//x/%6F", "GET /x/%6F HTTP/1.1"),
        ] {
            assert_eq!(line(&raw::plain_get(port, "x", target).text()), wanted, "{target}");
        }
        // A client that leads it astray is told so, and nothing is sent.
        for target in ["/uri/?x=..%2fadmin", "/uri/?x=%2e%2e", "/uri/?x=a%0d%0aHost:%20b"] {
            let answer = raw::plain_get(port, "x", target);
            assert_eq!(answer.status(), 400, "{target}");
        }
    }

    /// A response to HEAD has no body, whatever the client asked by; and a client that asked by HEAD gets none,
    /// whatever was sent.
    fn another_method_leaves_no_byte_behind(driver) {
        let scratch = scratch();
        let script: Script = std::sync::Arc::new(|client| {
            while let Some(message) = client.request() {
                let is_head = message.head.start().starts_with("HEAD");
                let body = if is_head { "" } else { "hello" };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: {}\r\n\r\n{body}", message.head.start());
                if !client.send(answer.as_bytes()) {
                    return;
                }
            }
        });
        let (gateway, _upstream) = start(scratch.path(), driver, REWRITE, script);
        let mut client = raw::plain(gateway.port("front"));
        for _ in 0..3 {
            let answer = raw::get(&mut client, "x", "/head");
            assert_eq!((answer.status(), answer.text()), (200, String::new()));
            assert_eq!(answer.head.get("x-seen"), Some("HEAD /head HTTP/1.1"));
            assert_eq!(answer.head.get("content-length"), Some("0"));
            client.send(b"HEAD /get HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            let answer = client.response("HEAD").expect("a response");
            assert_eq!(answer.head.get("x-seen"), Some("GET /get HTTP/1.1"));
            assert_eq!(answer.head.get("content-length"), Some("5"));
            assert_eq!(raw::get(&mut client, "x", "/get").text(), "hello");
        }
    }

    /// The demands of the route that would take what is sent hold for whoever has it sent.
    fn a_rewrite_leads_around_no_demand(driver) {
        const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional" }

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/pub/*"
upstream_id = "up"
rewrite.regex_uri = ["^/pub/(.*)$", "/$1"]

[[routes]]
uri = "/admin/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
client.allow = ["CN=ops"]

[[routes]]
uri = "/posts/*"
methods = ["GET", "POST"]
upstream_id = "up"
client.allow = ["CN=ops"]

[[routes]]
uri = "/v9/*"
upstream_id = "up"
rewrite.regex_uri = ["^/v9/(.*)$", "/$1"]
refuse = { vars = [["uri", "~~", "^/internal"]] }

[[routes]]
uri = "/else/*"
upstream.nodes = { "127.0.0.1:@other@" = 1 }
client.allow = ["CN=ops"]
"#;
        let scratch = scratch();
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(scratch.path(), driver, TEXT)
            .set("upstream", &upstream.port)
            .set("other", &ferrule_tests::free_port())
            .start();
        let [ops, other] = ["ops", "other"].map(|name| authority.client_named(&[("CN", name)], &[]));
        let ask = |dial: &Dial, path: &str| {
            dial.get(gateway.port("front"), "a.test", path).expect("an answer").status()
        };
        let (nobody, other) = (Dial::new(Some("a.test")), Dial::as_client("a.test", &other));
        let ops = Dial::as_client("a.test", &ops);
        for path in ["/pub/admin/x", "/pub//admin/x", "/pub/%61dmin/", "/pub/admin%2fx", "/admin/x"] {
            assert_eq!((ask(&nobody, path), ask(&other, path), ask(&ops, path)), (403, 403, 200), "{path}");
        }
        // An upstream may take HEAD and `post` for what they resemble.
        for (method, status) in [("GET", 403), ("HEAD", 403), ("POST", 403), ("post", 403), ("PUT", 200)] {
            let mut line = nobody.connect(gateway.port("front")).expect("a handshake");
            let head = format!("{method} /pub/posts/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
            line.send(head.as_bytes()).expect("a connection");
            assert_eq!(line.response(method).expect("an answer").status(), status, "{method}");
        }
        // What a route refuses, it refuses in what it sends as well.
        assert_eq!((ask(&nobody, "/v9/internal/x"), ask(&nobody, "/v9/other")), (403, 200));
        // Nor is anybody kept from what is served elsewhere.
        for path in ["/pub/x", "/pub/else/x", "/pub/adm"] {
            assert_eq!((ask(&nobody, path), ask(&ops, path)), (200, 200), "{path}");
        }
    }

    fn clients_are_sent_elsewhere(driver) {
        const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/a"
redirect = { uri = "/b$uri", append_query_string = true }

[[routes]]
uri = "/abs"
redirect = { uri = "https://new.test$request_uri", status = 308 }

[[routes]]
uri = "/host"
redirect = { uri = "$scheme://$host:81/?u=$uri&x=$arg_x", status = 301 }

[[routes]]
uri = "/to/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
redirect = { regex_uri = ["^/to/(.*)$", "/$1"] }

[[routes]]
uri = "/again"
redirect = { uri = "/$arg_x", encode_uri = true }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
redirect = { http_to_https = true, https_port = 8443 }
"#;
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, TEXT, echo());
        let mut client = raw::plain(gateway.port("front"));
        for (method, target, status, location) in [
            ("GET", "/a?q=%41", 302, "/b/a?q=%41"),
            ("POST", "/a", 302, "/b/a"),
            ("GET", "/abs?q=1", 308, "https://new.test/abs?q=1"),
            ("GET", "http://x.test:80/abs", 308, "https://new.test/abs"),
            ("GET", "/host?x=1%26y%0d%0aSet-Cookie:a", 301, "http://x.test:81/?u=/host&x=1%26y%0D%0ASet-Cookie%3Aa"),
            ("GET", "/to//evil.test/%5c", 302, "/evil.test/%5C"),
            ("GET", "/to/%2f%2fevil.test", 302, "/%2F%2Fevil.test"),
            ("GET", "/again?x=/%5Cevil.test", 302, "/%5Cevil.test"),
            ("GET", "/again?x=//evil.test", 302, "/evil.test"),
            ("GET", "/else?q=%20", 301, "https://x.test:8443/else?q=%20"),
            ("HEAD", "//else", 301, "https://x.test:8443//else"),
            ("DELETE", "/else", 308, "https://x.test:8443/else"),
        ] {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: X.test:80\r\n\r\n");
            client.send(request.as_bytes()).expect("a connection");
            let answer = client.response(method).expect("a response");
            assert_eq!((answer.status(), answer.head.get("location")), (status, Some(location)), "{target}");
            assert_eq!((answer.body.len(), answer.head.get("content-length")), (0, Some("0")));
        }
        assert_eq!(upstream.seen().len(), 0);
        // Without a host there is nowhere to go.
        let (answer, _) = raw::exchange(gateway.port("front"), b"GET /else HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status(), 400);
    }

    /// No route is asked, and no host is named but the request's own.
    fn a_listener_sends_everybody_to_tls(driver) {
        const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
redirect_to_https = true
https_port = 8443

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, TEXT, echo());
        let mut client = raw::plain(gateway.port("front"));
        for (method, target, status, location) in [
            ("GET", "/a%20b?q", 301, "https://x.test:8443/a%20b?q"),
            ("HEAD", "//evil.test", 301, "https://x.test:8443//evil.test"),
            ("POST", "http://x.test/a", 308, "https://x.test:8443/a"),
            ("OPTIONS", "*", 308, "https://x.test:8443/"),
        ] {
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: X.test\r\n\r\n").as_bytes()).expect("a connection");
            let answer = client.response(method).expect("a response");
            assert_eq!((answer.status(), answer.head.get("location")), (status, Some(location)), "{target}");
        }
        for host in ["x@evil.test", "x.test/evil", "evil.test\\x", ""] {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let (answer, _) = raw::exchange(gateway.port("front"), request.as_bytes());
            assert_eq!((answer.status(), answer.head.get("location")), (400, None), "{host}");
        }
        let (answer, _) = raw::exchange(gateway.port("front"), b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(answer.status(), 400);
        assert_eq!(upstream.seen().len(), 0);
    }
}
