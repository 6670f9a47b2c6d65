//! Clients and upstreams that never come to an end, or come to it a byte at a time.
//!
//! As in [`unread`](super::unread), each kind is measured by what it adds to those before it.

use std::io::Write as _;
use std::net::TcpStream;

use ferrule_tests::raw::Line;
use ferrule_tests::{on_both_drivers, raw};

use super::place::{ASK, FLOOD, Place, send_all};

const EACH: usize = 6;

/// The most of a `ClientHello` on the wire, as docs/clients.md says.
const HELLO: usize = 32 << 10;

/// A `ClientHello` without its last byte, in records that hold so much each.
fn hello(content: usize) -> Vec<u8> {
    let records = HELLO / (content + 5);
    let len = (HELLO - 5 * records.max(1) - 5).min(records.max(1) * content);
    let announced = u32::try_from(len).expect("small").to_be_bytes();
    let mut message = vec![1, announced[1], announced[2], announced[3]];
    message.resize(len, 0);
    let records = message.chunks(content).flat_map(|content| {
        let len = u16::try_from(content.len()).expect("a record");
        [&[22, 3, 1][..], &len.to_be_bytes(), content].concat()
    });
    records.collect()
}

fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes()
}

fn chunked() -> Vec<u8> {
    b"POST /never HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()
}

fn trickle(mut line: impl std::io::Write, bytes: &[u8]) {
    for byte in bytes {
        line.write_all(&[*byte]).expect("room");
    }
}

/// KiB that so many of a kind hold more than was held `before`, each.
fn each(place: &Place, before: &mut f64) -> f64 {
    let now = place.rented(0.0);
    let each = (now - *before) / EACH as f64;
    *before = now;
    each
}

fn plain(place: &Place, bytes: &[u8]) -> TcpStream {
    let mut socket = place.socket("plain");
    socket.write_all(bytes).expect("room");
    socket
}

on_both_drivers! {
    fn a_hello_without_end_holds_itself(driver) {
        let place = Place::start(driver, "");
        let mut before = place.rented(0.0);
        let mut open = Vec::new();
        for content in [16_384, 1_000, 100, 1] {
            open.extend((0..EACH).map(|_| {
                let mut socket = place.socket("front");
                socket.write_all(&hello(content)).expect("room");
                socket
            }));
            let each = each(&place, &mut before);
            assert!((16.0..=48.0).contains(&each), "records of {content}: {each} KiB");
        }
    }

    fn a_client_that_trickles_holds_little(driver) {
        let place = Place::start(driver, "");
        let mut before = place.rented(0.0);
        let mut open = Vec::new();
        let body = b"POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n".to_vec();
        let extension = [b"5;x=".to_vec(), vec![b'y'; 200]].concat();
        for (kind, head, behind) in [
            ("a body", body, vec![b'x'; 200]),
            ("the sizes of chunks", chunked(), b"1\r\nx\r\n".repeat(40)),
            ("a chunk's extension", chunked(), extension),
            ("trailers", chunked(), [b"0\r\nX-Y: ".to_vec(), vec![b'y'; 200]].concat()),
        ] {
            for tls in [false, true] {
                open.extend((0..EACH).map(|_| {
                    let mut line =
                        if tls { place.tls().stream } else { Line::Plain(place.socket("plain")) };
                    line.write_all(&head).expect("room");
                    trickle(&mut line, &behind);
                    line
                }));
                let each = each(&place, &mut before);
                assert!(each <= 48.0, "{kind}, TLS {tls}: {each} KiB; {}", place.gateway.log());
            }
        }
    }

    fn an_upstream_without_end_is_given_up(driver) {
        let place = Place::start(driver, "");
        let mut before = place.rented(0.0);
        let mut open = Vec::new();
        for upstream in ["", "/tls"] {
            for (target, status) in [
                ("/hints", 502),
                ("/endless-head", 502),
                ("/endless-field", 502),
                ("/endless-extension", 200),
                ("/endless-trailers", 200),
            ] {
                for _ in 0..EACH {
                    let mut client = raw::plain(place.gateway.port("plain"));
                    client.send(&request(&format!("{upstream}{target}"))).expect("room");
                    if status == 502 {
                        let answer = client.response("GET").expect("an answer");
                        assert_eq!(answer.status(), status, "{target}: {}", place.gateway.log());
                    } else {
                        let cut = client.response("GET");
                        assert!(cut.is_err(), "{target}: a broken body was passed on as whole");
                    }
                    open.push(client);
                }
                let each = each(&place, &mut before);
                assert!(each <= 2.0, "{upstream}{target}: {each} KiB; {}", place.gateway.log());
            }
        }
    }

    fn an_answer_that_stalls_half_way_holds_what_came(driver) {
        let place = Place::start(driver, "");
        let mut before = place.rented(0.0);
        let mut open = Vec::new();
        for upstream in ["", "/tls"] {
            for target in ["/half-head", "/half-chunk", "/half-size"] {
                let asked = request(&format!("{upstream}{target}"));
                open.extend((0..EACH).map(|_| plain(&place, &asked)));
                let each = each(&place, &mut before);
                assert!(each <= 48.0, "{upstream}{target}: {each} KiB; {}", place.gateway.log());
            }
        }
    }

    /// The upstream floods and does not read; the client does one of both, or both.
    fn a_tunnel_holds_a_record_each_way(driver) {
        let place = Place::start(driver, "");
        let mut before = place.rented(0.0);
        let mut open = Vec::new();
        for upstream in ["", "/tls"] {
            for (tls, floods) in [(false, false), (false, true), (true, false)] {
                let ask = ASK.replace("/tunnel", &format!("{upstream}/tunnel"));
                open.extend((0..EACH).map(|_| {
                    let mut line =
                        if tls { place.tls().stream } else { Line::Plain(place.socket("plain")) };
                    line.write_all(ask.as_bytes()).expect("room");
                    if floods && let Line::Plain(socket) = &line {
                        send_all(socket, &vec![b'x'; 1 << 16], FLOOD);
                    }
                    line
                }));
                let each = each(&place, &mut before);
                let kind = format!("{upstream} TLS {tls}, floods {floods}");
                assert!(each <= 88.0, "{kind}: {each} KiB; {}", place.gateway.log());
            }
        }
    }
}
