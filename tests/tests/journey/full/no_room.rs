//! Nodes with no room left at all: one that has answered the next request already is heard, and what TLS has
//! to say leaves when there is room, whether or not there is anything else to send.
//!
//! Unix sockets, because the kernel tells of both ends how much is unread, and fills them to a byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use ferrule_tests::{Driver, PATIENCE, Setup, on_both_drivers, poll, scratch};
use rustls::version::{TLS12, TLS13};

use super::{Stage, answer, everywhere, filled, head, heard, rest, say, take};
use crate::bare::{ALERT, APPLICATION_DATA, HANDSHAKE};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "@node@" = 1 }
upstream.timeout = { connect = "30m", send = "30m", read = "30m" }
"#;

/// As much as one head may hold.
const LONG: usize = 7_000;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

fn unread(socket: &impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(socket).expect("a socket")
}

/// Waits until `enough` bytes have arrived, or no more come; how many there are.
fn settled(socket: &impl AsFd, enough: u64) -> u64 {
    let (mut last, mut same) = (0, 0);
    let _: Option<()> = poll(PATIENCE, || {
        let now = unread(socket);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        let _: Option<()> = poll(Duration::from_millis(10), || None);
        (now >= enough || same >= 30).then_some(())
    });
    last
}

/// A request: what comes at once of it, and the rest of its body.
struct Request {
    method: &'static str,
    fields: &'static str,
    body: &'static str,
    rest: usize,
}

/// By the size of the rest it is the head or the rest that finds no room.
const REQUESTS: [Request; 5] = [
    Request { method: "GET", fields: "", body: "", rest: 0 },
    Request { method: "POST", fields: "Content-Length: 4\r\n", body: "some", rest: 0 },
    Request { method: "POST", fields: "Content-Length: 1004\r\n", body: "some", rest: 1_000 },
    Request { method: "POST", fields: "Content-Length: 4004\r\n", body: "some", rest: 4_000 },
    Request { method: "POST", fields: "Content-Length: 9004\r\n", body: "some", rest: 9_000 },
];

/// Sends the request again and again over one connection, whose node answers and reads nothing, until it
/// finds no room; is it the first part that waits?
fn fill(client: &mut TcpStream, node: &mut UnixStream, request: &Request) -> bool {
    let Request { method, fields, body, rest } = request;
    let cookie = "c".repeat(LONG);
    let text = format!("{method} / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n{fields}\r\n{body}");
    for _ in 0..200 {
        let before = unread(node);
        client.write_all(text.as_bytes()).expect("a gateway");
        let came = settled(node, before + LONG as u64) - before;
        if came == 0 {
            return true;
        }
        assert!(came >= LONG as u64, "{came}");
        client.write_all(&vec![b'm'; *rest]).expect("a gateway");
        let all = before + came + *rest as u64;
        if settled(node, all) < all {
            return false;
        }
        node.write_all(OK).expect("a gateway");
        assert!(answer(client, "done").ends_with("done"));
    }
    unreachable!("it was never full");
}

/// What a node without room may do.
const DOES: [&str; 4] = ["answers", "answers and ends", "answers and leaves", "leaves"];

fn connect(port: u16) -> TcpStream {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    client
}

on_both_drivers! {
    fn a_node_without_room_for_the_next_request_is_heard(driver) {
        let scratch = scratch();
        let path = scratch.path().join("node.sock");
        let listener = UnixListener::bind(&path).expect("a free path");
        let node = format!("unix:{}", path.display());
        let gateway = Setup::new(scratch.path(), driver, CONFIG).set("node", &node).start();
        let mut unfinished_heads = 0;
        for request in REQUESTS {
            for does in DOES {
                let mut client = connect(gateway.port("front"));
                let name = format!("{} {}, {does}", request.method, request.rest);
                client.write_all(b"GET /new HTTP/1.1\r\nHost: x\r\n\r\n").expect("a gateway");
                let (mut node, _) = listener.accept().expect("the gateway");
                assert!(settled(&node, 1) > 0, "{name}");
                node.write_all(OK).expect("a gateway");
                assert!(answer(&client, "done").ends_with("done"), "{name}");
                let head_waits = fill(&mut client, &mut node, &request);
                assert!(head_waits || request.rest > 0, "{name}");
                unfinished_heads += usize::from(head_waits && request.rest > 0);
                if does != "leaves" {
                    let sent = node.write_all(BUSY);
                    assert!(sent.is_ok(), "{name}: {sent:?}");
                }
                match does {
                    "answers and ends" => node.shutdown(Shutdown::Write).expect("a socket"),
                    "answers and leaves" | "leaves" => drop(node),
                    _ => {}
                }
                if does == "leaves" && request.method == "GET" {
                    let (mut again, _) = listener.accept().expect("another try");
                    again.read_exact(&mut [0; 1]).expect("a request");
                    again.write_all(OK).expect("a gateway");
                    assert!(answer(&client, "done").starts_with("HTTP/1.1 200"), "{name}");
                    continue;
                }
                let (status, end) = if does == "leaves" { ("502", "}") } else { ("503", "busy") };
                let text = answer(&client, end);
                assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {text:?}");
                assert!(text.ends_with(end), "{name}: {text}");
            }
        }
        assert!(unfinished_heads >= DOES.len(), "it was always the rest: {unfinished_heads}");
    }
}

/// A stage whose upstream is a Unix socket.
fn unix_stage(driver: Driver, version: Version, fast: bool) -> Stage {
    let scratch = scratch();
    let path = scratch.path().join("node.sock");
    let listener = UnixListener::bind(&path).expect("a free path");
    let accept = Box::new(move || {
        let (socket, _) = listener.accept().expect("the gateway");
        // All that is asked of it is the same.
        TcpStream::from(OwnedFd::from(socket))
    });
    let node = format!("unix:{}", path.display());
    Stage::at(scratch, &node, accept, (driver, fast), version, "30m")
}

type Version = &'static rustls::SupportedProtocolVersion;

on_both_drivers! {
    /// Of some of these uploads all has left, and nothing more would go in.
    fn an_answer_of_tls_that_found_no_room_leaves_later(driver) {
        for (version, fast) in [(&TLS12, true), (&TLS13, true), (&TLS13, false)] {
            let stage = &unix_stage(driver, version, fast);
            thread::scope(|scope| {
                for size in (100_000..300_000).step_by(20_000) {
                    let client = stage.upload(size);
                    let mut upstream = stage.upstream();
                    scope.spawn(move || {
                        let name = format!("{}, {size}", stage.name);
                        settled(&upstream.socket, u64::MAX);
                        let word = say(&mut upstream, stage, false);
                        // The kernel does not tell when the gateway has read it.
                        let _: Option<()> = poll(Duration::from_millis(500), || None);
                        take(&mut upstream, size, &[word], &name);
                        upstream.send(APPLICATION_DATA, OK);
                        assert!(answer(&client, "done").starts_with("HTTP/1.1 200"), "{name}");
                    });
                }
            });
        }
    }
}

/// It may take the alert for a while, and its client is answered in any case.
#[test]
fn a_full_upstream_that_breaks_the_protocol_is_told_so() {
    everywhere(|stage| {
        for reads in [true, false] {
            let client = stage.upload(super::FLOOD);
            let mut upstream = stage.upstream();
            head(&mut upstream);
            filled(&upstream.socket);
            upstream.send(HANDSHAKE, &[99, 0, 0, 0]);
            heard(&upstream.socket);
            let name = format!("{}, reads: {reads}", stage.name);
            if reads {
                let (data, last) = rest(&mut upstream);
                let last = last.map(|(kind, alert)| (kind, alert[0]));
                assert_eq!(last, Some((ALERT, 2)), "{name}: {data}");
                assert!(data < super::FLOOD, "{name}: {data}");
            }
            let text = answer(&client, "}");
            assert!(text.starts_with("HTTP/1.1 502"), "{name}: {text}");
        }
    });
}
