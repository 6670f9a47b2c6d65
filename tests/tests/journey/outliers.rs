//! Nodes that do worse than the others of their upstream are set aside, by what they have done on all cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};

use crate::observe::ctl;

/// Failures in a row do not count, and nobody comes back within the test.
const ROWS_OFF: &str = "retries = 0\n[upstreams.checks.passive]\n\
    unhealthy = { http_failures = 0, tcp_failures = 0, timeouts = 0, fail_timeout = 280 }\n";

fn start(dir: &Path, driver: Driver, nodes: &[&Upstream], outliers: &str) -> Gateway {
    let nodes: Vec<String> =
        nodes.iter().map(|node| format!("\"127.0.0.1:{}\" = 1", node.port)).collect();
    let text = format!(
        "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[admin]\nsocket = \"ctl.sock\"\n\
         [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[upstreams]]\nid = \"app\"\nnodes = {{ {} }}\n{ROWS_OFF}\
         [upstreams.checks.passive.outliers]\ninterval = 1\nmin_nodes = 3\nmin_requests = 4\n{outliers}\
         [[routes]]\nid = \"all\"\nuri = \"/*\"\nupstream_id = \"app\"\n",
        nodes.join(", ")
    );
    let runtime = format!(
        "workers = 2\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
    );
    Setup::new(dir, driver, &text).runtime(&runtime).start()
}

/// Answers every second request with this status.
fn every_second(status: u16) -> Script {
    let count = AtomicU32::new(0);
    Arc::new(move |client| {
        while client.request().is_some() {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let status = if number.is_multiple_of(2) { status } else { 200 };
            let answer = format!("HTTP/1.1 {status} Any\r\nContent-Length: 0\r\n\r\n");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    })
}

/// Answers late.
fn late(by: Duration) -> Script {
    Arc::new(move |client| {
        while client.request().is_some() {
            std::thread::park_timeout(by);
            if !client.answer(b"late") {
                return;
            }
        }
    })
}

fn changes(gateway: &Gateway, change: &str, node: &Upstream) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    let name = format!("127.0.0.1:{}", node.port);
    let labels = [("change", change), ("node", name.as_str())];
    Exposition::read(&answer.text()).sum("ferrule_upstream_node_changes_total", &labels)
}

/// Asks on and on until a node is set aside for this reason; then it gets nothing any more.
fn is_set_aside(gateway: &Gateway, dir: &Path, node: &Upstream, change: &str) {
    let ask = || raw::plain_get(gateway.port("front"), "x", "/").status();
    let found = poll(PATIENCE, || {
        for _ in 0..12 {
            ask();
        }
        (changes(gateway, change, node) > 0.5).then_some(())
    });
    assert!(found.is_some(), "{change}: {}", gateway.log());
    // Every core has looked again by the time that it takes its next request.
    let before = node.seen().len();
    for _ in 0..12 {
        assert_eq!(ask(), 200);
    }
    assert_eq!(node.seen().len(), before);
    let (_, shown, _) = ctl(dir, &["upstreams"]);
    assert!(shown.contains(change) && shown.contains("set-aside"), "{shown}");
    let line = format!("reason=\"{change}\"");
    assert!(poll(PATIENCE, || gateway.log().contains(&line).then_some(())).is_some());
}

on_both_drivers! {
    /// A node that fails every second request never fails twice in a row: it is found by its share.
    fn a_node_that_fails_more_often_than_the_others_is_set_aside(driver) {
        let scratch = scratch();
        let bad = Upstream::plain(every_second(503));
        let good = [(); 3].map(|()| Upstream::plain(echo()));
        let nodes = [&good[0], &bad, &good[1], &good[2]];
        let rules = "success_rate_stdev_factor = 1500\n";
        let gateway = start(scratch.path(), driver, &nodes, rules);
        is_set_aside(&gateway, scratch.path(), &bad, "success-rate");
    }

    /// With a share of its own as the bound, what the others do does not matter.
    fn a_node_that_fails_too_often_is_set_aside(driver) {
        let scratch = scratch();
        let bad = Upstream::plain(every_second(502));
        let good = [(); 2].map(|()| Upstream::plain(echo()));
        let rules = "success_rate_stdev_factor = 0\nfailure_percentage = 40\n";
        let gateway = start(scratch.path(), driver, &[&good[0], &bad, &good[1]], rules);
        is_set_aside(&gateway, scratch.path(), &bad, "failure-percentage");
    }

    /// A node that answers everything, and much later than the others.
    fn a_node_that_is_slower_than_the_others_is_set_aside(driver) {
        let scratch = scratch();
        let slow = Upstream::plain(late(Duration::from_millis(120)));
        let good = [(); 3].map(|()| Upstream::plain(echo()));
        let rules = "latency_min = \"100ms\"\nlatency_intervals = 2\n";
        let gateway = start(scratch.path(), driver, &[&good[0], &slow, &good[1], &good[2]], rules);
        is_set_aside(&gateway, scratch.path(), &slow, "latency");
    }
}
