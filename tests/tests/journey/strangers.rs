//! Memory per stranger: who does not get on holds what is in hand, and little more.
//!
//! A crowd of each kind against a gateway of its own, measured by what the gateway says its buffers
//! take: below 48 KiB before a request is admitted, and below 96 KiB for a body that stalls.

use std::io::Write;
use std::net::TcpStream;

use ferrule_tests::raw::Line;
use ferrule_tests::{PATIENCE, Raw, on_both_drivers, poll, raw};

mod odd;
mod place;
mod unread;

use place::{ASK, CROWD, FLOOD, Place, send_all};

/// A record of a `ClientHello` that announces 30,000 bytes, and 21,000 of those, in records.
fn hello() -> Vec<u8> {
    let mut message = vec![1, 0, 0x75, 0x30];
    message.resize(21_000, 0);
    let records = message.chunks(16_384).flat_map(|content| {
        let len = u16::try_from(content.len()).expect("a record");
        [&[22, 3, 1][..], &len.to_be_bytes(), content].concat()
    });
    records.collect()
}

fn head(bytes: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a.test\r\n".to_vec();
    let mut number = 0;
    while head.len() < bytes {
        head.extend_from_slice(format!("X-{number}: {}\r\n", "x".repeat(900)).as_bytes());
        number += 1;
    }
    head.truncate(bytes);
    head
}

/// The sockets of a crowd of this kind, for as long as they are to be open.
fn crowd(place: &Place, kind: &str) -> Vec<Line> {
    let upload =
        format!("POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", FLOOD * 2);
    let piece = vec![b'x'; 1 << 16];
    let one = || match kind {
        "idle" => place.tls().stream,
        "hello" => {
            let mut socket = place.socket("front");
            socket.write_all(&hello()).expect("room");
            Line::Plain(socket)
        }
        "plain head" => {
            let mut socket = place.socket("plain");
            socket.write_all(&head(21_000)).expect("room");
            Line::Plain(socket)
        }
        "head" => {
            let mut raw = place.tls();
            raw.send(&head(21_000)).expect("room");
            raw.stream
        }
        "slow head" => {
            let mut raw = place.tls();
            for byte in &head(40) {
                raw.send(&[*byte]).expect("room");
            }
            raw.stream
        }
        "upload that stops" => {
            let mut raw = place.tls();
            raw.send(upload.as_bytes()).expect("room");
            for _ in 0..16 {
                raw.send(&piece).expect("room");
            }
            raw.stream
        }
        "upload that nobody reads" => {
            let socket = place.socket("plain");
            send_all(&socket, upload.as_bytes(), 1);
            send_all(&socket, &piece, FLOOD);
            Line::Plain(socket)
        }
        "unread answer" => {
            let mut raw = place.tls();
            raw.send(b"GET /flood HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("room");
            raw.stream
        }
        "unread plain answer" => {
            let mut socket = place.socket("plain");
            socket.write_all(b"GET /flood HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("room");
            Line::Plain(socket)
        }
        "tunnel" => {
            let mut socket = place.socket("plain");
            socket.write_all(ASK.as_bytes()).expect("room");
            send_all(&socket, &piece, FLOOD);
            Line::Plain(socket)
        }
        other => unreachable!("{other}"),
    };
    (0..CROWD).map(|_| one()).collect()
}

on_both_drivers! {
    fn nobody_holds_more_than_what_is_in_hand(driver) {
        for (kind, most) in [
            ("idle", 2),
            ("slow head", 4),
            ("hello", 40),
            ("plain head", 40),
            ("head", 40),
            ("upload that stops", 64),
            ("upload that nobody reads", 64),
            ("unread answer", 64),
            ("unread plain answer", 64),
            ("tunnel", 96),
        ] {
            let place = Place::start(driver, "");
            let crowd = crowd(&place, kind);
            let each = place.each();
            assert!(each <= f64::from(most), "{kind}: {each} KiB each; {}", place.gateway.log());
            drop(crowd);
        }
    }

    /// Those who have not got on for the longest make room; who rests or gets on stays.
    fn a_budget_is_won_back_from_those_who_stall(driver) {
        let place = Place::start(driver, "buffer_memory = \"1m\"");
        let mut kept = raw::plain(place.gateway.port("plain"));
        let ask = |raw: &mut Raw| raw::get(raw, "a.test", "/short").status();
        assert_eq!(ask(&mut kept), 200);
        let sockets: Vec<TcpStream> = (0..64)
            .filter_map(|_| {
                let mut socket = place.socket("plain");
                socket.write_all(&head(21_000)).ok().map(|()| socket)
            })
            .collect();
        let within = poll(PATIENCE * 2, || {
            let scrape = place.scrape();
            let stalled = scrape.sum("ferrule_connections_stalled_total", &[]);
            let rented = scrape.sum("ferrule_buffer_bytes", &[("state", "rented")]);
            (stalled >= 1.0 && rented <= f64::from(1 << 20)).then_some(())
        });
        assert!(within.is_some(), "{}", place.gateway.log());
        assert!(place.gateway.log().contains("runtime.buffer_memory is used up"));
        assert_eq!(ask(&mut kept), 200);
        assert_eq!(ask(&mut raw::plain(place.gateway.port("plain"))), 200);
        drop(sockets);
    }
}
