//! `return` (docs/responses.md): the route answers by itself, as the configuration says.

use ferrule_tests::{
    Driver, Gateway, Reloaded, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[services]]
id = "closed"
return = { status = 410 }

[[routes]]
uri = "/text"
return = { body = "$request_method $uri $arg_x $$1", headers = { X-Query = "q=$args", X-Empty = "$http_absent", X-Many = ["a", "b"], Cache-Control = "max-age=1" } }

[[routes]]
uri = "/json"
return = { status = 418, body = '{"x":"$http_x"}', content_type = "application/json" }

[[routes]]
uri = "/bytes"
return = { body_base64 = "AP8KJA==", content_type = "application/octet-stream" }

[[routes]]
uri = "/file"
return = { body_file = "body.html", content_type = "text/html" }

[[routes]]
uri = "/none"
return = { status = 204 }

[[routes]]
uri = "/error"
return = { status = 403, headers = { X-Why = "closed" } }

[[routes]]
uri = "/gone"
service_id = "closed"

[[routes]]
uri = "/own"
service_id = "closed"
return = { body = "own" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn start(dir: &std::path::Path, driver: Driver, upstream: &Upstream) -> Gateway {
    std::fs::write(dir.join("body.html"), "<p>$uri</p>").expect("a file");
    Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start()
}

on_both_drivers! {
    fn a_route_answers_by_itself(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, &upstream);
        let mut client = raw::plain(gateway.port("front"));
        let mut ask = |request: &str, method: &str| {
            client.send(request.as_bytes()).expect("a connection");
            client.response(method).expect("a response")
        };
        let mut get = |path: &str, fields: &str| {
            ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"), "GET")
        };
        let text = get("/text?x=1%0d%0aX-Evil:2&y", "");
        assert_eq!((text.status(), text.text()), (200, "GET /text 1%0d%0aX-Evil:2 $1".to_owned()));
        assert_eq!(text.head.get("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(text.head.get("x-query"), Some("q=x=1%0d%0aX-Evil:2&y"));
        assert_eq!(text.head.all("x-many"), ["a", "b"]);
        assert_eq!(text.head.get("cache-control"), Some("max-age=1"));
        assert!(text.head.get("x-empty").is_none() && text.head.get("date").is_some());
        let json = get("/json", "X: a\",\"admin\":\"\\\r\n");
        assert_eq!((json.status(), json.text()), (418, r#"{"x":"a\",\"admin\":\"\\"}"#.to_owned()));
        let bytes = get("/bytes", "");
        assert_eq!(bytes.body, b"\x00\xff\n$");
        assert_eq!(get("/file", "").text(), "<p>$uri</p>");
        let none = get("/none", "");
        assert_eq!((none.status(), none.head.get("content-length")), (204, None));
        let error = get("/error", "");
        assert_eq!((error.status(), error.head.get("x-why")), (403, Some("closed")));
        assert_eq!(error.text(), "{\"error_msg\":\"403 Forbidden\"}");
        assert_eq!((get("/gone", "").status(), get("/own", "").text()), (410, "own".to_owned()));
        let head = ask("HEAD /text HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD");
        assert_eq!((head.status(), head.head.get("content-length")), (200, Some("14")));
        assert_eq!(upstream.seen().len(), 0, "nothing was sent on");
        assert_eq!(ask("GET /else HTTP/1.1\r\nHost: x\r\n\r\n", "GET").status(), 200);
        assert_eq!(upstream.seen().len(), 1);
    }

    /// Where the next request begins is known only where no body came: else the connection ends.
    fn a_body_that_was_not_read_ends_the_connection(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, &upstream);
        let mut client = raw::plain(gateway.port("front"));
        let smuggled = "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!(
            "POST /own HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        );
        client.send(request.as_bytes()).expect("a connection");
        let answer = client.response("POST").expect("a response");
        assert_eq!((answer.text(), answer.head.get("connection")), ("own".to_owned(), Some("close")));
        assert!(client.response("GET").is_err(), "the body was taken for a request");
    }

    /// What is in force stays so until a reload that reads the file again.
    fn a_file_is_read_at_every_load(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = start(scratch.path(), driver, &upstream);
        let file = scratch.path().join("body.html");
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("a file");
        assert!(gateway.signal_reload() == Reloaded::Refused, "it is too large");
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/file").text(), "<p>$uri</p>");
        std::fs::write(&file, "new").expect("a file");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/file").text(), "new");
    }
}
