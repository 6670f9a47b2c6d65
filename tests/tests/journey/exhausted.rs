//! More clients than there is room for: who is turned away, who is served, and that it passes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use ferrule_tests::{
    Gateway, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};

use crate::tunnel::{echo_of, echoing, open};
use crate::{PLAIN, plain_gateway};

pub(crate) fn limit_descriptors(gateway: &Gateway, count: usize) {
    let done = Command::new("prlimit")
        .args([format!("--pid={}", gateway.process.id()), format!("--nofile={count}:")])
        .status();
    assert!(done.expect("prlimit").success());
}

fn descriptors(gateway: &Gateway) -> usize {
    let path = format!("/proc/{}/fd", gateway.process.id());
    std::fs::read_dir(path).expect("our own child").count()
}

/// The lowest number that is free: the limit is on numbers, and there may be holes.
pub(crate) fn first_free(gateway: &Gateway) -> usize {
    let path = |number: usize| format!("/proc/{}/fd/{number}", gateway.process.id());
    let free = (0..).find(|number| std::fs::symlink_metadata(path(*number)).is_err());
    free.expect("far below a million")
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a queue with room");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket
}

/// All that comes until the connection ends, which must be soon.
fn last_words(mut socket: TcpStream) -> String {
    let mut words = Vec::new();
    match socket.read_to_end(&mut words) {
        Ok(_) => {}
        Err(error) => assert!(
            !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "left hanging"
        ),
    }
    String::from_utf8_lossy(&words).into_owned()
}

/// Does a new client get this status now?
fn answers(port: u16, status: u16) -> Option<()> {
    let mut raw = raw::plain(port);
    raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    raw.response("GET").ok().filter(|answer| answer.status() == status).map(drop)
}

on_both_drivers! {
    /// All cores together: a client that is refused on one is refused on the other.
    fn an_address_holds_so_many_connections(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!("[http]\nconnections_per_address = 6\n{PLAIN}");
        let runtime = format!("workers = 2\ncpu_affinity = false\nring_entries = 256\nio_driver = \"{driver}\"\n");
        let gateway = Setup::new(scratch.path(), driver, &text).runtime(&runtime)
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        // What started it has left by the time that six get in.
        let mut kept = Vec::new();
        let six = poll(PATIENCE, || {
            while kept.len() < 6 {
                let mut raw = raw::plain(front);
                raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
                raw.response("GET").ok()?;
                kept.push(raw);
            }
            Some(())
        });
        assert!(six.is_some());
        for _ in 0..12 {
            assert_eq!(last_words(connect(front)), "");
        }
        let told = "this address has too many connections";
        assert!(poll(PATIENCE, || gateway.log().contains(told).then_some(())).is_some());
        for raw in &mut kept {
            assert_eq!(raw::get(raw, "x", "/").status(), 200);
        }
        kept.pop();
        assert!(poll(PATIENCE, || answers(front, 200)).is_some());
    }

    /// Silent connections make room for whoever has something to say.
    fn idle_connections_make_room(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        assert_eq!(raw::plain_get(front, "x", "/").status(), 200);
        limit_descriptors(&gateway, descriptors(&gateway) + 8);
        let crowd: Vec<TcpStream> = (0..60).map(|_| connect(front)).collect();
        assert!(poll(PATIENCE, || answers(front, 200)).is_some(), "{}", gateway.log());
        assert!(gateway.log().contains("out of descriptors"), "{}", gateway.log());
        drop(crowd);
    }

    /// A tunnel that nobody speaks in is at work, and no room for others.
    fn a_silent_tunnel_is_not_idle(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let text = PLAIN.replace("uri =", "enable_websocket = true\nuri =");
        let gateway =
            Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let mut tunnel = open(raw::plain(front));
        limit_descriptors(&gateway, descriptors(&gateway) + 8);
        let crowd: Vec<TcpStream> = (0..60).map(|_| connect(front)).collect();
        // Its upstream answers with a 101 that an ordinary request has not asked for.
        assert!(poll(PATIENCE, || answers(front, 502)).is_some(), "{}", gateway.log());
        assert!(gateway.log().contains("out of descriptors"), "{}", gateway.log());
        echo_of(&mut tunnel, b"still here");
        drop(crowd);
    }

    /// Where nobody is idle, newcomers are told so rather than left to hang; and it passes.
    fn newcomers_are_turned_away_while_all_are_busy(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        assert_eq!(raw::plain_get(front, "x", "/").status(), 200);
        limit_descriptors(&gateway, descriptors(&gateway) + 8);
        // Half a head each: they are at it, as far as anybody can tell.
        let mut crowd: Vec<TcpStream> = Vec::new();
        for _ in 0..40 {
            let mut socket = connect(front);
            socket.write_all(b"GET / HTTP/1.1\r\nHos").expect("a socket that takes bytes");
            crowd.push(socket);
        }
        let away = poll(PATIENCE, || {
            let socket = connect(front);
            let words = last_words(socket);
            words.starts_with("HTTP/1.1 503 ").then_some(words)
        });
        let away = away.expect("a newcomer is told");
        assert!(away.ends_with("{\"error_msg\":\"503 Service Unavailable\"}"), "{away}");
        let from = gateway.log().len();
        drop(crowd);
        assert!(poll(PATIENCE, || answers(front, 200)).is_some(), "{}", gateway.log());
        // It is over, and nothing more is said about it.
        std::thread::park_timeout(Duration::from_millis(300));
        let log = gateway.log();
        let behind = log.get(from..).unwrap_or_default();
        assert!(behind.matches("out of descriptors").count() <= 10, "{behind}");
    }

    /// No descriptor for the way to the upstream is our trouble and not the node's.
    fn no_descriptor_for_the_upstream_is_a_503(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let mut kept = raw::plain(front);
        kept.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ").expect("a connection");
        let mut other = raw::plain(front);
        other.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ").expect("a connection");
        // Fills the holes below, so that the number that is freed is one that may be used.
        let mut filling = Vec::new();
        let dense = poll(PATIENCE * 4, || {
            let before = descriptors(&gateway);
            // Holes open late: whoever asked whether the gateway is up has yet to be let go.
            let settled = || poll(Duration::from_millis(300), || {
                (first_free(&gateway) != descriptors(&gateway)).then_some(())
            });
            if settled().is_none() {
                return Some(());
            }
            let mut socket = connect(front);
            socket.write_all(b"GET / HTTP/1.1\r\nHos").ok()?;
            filling.push(socket);
            poll(PATIENCE, || (descriptors(&gateway) > before).then_some(()))?;
            None
        });
        assert!(dense.is_some(), "it settles");
        let limit = first_free(&gateway);
        limit_descriptors(&gateway, limit);
        kept.send(b"1\r\n\r\n").expect("a connection");
        let answer = kept.response("GET").expect("a response");
        assert_eq!(answer.status(), 503, "{answer:?}\n{}", gateway.log());
        assert!(kept.is_closed());
        // Its own descriptor is what the next one takes.
        drop(kept);
        assert!(poll(PATIENCE, || (first_free(&gateway) < limit).then_some(())).is_some());
        other.send(b"1\r\n\r\n").expect("a connection");
        assert_eq!(other.response("GET").expect("a response").status(), 200);
        assert_eq!(upstream.seen().len(), 1);
    }
}
