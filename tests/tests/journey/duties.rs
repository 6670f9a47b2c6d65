//! What a proxy owes to both sides: trailers, `Via`, `Expect`, `X-Forwarded-*`, OPTIONS, and peers that
//! speak HTTP/1.0 or out of turn.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrule_tests::{
    Authority, Driver, Gateway, Head, PATIENCE, Script, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch, tls,
};
use rustls::ServerConnection;
use rustls::server::NoServerSessionStorage;

use crate::{PLAIN, plain_gateway, write_ca};

/// [`PLAIN`] with these lines of `[http]`.
fn gateway(dir: &std::path::Path, driver: Driver, http: &str, upstream: &Upstream) -> Gateway {
    let text = format!("[http]\n{http}\n{PLAIN}");
    Setup::new(dir, driver, &text).set("upstream", &upstream.port).start()
}

/// Sends these bytes for every request.
fn says(bytes: &'static [u8]) -> Script {
    Arc::new(move |client| {
        while client.request().is_some() {
            if !client.send(bytes) {
                return;
            }
        }
    })
}

const TRAILERS: &[u8] = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-SSL-Client-Verify\r\n\
    Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nx_ssl_client_verify: SUCCESS\r\n\
    Content_Length: 9\r\nHost: evil\r\n\r\n";

/// Answers once the head alone is there, and remembers how much of a body came.
fn on_head(first: &'static [u8], then: &'static [u8], came: &Arc<AtomicUsize>) -> Script {
    let came = Arc::clone(came);
    Arc::new(move |client| {
        while let Ok(Some(head)) = client.talk.head() {
            assert_eq!(head.all("expect"), ["100-continue"], "{head:?}");
            if !client.send(first) {
                return;
            }
            if then.is_empty() {
                let rest = client.talk.rest().unwrap_or_default();
                came.fetch_add(rest.len(), Ordering::SeqCst);
                return;
            }
            let body = client.talk.exactly(4).unwrap_or_default();
            came.fetch_add(body.len(), Ordering::SeqCst);
            if !client.send(then) {
                return;
            }
        }
    })
}

const EXPECTING: &[u8] =
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

on_both_drivers! {
    fn trailers_reach_who_asked_for_them(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(says(TRAILERS)));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n").expect("a connection");
        let answer = raw.response("GET").expect("a response");
        assert_eq!((answer.text().as_str(), answer.trailers.trim()), ("abc", "X-Sum: 6"));
        assert_eq!(answer.head.all("trailer"), ["X-Sum"]);
        let without = raw::get(&mut raw, "x", "/");
        assert_eq!((without.text().as_str(), without.trailers.trim()), ("abc", ""));
        assert!(without.head.get("trailer").is_none(), "{without:?}");
        raw.send(b"GET / HTTP/1.0\r\nHost: x\r\nTE: trailers\r\n\r\n").expect("a connection");
        assert_eq!(raw.response("GET").expect("a response").text(), "abc");
        let seen = upstream.seen();
        assert_eq!(seen[0].message.head.all("te"), ["trailers"]);
        assert_eq!(seen[0].message.head.all("connection"), ["TE"]);
        assert!(seen[1].message.head.get("te").is_none() && seen[2].message.head.get("te").is_none());
        assert_eq!(upstream.accepted(), 1, "a response with trailers is whole");
    }

    /// One byte at a time, and large ones beside small ones.
    fn trailers_survive_every_cut(driver) {
        let slow: Script = Arc::new(|client| {
            while client.request().is_some() {
                if !TRAILERS.chunks(1).all(|byte| client.send(byte)) {
                    return;
                }
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(slow));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for _ in 0..5 {
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n").expect("a connection");
            let answer = raw.response("GET").expect("a response");
            assert_eq!((answer.text().as_str(), answer.trailers.trim()), ("abc", "X-Sum: 6"));
        }
    }

    fn our_name_is_in_via_both_ways_and_ends_loops(driver) {
        let script: Script = Arc::new(|client| {
            while let Some(message) = client.request() {
                let length = message.head.raw.len();
                let head = format!("HTTP/1.1 200 OK\r\nVia: 1.1 origin\r\nContent-Length: {length}\r\n\r\n");
                if !client.send(head.as_bytes()) || !client.send(message.head.raw.as_bytes()) {
                    return;
                }
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, "via = \"edge-7\"", &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nVia: 1.0 before\r\n\r\n").expect("a connection");
        let answer = raw.response("GET").expect("a response");
        assert_eq!(answer.head.all("via"), ["1.1 origin", "1.1 edge-7"]);
        assert_eq!(Head { raw: answer.text() }.all("via"), ["1.0 before", "1.1 edge-7"]);
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 a, 1.1 Edge-7\r\n\r\n").expect("a connection");
        assert_eq!(raw.response("GET").expect("a response").status(), 508);
        assert_eq!(raw::get(&mut raw, "x", "/").status(), 200, "the connection lives on");
        assert_eq!(upstream.seen().len(), 2);
    }

    fn an_expectation_is_answered_only_with_an_upstream_at_hand(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let nobody = ferrule_tests::free_port();
        let text = format!("{PLAIN}\n[[routes]]\nuri = '/gone'\nupstream.nodes = {{ '127.0.0.1:{nobody}' = 1 }}\n");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            .expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 502, "no 100 before it");
        // A body that is there already waits for nothing.
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(&[EXPECTING, b"abcd"].concat()).expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 200);
        assert!(upstream.seen()[0].message.head.get("expect").is_none());
    }

    fn a_forwarded_expectation_is_the_upstreams_to_answer(driver) {
        let came = Arc::default();
        let script = on_head(
            b"HTTP/1.1 100 Continue\r\nX-From: upstream\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            &came,
        );
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, "expect = \"forward\"", &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for round in 1..=3 {
            raw.send(EXPECTING).expect("a connection");
            let first = raw.head().expect("a head").expect("one");
            assert_eq!((first.status(), first.get("x-from")), (100, Some("upstream")));
            assert_eq!(came.load(Ordering::SeqCst), 4 * (round - 1), "not a byte before the 100");
            raw.send(b"body").expect("a connection");
            assert_eq!(raw.response("POST").expect("a response").text(), "ok");
        }
        assert_eq!(upstream.accepted(), 1);
    }

    /// A client may leave its body out when the final answer comes right behind the 100, and go on with its next
    /// request; as the body of the first one, that would be lost.
    fn a_final_answer_before_any_of_the_body_closes_whoever_sent_the_100(driver) {
        for (expect, first) in [("answer", ""), ("forward", "HTTP/1.1 100 Continue\r\n\r\n")] {
            let script: Script = Arc::new(move |client| {
                while let Ok(Some(_)) = client.talk.head() {
                    let answer = format!("{first}HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
                    if !client.send(answer.as_bytes()) {
                        return;
                    }
                    let _ = client.talk.exactly(4);
                }
            });
            let (scratch, upstream) = (scratch(), Upstream::plain(script));
            let gateway = gateway(scratch.path(), driver, &format!("expect = \"{expect}\""), &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(EXPECTING).expect("a connection");
            assert_eq!(raw.head().expect("a head").expect("one").status(), 100, "{expect}");
            let answer = raw.response("POST").expect("a response");
            assert_eq!((answer.status(), answer.head.all("connection")), (413, vec!["close"]), "{expect}");
            // Whose body is under way is kept.
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(&[EXPECTING, b"bo"].concat()).expect("a connection");
            let mut head = raw.head().expect("a head").expect("one");
            if head.status() == 100 {
                head = raw.head().expect("a head").expect("one");
            }
            assert_eq!((head.status(), head.all("connection").is_empty()), (413, true), "{expect}");
        }
    }

    /// A 100 that was passed on leaves room for another final answer.
    fn an_upstream_that_dies_behind_its_100_is_a_502(driver) {
        let script: Script = Arc::new(|client| {
            if let Ok(Some(_)) = client.talk.head() {
                client.send(b"HTTP/1.1 100 Continue\r\n\r\n");
                let _ = client.talk.exactly(4);
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, "expect = \"forward\"", &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(EXPECTING).expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 100);
        raw.send(b"body").expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").status(), 502);
    }

    /// Nobody could tell whether the body or the next request follows: the connection ends.
    fn a_final_answer_without_a_100_ends_the_upload(driver) {
        let came = Arc::default();
        let script = on_head(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", b"", &came);
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, "expect = \"forward\"", &upstream);
        let started = ferrule_tests::now();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(EXPECTING).expect("a connection");
        let answer = raw.response("POST").expect("a response");
        assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
        assert_eq!(answer.head.all("connection"), ["close"]);
        // What comes now is neither a body nor a request to anybody.
        let _ = raw.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(raw.rest().unwrap_or_default().is_empty());
        assert!(started.elapsed() < std::time::Duration::from_secs(8), "{:?}", started.elapsed());
        assert_eq!(came.load(Ordering::SeqCst), 0);
        assert_eq!(upstream.accepted(), 1);
    }

    fn an_upstream_is_told_of_the_connection(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let claims = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                      X-Forwarded-Port: 443\r\nX-Real-IP: 203.0.113.9\r\nForwarded: for=evil\r\n\
                      X_Forwarded_Proto: https\r\nX.Forwarded.For: 9.9.9.9\r\n\
                      x~forwarded~host: evil\r\n";
        for trusted in [false, true] {
            let peers = if trusted { "127.0.0.0/8" } else { "192.0.2.0/24" };
            let http = format!("trusted_addresses = [\"{peers}\"]\nunderscores_in_headers = true");
            let gateway = gateway(scratch.path(), driver, &http, &upstream);
            let port = gateway.port("front");
            let mut raw = raw::plain(port);
            raw.send(format!("GET / HTTP/1.1\r\nHost: Name.test:1\r\n{claims}\r\n").as_bytes()).expect("a connection");
            let head = Head { raw: raw.response("GET").expect("a response").text() };
            let port = port.to_string();
            let wanted = if trusted {
                [vec!["https"], vec!["evil"], vec!["443"], vec!["for=evil"]]
            } else {
                [vec!["http"], vec!["name.test"], vec![port.as_str()], vec![]]
            };
            let names = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"];
            for (name, wanted) in names.into_iter().zip(wanted) {
                assert_eq!(head.all(name), wanted, "{name}: {head:?}");
            }
            let list = if trusted { "203.0.113.9, 127.0.0.1" } else { "127.0.0.1" };
            assert_eq!(head.all("x-forwarded-for"), [list]);
            assert_eq!(head.all("x-real-ip"), ["127.0.0.1"]);
            assert!(head.get("x_forwarded_proto").is_none());
        }
    }

    fn options_goes_as_far_as_it_may(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for (start, fields, status) in [
            ("OPTIONS *", "", 200),
            ("OPTIONS http://x", "", 200),
            ("OPTIONS /", "Max-Forwards: 0\r\n", 200),
            ("OPTIONS /", "Max-Forwards: x\r\n", 400),
            ("TRACE /", "Max-Forwards: 0\r\n", 405),
        ] {
            raw.send(format!("{start} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).expect("a connection");
            let answer = raw.response("OPTIONS").expect("a response");
            assert_eq!(answer.status(), status, "{start} {fields}");
            let allow = answer.head.get("allow").unwrap_or_default();
            assert_eq!(allow.contains("GET, HEAD"), status != 400, "{answer:?}");
            assert!(answer.head.get("server").is_none());
        }
        assert!(upstream.seen().is_empty());
        raw.send(b"OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 3\r\n\r\n").expect("a connection");
        let head = Head { raw: raw.response("OPTIONS").expect("a response").text() };
        assert_eq!(head.all("max-forwards"), ["2"]);
    }

    fn our_own_answers_name_us_only_where_that_is_wanted(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(says(
            b"HTTP/1.1 200 OK\r\nServer: theirs\r\nDate: then\r\nDate: again\r\nContent-Length: 0\r\n\r\n",
        )));
        for (tokens, wanted) in [("true", vec!["ferrule"]), ("false", vec![])] {
            let gateway = gateway(scratch.path(), driver, &format!("server_tokens = {tokens}"), &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            let passed = raw::get(&mut raw, "x", "/");
            assert_eq!((passed.head.all("server"), passed.head.all("date")), (vec!["theirs"], vec!["then"]));
            raw.send(b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            let own = raw.response("GET").expect("a response");
            assert_eq!((own.head.all("server"), own.head.all("date").len()), (wanted, 1));
        }
    }

    fn an_http_1_0_upstream_is_kept_only_if_it_says_so(driver) {
        for (bytes, accepted) in [
            (&b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"[..], 1),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3),
        ] {
            let (scratch, upstream) = (scratch(), Upstream::plain(says(bytes)));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            for _ in 0..3 {
                let answer = raw::get(&mut raw, "x", "/");
                assert_eq!((answer.head.start(), answer.text().as_str()), ("HTTP/1.1 200 OK", "ok"));
            }
            assert_eq!(upstream.accepted(), accepted);
        }
        let until_close: Script = Arc::new(|client| {
            if client.request().is_some() {
                client.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nall");
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(until_close));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for _ in 0..2 {
            assert_eq!(raw::get(&mut raw, "x", "/").text(), "all");
        }
    }

    /// What an upstream says before it was asked is no answer. In TLS 1.2 the server has the last word
    /// of a handshake, so these bytes are surely there before the request.
    fn an_upstream_that_speaks_before_it_was_asked_answers_nobody(driver) {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        // A resumed handshake would end with the client's word.
        let mut config = (*tls::server(&authority.server(&["a.test"]), None)).clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut session = ServerConnection::new(Arc::clone(&config)).expect("a session");
                let early = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
                session.writer().write_all(early).expect("room");
                while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
                let _ = session.complete_io(&mut stream);
            }
        });
        let text = PLAIN.replace(
            "upstream.nodes =",
            "upstream.scheme = \"https\"\nupstream.tls = { ca = \"ca.crt\", server_name = \"a.test\", \
             ssl_protocols = [\"TLSv1.2\"] }\nupstream.nodes =",
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &port).start();
        for _ in 0..3 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 502);
        }
        assert!(gateway.log().contains("within the handshake"), "{}", gateway.log());
    }

    /// Each fault has its own word in the log.
    fn the_log_says_what_was_wrong_with_an_answer(driver) {
        for (bytes, word) in [
            (&b"SSH-2.0-x\r\n\r\n"[..], "upstream-malformed-status-line"),
            (b"\x15\x03\x01\0\x02\x02\x28", "upstream-not-http"),
            (b"HTTP/1.1 200 OK\nA: b\n\n", "upstream-bare-lf"),
            (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "upstream-bare-cr"),
            (b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "upstream-invalid-field-value"),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "upstream-obsolete-fold"),
            (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "upstream-space-before-colon"),
            (b"HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "upstream-unasked-upgrade"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "upstream-several-content-lengths"),
            (b"HTTP/1.1 103 Hints\r\nContent-Length: 1\r\n\r\nx", "upstream-unexpected-body"),
            (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "upstream-unexpected-body"),
            (b"HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx", "upstream-unexpected-body"),
            (
                b"HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "upstream-unexpected-body",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "upstream-head-cut-off"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "upstream-body-cut-off"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naX", "upstream-missing-chunk-end"),
        ] {
            let script: Script = Arc::new(move |client| {
                if client.request().is_some() {
                    client.send(bytes);
                }
            });
            let (scratch, upstream) = (scratch(), Upstream::plain(script));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            let answer = raw.response("GET");
            assert!(answer.as_ref().map_or(true, |answer| answer.status() == 502), "{word}: {answer:?}");
            let logged = poll(PATIENCE, || gateway.log().contains(word).then_some(()));
            assert!(logged.is_some(), "{word}: {}", gateway.log());
        }
    }

    fn a_body_is_bounded_by_its_route(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = PLAIN.replace("uri = \"/*\"", "uri = \"/*\"\nclient_max_body_size = 5");
        let gateway = Setup::new(scratch.path(), driver, &format!("[http]\nclient_max_body_size = 1\n{text}"))
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for (request, status) in [
            ("Content-Length: 5\r\n\r\nabcde", 200),
            ("Content-Length: 6\r\n\r\nabcdef", 413),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 200),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n", 413),
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{request}");
            let (answer, _) = raw::exchange(front, request.as_bytes());
            assert_eq!(answer.status(), status, "{request}");
        }
    }
}
