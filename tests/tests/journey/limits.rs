//! Bad and oversized requests: the right status, a closed connection, and nothing upstream.

use ferrule_tests::{Setup, Upstream, echo, on_both_drivers, raw, scratch};

const CONFIG: &str = r#"
[http]
client_header_timeout = "1s"
client_body_timeout = "1s"
keepalive_timeout = "1s"
client_max_body_size = "1000"
large_client_header_buffers = "4k"
max_headers = 20

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Sends the bytes; the status, after which the connection must be closed.
fn refused(driver: ferrule_tests::Driver, cases: &[(&str, Vec<u8>, u16)]) {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let gateway =
        Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
    let front = gateway.port("front");
    for (name, bytes, status) in cases {
        let (answer, closed) = raw::exchange(front, bytes);
        assert_eq!((answer.status(), closed), (*status, true), "{name}: {answer:?}");
    }
    assert!(upstream.seen().is_empty(), "reached the upstream: {:?}", upstream.seen());
    assert_eq!(raw::plain_get(front, "x", "/").status(), 200, "still serves");
}

fn head(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").into_bytes()
}

on_both_drivers! {
    fn what_is_too_large_or_too_slow_is_refused(driver) {
        let long = "a".repeat(5_000);
        let many = (0..30).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
        refused(driver, &[
            ("head", head(&format!("X: {long}\r\n")), 431),
            ("fields", head(&many), 431),
            ("target", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(), 414),
            ("body", head("Content-Length: 1001\r\n"), 413),
            ("unfinished head", b"GET / HTTP/1.1\r\nHos".to_vec(), 408),
        ]);
    }

    /// Two answers to "where does it end?" are how requests are smuggled.
    fn ambiguous_framing_is_refused(driver) {
        let behind = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let with = |fields: &str| [head(fields), behind.as_bytes().to_vec()].concat();
        refused(driver, &[
            ("both", with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400),
            ("two lengths", with("Content-Length: 4\r\nContent-Length: 5\r\n"), 400),
            ("a list", with("Content-Length: 4, 4\r\n"), 400),
            ("a sign", with("Content-Length: +4\r\n"), 400),
            ("hex", with("Content-Length: 0x4\r\n"), 400),
            ("empty", with("Content-Length: \r\n"), 400),
            ("unknown coding", with("Transfer-Encoding: gzip, chunked\r\n"), 501),
            ("chunked not last", with("Transfer-Encoding: gzip\r\n"), 400),
            ("chunked twice", with("Transfer-Encoding: chunked, chunked\r\n"), 400),
            ("space before colon", with("Content-Length : 4\r\n"), 400),
            ("folded", with("X: a\r\n b\r\n"), 400),
            ("bare LF", b"GET / HTTP/1.1\nHost: x\n\n".to_vec(), 400),
            ("NUL", with("X: a\0b\r\n"), 400),
            ("chunked in 1.0", b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), 400),
            ("no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
            ("two Hosts", b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_vec(), 400),
            ("userinfo", b"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400),
            ("not HTTP", b"hello there\r\n\r\n".to_vec(), 400),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ]);
    }

    /// Chunked bodies are refused where they go wrong, after which the connection is no one's.
    fn bad_chunks_end_the_connection(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for chunk in ["x\r\n", "-1\r\n", "0x1\r\na\r\n", "1\na\r\n", "ffffffffffffffffff\r\n", "1\r\nab"] {
            let mut raw = raw::plain(front);
            let request = [head("Transfer-Encoding: chunked\r\n"), chunk.as_bytes().to_vec()].concat();
            raw.send(&request).expect("a connection");
            if let Ok(answer) = raw.response("POST") {
                assert_eq!(answer.status(), 400, "{chunk:?}");
            }
            assert!(raw.is_closed(), "{chunk:?}");
        }
        assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    }

    fn a_body_that_grows_too_large_is_cut(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        let chunk = format!("1f4\r\n{}\r\n", "a".repeat(500));
        let body = chunk.repeat(3);
        raw.send(&[head("Transfer-Encoding: chunked\r\n"), body.into_bytes()].concat()).expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").status(), 413);
        assert!(raw.is_closed());
        assert!(upstream.seen().is_empty());
    }

    fn an_idle_connection_is_closed_in_time(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        assert_eq!(raw::get(&mut raw, "x", "/").status(), 200);
        assert!(raw.is_closed(), "within the patience of a read, not by its end");
    }

    fn a_stalled_body_is_given_up(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(&[head("Content-Length: 10\r\n"), b"abc".to_vec()].concat()).expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").status(), 408);
        assert!(raw.is_closed());
    }

    /// CONNECT and TRACE have no meaning here.
    fn methods_for_proxies_are_refused(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for request in ["CONNECT x:80 HTTP/1.1", "TRACE / HTTP/1.1"] {
            let (answer, _) = raw::exchange(front, format!("{request}\r\nHost: x:80\r\n\r\n").as_bytes());
            assert_eq!(answer.status(), 405, "{request}");
        }
        assert!(upstream.seen().is_empty());
    }
}
