//! What an exchange leaves on its two connections is never taken for the next one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferrule_tests::{Raw, Script, Setup, Upstream, now, on_both_drivers, raw, scratch};

use crate::hostile::pause;
use crate::{PLAIN, hasty_gateway, plain_gateway};

/// The targets of all heads that came.
type Targets = Arc<Mutex<Vec<String>>>;

/// Answers `/early` before its body has come, and never reads that; everything else when it is whole.
fn early(targets: &Targets) -> Script {
    let targets = Arc::clone(targets);
    Arc::new(move |client| {
        while let Ok(Some(head)) = client.talk.head() {
            let target = head.target().to_owned();
            targets.lock().expect("a list").push(target.clone());
            if client.talk.exactly(head.length().unwrap_or(0)).is_err() || !client.answer(b"ok") {
                return;
            }
            while target == "/early" && client.talk.exactly(1).is_ok() {}
        }
    })
}

/// A chunked upload that has its answer already.
fn answered_early(front: u16) -> Raw {
    let mut raw = raw::plain(front);
    let head = b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    raw.send(head).expect("a connection");
    assert_eq!(raw.response("POST").expect("an answer").status(), 200);
    raw
}

/// Answers with these fields.
fn with_fields(fields: &'static str) -> Script {
    Arc::new(move |client| {
        while client.request().is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    })
}

on_both_drivers! {
    /// Behind a body that is refused half-way nobody knows where the next request begins.
    fn nothing_is_read_behind_a_broken_body(driver) {
        for rest in ["3\r\ndef\r\n0\r\n\r\n", "3\r\ndefX", "zz\r\n"] {
            let targets = Targets::default();
            let (scratch, upstream) = (scratch(), Upstream::plain(early(&targets)));
            let text = format!("{PLAIN}client_max_body_size = \"4\"\n");
            let gateway =
                Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
            let mut raw = answered_early(gateway.port("front"));
            let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX: aaaaaaaaa\r\n\r\n";
            let next = format!(
                "{rest}POST /next HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                smuggled.len()
            );
            raw.send(next.as_bytes()).expect("a connection");
            // As a segment of its own; the connection may be closed already.
            pause(300);
            let _ = raw.send(smuggled.as_bytes());
            let rest = raw.rest().unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&rest), "", "no further answer");
            assert_eq!(*targets.lock().expect("a list"), ["/early"]);
        }
    }

    /// An upload whose answer came early has no longer than any other, whatever the client does meanwhile.
    fn an_upload_that_was_answered_is_not_waited_for(driver) {
        let targets = Targets::default();
        let (scratch, upstream) = (scratch(), Upstream::plain(early(&targets)));
        let gateway = hasty_gateway(scratch.path(), driver, &upstream);
        for again in 1..4 {
            let mut raw = answered_early(gateway.port("front"));
            let started = now();
            for _ in 0..again {
                // Time for the gateway to see each of them alone.
                pause(50);
                raw.send(b"1\r\nz\r\n").expect("a connection");
            }
            assert!(raw.is_closed());
            assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        }
    }

    /// A client that saw an interim answer is not served by a second try.
    fn nothing_is_tried_again_behind_an_interim_answer(driver) {
        let script: Script = Arc::new(|client| {
            if client.request().is_some() && client.answer(b"first") && client.request().is_some() {
                client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        assert_eq!(raw::plain_get(front, "x", "/").text(), "first");
        let mut raw = raw::plain(front);
        raw.send(b"GET /hints HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("a head").status(), 103);
        assert_eq!(raw.head().expect("a head").expect("a head").status(), 502);
        assert_eq!(upstream.seen().len(), 2);
    }

    /// Negotiate and NTLM authenticate the connection: the next client must not get it.
    fn a_connection_that_belongs_to_a_user_is_not_shared(driver) {
        let named = [
            "WWW-Authenticate: Negotiate oRQw=\r\n",
            "Proxy-Authenticate: Basic realm=x, nTLM\r\n",
            "Authentication-Info: negotiate oRQw=\r\n",
            "Proxy-Authentication-Info: NTLM\r\n",
            "Persistent-Auth: true\r\n",
        ];
        let quiet = "Authentication-Info: nextnonce=\"ntlm-is-not-meant\"\r\n";
        let rows = [
            ("Authorization: Negotiate YII=\r\n", "", 2),
            ("authorization: ntlm TlRM\r\n", "", 2),
            ("Authorization: NEGOTIATE\r\n", "", 2),
            ("Proxy-Authorization: Negotiate YII=\r\n", "", 2),
            ("Authorization: Basic a\r\nAuthorization: NTLM TlRM\r\n", "", 2),
            ("Authorization: Basic YTpi\r\n", "", 1),
            ("Authorization: Negotiated YTpi\r\n", "", 1),
            ("X-Authorization: Negotiate YII=\r\n", "", 1),
            ("", quiet, 1),
        ];
        let rows = rows.into_iter().chain(named.into_iter().map(|fields| ("", fields, 2)));
        for (request, answer, connections) in rows {
            let (scratch, upstream) = (scratch(), Upstream::plain(with_fields(answer)));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            let head = format!("GET /one HTTP/1.1\r\nHost: x\r\n{request}\r\n");
            raw.send(head.as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("an answer").text(), "ok");
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/two").text(), "ok");
            let accepted = upstream.accepted();
            assert_eq!(accepted, connections, "{request:?} {answer:?}");
        }
    }
}
