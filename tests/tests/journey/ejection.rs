//! Nodes that fail are set aside, asked again and brought back; and who may do that: nodes, operators, and no
//! client.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, free_port, on_both_drivers, poll,
    raw, scratch,
};
use ferrule_tools::clock::now;

use crate::observe::ctl;

/// Longer than any test.
const NEVER_AGAIN: &str = "checks.passive.unhealthy.fail_timeout = 280\n";

/// A gateway on two cores with metrics and a control socket whose one upstream has nodes at these ports.
fn text(ports: &[u16], more: &str) -> String {
    let nodes: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\" = 1")).collect();
    format!(
        "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[admin]\nsocket = \"ctl.sock\"\n\
         [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[upstreams]]\nid = \"app\"\n{more}nodes = {{ {} }}\n\
         [[routes]]\nid = \"all\"\nuri = \"/*\"\nupstream_id = \"app\"\n",
        nodes.join(", ")
    )
}

fn start(dir: &Path, driver: Driver, text: &str) -> Gateway {
    let runtime = format!(
        "workers = 2\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
    );
    Setup::new(dir, driver, text).runtime(&runtime).start()
}

fn ask(gateway: &Gateway) -> u16 {
    raw::plain_get(gateway.port("front"), "x", "/").status()
}

fn scrape(gateway: &Gateway) -> Exposition {
    Exposition::read(&raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text())
}

/// Is the sum of these samples this number?
fn counts(gateway: &Gateway, family: &str, labels: &[(&str, &str)], wanted: f64) -> bool {
    (scrape(gateway).sum(family, labels) - wanted).abs() < 0.1
}

/// The lines of the error log with this message, once there are so many.
fn lines(gateway: &Gateway, message: &str, count: usize) -> Vec<String> {
    let found = || -> Vec<String> {
        gateway.log().lines().filter(|line| line.contains(message)).map(str::to_owned).collect()
    };
    let all = poll(PATIENCE, || Some(found()).filter(|lines| lines.len() >= count));
    assert!(all.is_some(), "no {count} of {message}: {}", gateway.log());
    let all = all.unwrap_or_default();
    assert_eq!(all.len(), count, "{all:?}");
    all
}

/// A node that answers with this status, or hangs up when it has read a request.
fn node(status: u16, works: &Arc<AtomicBool>) -> Upstream {
    let works = Arc::clone(works);
    Upstream::plain(Arc::new(move |client| {
        while client.request().is_some() {
            if !works.load(Ordering::SeqCst) {
                return;
            }
            let answer = format!("HTTP/1.1 {status} Any\r\nContent-Length: 0\r\n\r\n");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    }))
}

fn flag(works: bool) -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(works))
}

/// Asks until this node has been asked so often. When the last request began.
fn ask_until(gateway: &Gateway, node: &Upstream, count: usize) -> Instant {
    let asked = poll(PATIENCE, || {
        let began = now();
        ask(gateway);
        (node.seen().len() >= count).then_some(began)
    });
    asked.expect("it is asked so often")
}

on_both_drivers! {
    /// Two failures set a node aside; each time that is over, one request asks it again, later and later; one
    /// answer brings it back.
    fn a_node_that_fails_is_set_aside_asked_again_and_brought_back(driver) {
        let (scratch, works) = (scratch(), flag(false));
        let (bad, good) = (node(204, &works), Upstream::plain(echo()));
        let more = "retries = 0\nchecks.passive.unhealthy.fail_timeout = 1\n";
        let gateway = start(scratch.path(), driver, &text(&[bad.port, good.port], more));
        let name = format!("127.0.0.1:{}", bad.port);
        let (first, mut at) = (Duration::from_secs(1), ask_until(&gateway, &bad, 2));
        lines(&gateway, "an upstream node is set aside", 1);
        for (asked, length) in [(3, first), (4, first * 2)] {
            let again = poll(PATIENCE, || {
                let (began, status) = (now(), ask(&gateway));
                let seen = bad.seen().len();
                assert!(seen <= asked, "once each time");
                assert_eq!(status == 200, seen < asked, "only the request that asks again meets the node");
                (seen == asked).then_some(began)
            });
            let again = again.expect("it is asked again");
            assert!(now() - at >= length, "{asked}: {:?}", now() - at);
            at = again;
        }
        assert!(counts(&gateway, "ferrule_upstream_node_state", &[("node", &name), ("state", "set-aside")], 1.0));
        let (code, shown, _) = ctl(scratch.path(), &["upstreams"]);
        assert_eq!(code, Some(0));
        for part in ["1 of 2 nodes healthy", &name, "set-aside", "tcp-failures"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        works.store(true, Ordering::SeqCst);
        ask_until(&gateway, &bad, 8);
        lines(&gateway, "an upstream node works again", 1);
        lines(&gateway, "an upstream node is set aside", 1);
        lines(&gateway, "an upstream node fails", 1);
        for change in ["tcp-failures", "answered"] {
            assert!(counts(&gateway, "ferrule_upstream_node_changes_total", &[("node", &name), ("change", change)], 1.0));
        }
        assert!(counts(&gateway, "ferrule_upstream_node_state", &[("state", "usable")], 2.0));
    }

    /// With less than half of its nodes healthy, an upstream's nodes are all asked; with half, only those.
    fn below_the_floor_all_are_asked(driver) {
        let scratch = scratch();
        let ports = [free_port(), free_port(), free_port()];
        let good = Upstream::plain(echo());
        let nodes = [ports[0], ports[1], ports[2], good.port];
        let more = "retries = 3\nchecks.passive.unhealthy.fail_timeout = 2\n";
        let gateway = start(scratch.path(), driver, &text(&nodes, more));
        let panics = poll(PATIENCE, || {
            assert_eq!(ask(&gateway), 200);
            counts(&gateway, "ferrule_upstream_panic", &[("upstream", "app")], 1.0).then_some(())
        });
        assert!(panics.is_some(), "{}", gateway.log());
        lines(&gateway, "an upstream node is set aside", 3);
        let told = lines(&gateway, "too few nodes of an upstream are healthy", 1);
        assert!(told[0].contains("app") && told[0].contains("healthy=1"), "{told:?}");
        let (_, shown, _) = ctl(scratch.path(), &["upstreams"]);
        assert!(shown.contains("too few, so all are asked"), "{shown}");
        // All are asked: the one that is back is found by the requests alone, and counts when its time is over.
        let back = Upstream::on(ports[0], None, echo());
        ask_until(&gateway, &back, 2);
        let over = poll(PATIENCE, || {
            assert_eq!(ask(&gateway), 200);
            counts(&gateway, "ferrule_upstream_panic", &[], 0.0).then_some(())
        });
        assert!(over.is_some(), "{}", gateway.log());
        lines(&gateway, "enough nodes of an upstream are healthy again", 1);
        let failures = || scrape(&gateway).sum("ferrule_upstream_connect_failures_total", &[]);
        let before = failures();
        for _ in 0..20 {
            assert_eq!(ask(&gateway), 200);
        }
        assert!(failures() - before < 2.5, "the other two are asked again now and then");
        lines(&gateway, "too few nodes of an upstream are healthy", 1);
    }

    /// A reload keeps what is known of a node; other checks, or other nodes, are looked at anew.
    fn a_reload_keeps_who_is_set_aside(driver) {
        let (scratch, works) = (scratch(), flag(false));
        let (bad, good) = (node(204, &works), Upstream::plain(echo()));
        let nodes = [bad.port, good.port];
        let mut gateway = start(scratch.path(), driver, &text(&nodes, NEVER_AGAIN));
        ask_until(&gateway, &bad, 2);
        works.store(true, Ordering::SeqCst);
        let same = format!("retries = 1\n{NEVER_AGAIN}");
        for config in [text(&nodes, &same), text(&[9, bad.port, good.port], &same).replace(":9\" = 1", ":9\" = 0")] {
            assert_eq!(gateway.reload(&config), Reloaded::Taken);
            for _ in 0..10 {
                assert_eq!(ask(&gateway), 200);
            }
            assert_eq!(bad.seen().len(), 2);
        }
        let other = NEVER_AGAIN.replace("280", "279");
        assert_eq!(gateway.reload(&text(&nodes, &other)), Reloaded::Taken);
        ask_until(&gateway, &bad, 4);
    }

    /// What an operator takes out gets nothing, over reloads too unless that was not wanted, until it is put
    /// back in.
    fn an_operator_takes_nodes_out_and_puts_them_back(driver) {
        let scratch = scratch();
        let (one, other) = (Upstream::plain(echo()), Upstream::plain(echo()));
        let config = text(&[one.port, other.port], "");
        let mut gateway = start(scratch.path(), driver, &config);
        let name = |node: &Upstream| format!("127.0.0.1:{}", node.port);
        let order = |order: &str, node: &Upstream, more: &[&str]| {
            let name = name(node);
            let (code, shown, error) = ctl(scratch.path(), &[&[order, "app", &name], more].concat());
            assert_eq!((code, &*error), (Some(0), ""), "{shown}");
            shown.trim().to_owned()
        };
        assert_eq!(order("drain", &one, &[]), "done");
        assert_eq!(order("drain", &one, &[]), "it was so already");
        lines(&gateway, "an operator has set an upstream node's state", 1);
        let rests = |node: &Upstream| {
            let before = node.seen().len();
            for _ in 0..10 {
                assert_eq!(ask(&gateway), 200);
            }
            assert_eq!(node.seen().len(), before);
        };
        rests(&one);
        assert_eq!(gateway.reload(&format!("{config}# again\n")), Reloaded::Taken);
        assert!(counts(&gateway, "ferrule_upstream_node_state", &[("node", &name(&one)), ("state", "draining")], 1.0));
        assert_eq!(order("disable", &other, &["--until-reload"]), "done");
        // Nobody is left: an operator's word holds, where health's would not.
        assert_eq!(ask(&gateway), 503);
        assert_eq!(gateway.reload(&config), Reloaded::Taken);
        for _ in 0..10 {
            assert_eq!(ask(&gateway), 200);
        }
        assert_eq!(order("enable", &one, &[]), "done");
        let before = one.seen().len();
        ask_until(&gateway, &one, before + 2);
        let (code, _, error) = ctl(scratch.path(), &["drain", "app", "127.0.0.1:1"]);
        assert!(code == Some(1) && error.contains("no such node"), "{error}");
    }

    /// Five answers of 503 in a row set a node aside; any number of 500 does not.
    fn statuses_of_a_gateway_count_and_500_does_not(driver) {
        for (status, aside) in [(503, true), (500, false)] {
            let (scratch, good) = (scratch(), Upstream::plain(echo()));
            let bad = node(status, &flag(true));
            let gateway = start(scratch.path(), driver, &text(&[bad.port, good.port], NEVER_AGAIN));
            for _ in 0..30 {
                ask(&gateway);
            }
            let seen = bad.seen().len();
            assert_eq!(seen == 5, aside, "{status}: {seen}");
            let name = format!("127.0.0.1:{}", bad.port);
            let state = if aside { "set-aside" } else { "usable" };
            assert!(counts(&gateway, "ferrule_upstream_node_state", &[("node", &name), ("state", state)], 1.0));
        }
    }

    /// Whatever a client does or leaves undone, no node is set aside for it.
    fn no_client_can_set_a_node_aside(driver) {
        let scratch = scratch();
        let slow = || Upstream::plain(Arc::new(|client| while client.request().is_some() {}));
        let (one, other) = (slow(), slow());
        // Every request on a connection of its own: that is what is counted below.
        let more = "timeout = { connect = 60, send = 60, read = 60 }\nkeepalive_pool = { size = 0 }\n";
        let gateway = start(scratch.path(), driver, &text(&[one.port, other.port], more));
        let heads: [(&[u8], usize); 3] = [
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", 0),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 1),
        ];
        for (bytes, answers) in heads.into_iter().cycle().take(12) {
            let before = one.accepted() + other.accepted();
            let mut client = raw::plain(gateway.port("front"));
            client.send(bytes).expect("a connection");
            if answers > 0 {
                assert_eq!(client.response("POST").expect("an answer").status(), 400);
            } else {
                let asked = poll(PATIENCE, || (one.accepted() + other.accepted() > before).then_some(()));
                assert!(asked.is_some(), "the node is asked");
            }
            drop(client);
        }
        let ended = poll(PATIENCE, || {
            counts(&gateway, "ferrule_connections_open", &[], 0.0).then_some(())
        });
        assert!(ended.is_some(), "every client is gone");
        assert!(counts(&gateway, "ferrule_upstream_node_state", &[("state", "usable")], 2.0));
        assert!(!gateway.log().contains("set aside"), "{}", gateway.log());
    }
}
