//! What an operator meets at night: reloads under load, drains, full descriptor tables, idle cores.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::{
    Authority, Conversation, Dial, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, echo, now,
    on_both_drivers, poll, raw, scratch,
};
use rustix::process::Signal;

use super::{MUTUAL, Mutual, descriptors, pause, processor_ticks, socket};
use crate::{PLAIN, plain_gateway, write_ca};

/// Sends the head and half of the body, and the rest when told to.
fn half(gate: &Arc<AtomicBool>) -> Script {
    let gate = Arc::clone(gate);
    Arc::new(move |client| {
        while client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
            poll(PATIENCE, || gate.load(Ordering::SeqCst).then_some(()));
            if !client.send(b"def") {
                return;
            }
        }
    })
}

/// Limits the process's open descriptors.
fn limit_descriptors(gateway: &Gateway, count: usize) {
    let done = Command::new("prlimit")
        .args([format!("--pid={}", gateway.process.id()), format!("--nofile={count}:")])
        .status();
    assert!(done.expect("prlimit").success());
}

/// Ends the gateway as an operator would; what it says about what it still held.
fn ends_clean(gateway: &mut Gateway, within: Duration) {
    let started = now();
    gateway.process.signal(Signal::TERM);
    let status = gateway.wait(PATIENCE);
    let took = started.elapsed();
    assert!(status.success(), "{status}\n{}", gateway.log());
    assert!(took < within, "took {took:?}\n{}", gateway.log());
    let log = gateway.log();
    assert!(log.contains("nothing is left over"), "{log}");
}

on_both_drivers! {
    /// A hundred kept connections, plain and TLS, cost no processor time.
    fn idle_connections_cost_no_time(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        let dial = Dial::as_client("a.test", &mutual.client);
        let mut kept: Vec<_> = (0..100).map(|_| dial.connect(mutual.port()).expect("a handshake")).collect();
        for raw in &mut kept {
            assert_eq!(raw::get(raw, "a.test", "/").status(), 200);
        }
        let before = processor_ticks(&mutual.gateway);
        pause(3_000);
        let used = processor_ticks(&mutual.gateway) - before;
        assert!(used <= 6, "{used} ticks of 10 ms in 3 s");
        assert_eq!(raw::get(&mut kept[0], "a.test", "/").status(), 200);
    }

    /// Without descriptors it ends who is idle, says so (five lines a second at most), and serves.
    fn full_descriptor_tables_are_survived(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let mut kept = raw::plain(front);
        assert_eq!(raw::get(&mut kept, "x", "/").status(), 200);
        let from = gateway.log().len();
        limit_descriptors(&gateway, descriptors(&gateway) + 8);
        let crowd: Vec<TcpStream> = (0..60).map(|_| socket(front)).collect();
        let before = processor_ticks(&gateway);
        pause(1_500);
        let used = processor_ticks(&gateway) - before;
        assert!(used < 50, "{used} ticks of 10 ms in 1.5 s");
        let log = gateway.log();
        let lines = log.get(from..).unwrap_or_default().lines().filter(|line| line.contains("out of descriptors")).count();
        assert!((1..=20).contains(&lines), "{lines} lines\n{log}");
        let served = poll(PATIENCE, || {
            let mut raw = raw::plain(front);
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
            raw.response("GET").ok().filter(|answer| answer.status() == 200)
        });
        assert!(served.is_some(), "{}", gateway.log());
        drop(crowd);
    }

    /// A kept connection is judged by the new policy at its next request.
    fn a_removed_authority_reaches_kept_connections(driver) {
        let upstream = Upstream::plain(echo());
        let mut mutual = Mutual::start(driver, "http", &upstream);
        for version in rustls::ALL_VERSIONS {
            let dial = Dial::with(Some("a.test"), Some(&mutual.client), &[version]);
            let mut kept = dial.connect(mutual.port()).expect("a handshake");
            assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);
            let old = std::fs::read(mutual.dir().join("clients.crt")).expect("a file");
            write_ca(mutual.dir(), "clients", &Authority::new("another"));
            assert_eq!(mutual.gateway.signal_reload(), Reloaded::Taken);
            let answer = raw::get(&mut kept, "a.test", "/");
            assert_eq!(answer.status(), 400, "{answer:?}");
            assert!(kept.is_closed());
            std::fs::write(mutual.dir().join("clients.crt"), old).expect("a file");
            assert_eq!(mutual.gateway.signal_reload(), Reloaded::Taken);
        }
        assert_eq!(upstream.seen().len(), 2);
    }

    /// A name that is gone, or of another policy now, is asked for on a new connection.
    fn a_removed_name_is_misdirected_on_kept_connections(driver) {
        let upstream = Upstream::plain(echo());
        let mut mutual = Mutual::start(driver, "http", &upstream);
        let dial = Dial::as_client("a.test", &mutual.client);
        let mut kept = dial.connect(mutual.port()).expect("a handshake");
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);
        let text = MUTUAL.replace("sni = \"a.test\"", "sni = \"b.test\"");
        assert_eq!(mutual.gateway.reload(&text), Reloaded::Taken);
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 421);
        assert!(kept.is_closed());
    }

    /// Requests that are half done, in either direction, are finished under the generation they began in.
    fn a_reload_does_not_touch_what_is_in_flight(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(half(&gate)));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let mut down = raw::plain(front);
        down.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(down.head().expect("a head").expect("one").status(), 200);
        let mut up = raw::plain(front);
        up.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nuvw").expect("a connection");
        let mut head = raw::plain(front);
        head.send(b"GET /late HTT").expect("a connection");
        let other = Upstream::plain(echo());
        let text = PLAIN.replace("@upstream@", &other.port.to_string());
        for _ in 0..3 {
            assert_eq!(gateway.reload(&text), Reloaded::Taken);
        }
        gate.store(true, Ordering::SeqCst);
        assert_eq!(down.exactly(6).expect("the whole body"), b"abcdef");
        up.send(b"xyz").expect("a connection");
        assert_eq!(up.response("POST").expect("an answer").text(), "abcdef");
        head.send(b"P/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert!(head.response("GET").expect("an answer").text().starts_with("GET /late"));
        assert_eq!(other.seen().len(), 1);
    }

    /// Idle clients hold a drain up for no longer than its grace.
    fn idle_connections_do_not_hold_a_drain(driver) {
        let upstream = Upstream::plain(echo());
        let mut mutual = Mutual::start(driver, "http", &upstream);
        let dial = Dial::as_client("a.test", &mutual.client);
        let mut kept = dial.connect(mutual.port()).expect("a handshake");
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);
        let fresh = dial.connect(mutual.port()).expect("a handshake");
        let silent = socket(mutual.port());
        pause(200);
        ends_clean(&mut mutual.gateway, Duration::from_secs(3));
        // An orderly goodbye, not a cut.
        assert!(kept.rest().expect("close_notify").is_empty());
        drop((fresh, silent));
    }

    /// An answer under way when the drain begins has announced a connection that lives on.
    fn a_kept_connection_does_not_outlive_a_drain(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(half(&gate)));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("one").status(), 200);
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        pause(1_500);
        gate.store(true, Ordering::SeqCst);
        assert_eq!(raw.exactly(6).expect("the whole body"), b"abcdef");
        let started = now();
        let status = gateway.wait(PATIENCE);
        assert!(status.success(), "{}", gateway.log());
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}\n{}", started.elapsed(), gateway.log());
        assert!(gateway.log().contains("nothing is left over"), "{}", gateway.log());
    }

    /// Whatever hostile clients did, every buffer and every timer comes back.
    fn nothing_leaks(driver) {
        let upstream = Upstream::plain(echo());
        let mut mutual = Mutual::start(driver, "http", &upstream);
        let dial = Dial::as_client("a.test", &mutual.client);
        for round in 0..30 {
            let mut open = Conversation::new(mutual.open(if round % 2 == 0 { &rustls::version::TLS12 } else { &rustls::version::TLS13 }));
            let body = "b".repeat(100_000);
            open.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len() * 2).as_bytes())
                .expect("a connection");
            open.send(body.as_bytes()).expect("a connection");
            match round % 5 {
                0 => open.stream.sock.write_all(b"garbage").expect("a connection"),
                1 => {
                    open.send(body.as_bytes()).expect("a connection");
                    assert_eq!(open.response("POST").expect("an answer").status(), 200);
                    open.send(b"GET / HTTP/1.1\r\nHo").expect("a connection");
                }
                2 => open.stream.conn.send_close_notify(),
                3 => drop(open.stream.sock.shutdown(std::net::Shutdown::Both)),
                _ => {}
            }
        }
        assert_eq!(dial.get(mutual.port(), "a.test", "/").expect("an answer").status(), 200);
        ends_clean(&mut mutual.gateway, Duration::from_secs(6));
    }

    /// Told twice, it goes at once, whatever is in flight, and by itself.
    fn stopping_cuts_whatever_is_in_flight(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::plain(half(&gate));
        let mut mutual = Mutual::start(driver, "http", &upstream);
        let front = mutual.port();
        let dial = Dial::as_client("a.test", &mutual.client);
        let mut open: Vec<_> = (0..40).map(|_| dial.connect(front).expect("a handshake")).collect();
        for (number, raw) in open.iter_mut().enumerate() {
            let bytes: &[u8] = match number % 4 {
                0 => b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
                1 => b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc",
                2 => b"GET / HT",
                _ => b"",
            };
            raw.send(bytes).expect("a connection");
        }
        let _silent: Vec<_> = (0..10).map(|_| socket(front)).collect();
        pause(200);
        mutual.gateway.process.signal(Signal::TERM);
        mutual.gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        let started = now();
        mutual.gateway.process.signal(Signal::TERM);
        let status = mutual.gateway.wait(PATIENCE);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        // By itself: no signal killed it, and no core was given up.
        assert!(status.code().is_some(), "{status}\n{}", mutual.gateway.log());
        assert!(!mutual.gateway.log().contains("did not stop in time"), "{}", mutual.gateway.log());
        assert!(!mutual.gateway.log().contains("panic"), "{}", mutual.gateway.log());
        // Nobody takes the half for the whole.
        assert!(open[0].response("GET").is_err());
        gate.store(true, Ordering::SeqCst);
    }

    /// A full core sends the next client away and serves the others.
    fn a_full_core_sends_clients_away(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, PLAIN).runtime(&format!(
            "workers = 1\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4\nio_driver = \"{driver}\"\n"
        )).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let settled = poll(PATIENCE, || {
            let mut kept: Vec<_> = (0..4).map(|_| raw::plain(front)).collect();
            let all = kept.iter_mut().all(|raw| {
                raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && raw.response("GET").is_ok()
            });
            all.then_some(kept)
        });
        let mut kept = settled.expect("four connections");
        let mut extra = socket(front);
        let _ = extra.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(!matches!(extra.read(&mut [0; 64]), Ok(count) if count > 0), "one too many");
        for raw in &mut kept {
            assert_eq!(raw::get(raw, "x", "/").status(), 200);
        }
        drop(kept);
        let served = poll(PATIENCE, || {
            let mut raw = raw::plain(front);
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
            raw.response("GET").ok()
        });
        assert!(served.is_some());
    }
}
