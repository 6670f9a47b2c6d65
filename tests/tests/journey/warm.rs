//! Connections to upstreams that are opened ahead of requests, that grow old, and that are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, echo, free_port, on_both_drivers,
    poll, raw, scratch,
};

use crate::observe::ctl;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[[routes]]
uri = "/*"
upstream_id = "far"

[[upstreams]]
id = "far"
nodes = { "127.0.0.1:@upstream@" = 1 }
keepalive_pool = { @pool@ }
"#;

fn start(dir: &std::path::Path, driver: Driver, port: u16, pool: &str) -> Gateway {
    let setup = Setup::new(dir, driver, CONFIG).set("upstream", &port);
    setup.set("pool", &pool).start()
}

/// Waits until this many connections of a state are shown.
fn shown(gateway: &Gateway, state: &str, wanted: f64) -> bool {
    let found = poll(PATIENCE, || {
        let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
        let labels = [("upstream", "far"), ("state", state)];
        let found = Exposition::read(&answer.text()).sum("ferrule_upstream_connections", &labels);
        ((found - wanted).abs() < 0.1).then_some(())
    });
    found.is_some()
}

fn until(is: impl Fn() -> bool) -> bool {
    poll(PATIENCE, || is().then_some(())).is_some()
}

fn post(gateway: &Gateway) -> u16 {
    let mut line = raw::plain(gateway.port("front"));
    let bytes = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
    line.send(bytes).expect("a connection");
    line.response("POST").expect("an answer").status()
}

on_both_drivers! {
    fn connections_are_there_before_a_request_needs_one(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = start(scratch.path(), driver, upstream.port, "min_idle = 3");
        assert!(until(|| upstream.accepted() == 3), "{}", gateway.log());
        assert!(shown(&gateway, "idle", 3.0));
        assert!(upstream.seen().is_empty(), "nobody has asked for anything");
        assert_eq!(post(&gateway), 200);
        assert!(upstream.seen()[0].connection < 3, "one of them was used");
        assert!(shown(&gateway, "active", 0.0) && shown(&gateway, "idle", 3.0));
    }

    /// Whatever ends is replaced, and a node that comes late is met late.
    fn what_ends_is_replaced(driver) {
        let scratch = scratch();
        let port = free_port();
        let gateway = start(scratch.path(), driver, port, "min_idle = 2");
        let one_each: Script = Arc::new(|client| {
            if client.request().is_some() {
                client.answer(b"one");
            }
        });
        let upstream = Upstream::on(port, None, one_each);
        assert!(until(|| upstream.accepted() >= 2), "{}", gateway.log());
        for _ in 0..4 {
            let before = upstream.accepted();
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
            assert!(until(|| upstream.accepted() > before));
        }
    }

    /// A configuration that wants more, or none, gets it.
    fn a_reload_changes_how_many_are_opened(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = start(scratch.path(), driver, upstream.port, "min_idle = 1");
        assert!(until(|| upstream.accepted() == 1) && shown(&gateway, "idle", 1.0));
        let text = CONFIG.replace("@pool@", "min_idle = 4, size = 4");
        assert_eq!(gateway.reload(&text), Reloaded::Taken);
        assert!(until(|| upstream.accepted() == 4), "{}", upstream.accepted());
        assert!(shown(&gateway, "idle", 4.0));
    }

    /// A node that is not asked is not connected to either.
    fn nothing_is_opened_to_a_node_that_is_taken_out(driver) {
        let scratch = scratch();
        let [out, other] = [(); 2].map(|()| Upstream::plain(echo()));
        let text = |pool: &str| {
            let (admin, pool) = ("[admin]\nsocket = \"ctl.sock\"\n", format!("min_idle = {pool}"));
            let nodes = format!("\"127.0.0.1:{}\" = 1, \"127.0.0.1:{}\" = 1", out.port, other.port);
            let text = CONFIG.replace("@pool@", &pool);
            format!("{admin}{}", text.replace("\"127.0.0.1:@upstream@\" = 1", &nodes))
        };
        let runtime = format!("workers = 1\nio_driver = \"{driver}\"\n");
        let mut gateway = Setup::new(scratch.path(), driver, &text("1")).runtime(&runtime).start();
        assert!(until(|| out.accepted() == 1 && other.accepted() == 1));
        let node = format!("127.0.0.1:{}", out.port);
        let (code, _, error) = ctl(scratch.path(), &["drain", "far", &node]);
        assert_eq!(code, Some(0), "{error}");
        assert_eq!(gateway.reload(&text("4")), Reloaded::Taken);
        assert!(until(|| other.accepted() == 4), "{}", other.accepted());
        assert_eq!(out.accepted(), 1);
        let (code, _, error) = ctl(scratch.path(), &["enable", "far", &node]);
        assert_eq!(code, Some(0), "{error}");
        assert!(until(|| out.accepted() == 4), "{}", out.accepted());
    }

    /// Behind an exchange or while it is idle, and no request is lost to it.
    fn a_connection_ends_with_its_age(driver) {
        let (scratch, ended) = (scratch(), Arc::new(AtomicBool::new(false)));
        let script: Script = {
            let ended = Arc::clone(&ended);
            Arc::new(move |client| {
                while client.request().is_some() && client.answer(b"yes") {}
                ended.store(true, Ordering::SeqCst);
            })
        };
        let upstream = Upstream::plain(script);
        let gateway = start(scratch.path(), driver, upstream.port, "max_age = 1");
        // Without a pause, so that it is never idle for long.
        assert!(until(|| { assert_eq!(post(&gateway), 200); upstream.accepted() >= 3 }));
        ended.store(false, Ordering::SeqCst);
        assert!(until(|| ended.load(Ordering::SeqCst)), "an idle one ends as well");
    }

    /// Idle and active ones, by node; what is gone from the configuration goes on under another label.
    fn connections_are_counted_by_node(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let script: Script = {
            let go = Arc::clone(&go);
            Arc::new(move |client| {
                while client.request().is_some() {
                    let _: Option<()> = poll(PATIENCE, || go.load(Ordering::SeqCst).then_some(()));
                    if !client.answer(b"yes") {
                        return;
                    }
                }
            })
        };
        let upstream = Upstream::plain(script);
        let mut gateway = start(scratch.path(), driver, upstream.port, "size = 9");
        let mut lines: Vec<_> = (0..2).map(|_| raw::plain(gateway.port("front"))).collect();
        for line in &mut lines {
            line.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
        }
        assert!(shown(&gateway, "active", 2.0) && shown(&gateway, "idle", 0.0));
        // The same connections, counted under the next configuration.
        let text = CONFIG.replace("uri = \"/*\"", "uri = \"/*\"\npriority = 1");
        assert_eq!(gateway.reload(&text), Reloaded::Taken);
        assert!(shown(&gateway, "active", 2.0));
        go.store(true, Ordering::SeqCst);
        for line in &mut lines {
            assert_eq!(line.response("GET").expect("an answer").status(), 200);
        }
        assert!(shown(&gateway, "active", 0.0) && shown(&gateway, "idle", 2.0));
    }
}
