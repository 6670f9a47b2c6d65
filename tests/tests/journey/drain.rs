//! SIGTERM: no new connection, every request in flight finished, then the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::{
    Gateway, PATIENCE, Raw, Script, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};
use rustix::process::Signal;

use crate::{PLAIN, plain_gateway};

/// Answers only when told to.
pub(crate) fn held(gate: &Arc<AtomicBool>) -> Script {
    let gate = Arc::clone(gate);
    Arc::new(move |client| {
        while client.request().is_some() {
            poll(PATIENCE, || gate.load(Ordering::SeqCst).then_some(()));
            if !client.answer(b"late") {
                return;
            }
        }
    })
}

/// A client whose request the upstream holds.
pub(crate) fn in_flight(gateway: &Gateway, upstream: &Upstream) -> Raw {
    let mut raw = raw::plain(gateway.port("front"));
    raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
    poll(PATIENCE, || (upstream.seen().len() == 1).then_some(())).expect("the request arrives");
    raw
}

on_both_drivers! {
    fn a_request_in_flight_is_finished(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut raw = in_flight(&gateway, &upstream);
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        gate.store(true, Ordering::SeqCst);
        let answer = raw.response("GET").expect("a response");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "late"));
        assert!(raw.is_closed());
        let status = gateway.wait(PATIENCE);
        assert!(status.success(), "{status}\n{}", gateway.log());
    }

    fn with_nothing_to_do_it_ends_at_once(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        let status = gateway.stop();
        assert!(status.success(), "{status}\n{}", gateway.log());
    }

    fn a_second_signal_does_not_wait(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let _raw = in_flight(&gateway, &upstream);
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        gateway.process.signal(Signal::TERM);
        gateway.wait(Duration::from_secs(5));
        gate.store(true, Ordering::SeqCst);
    }

    fn a_drain_has_a_deadline(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let mut gateway = Setup::new(scratch.path(), driver, PLAIN)
            .runtime_line("shutdown_timeout = \"1s\"").set("upstream", &upstream.port).start();
        let _raw = in_flight(&gateway, &upstream);
        gateway.process.signal(Signal::QUIT);
        gateway.wait(Duration::from_secs(6));
        gate.store(true, Ordering::SeqCst);
    }
}
