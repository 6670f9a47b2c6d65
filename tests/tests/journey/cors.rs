//! `cors` (docs/cors.md): which pages of other origins may read, and what becomes of preflights.

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Message, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[global_rules]]
cors = { allow_origins = "**", allow_methods = "**", allow_headers = "**" }

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/default"
upstream_id = "up"
cors = {}

[[routes]]
uri = "/list"
upstream_id = "up"
cors = { allow_origins = "https://a.test,https://b.test", allow_methods = "GET,POST", allow_headers = "h1,h2", expose_headers = "e1", max_age = 50, allow_credential = true, timing_allow_origins = "https://t.test" }

[[routes]]
uri = "/regex"
upstream_id = "up"
cors.allow_origins_by_regex = ["^https://[a-z]+\\.a\\.test$"]

[[routes]]
uri = "/options"
upstream_id = "up"
cors = { allow_origins = "https://a.test", answer_options = true }

[[routes]]
uri = "/return"
return = { status = 403 }

[[routes]]
uri = "/*"
upstream_id = "up"
"#;

fn start(dir: &std::path::Path, driver: Driver, text: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// What of CORS is in an answer, `name: value` in the order of the names.
fn told(answer: &Message) -> Vec<String> {
    let names = [
        "allow-origin",
        "allow-methods",
        "allow-headers",
        "expose-headers",
        "max-age",
        "allow-credentials",
    ];
    let told = names.iter().flat_map(|name| {
        let values = answer.head.all(&format!("access-control-{name}"));
        values.into_iter().map(move |value| format!("{name}: {value}"))
    });
    told.collect()
}

on_both_drivers! {
    /// With `answer_options` no OPTIONS is the upstream's, whether a page asks or not; everything else is.
    fn every_options_may_be_answered_here(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, CONFIG);
        let mut client = raw::plain(gateway.port("front"));
        let origin = "Origin: https://a.test\r\n";
        for (method, path, fields, sent) in [
            ("OPTIONS", "/options", "", false),
            ("OPTIONS", "/options", origin, false),
            ("OPTIONS", "/list", "", true),
            ("GET", "/options", origin, true),
            ("POST", "/options", "Content-Length: 0\r\n", true),
        ] {
            let before = upstream.seen().len();
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            client.send(head.as_bytes()).expect("a connection");
            let answer = client.response(method).expect("an answer");
            assert_eq!((answer.status(), upstream.seen().len() > before), (200, sent), "{head}");
            assert!(sent || answer.body.is_empty(), "{answer:?}");
            let allowed = (fields == origin).then_some("https://a.test");
            assert_eq!(answer.head.get("access-control-allow-origin"), allowed, "{head}");
        }
    }

    fn origins_are_told_what_they_may(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, CONFIG);
        let mut client = raw::plain(gateway.port("front"));
        let mut ask = |method: &str, path: &str, fields: &str| {
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).expect("a connection");
            client.response(method).expect("a response")
        };
        let answer = ask("GET", "/default", "");
        assert_eq!(told(&answer), ["allow-origin: *", "allow-methods: *", "allow-headers: *", "max-age: 5"]);
        assert!(answer.head.get("vary").is_none() && answer.text().starts_with("GET /default"));
        let listed = ["allow-origin: https://b.test", "allow-methods: GET,POST", "allow-headers: h1,h2", "expose-headers: e1", "max-age: 50", "allow-credentials: true"];
        let answer = ask("GET", "/list", "Origin: https://b.test\r\n");
        assert_eq!((told(&answer), answer.head.get("vary")), (listed.map(str::to_owned).to_vec(), Some("Origin")));
        for origin in ["https://c.test", "https://b.test.evil", "http://b.test", "https://B.test", "null", "https://a.test,https://b.test"] {
            let answer = ask("GET", "/list", &format!("Origin: {origin}\r\n"));
            assert_eq!((told(&answer), answer.status(), answer.head.get("vary")), (vec![], 200, Some("Origin")), "{origin}");
        }
        let twice = ask("GET", "/list", "Origin: https://b.test\r\nOrigin: https://b.test\r\n");
        assert!(told(&twice).is_empty());
        let timed = ask("GET", "/list", "Origin: https://t.test\r\n");
        assert_eq!((told(&timed), timed.head.get("timing-allow-origin")), (vec![], Some("https://t.test")));
        let matched = ask("GET", "/regex", "Origin: https://x.a.test\r\n");
        assert_eq!((told(&matched).first().map(String::as_str), matched.head.get("vary")), (Some("allow-origin: https://x.a.test"), Some("Origin")));
        assert!(told(&ask("GET", "/regex", "Origin: https://x.a.test.evil\r\n")).is_empty());
        let seen = upstream.seen().len();
        let preflight = "Origin: https://q.test\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: a, b\r\n";
        for path in ["/else", "/return"] {
            let answer = ask("OPTIONS", path, preflight);
            assert_eq!((answer.status(), answer.text(), answer.head.get("content-length")), (200, String::new(), Some("0")));
            let methods = "allow-methods: GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE";
            assert_eq!(told(&answer), ["allow-origin: https://q.test", methods, "allow-headers: a, b", "max-age: 5"]);
        }
        assert_eq!(upstream.seen().len(), seen, "no preflight is sent on");
        // What is none is a request like any other; and our own answers are read as the upstream's are.
        assert!(ask("OPTIONS", "/else", "Origin: https://q.test\r\n").text().starts_with("OPTIONS /else"));
        let own = ask("GET", "/return", "Origin: https://q.test\r\n");
        assert_eq!((own.status(), told(&own).len()), (403, 3));
    }

    /// Who may not take a route is told nothing, be it by a preflight.
    fn a_preflight_opens_nothing(driver) {
        const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
client.verify = "on"
cors = { allow_origins = "https://a.test" }
"#;
        let scratch = scratch();
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let (gateway, upstream) = start(scratch.path(), driver, TEXT);
        let ops = authority.client_named(&[("CN", "ops")], &[]);
        let preflight = "OPTIONS / HTTP/1.1\r\nHost: a.test\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\n\r\n";
        let ask = |dial: &Dial| {
            let mut client = dial.connect(gateway.port("front")).expect("a handshake");
            client.send(preflight.as_bytes()).expect("a connection");
            client.response("OPTIONS").expect("a response")
        };
        let refused = ask(&Dial::new(Some("a.test")));
        assert_eq!((refused.status(), told(&refused)), (403, vec![]));
        let answered = ask(&Dial::as_client("a.test", &ops));
        assert_eq!((answered.status(), told(&answered).len()), (200, 4));
        assert_eq!(upstream.seen().len(), 0);
    }
}
