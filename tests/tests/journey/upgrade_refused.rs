//! Upgrades that fail: the old process serves on as if nothing had been, and says why.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use ferrule_tests::{PATIENCE, on_both_drivers, poll, raw};
use rustix::process::Signal;

use crate::observe::ctl;
use crate::upgrade::Upgradable;

/// Says by the protocol of upgrades that it is ready, at this port.
fn liar(port: u16) -> String {
    format!(
        "printf '{{\"message\":\"ready\",\"version\":\"9\",\"driver\":\"epoll\",\"tests\":[{{\"address\":\"127.0.0.1:{port}\",\"server_name\":null,\"proxy_protocol\":false}}]}}' >&0\nexec cat > /dev/null"
    )
}

/// Reads what it is sent, and says nothing.
const HANGING: &str = "exec cat > /dev/null";

impl Upgradable {
    /// Wants an upgrade that is refused with these words.
    fn refused(&self, words: &str, count: u64) {
        let answer = self.ask_for_upgrade();
        let errors = answer["errors"].to_string();
        assert!(
            answer["ok"] == false && errors.contains(words),
            "{words}: {answer}\n{}",
            self.log()
        );
        let status = self.status();
        assert_eq!(status["pid"], self.gateway.process.id());
        assert_eq!(status["upgrades"]["refused"], count, "{status}");
        assert!(status["upgrades"]["last"]["errors"].to_string().contains(words), "{status}");
        let (_, human, _) = ctl(self.dir(), &["status"]);
        assert!(human.contains("the last one was refused"), "{human}");
        assert!(self.log().contains("upgrade refused: "), "{}", self.log());
    }
}

on_both_drivers! {
    fn whatever_fails_the_old_process_serves_on(driver) {
        let mut place = Upgradable::start_with(driver, "upgrade_timeout = \"3s\"");
        let mut kept = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        let seen = place.under_load(|place| {
            let nobody = ferrule_tests::free_port();
            let hanging = place.script("hanging", HANGING);
            let failing = [
                (Path::new("/bin/false").to_owned(), "exit status: 1"),
                (Path::new("/nowhere/ferrule").to_owned(), "cannot start"),
                (Path::new("/etc/hostname").to_owned(), "cannot start"),
                (hanging, "not ready within 3000 ms"),
                (place.script("liar", &liar(nobody)), "self-test"),
                (place.script("serves", "printf '{\"message\":\"serving\",\"listeners\":[],\"metrics\":true,\"admin\":true}' >&0\nexec cat > /dev/null"), "before it may"),
                (place.script("stranger", "echo hello >&0\nexec cat > /dev/null"), "does not understand"),
            ];
            for (count, (program, words)) in (1..).zip(failing) {
                place.replace_program(&program);
                place.refused(words, count);
            }
        });
        seen.check(&place.log());
        assert!(place.metrics().contains("ferrule_upgrades_total{result=\"refused\"} 7"));
        let answer = raw::get(&mut kept, "a.test", "/");
        assert_eq!((answer.status(), answer.head.get("Connection")), (200, None), "it was never told to leave");
        assert!(place.gateway.stop().success(), "{}", place.log());
    }

    /// The new process tells every reason.
    fn a_broken_configuration_is_refused_with_its_reasons(driver) {
        let mut place = Upgradable::start(driver);
        let good = fs::read_to_string(&place.gateway.file).expect("our file");
        place.edit("workers = 2", "workers = 'many'\nnonsense = 1");
        place.refused("nonsense", 1);
        place.refused("workers", 2);
        fs::write(&place.gateway.file, &good).expect("our file");
        // An address that somebody else has.
        let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = other.local_addr().expect("an address");
        place.edit("[[ssls]]", &format!("[[listen]]\naddress = \"{taken}\"\nmtls_routes = \"allow\"\n[[ssls]]"));
        place.refused("cannot listen on", 3);
        fs::write(&place.gateway.file, &good).expect("our file");
        // What a failing process has touched is as it was: nobody else can have our address.
        let ours = (Ipv4Addr::LOCALHOST, place.gateway.port("front"));
        assert!(std::net::TcpListener::bind(ours).is_err());
        let pid = place.upgrade();
        assert_eq!(place.status()["upgrades"]["refused"], 3, "the new process {pid} knows");
        assert!(std::net::TcpListener::bind(ours).is_err());
    }

    fn one_at_a_time_and_a_stop_ends_it(driver) {
        let mut place = Upgradable::start_with(driver, "upgrade_timeout = \"60s\"");
        place.replace_program(&place.script("hanging", HANGING));
        place.gateway.process.signal(Signal::USR2);
        place.gateway.process.wait_for_output(0, "that it begins", |text| text.contains("has been started"));
        place.gateway.process.signal(Signal::USR2);
        place.gateway.process.wait_for_output(0, "that it is refused", |text| {
            text.contains("SIGUSR2 is ignored: an upgrade is under way already")
        });
        let (code, _, error) = ctl(place.dir(), &["upgrade"]);
        assert!(code == Some(1) && error.contains("under way"), "{error}");
        let (_, human, _) = ctl(place.dir(), &["status"]);
        assert!(human.contains("one is under way"), "{human}");
        // A reload waits; files are still checked, requests still served.
        assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
        let port = place.gateway.port("front");
        assert!(place.gateway.stop().success(), "{}", place.log());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "nobody holds the sockets");
        let log = place.log();
        let pid = log.split("pid=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let pid = pid.expect("the number of the new process").to_owned();
        let gone = poll(PATIENCE, || (!Path::new("/proc").join(&pid).exists()).then_some(()));
        assert!(gone.is_some(), "{log}");
    }
}
