//! HTTP clients that split, pipeline, stall and leave.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{Script, Setup, Upstream, echo, now, on_both_drivers, poll, raw, scratch};

use super::{Mutual, descriptors, drip, memory_kib, pause, read_all, socket};
use crate::{PLAIN, hasty_gateway, plain_gateway};

/// Answers with the request's body.
fn mirror() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            if !client.answer(&message.body) {
                return;
            }
        }
    })
}

/// Answers at once and reads nothing but the head; then as much as comes.
fn early() -> Script {
    Arc::new(|client| {
        if client.talk.head().is_ok_and(|head| head.is_some()) {
            client.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            while client.talk.exactly(1).is_ok() {}
        }
    })
}

/// A gigabyte, or as much as is taken.
fn endless() -> Script {
    Arc::new(|client| {
        while client.request().is_some() {
            let piece = vec![7; 65_536];
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
            for _ in 0..16_384 {
                if !client.send(&piece) {
                    return;
                }
            }
        }
    })
}

on_both_drivers! {
    /// Two requests, cut once at every byte: the same two answers every time.
    fn requests_are_the_same_in_every_split(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(mirror()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let bytes = b"POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                      3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n\
                      POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfghi\
                      GET /3 HTTP/1.1\r\nHost: x\r\n\r\n";
        for cut in 1..bytes.len() {
            let mut raw = raw::plain(front);
            raw.send(&bytes[..cut]).expect("a connection");
            pause(2);
            raw.send(&bytes[cut..]).expect("a connection");
            for wanted in ["abcde", "fghi", ""] {
                let answer = raw.response("POST").map(|answer| (answer.status(), answer.text()));
                assert_eq!(answer.ok(), Some((200, wanted.to_owned())), "cut at {cut}");
            }
        }
    }

    /// Each side sends its next chunk only when it has seen the other's.
    fn bodies_pass_in_both_directions_at_once(driver) {
        let ping: Script = Arc::new(|client| {
            let head = client.talk.head();
            if !head.is_ok_and(|head| head.is_some()) {
                return;
            }
            client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..20 {
                let Ok(chunk) = client.talk.exactly(9) else { return };
                client.send(&chunk);
            }
            let _ = client.talk.exactly(5);
            client.send(b"0\r\n\r\n");
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(ping));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 200);
        for round in 0..20 {
            let chunk = format!("4\r\n{round:04}\r\n");
            raw.send(chunk.as_bytes()).expect("a connection");
            assert_eq!(raw.exactly(9).expect("the chunk"), chunk.as_bytes());
        }
        raw.send(b"0\r\n\r\n").expect("a connection");
        assert_eq!(raw.exactly(5).expect("the end"), b"0\r\n\r\n");
    }

    /// Megabytes more on the way do not keep the client from the answer it already has.
    fn an_early_answer_survives_a_large_upload(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(early()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        let mut request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n".to_vec();
        request.resize(request.len() + 800_000, b'u');
        raw.send(&request).expect("a connection");
        let answer = raw.response("POST").expect("a response");
        assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    }

    /// A byte now and then behind an answer that closes: the connection ends all the same.
    fn a_closing_connection_cannot_be_held_open(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(early()));
        let gateway = hasty_gateway(scratch.path(), driver, &upstream);
        for request in [
            &b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\npart",
        ] {
            let mut socket = socket(gateway.port("front"));
            socket.write_all(request).expect("a connection");
            assert!(socket.read(&mut [0; 4096]).expect("an answer") > 0);
            drip(&mut socket, Duration::from_secs(12));
        }
    }

    fn an_answer_survives_half_a_close(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(mirror()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").expect("a connection");
        raw.stream.finish().expect("a connection");
        assert_eq!(raw.response("POST").expect("an answer").text(), "abc");
        assert!(raw.is_closed());
        // Half a body is none.
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab").expect("a connection");
        raw.stream.finish().expect("a connection");
        if let Ok(answer) = raw.response("POST") {
            assert_eq!(answer.status(), 400);
        }
        let seen = upstream.seen().into_iter().filter(|seen| seen.message.head.method() == "POST");
        assert_eq!(seen.count(), 1, "only the whole one");
    }

    /// Clients that vanish within a download free both connections.
    fn a_client_that_resets_frees_the_upstream(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(endless()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let before = descriptors(&gateway);
        for _ in 0..10 {
            let mut socket = socket(gateway.port("front"));
            socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            socket.read_exact(&mut vec![0; 100_000]).expect("the beginning");
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("an option");
        }
        let after = poll(Duration::from_secs(8), || (descriptors(&gateway) <= before).then_some(()));
        assert!(after.is_some(), "{before} descriptors before, {} after", descriptors(&gateway));
    }

    /// A client that hangs up must not keep an upstream at work, nor count as the upstream's fault.
    fn a_client_that_leaves_while_it_waits_is_a_499(driver) {
        let (ended, freed) = std::sync::mpsc::channel();
        let ended = std::sync::Mutex::new(ended);
        let upstream = Upstream::plain(Arc::new(move |client| {
            if client.request().is_some() && client.request().is_none() {
                ended.lock().expect("not poisoned").send(()).expect("the test waits");
            }
        }));
        let scratch = scratch();
        let log = scratch.path().join("access.log");
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = { path = \"access.log\", format = '$status $request_uri' }")
            .set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        poll(ferrule_tests::PATIENCE, || (!upstream.seen().is_empty()).then_some(()));
        drop(raw);
        freed.recv_timeout(ferrule_tests::PATIENCE).expect("the upstream is let go");
        let line = poll(ferrule_tests::PATIENCE, || {
            std::fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n'))
        });
        assert_eq!(line.as_deref(), Some("499 /slow\n"));
    }

    /// What an exchange leaves behind must not colour the next one, whoever it is of.
    fn a_refusal_knows_nothing_of_the_request_before(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let log = scratch.path().join("access.log");
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = { path = \"access.log\", format = '$host|$uri|$status' }")
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for other in ["HEAD /secret HTTP/1.0\r\nHost: private.test\r\n\r\n", "HEAD /secret HTTP/1.1\r\nHost: private.test\r\n\r\n"] {
            let mut raw = raw::plain(front);
            raw.send(other.as_bytes()).expect("a connection");
            assert_eq!(raw.response("HEAD").expect("an answer").status(), 200);
            let (answer, closed) = raw::exchange(front, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n");
            assert_eq!((answer.status(), closed), (400, true));
            assert!(!answer.body.is_empty(), "{answer:?}");
        }
        let text = poll(ferrule_tests::PATIENCE, || {
            let text = std::fs::read_to_string(&log).ok()?;
            (text.lines().count() >= 4).then_some(text)
        });
        let text = text.expect("four lines");
        for line in text.lines().filter(|line| line.ends_with("|400")) {
            assert!(!line.contains("private") && !line.contains("secret"), "{text}");
        }
    }

    /// Thousands of connections that say nothing cost little, and not for long.
    fn silent_connections_are_cheap(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mutual = Mutual::start(driver, "http", &upstream);
        let plain = plain_gateway(scratch.path(), driver, &upstream);
        for gateway in [&mutual.gateway, &plain] {
            let front = gateway.port("front");
            let before = memory_kib(gateway);
            let open = descriptors(gateway);
            let mut silent = Vec::new();
            silent.resize_with(500, || socket(front));
            poll(ferrule_tests::PATIENCE, || (descriptors(gateway) >= open + 500).then_some(()));
            let each = memory_kib(gateway).saturating_sub(before) * 1024 / silent.len();
            assert!(each < 16 * 1024, "{each} bytes for a connection that does nothing");
        }
    }

    /// A pipelined request waits for its turn, and is not lost when the one before is refused.
    fn what_is_behind_a_refusal_is_served_or_dropped_whole(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = PLAIN.replace("/*", "/here/*");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\nGET /here/ HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(raw.response("GET").expect("an answer").status(), 404);
        assert_eq!(raw.response("GET").expect("an answer").status(), 200);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\n\r\nGET /here/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("a connection");
        assert_eq!(raw.response("POST").expect("an answer").status(), 404);
        assert!(raw.is_closed());
        assert!(upstream.seen().iter().all(|seen| seen.message.head.target() == "/here/"));
    }

    /// Under TLS too.
    fn an_unfinished_head_is_a_408(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        let mut open = mutual.open(&rustls::version::TLS13);
        open.write_all(b"GET / HT").expect("a connection");
        let started = now();
        let (answer, _) = read_all(&mut open);
        assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    }
}
