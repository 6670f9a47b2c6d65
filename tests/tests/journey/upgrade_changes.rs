//! Upgrades to a process that differs: more cores, fewer cores, other listeners, another driver.

use std::net::{Ipv4Addr, TcpStream};

use ferrule_tests::{Driver, PATIENCE, free_port, on_both_drivers, poll, raw};
use rustix::process::Signal;

use crate::upgrade::Upgradable;

on_both_drivers! {
    /// A socket without a core is served by another one; a core without a socket opens one.
    fn the_number_of_cores_may_change(driver) {
        let mut place = Upgradable::start(driver);
        let seen = place.under_load(|place| {
            for [from, to] in [[2, 3], [3, 1], [1, 2]] {
                place.edit(&format!("workers = {from}"), &format!("workers = {to}"));
                place.upgrade();
                let cores = place.status()["cores"].as_array().map(Vec::len);
                assert_eq!(cores, Some(to), "{}", place.log());
                // Every socket of the address is some core's: none of many connections waits for ever.
                for _ in 0..32 {
                    assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
                }
            }
        });
        let log = place.log();
        seen.check(&log);
        assert!(!log.contains("another process listens"), "{log}");
    }

    /// The file on disk counts. A listener that is gone is emptied, as by a reload.
    fn the_listeners_may_have_changed(driver) {
        let mut place = Upgradable::start(driver);
        let [gone, new] = [free_port(), free_port()];
        let before = format!("[[listen]]\naddress = \"127.0.0.1:{gone}\"\nmtls_routes = \"allow\"\n[[ssls]]");
        place.edit("[[ssls]]", &before);
        place.upgrade();
        let mut open = raw::plain(gone);
        assert_eq!(raw::get(&mut open, "x", "/").status(), 200);
        let seen = place.under_load(|place| {
            let after = format!("[[listen]]\naddress = \"127.0.0.1:{new}\"\nmtls_routes = \"allow\"\n[[ssls]]");
            place.edit(&before, &after);
            place.upgrade();
        });
        seen.check(&place.log());
        assert_eq!(raw::plain_get(new, "x", "/").status(), 200);
        let closed = poll(PATIENCE, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, gone)).is_err().then_some(())
        });
        assert!(closed.is_some(), "{}", place.log());
        // A reload goes on from there.
        let serving = place.status()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let serving = serving.and_then(rustix::process::Pid::from_raw).expect("a process");
        place.edit(&format!("address = \"127.0.0.1:{new}\""), &format!("address = \"127.0.0.1:{gone}\""));
        rustix::process::kill_process(serving, Signal::HUP).expect("a process of ours");
        let moved = poll(PATIENCE, || {
            let there = TcpStream::connect((Ipv4Addr::LOCALHOST, gone)).is_ok();
            (there && TcpStream::connect((Ipv4Addr::LOCALHOST, new)).is_err()).then_some(())
        });
        assert!(moved.is_some(), "{}", place.log());
        assert_eq!(raw::plain_get(gone, "x", "/").status(), 200);
    }

    /// Whether a socket blocks is one flag for both processes: the old one rests before the new one begins.
    fn the_driver_may_change(driver) {
        let other = if driver == Driver::Epoll { Driver::IoUring } else { Driver::Epoll };
        let mut place = Upgradable::start(driver);
        let seen = place.under_load(|place| {
            for [from, to] in [[driver, other], [other, driver]] {
                place.edit(&format!("io_driver = \"{from}\""), &format!("io_driver = \"{to}\""));
                place.upgrade();
                let driver = place.status()["driver"].to_string();
                assert!(driver.contains(&to.to_string()), "{driver}");
            }
        });
        seen.check(&place.log());
    }
}
