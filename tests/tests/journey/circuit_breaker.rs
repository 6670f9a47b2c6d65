//! `api_breaker` (docs/circuit-breaker.md): an upstream that fails is left alone, for longer and longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, free_port, now, on_both_drivers,
    poll, raw, scratch,
};
use serde_json::Value;

use crate::events;
use crate::observe::ctl;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[upstreams]]
id = "far"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[services]]
id = "both"
upstream_id = "far"
@service@

[[routes]]
id = "one"
uri = "/one"
service_id = "both"
@one@

[[routes]]
id = "two"
uri = "/two"
service_id = "both"
@two@
"#;

const BREAKER: &str = "api_breaker = { break_response_code = 599, break_response_body = \"later\", \
                       break_response_headers = { X-Why = \"broken $$\" }, max_breaker_sec = 3, \
                       unhealthy = { http_statuses = [500, 503], failures = 2 }, \
                       healthy = { http_statuses = [200, 206], successes = 2 } }\n";

/// Answers with whatever status is wanted at that moment.
fn as_told(status: &Arc<AtomicU16>) -> Script {
    let status = Arc::clone(status);
    Arc::new(move |client| {
        while client.request().is_some() {
            let status = status.load(Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    })
}

/// The file, with these lines in the service and the routes.
fn text(service: &str, one: &str, two: &str) -> String {
    CONFIG.replace("@service@", service).replace("@one@", one).replace("@two@", two)
}

fn setup(dir: &std::path::Path, driver: Driver, port: u16, text: &str) -> Setup {
    let runtime = format!("workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
    Setup::new(dir, driver, text).runtime(&runtime).set("upstream", &port)
}

fn status(gateway: &Gateway, path: &str) -> u16 {
    raw::plain_get(gateway.port("front"), "x", path).status()
}

fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum(name, labels)
}

fn breaker_of(dir: &std::path::Path, route: &str) -> Value {
    let (code, out, error) = ctl(dir, &["--json", "breakers"]);
    assert_eq!(code, Some(0), "{error}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    let all = answer["breakers"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|one| one["route"] == route).unwrap_or_default()
}

/// Waits until a route's circuit has been broken so often. What it has said counts once it is delivered, so that the
/// next request may come before that.
fn broken(dir: &std::path::Path, route: &str, times: u64) -> bool {
    poll(PATIENCE, || (breaker_of(dir, route)["changes"]["broken"] == times).then_some(()))
        .is_some()
}

/// The same of failures since then.
fn failed(dir: &std::path::Path, route: &str, times: u64) -> bool {
    poll(PATIENCE, || (breaker_of(dir, route)["failures"] == times).then_some(())).is_some()
}

/// Asks until the upstream is asked again. How long that took, and what it said.
fn until_asked(gateway: &Gateway, upstream: &Upstream) -> (Duration, u16) {
    let (seen, began) = (upstream.seen().len(), now());
    let found = poll(PATIENCE, || {
        let status = status(gateway, "/one");
        (upstream.seen().len() > seen).then_some(status)
    });
    (began.elapsed(), found.expect("it is asked again"))
}

on_both_drivers! {
    /// 2 s, then 3 s as the most that is allowed; then it recovers, and all begins anew.
    fn an_upstream_that_fails_is_left_alone(driver) {
        let (scratch, told) = (scratch(), Arc::new(AtomicU16::new(500)));
        let upstream = Upstream::plain(as_told(&told));
        let gateway = setup(scratch.path(), driver, upstream.port, &text("", BREAKER, "")).start();
        let ask = || status(&gateway, "/one");
        // Neither a failure nor a success.
        told.store(404, Ordering::SeqCst);
        assert_eq!(ask(), 404);
        told.store(500, Ordering::SeqCst);
        let mut began = now();
        assert_eq!((ask(), ask()), (500, 500));
        assert!(broken(scratch.path(), "one", 1));
        assert_eq!((ask(), upstream.seen().len()), (599, 3), "it was not sent");
        let answer = raw::plain_get(gateway.port("front"), "x", "/one");
        assert_eq!((answer.text(), answer.head.get("x-why")), ("later".to_owned(), Some("broken $")));
        let route = [("route", "one")];
        assert!((metric(&gateway, "ferrule_route_circuit_broken", &route) - 1.0).abs() < 0.1);
        let shown = breaker_of(scratch.path(), "one");
        assert!(shown["broken_for_ms"].as_u64().is_some_and(|left| left <= 2_000), "{shown}");
        assert_eq!((&shown["breaks"], &shown["changes"]["broken"]), (&1.into(), &1.into()));
        let (_, table, _) = ctl(scratch.path(), &["breakers"]);
        assert!(table.contains("one") && table.contains("broken"), "{table}");
        // What the other route is answered with does not count here, nor is it held up.
        assert_eq!((status(&gateway, "/two"), ask()), (500, 599));
        let (_, first) = until_asked(&gateway, &upstream);
        assert!(first == 500 && began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
        assert!(failed(scratch.path(), "one", 1));
        began = now();
        assert_eq!(ask(), 500);
        assert!(broken(scratch.path(), "one", 2));
        assert_eq!(ask(), 599);
        let (_, first) = until_asked(&gateway, &upstream);
        assert!(first == 500 && began.elapsed() >= Duration::from_millis(2_900), "{:?}", began.elapsed());
        assert!(failed(scratch.path(), "one", 1));
        told.store(200, Ordering::SeqCst);
        assert_eq!((ask(), ask(), ask()), (200, 200, 200));
        let recovered = || breaker_of(scratch.path(), "one")["changes"]["recovered"] == 1;
        assert!(poll(PATIENCE, || recovered().then_some(())).is_some());
        assert!(metric(&gateway, "ferrule_route_circuit_broken", &route) < 0.1);
        let changes = |change| metric(&gateway, "ferrule_route_circuit_changes_total", &[route[0], ("change", change)]);
        assert!((changes("broken") - 2.0).abs() < 0.1 && (changes("recovered") - 1.0).abs() < 0.1);
        told.store(503, Ordering::SeqCst);
        assert_eq!((ask(), ask()), (503, 503));
        assert!(broken(scratch.path(), "one", 3));
        assert_eq!(ask(), 599);
        let log = gateway.log();
        let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        assert_eq!(lines("the circuit of a route is broken"), 3, "{log}");
        assert_eq!(lines("the circuit of a route has recovered"), 1, "{log}");
        // And whoever listens was told the same.
        let mut events = events::reader(scratch.path(), 10);
        let all: Vec<_> = (0..4).map(|_| events::line(&mut events)).collect();
        let told = |event: &Value| {
            assert_eq!((&event["route"], &event["upstream"]), (&"one".into(), &"far".into()), "{event}");
            (event["change"].as_str().unwrap_or_default().to_owned(), event["broken_for_s"].as_u64())
        };
        let broken = |seconds| ("circuit-broken".to_owned(), Some(seconds));
        let recovered = ("circuit-recovered".to_owned(), None);
        let wanted = [broken(2), broken(3), recovered, broken(2)];
        assert_eq!(all.iter().map(told).collect::<Vec<_>>(), wanted);
    }

    /// A service's breaker is that of each of its routes that has none of its own; and a node that cannot be reached
    /// is a failure as well.
    fn each_route_counts_by_itself(driver) {
        let scratch = scratch();
        let service = "api_breaker = { break_response_code = 503, unhealthy = { http_statuses = [502], failures = 1 } }\n";
        let own = "api_breaker = { break_response_code = 204, unhealthy = { http_statuses = [502], failures = 2 } }\n";
        let gateway = setup(scratch.path(), driver, free_port(), &text(service, "", own)).start();
        assert_eq!(status(&gateway, "/one"), 502);
        assert!(broken(scratch.path(), "one", 1));
        let answer = raw::plain_get(gateway.port("front"), "x", "/one");
        assert_eq!((answer.status(), answer.text()), (503, r#"{"error_msg":"503 Service Unavailable"}"#.to_owned()));
        assert_eq!((status(&gateway, "/two"), status(&gateway, "/two")), (502, 502));
        assert!(broken(scratch.path(), "two", 1));
        assert_eq!(status(&gateway, "/two"), 204);
        assert_eq!(breaker_of(scratch.path(), "two")["failures_max"], 2);
        let refused = || metric(&gateway, "ferrule_refusals_total", &[("reason", "circuit-broken")]);
        assert!(poll(PATIENCE, || ((refused() - 2.0).abs() < 0.1).then_some(())).is_some());
    }

    /// What is known goes on over a reload that leaves the breaker as it is.
    fn a_circuit_stays_broken_over_a_reload(driver) {
        let (scratch, told) = (scratch(), Arc::new(AtomicU16::new(500)));
        let upstream = Upstream::plain(as_told(&told));
        let breaker = BREAKER.replace("max_breaker_sec = 3", "max_breaker_sec = 300").replace("failures = 2", "failures = 1");
        let mut gateway = setup(scratch.path(), driver, upstream.port, &text("", &breaker, "")).start();
        // The third time it is broken for 8 s: a slow reload makes no difference.
        for times in 1..4 {
            until_asked(&gateway, &upstream);
            assert!(broken(scratch.path(), "one", times));
        }
        let again = text("", &format!("priority = 1\n{breaker}"), "");
        assert_eq!(gateway.reload(&again), Reloaded::Taken);
        assert_eq!(status(&gateway, "/one"), 599, "{}", gateway.log());
        assert_eq!(breaker_of(scratch.path(), "one")["breaks"], 3);
        let other = text("", &breaker.replace("successes = 2", "successes = 3"), "");
        assert_eq!(gateway.reload(&other), Reloaded::Taken);
        assert_eq!(status(&gateway, "/one"), 500, "it begins anew");
    }
}
