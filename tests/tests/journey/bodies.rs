//! Bodies in every framing, both ways; and answers that have none.

use std::sync::Arc;

use ferrule_tests::{Script, Setup, Upstream, on_both_drivers, raw, scratch};

use crate::{PLAIN, plain_gateway};

/// Answers by path; bodies are checked by their length and sum.
fn by_path() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            let sum = message.body.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            let counted = format!("{} {sum} {}", message.body.len(), message.trailers.trim());
            let target = message.head.target().to_owned();
            let going = match target.as_str() {
                "/count" => client.answer(counted.as_bytes()),
                "/204" => client.send(b"HTTP/1.1 204 No Content\r\n\r\n"),
                "/304" => client.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
                "/head" => client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
                "/chunked" => client.send(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                ),
                "/close" => {
                    client.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
                    false
                }
                "/cut" => {
                    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                    false
                }
                "/interim" => client.send(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                ),
                _ => large(client, &target),
            };
            if !going {
                return;
            }
        }
    })
}

/// `/large/BYTES`
fn large(client: &mut ferrule_tests::Client, target: &str) -> bool {
    let length: usize = target.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if !client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()) {
        return false;
    }
    let piece = vec![7; 256 * 1024];
    let mut left = length;
    while left > 0 {
        let now = left.min(piece.len());
        if !client.send(&piece[..now]) {
            return false;
        }
        left -= now;
    }
    true
}

const LARGE: usize = 50 * 1024 * 1024;

on_both_drivers! {
    fn answers_keep_their_meaning(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        // All on one connection: a wrong end of one body would spoil the next answer.
        assert_eq!(raw::get(&mut raw, "x", "/chunked").text(), "abcde");
        assert_eq!(raw::get(&mut raw, "x", "/204").status(), 204);
        assert_eq!(raw::get(&mut raw, "x", "/304").status(), 304);
        raw.send(b"HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        let head = raw.response("HEAD").expect("a response");
        assert_eq!(head.head.get("content-length"), Some("1234"));
        assert_eq!(raw::get(&mut raw, "x", "/interim").text(), "ok");
        assert_eq!(raw::get(&mut raw, "x", "/close").text(), "until the end");
        assert_eq!(raw::get(&mut raw, "x", "/chunked").text(), "abcde");
    }

    fn interim_answers_reach_http_1_1_clients_only(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET /interim HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 103);
        assert_eq!(raw.response("GET").expect("a response").text(), "ok");
        let mut old = raw::plain(gateway.port("front"));
        old.send(b"GET /interim HTTP/1.0\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(old.head().expect("a head").expect("one").status(), 200);
    }

    fn a_cut_answer_is_seen_as_cut(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert!(raw.response("GET").is_err());
    }

    /// No chunks for who cannot read them, and no kept connection for who did not ask.
    fn http_1_0_clients_are_served(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let (answer, closed) = raw::exchange(front, b"GET /chunked HTTP/1.0\r\n\r\n");
        assert_eq!((answer.text().as_str(), closed), ("abcde", true));
        assert!(answer.head.get("transfer-encoding").is_none());
        let mut kept = raw::plain(front);
        for _ in 0..2 {
            kept.send(b"GET /count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("a connection");
            assert_eq!(kept.response("GET").expect("a response").text(), "0 0 ");
        }
    }

    fn requests_in_every_framing_arrive_whole(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\x01\x02\x03")
            .expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").text(), "3 6 ");
        raw.send(b"POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\n\x01\x02\r\n1;a=b\r\n\x03\r\n0\r\nX-Dropped: 1\r\n\r\n").expect("a connection");
        assert!(raw.response("POST").expect("a response").text().starts_with("3 6"));
        assert_eq!(raw::get(&mut raw, "x", "/count").text(), "0 0 ");
    }

    fn pipelined_requests_are_answered_in_order(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        let mut bytes = Vec::new();
        for length in 0..20_u8 {
            bytes.extend(format!("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").bytes());
            bytes.extend(std::iter::repeat_n(1, usize::from(length)));
        }
        raw.send(&bytes).expect("a connection");
        for length in 0..20_u8 {
            let answer = raw.response("POST").expect("a response");
            assert_eq!(answer.text(), format!("{length} {length} "));
        }
    }

    fn large_bodies_pass_both_ways(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        let answer = raw::get(&mut raw, "x", &format!("/large/{LARGE}"));
        assert_eq!(answer.body.len(), LARGE);
        assert!(answer.body.iter().all(|byte| *byte == 7));

        let mut request = format!("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n")
            .into_bytes();
        request.resize(request.len() + LARGE, 1);
        raw.send(&request).expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").text(), format!("{LARGE} {LARGE} "));
    }

    /// A server may answer before it has read the request; the client hears it, and nothing is reused.
    fn an_early_answer_is_passed_on(driver) {
        let early: Script = Arc::new(|client| {
            if client.talk.head().is_ok_and(|head| head.is_some()) {
                client.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
                while client.talk.exactly(1).is_ok() {}
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(early));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\npart").expect("a connection");
        let answer = raw.response("POST").expect("a response");
        assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    }

    fn expectations_are_met_or_refused(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let mut raw = raw::plain(front);
        raw.send(b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
            .expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 100);
        raw.send(b"\x05").expect("a connection");
        assert_eq!(raw.response("POST").expect("a response").text(), "1 5 ");
        let (answer, _) = raw::exchange(
            front,
            b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: magic\r\n\r\n",
        );
        assert_eq!(answer.status(), 417);
    }

    /// What has no configured bound is streamed, not stored: the peak stays far below the body.
    fn a_slow_reader_does_not_fill_the_memory(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(by_path()));
        let gateway = Setup::new(scratch.path(), driver, PLAIN).set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(format!("GET /large/{LARGE} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a connection");
        assert!(raw.head().expect("a head").is_some());
        raw.exactly(1024 * 1024).expect("the beginning");
        let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.process.id()));
        let status = status.expect("a running process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let peak: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(peak < LARGE / 1024, "{peak} kB at the peak");
        assert_eq!(raw.exactly(LARGE - 1024 * 1024).expect("the rest").len(), LARGE - 1024 * 1024);
    }
}
