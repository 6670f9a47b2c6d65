//! Upstreams that cut, stall, lie and talk too much.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{
    Authority, PATIENCE, Script, Setup, Upstream, now, on_both_drivers, poll, raw, scratch, tls,
};

use super::{pause, socket};
use crate::{PLAIN, plain_gateway, write_ca};

/// Sends these bytes for every request, and then closes.
fn answers(bytes: &'static [u8]) -> Script {
    Arc::new(move |client| {
        if client.request().is_some() {
            client.send(bytes);
        }
    })
}

/// The same, once the head alone is there.
fn answers_early(bytes: &'static [u8]) -> Script {
    Arc::new(move |client| {
        if client.talk.head().is_ok_and(|head| head.is_some()) {
            client.send(bytes);
        }
    })
}

const QUICK: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"

[routes.upstream]
nodes = { "127.0.0.1:@upstream@" = 1 }
timeout = { connect = 1, send = 1, read = 2 }
"#;

on_both_drivers! {
    /// Whatever way a body ends too early, the client does not take it for the whole.
    fn a_body_that_ends_too_early_is_seen_as_cut(driver) {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        ] {
            let (scratch, upstream) = (scratch(), Upstream::plain(answers(bytes)));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            for version in ["1.0", "1.1"] {
                let mut raw = raw::plain(gateway.port("front"));
                raw.send(format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes()).expect("a connection");
                let answer = raw.response("GET");
                assert!(answer.is_err(), "{version} {:?}: {answer:?}", String::from_utf8_lossy(bytes));
            }
            // A client that is still sending is told the same.
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").expect("a connection");
            assert!(raw.response("POST").is_err());
        }
    }

    /// Only TLS's own goodbye ends a body that the connection's end delimits.
    fn a_truncated_tls_body_is_seen_as_cut(driver) {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        let config = tls::server(&authority.server(&["a.test"]), None);
        // The script's stream never sends close_notify: it is simply dropped.
        let upstream = Upstream::tls(config, answers(b"HTTP/1.1 200 OK\r\n\r\nall of it?"));
        let text = PLAIN.replace(
            "upstream.nodes =",
            "upstream.scheme = \"https\"\nupstream.tls = { ca = \"ca.crt\", server_name = \"a.test\" }\nupstream.nodes =",
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        let answer = raw.response("GET");
        assert!(answer.is_err(), "{answer:?}");
    }

    /// What is no response is a 502, and its connection serves nobody else.
    fn an_answer_that_is_none_is_refused(driver) {
        let long: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(200_000)).into());
        let hints: &'static str = Box::leak("HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000).into());
        for bytes in [
            &b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX\0: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"",
            long.as_bytes(),
            hints.as_bytes(),
        ] {
            let (scratch, upstream) = (scratch(), Upstream::plain(answers(bytes)));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            for round in 0..2 {
                let answer = raw::get(&mut raw, "x", "/");
                let start = &bytes[..bytes.len().min(60)];
                assert_eq!(answer.status(), 502, "{:?}", String::from_utf8_lossy(start));
                assert_eq!(upstream.accepted(), round + 1, "a connection of its own");
            }
        }
    }

    /// A flood of hints that were passed on ends like any other answer that is none.
    fn a_flood_of_hints_is_ended(driver) {
        let hints: &'static str = Box::leak("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(1_000).into());
        let (scratch, upstream) = (scratch(), Upstream::plain(answers(hints.as_bytes())));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for _ in 0..2 {
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            for _ in 0..8 {
                assert_eq!(raw.head().expect("a head").expect("one").status(), 103);
            }
            assert_eq!(raw.response("GET").expect("a response").status(), 502);
        }
    }

    /// The client is not blamed for what the upstream did while it was still sending.
    fn a_fault_of_the_upstream_during_an_upload_is_a_502(driver) {
        for bytes in [&b"what?\r\n\r\n"[..], b""] {
            let (scratch, upstream) = (scratch(), Upstream::plain(answers_early(bytes)));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\npart").expect("a connection");
            let answer = raw.response("POST").expect("a response");
            assert_eq!(answer.status(), 502, "{:?}", String::from_utf8_lossy(bytes));
            assert!(raw.is_closed());
        }
    }

    /// An upstream that takes nothing any more has not answered in time.
    fn an_upstream_that_stops_reading_is_a_504(driver) {
        let stuck: Script = Arc::new(|client| {
            let _ = client.talk.head();
            pause(8_000);
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(stuck));
        let gateway = Setup::new(scratch.path(), driver, QUICK).set("upstream", &upstream.port).start();
        let mut socket = socket(gateway.port("front"));
        socket.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n").expect("a connection");
        let mut sender = socket.try_clone().expect("a descriptor");
        let sending = std::thread::spawn(move || {
            let piece = vec![b'u'; 65_536];
            while sender.write_all(&piece).is_ok() {}
        });
        let started = now();
        let mut raw = raw::Raw::new(raw::Line::Plain(socket));
        // The reset of a client that goes on sending may overtake the answer.
        if let Ok(answer) = raw.response("POST") {
            assert_eq!(answer.status(), 504);
        }
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
        drop(raw);
        sending.join().expect("the sender");
    }

    /// Two answers for one request: the second is nobody's.
    fn a_second_answer_is_dropped_with_its_connection(driver) {
        let twice: Script = Arc::new(|client| {
            while let Some(message) = client.request() {
                let body = message.head.target().to_owned();
                let one = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                client.send(one.repeat(2).as_bytes());
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(twice));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        for round in 0..20 {
            let target = format!("/{round}");
            assert_eq!(raw::get(&mut raw, "x", &target).text(), target);
        }
        assert_eq!(upstream.accepted(), 20);
    }

    /// An upstream that resets instead of closing is noticed at once.
    fn a_reset_within_a_body_is_seen_as_cut(driver) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let mut talk = ferrule_tests::Conversation::new(stream);
                let _ = talk.request();
                let _ = talk.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end?");
                pause(50);
                let _ = rustix::net::sockopt::set_socket_linger(&talk.stream, Some(Duration::ZERO));
            }
        });
        let scratch = scratch();
        let gateway = Setup::new(scratch.path(), driver, PLAIN).set("upstream", &port).start();
        for version in ["1.0", "1.1"] {
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes()).expect("a connection");
            let answer = raw.response("GET");
            assert!(answer.is_err(), "{version}: {answer:?}");
        }
    }

    /// The access log names who was at fault.
    fn a_cut_answer_is_logged_as_the_upstreams(driver) {
        let (scratch, upstream) =
            (scratch(), Upstream::plain(answers_early(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")));
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = { path = \"access.log\", format = '$status $upstream_status' }")
            .set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\npart").expect("a connection");
        assert!(raw.response("POST").is_err());
        let line = poll(PATIENCE, || {
            std::fs::read_to_string(scratch.path().join("access.log")).ok().filter(|text| text.ends_with('\n'))
        });
        assert_eq!(line.as_deref(), Some("200 200\n"), "a client that left would be 499");
    }
}
