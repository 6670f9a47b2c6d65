//! Bodies that are held while they go up (`retry_buffer`): a node that fails in the middle of an upload costs the
//! client nothing, as long as the request may be sent twice and its body is within the bound.

use std::path::Path;
use std::sync::Arc;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::raw::Raw;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Script, Setup, Upstream, on_both_drivers, poll,
    raw, scratch, tls,
};

const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

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
upstream_id = "app"

[[upstreams]]
id = "app"
keepalive_pool.size = 0
checks.passive.unhealthy = { tcp_failures = 0, timeouts = 0, http_failures = 0 }
timeout.read = 20
"#;

const KIB: usize = 1_024;

/// What the node that fails has read of a body by then.
const READ: usize = 10 * KIB;

/// In front of these nodes, each of which is asked only after those before it.
fn gateway(dir: &Path, driver: Driver, nodes: &[&Upstream], lines: &str) -> Gateway {
    Authority::new("ca").server(&["a.test"]).write(dir, "server");
    let nodes: Vec<_> = (0..)
        .zip(nodes)
        .map(|(at, node)| {
            format!("{{ host = \"127.0.0.1\", port = {}, priority = {} }}", node.port, -at)
        })
        .collect();
    let (http, upstream) = lines.split_once('|').unwrap_or(("", lines));
    let text = format!("[http]\n{http}\n{CONFIG}nodes = [{}]\n{upstream}\n", nodes.join(", "));
    Setup::new(dir, driver, &text).start()
}

/// Takes a head and so much of what follows, does `then`, and goes; what it did not read makes that a reset.
fn quits_after(count: usize, then: &'static [u8]) -> Script {
    Arc::new(move |client| {
        if client.talk.head().is_ok_and(|head| head.is_some()) {
            let _ = client.talk.exactly(count);
            client.send(then);
        }
    })
}

/// Answers every request with its body.
fn mirror() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            if !client.answer(&message.body) {
                return;
            }
        }
    })
}

fn body(len: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(len).collect()
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Sized,
    Chunked,
}

impl Form {
    fn head(self, method: &str, len: usize, more: &str) -> Vec<u8> {
        let framing = match self {
            Self::Sized => format!("Content-Length: {len}"),
            Self::Chunked => "Transfer-Encoding: chunked".to_owned(),
        };
        format!("{method} / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n{more}\r\n").into_bytes()
    }

    /// In chunks of different sizes, with an extension and a trailer.
    fn framed(self, body: &[u8]) -> Vec<u8> {
        if self == Self::Sized {
            return body.to_vec();
        }
        let mut bytes = Vec::new();
        let (mut rest, mut len) = (body, 1);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(len.min(rest.len()));
            bytes.extend(format!("{:x};a=b\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
            (rest, len) = (after, len * 3 % 5_000 + 1);
        }
        bytes.extend(b"0\r\nX-Trailer: t\r\n\r\n");
        bytes
    }
}

/// Sends a head, and what follows it only when a node has been connected to: so it did not come with the head.
fn upload(client: &mut Raw, node: &Upstream, head: &[u8], framed: &[u8]) {
    let before = node.accepted();
    client.send(head).expect("a gateway");
    poll(PATIENCE, || (node.accepted() > before).then_some(())).expect("a node is asked");
    for piece in framed.chunks(7_000) {
        client.send(piece).expect("a gateway that reads");
    }
}

on_both_drivers! {
    /// In clear and under TLS on both sides, sized and in chunks; whatever was read is sent again, byte by byte.
    fn a_node_that_fails_in_the_middle_costs_nothing(driver) {
        let (scratch, leaf) = (scratch(), Authority::new("up").server(&["a.test"]));
        let body = body(40 * KIB);
        let config = tls::server(&leaf, None);
        for secure in [false, true] {
            let node = |script: Script| match secure {
                true => Upstream::tls(Arc::clone(&config), script),
                false => Upstream::plain(script),
            };
            let lines = if secure { "scheme = \"https\"\ntls.verify = \"off\"" } else { "" };
            let (bad, good) = (node(quits_after(READ, b"")), node(mirror()));
            let gateway = gateway(scratch.path(), driver, &[&bad, &good], lines);
            let mut client = if secure {
                Dial::new(Some("a.test")).connect(gateway.port("secure")).expect("a handshake")
            } else {
                raw::plain(gateway.port("front"))
            };
            for (number, form) in [Form::Sized, Form::Chunked, Form::Sized].into_iter().enumerate() {
                upload(&mut client, &bad, &form.head("PUT", body.len(), ""), &form.framed(&body));
                let answer = client.response("PUT").expect("an answer");
                assert_eq!(answer.status(), 200, "{secure} {form:?}");
                assert!(answer.body == body, "{secure} {form:?}: {}", answer.body.len());
                let seen = good.seen();
                assert_eq!((bad.accepted(), seen.len()), (number + 1, number + 1));
                assert!(seen[number].message.body == body);
            }
        }
    }

    /// The bound is exact, for what did not come with the head. A longer one, a POST, and `retry_buffer = 0`: as ever.
    fn what_is_not_held_is_not_sent_again(driver) {
        let cases = [
            ("PUT", 16 * KIB, "retry_buffer = \"16k\"", true),
            ("PUT", 16 * KIB + 1, "retry_buffer = \"16k\"", false),
            ("PUT", 64 * KIB, "", true),
            ("PUT", 64 * KIB + 1, "", false),
            ("PUT", 12 * KIB, "retry_buffer = 0", false),
            ("POST", 12 * KIB, "", false),
            ("POST", 12 * KIB, "retry_non_idempotent = true", true),
        ];
        for (method, len, lines, again) in cases {
            for form in [Form::Sized, Form::Chunked] {
                // As long as it comes, sizes of chunks included.
                let framed = if form == Form::Sized { body(len) } else { one_chunk(len) };
                assert_eq!(framed.len(), len);
                let scratch = scratch();
                // A node that fails before all was read leaves it to the next one, however long the rest is.
                let read = if again { READ } else { len };
                let (bad, good) = (Upstream::plain(quits_after(read, b"")), Upstream::plain(mirror()));
                let gateway = gateway(scratch.path(), driver, &[&bad, &good], lines);
                let mut client = raw::plain(gateway.port("front"));
                let head = form.head(method, len, "");
                let before = bad.accepted();
                client.send(&head).expect("a gateway");
                poll(PATIENCE, || (bad.accepted() > before).then_some(())).expect("a node is asked");
                // The gateway may answer before it has all.
                let _ = client.send(&framed);
                let status = client.response(method).expect("an answer").status();
                let wanted = if again { (200, 1, 1) } else { (502, 1, 0) };
                let found = (status, bad.accepted(), good.seen().len());
                assert_eq!(found, wanted, "{method} {len} {lines} {form:?}");
            }
        }
    }

    /// Who sends it, and when a node fails, is all one to the client: it is told once.
    fn a_client_is_told_once_to_send_its_body(driver) {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let body = body(20 * KIB);
        // What the first node does: it hangs up at once, behind a 100, or within the body.
        let firsts: [(&str, Script); 3] = [
            ("at once", quits_after(0, b"")),
            ("behind a 100", quits_after(0, CONTINUE)),
            ("within the body", Arc::new(|client| {
                if client.talk.head().is_ok_and(|head| head.is_some()) && client.send(CONTINUE) {
                    let _ = client.talk.exactly(READ);
                }
            })),
        ];
        for (expect, (name, first)) in ["forward", "answer"].into_iter().flat_map(|expect| firsts.clone().map(|first| (expect, first))) {
            let scratch = scratch();
            let second: Script = Arc::new(|client| {
                while let Ok(Some(head)) = client.talk.head() {
                    let Some(len) = head.length().filter(|_| client.send(CONTINUE)) else { return };
                    let Ok(body) = client.talk.exactly(len) else { return };
                    client.answer(&body);
                }
            });
            let (bad, good) = (Upstream::plain(first), Upstream::plain(second));
            let lines = format!("expect = \"{expect}\"|");
            let gateway = gateway(scratch.path(), driver, &[&bad, &good], &lines);
            let mut client = raw::plain(gateway.port("front"));
            client.send(&Form::Sized.head("PUT", body.len(), "Expect: 100-continue\r\n")).expect("a gateway");
            let head = client.head().expect("a head").expect("not an end");
            assert_eq!(head.status(), 100, "{expect} {name}");
            for piece in body.chunks(5_000) {
                client.send(piece).expect("a gateway that reads");
            }
            let head = client.head().expect("a head").expect("not an end");
            assert_eq!(head.status(), 200, "{expect} {name}");
            assert!(client.exactly(body.len()).expect("the body") == body, "{expect} {name}");
            assert_eq!((bad.accepted(), good.accepted()), (1, 1), "{expect} {name}");
        }
    }

    /// A status that `retry_on` names, from a node that has not even read the request.
    fn an_early_answer_is_passed_over(driver) {
        let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
        let body = body(30 * KIB);
        for (lines, wanted) in [("retry_on = [\"503\"]", 200), ("", 503)] {
            let scratch = scratch();
            let (bad, good) = (Upstream::plain(quits_after(100, busy)), Upstream::plain(mirror()));
            let gateway = gateway(scratch.path(), driver, &[&bad, &good], lines);
            let mut client = raw::plain(gateway.port("front"));
            // The rest of the body is not there yet when the answer is.
            upload(&mut client, &bad, &Form::Sized.head("PUT", body.len(), ""), &body[..20 * KIB]);
            if wanted == 200 {
                poll(PATIENCE, || (good.accepted() == 1).then_some(())).expect("another node");
            }
            let _ = client.send(&body[20 * KIB..]);
            let answer = client.response("PUT").expect("an answer");
            assert_eq!((answer.status(), bad.accepted()), (wanted, 1));
            assert!(wanted == 503 || answer.body == body);
        }
    }

    /// The node had given it up just then: the same node, over a new connection.
    fn a_kept_connection_that_ends_costs_nothing(driver) {
        let scratch = scratch();
        let node = Upstream::plain(Arc::new(|client| {
            if client.number == 0 {
                client.request();
                client.answer(b"kept");
                let _ = client.talk.head();
                let _ = client.talk.exactly(READ);
                return;
            }
            while let Some(message) = client.request() {
                client.answer(&message.body);
            }
        }));
        Authority::new("ca").server(&["a.test"]).write(scratch.path(), "server");
        let text = CONFIG.replace("keepalive_pool.size = 0\n", "");
        let text = format!("{text}nodes = {{ \"127.0.0.1:{}\" = 1 }}\n", node.port);
        let runtime = format!("workers = 1\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
        let gateway = Setup::new(scratch.path(), driver, &text).runtime(&runtime).start();
        let mut client = raw::plain(gateway.port("front"));
        assert_eq!(raw::get(&mut client, "a.test", "/").text(), "kept");
        let body = body(40 * KIB);
        client.send(&Form::Sized.head("PUT", body.len(), "")).expect("a gateway");
        client.send(&body).expect("a gateway that reads");
        let answer = client.response("PUT").expect("an answer");
        assert_eq!((answer.status(), node.accepted()), (200, 2));
        assert!(answer.body == body);
    }

    /// The second node never takes what it has for the whole.
    fn a_client_that_leaves_between_two_nodes_leaves_nothing_whole(driver) {
        let scratch = scratch();
        let (bad, good) = (Upstream::plain(quits_after(READ, b"")), Upstream::plain(mirror()));
        let gateway = gateway(scratch.path(), driver, &[&bad, &good], "");
        for form in [Form::Sized, Form::Chunked] {
            let before = good.accepted();
            let mut client = raw::plain(gateway.port("front"));
            let body = body(40 * KIB);
            let framed = form.framed(&body);
            upload(&mut client, &bad, &form.head("PUT", body.len(), ""), &framed[..20 * KIB]);
            poll(PATIENCE, || (good.accepted() > before).then_some(())).expect("another node");
            drop(client);
        }
        let metrics = || Exposition::read(&raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text());
        let left = poll(PATIENCE, || Some(metrics()).filter(|found| found.sum("ferrule_client_aborts_total", &[]) > 1.5));
        assert!(left.is_some(), "both are noticed");
        assert!(good.seen().is_empty(), "{:?}", good.seen().len());
    }
}

/// One chunk that takes so many bytes, size, end and last chunk included.
fn one_chunk(len: usize) -> Vec<u8> {
    // Four digits, and twice CRLF, and the last chunk.
    let data = body(len - 6 - 2 - 5);
    [format!("{:04x}\r\n", data.len()).as_bytes(), &data, b"\r\n0\r\n\r\n"].concat()
}
