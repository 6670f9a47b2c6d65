//! Slow peers: too slow ones are ended, no one else waits for them, and large bodies pass whole.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::slow::{Mode, Siege};
use ferrule_tests::stream::{Streams, Way};
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, echo, now, on_both_drivers, poll, raw,
    scratch,
};
use strum::VariantArray;

use crate::PLAIN;

/// A gateway with these lines in `[http]`.
fn paced(dir: &std::path::Path, driver: Driver, (lines, upstream): (&str, &Upstream)) -> Gateway {
    let text = format!("[http]\n{lines}\n{PLAIN}");
    Setup::new(dir, driver, &text).set("upstream", &upstream.port).start()
}

/// A large response, as fast as it is taken.
fn large() -> Script {
    Arc::new(|client| {
        let piece = vec![7; 256 * 1024];
        while client.request().is_some() {
            if !client
                .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {RESPONSE}\r\n\r\n").as_bytes())
            {
                return;
            }
            for _ in 0..RESPONSE / piece.len() {
                if !client.send(&piece) {
                    return;
                }
            }
        }
    })
}

/// Lets the sender wait before it takes a body.
fn reluctant() -> Script {
    Arc::new(|client| {
        if client.talk.head().is_ok_and(|head| head.is_some()) {
            thread::park_timeout(Duration::from_secs(3));
            let taken = client.talk.exactly(UPLOAD).map_or(0, |body| body.len());
            client.answer(taken.to_string().as_bytes());
        }
    })
}

const UPLOAD: usize = 48 << 20;
const RESPONSE: usize = 100 << 20;

/// A siege of a moment, with few clients: every request of the others is answered, and memory comes
/// back. How much slower they are is for `tools/src/bin/slow.rs` to measure, on a quiet machine.
fn besiege(driver: Driver, mode: Mode) {
    let scratch = scratch();
    let siege = Siege {
        driver,
        mode,
        // Each reader's buffers are filled first, which is much work for a debug build.
        connections: if mode == Mode::Read { 16 } else { 64 },
        time: Duration::from_secs(2),
        rate: 100,
        workers: 1,
    };
    let report = siege.run(scratch.path());
    assert!(report.problems().is_empty(), "{report}\n{:?}", report.problems());
}

on_both_drivers! {
    fn a_trickling_body_is_given_up(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let lines = "client_body_min_rate = 1000\nmin_rate_grace = \"1s\"";
        let gateway = paced(scratch.path(), driver, (lines, &upstream));
        for framing in ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}").as_bytes()).expect("a connection");
            let started = now();
            let drop: &[u8] = if framing.contains("chunked") { b"1\r\na\r\n" } else { b"a" };
            // Each byte comes far within the time between two reads.
            while started.elapsed() < Duration::from_secs(8) && raw.stream.write_all(drop).is_ok() {
                thread::park_timeout(Duration::from_millis(100));
                if started.elapsed() > Duration::from_secs(3) {
                    break;
                }
            }
            let answer = raw.response("POST").expect("a response");
            assert_eq!(answer.status(), 408);
            assert!(started.elapsed() < Duration::from_secs(6));
            assert!(raw.is_closed());
        }
        assert!(upstream.seen().is_empty(), "no upstream took it for a whole request");
        let mut raw = raw::plain(gateway.port("front"));
        let body = vec![b'a'; 100_000];
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n").expect("a connection");
        raw.send(&body).expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").status(), 200);
    }

    /// An upstream cannot answer before it has been asked: its time begins when the body has gone up.
    fn an_upload_may_take_longer_than_an_answer(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!("{PLAIN}timeout = {{ read = 1 }}\n");
        let gateway =
            Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n").expect("a connection");
        for _ in 0..8 {
            thread::park_timeout(Duration::from_millis(350));
            raw.send(b"a").expect("a connection");
        }
        assert_eq!(raw.response("POST").expect("a response").status(), 200);
        // From then on it is short: this one is never answered.
        let mute = Upstream::plain(Arc::new(|client| {
            client.request();
            let _ = client.talk.head();
        }));
        let gateway =
            Setup::new(scratch.path(), driver, &text).set("upstream", &mute.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na").expect("a connection");
        thread::park_timeout(Duration::from_millis(350));
        raw.send(b"a").expect("a connection");
        let started = now();
        assert_eq!(raw.response("POST").expect("a response").status(), 504);
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    /// What an upstream does not take is not the client's fault.
    fn a_slow_upstream_does_not_make_a_client_slow(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(reluctant()));
        let lines = "client_body_min_rate = 100000\nmin_rate_grace = \"1s\"";
        let gateway = paced(scratch.path(), driver, (lines, &upstream));
        let mut raw = raw::plain(gateway.port("front"));
        let mut request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {UPLOAD}\r\n\r\n").into_bytes();
        request.resize(request.len() + UPLOAD, 1);
        raw.send(&request).expect("a connection");
        let answer = raw.response("POST").expect("a response");
        assert_eq!((answer.status(), answer.text()), (200, UPLOAD.to_string()));
    }

    fn a_reader_that_takes_too_little_is_cut(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(large()));
        for (rate, cut) in [(50_000_000, true), (0, false)] {
            let lines = format!("send_min_rate = {rate}\nmin_rate_grace = \"1s\"");
            let gateway = paced(scratch.path(), driver, (&lines, &upstream));
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            assert!(raw.head().expect("a head").is_some());
            let started = now();
            let mut taken = 0;
            // Slowly for a while, and then as fast as it comes: all of it is there, or it was cut.
            while taken < RESPONSE && raw.exactly(64 * 1024).is_ok() {
                taken += 64 * 1024;
                if started.elapsed() < Duration::from_secs(4) {
                    thread::park_timeout(Duration::from_millis(20));
                }
            }
            assert_eq!(taken < RESPONSE, cut, "{taken} bytes at {rate}");
        }
    }

    /// What the gateway says of its own is no exception: an answer of the configuration, and an error page.
    fn a_reader_that_takes_nothing_of_our_own_answer_is_cut(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(large()));
        for (file, len) in [("body.txt", 1 << 20), ("page.txt", 60_000)] {
            std::fs::write(scratch.path().join(file), vec![b'x'; len]).expect("a writable directory");
        }
        let text = format!(
            "[http]\nsend_min_rate = 50000000\nmin_rate_grace = \"1s\"\nerror_pages = {{ 404 = \"page.txt\" }}\n{PLAIN}\n\
             [[routes]]\nuri = \"/own\"\nreturn = {{ body_file = \"body.txt\" }}\n"
        ).replace("uri = \"/*\"", "uri = \"/other\"");
        let gateway = Setup::new(scratch.path(), driver, &text)
            .log_line("access = { path = \"access.log\", format = '$request_uri $status $outcome' }")
            .set("upstream", &upstream.port).start();
        for (target, outcome, count) in [("/own", "200 client-left", 16), ("/nowhere", "404 route-not-found", 256)] {
            let mut raw = raw::plain(gateway.port("front"));
            if let raw::Line::Plain(socket) = &raw.stream {
                rustix::net::sockopt::set_socket_recv_buffer_size(socket, 4_096).expect("a socket");
            }
            // More than the sockets on the way hold; the one that does not get through is the last.
            let asks = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(count);
            raw.send(asks.as_bytes()).expect("a connection");
            let line = format!("{target} {outcome}");
            let log = || std::fs::read_to_string(scratch.path().join("access.log")).unwrap_or_default();
            let stuck = if target == "/own" {
                poll(PATIENCE, || log().contains(&line).then_some(()))
            } else {
                // Logged as what it is. It is over when the connection is.
                poll(PATIENCE, || raw.send(b"x").is_err().then_some(()))
            };
            assert!(stuck.is_some(), "{target} is not cut:\n{}", log());
            assert!(log().contains(&line), "{}", log());
            assert!(log().matches(target).count() < count, "{}", log());
            // The error is told once.
            assert!(target != "/own" || raw.rest().is_err(), "what it has looks whole");
        }
    }

    fn slow_heads_delay_nobody(driver) {
        besiege(driver, Mode::Headers);
    }

    fn slow_bodies_delay_nobody(driver) {
        besiege(driver, Mode::Body);
    }

    fn slow_readers_delay_nobody(driver) {
        besiege(driver, Mode::Read);
    }

    fn silent_clients_delay_nobody(driver) {
        besiege(driver, Mode::Idle);
    }

    /// Through mTLS on both sides, every byte in its place and memory flat.
    fn large_bodies_flow_in_constant_memory(driver) {
        let scratch = scratch();
        let streams = Streams::start(scratch.path(), driver);
        for way in Way::VARIANTS.iter().copied() {
            let report = streams.flow(way, 100 << 20).expect("every byte in its place");
            assert!(report.swing() < 8 << 10, "{report}");
            assert!(report.peak() < 64 << 10, "{report}");
        }
        // Not a multiple of anything.
        for way in Way::VARIANTS.iter().copied() {
            streams.flow(way, 1_234_567).expect("every byte in its place");
        }
    }
}
