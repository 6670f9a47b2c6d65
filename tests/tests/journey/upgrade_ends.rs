//! What an upgrade leaves behind, and what becomes of it when one of the two processes does not do its part.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use ferrule_tests::guides::{self, Version};
use ferrule_tests::{PATIENCE, on_both_drivers, poll, raw};
use ferrule_tools::process::{ferrule_binary, source_dir};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::tunnel;
use crate::upgrade::Upgradable;

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, Signal::KILL).expect("a process of ours");
}

on_both_drivers! {
    /// Its client would never see the end: the first process has it by accident, as it has, for a moment, what it
    /// has just accepted.
    fn a_socket_that_was_left_open_does_not_go_on(driver) {
        let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = peer.local_addr().expect("an address").port();
        let open = format!("exec 9<>/dev/tcp/127.0.0.1/{port}; exec \"$@\"");
        let mut place = Upgradable::start_under(driver, &["bash", "-c", &open, "bash"]);
        let (mut left, _) = peer.accept().expect("the connection that is left open");
        left.set_nonblocking(true).expect("a socket");
        let mut ended = || matches!(left.read(&mut [0]), Ok(0)).then_some(());
        assert!(ended().is_none());
        place.upgrade();
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
        assert!(poll(PATIENCE, ended).is_some(), "the new process has it, too");
    }

    /// Nobody serves, so the old one does not drain until its deadline: whoever watches over it starts it again.
    fn the_end_of_the_new_process_ends_the_old_one(driver) {
        let mut place = Upgradable::start_with(driver, "shutdown_timeout = \"1h\"");
        let mut held = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        held.send(b"GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
        poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
        let new = place.upgrade();
        assert!(place.gateway.process.exited().is_none(), "{}", place.log());
        kill(new);
        assert!(!place.gateway.wait(PATIENCE).success(), "{}", place.log());
        let log = place.log();
        assert!(log.contains("the process that has taken over has ended (signal: 9"), "{log}");
        assert!(log.contains("nobody serves; ending the drain"), "{log}");
        place.gate.store(true, Ordering::SeqCst);
    }

    /// Neither is one that crashes when a third one serves.
    fn the_end_of_a_process_that_was_relieved_leaves_the_first_its_time(driver) {
        let mut place = Upgradable::start(driver);
        let mut held = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        held.send(b"GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
        poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
        let second = place.upgrade();
        // The first accepts nothing more, so the second one has this, and does not end by itself.
        place.gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        let _tunnel = tunnel::open(raw::plain(place.gateway.port("front")));
        place.upgrade();
        kill(second);
        place.gateway.process.wait_for_output(0, "that it saw it", |text| text.contains("has ended (signal: 9"));
        place.gateway.process.wait_for_output(0, "what it is", |text| text.contains("that one serves"));
        place.gate.store(true, Ordering::SeqCst);
        assert_eq!(held.response("GET").expect("an answer").status(), 200);
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
        assert!(!place.log().contains("nobody serves"), "{}", place.log());
        assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
    }

    /// If that third one crashes, nobody serves: whoever watches over the first one hears of it, not the second alone.
    fn the_end_of_the_third_process_ends_both_that_drain(driver) {
        let mut place = Upgradable::start_with(driver, "shutdown_timeout = \"1h\"");
        let mut held = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        held.send(b"GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
        poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
        place.upgrade();
        place.gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        let _tunnel = tunnel::open(raw::plain(place.gateway.port("front")));
        let third = place.upgrade();
        assert!(place.gateway.process.exited().is_none(), "{}", place.log());
        kill(third);
        assert!(!place.gateway.wait(PATIENCE).success(), "{}", place.log());
        assert!(place.log().matches("nobody serves; ending the drain").count() == 2, "{}", place.log());
        assert!(!place.log().contains("that one serves"), "{}", place.log());
        place.gate.store(true, Ordering::SeqCst);
    }

    /// A stop between "Go" and "Serving", for either process: nobody knows yet which of the two is to drain.
    fn a_stop_while_the_sockets_change_hands_waits_for_it(driver) {
        for to_new in [false, true] {
            let mut place = Upgradable::start(driver);
            let (relay, real) = (source_dir().join("tests/upgrade/relay.py"), ferrule_binary());
            let slow = place.script("slow", &format!(
                "exec python3 '{}' '{}' '{}' \"$@\"", relay.display(), real.display(), place.dir().display()
            ));
            place.replace_program(&slow);
            place.gateway.process.signal(Signal::USR2);
            let serving = || std::fs::read_to_string(place.dir().join("serving")).ok()?.parse::<u32>().ok();
            let new = poll(PATIENCE, serving);
            assert!(new.is_some(), "{}", place.log());
            let new = new.expect("just seen");
            place.note(new);
            // Both accept, and the former one does not know yet.
            let mut waiting = raw::plain(place.gateway.port("front"));
            waiting.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
            if to_new {
                let pid = i32::try_from(new).ok().and_then(Pid::from_raw).expect("a process number");
                kill_process(pid, Signal::TERM).expect("a process of ours");
            } else {
                place.gateway.process.signal(Signal::TERM);
            }
            for _ in 0..8 {
                assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
            }
            assert!(place.gateway.process.exited().is_none(), "{}", place.log());
            assert!(!place.log().contains("draining"), "{}", place.log());
            std::fs::write(place.dir().join("release"), "").expect("a writable directory");
            place.gate.store(true, Ordering::SeqCst);
            assert_eq!(waiting.response("GET").expect("an answer").status(), 200);
            assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
            // Told to one of them, it stops both: nobody is left who serves.
            let gone = poll(PATIENCE, || {
                TcpStream::connect((Ipv4Addr::LOCALHOST, place.gateway.port("front"))).is_err().then_some(())
            });
            assert!(gone.is_some(), "{}", place.log());
        }
    }

    /// One that ends well, because it was told to, is no reason to end a drain.
    fn a_new_process_that_is_told_to_stop_leaves_the_old_one_its_time(driver) {
        let mut place = Upgradable::start(driver);
        let mut held = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        held.send(b"GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
        poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
        let new = place.upgrade();
        let pid = i32::try_from(new).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Signal::TERM).expect("a process of ours");
        let gone = poll(PATIENCE, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, place.gateway.port("front"))).is_err().then_some(())
        });
        assert!(gone.is_some(), "{}", place.log());
        place.gate.store(true, Ordering::SeqCst);
        assert_eq!(held.response("GET").expect("an answer").status(), 200);
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
    }

    /// Whoever waits for a reload is not told that it is refused.
    fn a_reload_that_waits_is_passed_on(driver) {
        let mut place = Upgradable::start(driver);
        let (go, real) = (place.dir().join("go"), ferrule_binary());
        let late = place.script("late", &format!(
            "until [ -e '{}' ]; do sleep 0.05; done\nexec '{}' \"$@\"", go.display(), real.display()
        ));
        place.replace_program(&late);
        place.gateway.process.signal(Signal::USR2);
        place.gateway.process.wait_for_output(0, "that it begins", |text| text.contains("has been started"));
        let mut asking = UnixStream::connect(place.dir().join("ctl.sock")).expect("the admin socket");
        asking.write_all(b"{\"command\":\"reload\",\"wait\":true}\n").expect("a connection");
        // Asked later, answered before.
        for _ in 0..3 {
            assert_eq!(place.status()["upgrades"]["under_way"], true, "{}", place.log());
        }
        std::fs::write(go, "").expect("a writable directory");
        let mut answer = String::new();
        asking.set_read_timeout(Some(PATIENCE)).expect("a socket");
        asking.read_to_string(&mut answer).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let new = answer["passed_on"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        assert!(answer["ok"] == true && new.is_some(), "{answer}\n{}", place.log());
        place.note(new.expect("just seen"));
        let reloaded = poll(PATIENCE, || {
            let status = place.status();
            (status["pid"] == answer["passed_on"] && status["generation"] == 2).then_some(())
        });
        assert!(reloaded.is_some(), "{}", place.log());
    }

    /// The former process still has what stands in the way.
    fn the_metrics_listener_may_move_to_all_addresses(driver) {
        let mut place = Upgradable::start(driver);
        let port = place.gateway.port("metrics");
        place.edit(&format!("listen = \"127.0.0.1:{port}\""), &format!("listen = \"0.0.0.0:{port}\""));
        place.upgrade();
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
        let open = poll(PATIENCE, || {
            TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_ok().then_some(())
        });
        assert!(open.is_some(), "{}", place.log());
        assert!(place.metrics().contains("ferrule_upgrades_total{result=\"taken\"} 1"));
    }

    /// A certificate that strict libraries do not parse is no reason to refuse an upgrade.
    fn a_certificate_of_version_1_passes_the_self_test(driver) {
        let mut place = Upgradable::start(driver);
        guides::client_mtls(place.dir(), Version::V1);
        place.edit("cert = \"server.crt\"", "cert = \"server.cer\"");
        place.edit("sni = \"a.test\"", "sni = \"test.com\"");
        place.upgrade();
        assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
    }
}
