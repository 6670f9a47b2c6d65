//! Bytes are counted to the last one, heads and framing included.

use std::fs;
use std::sync::{Arc, Mutex};

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, PATIENCE, Script, Setup, Upstream, on_both_drivers, poll, raw, scratch,
};

const TEXT: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// What one end of an exchange has sent and received.
type Ends = Arc<Mutex<(usize, usize)>>;

/// Reads a whole request off the wire, framing included, and answers with these bytes.
fn measured(ends: &Ends, answer: Vec<u8>) -> Script {
    let ends = Arc::clone(ends);
    Arc::new(move |client| {
        while let Ok(Some(head)) = client.talk.head() {
            let mut received = head.raw.len() + head.length().unwrap_or(0);
            let _ = client.talk.exactly(head.length().unwrap_or(0));
            while head.is_chunked() {
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") {
                    line.extend(client.talk.exactly(1).expect("a size line"));
                }
                let digits = std::str::from_utf8(&line).expect("digits").trim();
                let size = usize::from_str_radix(digits, 16).expect("a size");
                client.talk.exactly(size + 2).expect("a chunk");
                received += line.len() + size + 2;
                if size == 0 {
                    break;
                }
            }
            let mut ends = ends.lock().expect("two numbers");
            ends.0 += received;
            ends.1 += answer.len();
            if !client.send(&answer) {
                return;
            }
        }
    })
}

/// So many bytes in chunks of this size, with a line of trailers.
fn chunks(bytes: usize, size: usize) -> String {
    let data = "c".repeat(size);
    let chunk = format!("{size:x}\r\n{data}\r\n");
    format!("{}0\r\nX-Sum: 1\r\n\r\n", chunk.repeat(bytes / size))
}

fn with_length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n\r\n{}", "l".repeat(bytes))
}

fn in_chunks(bytes: usize, size: usize) -> String {
    format!("Transfer-Encoding: chunked\r\n\r\n{}", chunks(bytes, size))
}

on_both_drivers! {
    /// The client, the upstream, the metrics and the log agree.
    fn every_byte_is_counted_once(driver) {
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let bodies = [
            with_length(0),
            with_length(5),
            with_length(120_000),
            in_chunks(50, 10),
            in_chunks(120_000, 50),
        ];
        for (before, request) in ["", hint].into_iter().zip([&bodies[1], &bodies[3]]) {
            exchange(driver, request, &format!("{before}HTTP/1.1 200 OK\r\n{}", bodies[1]));
        }
        for (request, answer) in bodies.iter().zip(bodies.iter().skip(1).chain([&bodies[2]])) {
            exchange(driver, request, &format!("HTTP/1.1 200 OK\r\n{answer}"));
        }
    }
}

fn exchange(driver: Driver, request: &str, answer: &str) {
    let ends = Ends::default();
    let script = measured(&ends, answer.as_bytes().to_vec());
    let (scratch, upstream) = (scratch(), Upstream::plain(script));
    let dir = scratch.path();
    let log = "access = { path = \"access.log\", format = '$bytes_sent $request_length' }";
    let setup = Setup::new(dir, driver, TEXT).set("upstream", &upstream.port);
    let mut gateway = setup.log_line(log).start();
    let mut raw = raw::plain(gateway.port("front"));
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let wishes = "TE: trailers\r\nConnection: close";
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{wishes}\r\n{head}\r\n\r\n");
    let (first, second) = body.as_bytes().split_at(body.len() / 2);
    for piece in [head.as_bytes(), first, second] {
        raw.send(piece).expect("a connection");
    }
    let sent = head.len() + body.len();
    let received = raw.rest().expect("an answer").len();
    let (to_upstream, from_upstream) = *ends.lock().expect("two numbers");
    let wanted = [sent, received, from_upstream, to_upstream].map(|count| count.to_string());
    let places = [("client", "in"), ("client", "out"), ("upstream", "in"), ("upstream", "out")];
    let counted = || {
        let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
        let found = Exposition::read(&answer.text());
        places.map(|(side, way)| {
            let sum = found.sum("ferrule_bytes_total", &[("side", side), ("direction", way)]);
            format!("{sum:.0}")
        })
    };
    poll(PATIENCE, || Some(counted()).filter(|found| found[1] != "0"));
    assert_eq!(counted(), wanted, "{} up, {} down", body.len(), answer.len());
    gateway.stop();
    let log = fs::read_to_string(dir.join("access.log")).expect("a log");
    assert_eq!(log, format!("{received} {sent}\n"));
}
