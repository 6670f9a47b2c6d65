//! Answers that nobody reads, in every framing and over every kind of connection.
//!
//! A few clients of each kind stand beside those of the kinds before; what the gateway's buffers take
//! more than before them is theirs. Memory that is resident is measured as well, for what the allocator
//! keeps is memory, too.

use std::fs;
use std::io::Write as _;

use ferrule_tests::raw::Line;
use ferrule_tests::{Dial, PATIENCE, on_both_drivers, poll};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::place::{FLOOD, Place, send_all};

/// Two records, and what an idle connection holds on either side; one more record, if what a TLS
/// upstream sent has to be framed anew.
const MOST_KIB: f64 = 64.0;

const EACH: usize = 6;

/// Enough that the gateway's own memory, and the allocator's steps, are a small part.
const CROWD: usize = 96;

fn ask(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes()
}

/// Sends this over a connection of this kind, and leaves the answer there.
fn send(place: &Place, version: Option<&'static SupportedProtocolVersion>, bytes: &[u8]) -> Line {
    let mut line = match version {
        None => Line::Plain(place.socket("plain")),
        Some(version) => {
            let dial = Dial::with(Some("a.test"), None, &[version]);
            dial.connect(place.gateway.port("front")).expect("a handshake").stream
        }
    };
    line.write_all(bytes).expect("room");
    line
}

/// KiB of memory that are the process's alone, and resident. (A share of the program's own pages
/// grows when another process that runs it ends.)
fn resident(place: &Place) -> f64 {
    let path = format!("/proc/{}/smaps_rollup", place.gateway.process.id());
    let text = fs::read_to_string(path).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a sum");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

on_both_drivers! {
    fn an_unread_answer_holds_a_record_on_each_side(driver) {
        let place = Place::start(driver, "");
        let mut open = Vec::new();
        let mut before = place.rented(0.0);
        for upstream in ["", "/tls"] {
            for framing in ["/flood", "/chunks", "/close"] {
                for version in [None, Some(&TLS12), Some(&TLS13)] {
                    let request = ask(&format!("{upstream}{framing}"));
                    open.extend((0..EACH).map(|_| send(&place, version, &request)));
                    let now = place.rented(before);
                    let each = (now - before) / EACH as f64;
                    let kind = format!("{upstream}{framing} {version:?}");
                    assert!(each <= MOST_KIB, "{kind}: {each} KiB; {}", place.gateway.log());
                    before = now;
                }
            }
        }
    }

    /// What a client has still to say, or that it will say nothing more, makes no difference.
    fn a_client_that_says_more_or_nothing_holds_no_more(driver) {
        let place = Place::start(driver, "");
        let mut open = Vec::new();
        let mut before = place.rented(0.0);
        for version in [None, Some(&TLS13)] {
            let pipelined = [ask("/flood"), ask("/short").repeat(2_000)].concat();
            // What came behind is in hand: a record sealed, and one opened.
            for (kind, request, most) in [
                ("half-closed", ask("/flood"), MOST_KIB),
                ("pipelined behind a flood", pipelined, 80.0),
            ] {
                open.extend((0..EACH).map(|_| {
                    let line = send(&place, version, &request);
                    if kind == "half-closed" {
                        line.finish().expect("a socket");
                    }
                    line
                }));
                let now = place.rented(before);
                let each = (now - before) / EACH as f64;
                assert!(each <= most, "{kind}: {each} KiB; {}", place.gateway.log());
                before = now;
            }
        }
    }

    /// Many small answers that nobody reads fill the sockets, and then nothing more is read.
    fn pipelined_requests_wait_in_the_socket(driver) {
        let place = Place::start(driver, "");
        let before = place.rented(0.0);
        let lines: Vec<_> = (0..EACH).map(|_| place.socket("plain")).collect();
        for line in &lines {
            send_all(line, &ask("/some").repeat(64), FLOOD);
        }
        let each = (place.rented(before) - before) / EACH as f64;
        assert!(each <= MOST_KIB, "{each} KiB; {}", place.gateway.log());
    }

    /// As the system counts it, once what was needed to get there is given back.
    fn an_unread_answer_is_resident_with_less_than_96_kib(driver) {
        for (path, version) in [("/flood", Some(&TLS13)), ("/chunks", None)] {
            let place = Place::start(driver, "");
            drop(send(&place, version, &ask("/short")));
            place.rented(0.0);
            let before = resident(&place);
            let lines: Vec<_> = (0..CROWD).map(|_| send(&place, version, &ask(path))).collect();
            // At least a record each: they have begun.
            place.rented(20.0 * CROWD as f64);
            let mut each = 0.0;
            let within = poll(PATIENCE * 2, || {
                each = (resident(&place) - before) / CROWD as f64;
                (each <= 96.0).then_some(())
            });
            assert!(within.is_some(), "{path}: {each} KiB; {}", place.gateway.log());
            drop(lines);
        }
    }
}
