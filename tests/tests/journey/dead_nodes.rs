//! An upstream node dies, hangs, talks nonsense and comes back: what the log, the metrics and `ferrule ctl`
//! say of it.

use std::process::Command;
use std::sync::Arc;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, free_port, on_both_drivers, poll,
    raw, scratch,
};
use ferrule_tools::process::ferrule_binary;

/// A gateway with metrics and a control socket whose one upstream has these nodes.
fn text(nodes: &[(String, u32)], more: &str) -> String {
    let nodes: Vec<String> =
        nodes.iter().map(|(node, weight)| format!("\"{node}\" = {weight}")).collect();
    format!(
        "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[admin]\nsocket = \"ctl.sock\"\n\
         [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[upstreams]]\nid = \"app\"\n{more}nodes = {{ {} }}\n\
         [[routes]]\nid = \"all\"\nuri = \"/*\"\nenable_websocket = true\nupstream_id = \"app\"\n",
        nodes.join(", ")
    )
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn scrape(gateway: &Gateway) -> Exposition {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    assert_eq!(answer.status(), 200);
    Exposition::read(&answer.text())
}

/// Scrapes until a sum is as expected: a core counts a request after it has answered.
fn scrape_until(gateway: &Gateway, what: &str, wanted: impl Fn(&Exposition) -> bool) -> Exposition {
    let found = poll(PATIENCE, || Some(scrape(gateway)).filter(|found| wanted(found)));
    assert!(found.is_some(), "not {what}: {:#?}", scrape(gateway));
    found.expect("it was found")
}

/// Values are whole numbers.
fn is(found: f64, wanted: u32) -> bool {
    (found - f64::from(wanted)).abs() < 0.1
}

/// The lines of the error log with this message.
fn lines(gateway: &Gateway, message: &str) -> Vec<String> {
    gateway.log().lines().filter(|line| line.contains(message)).map(str::to_owned).collect()
}

fn status_of(gateway: &Gateway) -> u16 {
    raw::plain_get(gateway.port("front"), "x", "/").status()
}

/// One node that fails every request: what it is, the status, the reason of the log, the word of the
/// metrics.
struct Failing {
    upstream: Option<Upstream>,
    status: u16,
    reason: &'static str,
    word: &'static str,
}

fn failing_nodes() -> Vec<Failing> {
    let scripted = |script: fn(&mut ferrule_tests::Client)| Some(Upstream::plain(Arc::new(script)));
    vec![
        Failing {
            upstream: None,
            status: 502,
            reason: "connection refused",
            word: "upstream-connect",
        },
        Failing {
            upstream: scripted(|client| while client.request().is_some() {}),
            status: 504,
            reason: "upstream-timeout",
            word: "upstream-timeout",
        },
        Failing {
            upstream: scripted(|client| {
                drop(client.request());
                client.send(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n");
            }),
            status: 502,
            reason: "upstream-",
            word: "upstream-",
        },
        Failing {
            upstream: scripted(|client| drop(client.request())),
            status: 502,
            reason: "upstream-lost",
            word: "upstream-lost",
        },
    ]
}

fn runs_on(dir: &std::path::Path, driver: Driver, text: &str) -> Gateway {
    // More than one core: what one has said the other does not say again.
    let runtime = format!(
        "workers = 2\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
    );
    Setup::new(dir, driver, text).runtime(&runtime).start()
}

on_both_drivers! {
    /// However often a node fails, and on however many cores: one line when it begins, one when it works
    /// again. Every try is counted under its node.
    fn a_node_that_dies_and_comes_back_is_two_lines(driver) {
        let (scratch, living) = (scratch(), Upstream::plain(echo()));
        let port = free_port();
        let (dead, alive) = (local(port), local(living.port));
        let nodes = [(dead.clone(), 1), (alive.clone(), 1)];
        // Health would spare the dead node.
        let unminded = "checks.passive.unhealthy.tcp_failures = 0\n";
        let mut gateway = runs_on(scratch.path(), driver, &text(&nodes, unminded));
        let requests = 40;
        for _ in 0..requests {
            assert_eq!(status_of(&gateway), 200);
        }
        let found = scrape_until(&gateway, "every request", |found| {
            is(found.sum("ferrule_route_duration_seconds_count", &[("route", "all")]), requests)
        });
        let of = |name: &str, node: &str| found.sum(name, &[("upstream", "app"), ("node", node)]);
        let tries = of("ferrule_upstream_requests_total", &dead);
        assert!(tries > 9.0, "{tries}");
        for name in ["ferrule_upstream_connect_failures_total", "ferrule_upstream_faults_total"] {
            assert!((of(name, &dead) - tries).abs() < 0.1, "{name}");
            assert!(is(of(name, &alive), 0), "{name}");
        }
        let with = |name: &str, label| found.sum(name, &[label]);
        assert!((with("ferrule_upstream_requests_total", ("code", "none")) - tries).abs() < 0.1);
        assert!((with("ferrule_upstream_faults_total", ("reason", "upstream-connect")) - tries).abs() < 0.1);
        assert!(is(with("ferrule_upstream_requests_total", ("code", "2xx")), requests));
        assert!((of("ferrule_upstream_retries_total", &alive) - tries).abs() < 0.1);
        let connections = of("ferrule_upstream_connects_total", &alive) + of("ferrule_upstream_reuses_total", &alive);
        assert!(is(connections, requests), "{connections}");
        for name in ["header", "response"] {
            assert!(is(of(&format!("ferrule_upstream_{name}_duration_seconds_count"), &alive), requests));
            assert!(is(of(&format!("ferrule_upstream_{name}_duration_seconds_count"), &dead), 0));
        }
        let connects = of("ferrule_upstream_connect_duration_seconds_count", &alive);
        assert!((connects - of("ferrule_upstream_connects_total", &alive)).abs() < 0.1);
        assert!(is(of("ferrule_upstream_node_failing", &dead), 1));
        assert!(is(found.sum("ferrule_upstream_node_failing", &[]), 1));
        let begun = lines(&gateway, "an upstream node fails");
        assert_eq!(begun.len(), 1, "{begun:?}");
        for part in ["app", dead.as_str(), "connection refused"] {
            assert!(begun[0].contains(part), "{begun:?}");
        }
        let shown = Command::new(ferrule_binary()).args(["ctl", "--socket"])
            .arg(scratch.path().join("ctl.sock")).arg("status").output().expect("ferrule");
        let shown = String::from_utf8(shown.stdout).expect("text");
        assert!(shown.contains("NODE THAT FAILS") && shown.contains(&dead), "{shown}");

        // A reload says nothing again, and forgets nothing.
        assert_eq!(gateway.reload(&text(&nodes, &format!("retries = 1\n{unminded}"))), Reloaded::Taken);
        for _ in 0..10 {
            assert_eq!(status_of(&gateway), 200);
        }
        let revived = Upstream::on(port, None, echo());
        let again = poll(PATIENCE, || {
            assert_eq!(status_of(&gateway), 200);
            Some(lines(&gateway, "an upstream node works again")).filter(|lines| !lines.is_empty())
        }).expect("it works again");
        assert!(again.len() == 1 && again[0].contains(&dead), "{again:?}");
        let failed = again[0].split("failed=").nth(1).and_then(|rest| rest.split(' ').next());
        let failed: f64 = failed.and_then(|text| text.parse().ok()).expect("a number");
        let found = scrape_until(&gateway, "no node that fails", |found| {
            is(found.sum("ferrule_upstream_node_failing", &[]), 0)
        });
        let connect_failures = found.sum("ferrule_upstream_connect_failures_total", &[("node", &dead)]);
        assert!((failed - connect_failures).abs() < 0.1, "{again:?} {connect_failures}");
        assert_eq!(lines(&gateway, "an upstream node fails").len(), 1);
        assert!(revived.accepted() > 0);
    }

    /// Whatever is wrong with a node, it is one line with the reason, and one count for each try.
    fn every_kind_of_failure_is_one_line(driver) {
        for Failing { upstream, status, reason, word } in failing_nodes() {
            let scratch = scratch();
            let node = local(upstream.as_ref().map_or_else(free_port, |upstream| upstream.port));
            let more = "timeout = { connect = \"5s\", send = \"5s\", read = \"100ms\" }\n";
            let gateway = runs_on(scratch.path(), driver, &text(&[(node.clone(), 1)], more));
            let requests = 12;
            for _ in 0..requests {
                assert_eq!(status_of(&gateway), status, "{reason}");
            }
            let found = scrape_until(&gateway, "every try", |found| {
                is(found.sum("ferrule_upstream_faults_total", &[("node", &node)]), requests)
            });
            assert!(is(found.sum("ferrule_upstream_requests_total", &[("code", "none")]), requests));
            let reasons: Vec<_> = found.labels("ferrule_upstream_faults_total").collect();
            assert!(reasons.iter().all(|labels| labels["reason"].starts_with(word)), "{reasons:?}");
            let begun = lines(&gateway, "an upstream node");
            assert!(begun.len() == 1 && begun[0].contains(reason), "{begun:?}");
        }
    }

    /// A node whose response breaks off fails as well, though its status was passed on.
    fn a_response_that_breaks_off_is_a_failure_of_its_node(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(Arc::new(|client| {
            drop(client.request());
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }));
        let gateway = runs_on(scratch.path(), driver, &text(&[(local(upstream.port), 1)], ""));
        for _ in 0..5 {
            let mut client = raw::plain(gateway.port("front"));
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            assert!(client.response("GET").is_err());
        }
        let found = scrape_until(&gateway, "every loss", |found| is(found.sum("ferrule_upstream_lost_total", &[]), 5));
        assert!(is(found.sum("ferrule_upstream_faults_total", &[("reason", "upstream-body-cut-off")]), 5));
        assert!(is(found.sum("ferrule_upstream_requests_total", &[("code", "2xx")]), 5));
        let begun = lines(&gateway, "an upstream node");
        assert!(begun.len() == 1 && begun[0].contains("upstream-body-cut-off"), "{begun:?}");
    }

    /// Counts of nodes survive reloads, whether or not the node does; labels are the configuration's words.
    fn counts_of_nodes_never_go_back(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let named = format!("localhost:{}", upstream.port);
        let numbered = local(upstream.port);
        let mut gateway = runs_on(scratch.path(), driver, &text(&[(named.clone(), 1)], ""));
        for round in 1..=3 {
            for node in [&named, &numbered] {
                let nodes = [(local(9), 0), ((*node).clone(), 1)];
                assert_eq!(gateway.reload(&text(&nodes, "")), Reloaded::Taken);
                assert_eq!(status_of(&gateway), 200);
                scrape_until(&gateway, "counted", |found| {
                    is(found.sum("ferrule_upstream_requests_total", &[("node", node), ("code", "2xx")]), round)
                });
            }
            let found = scrape(&gateway);
            assert!(is(found.sum("ferrule_upstream_requests_total", &[]), 2 * round));
            assert!(is(found.sum("ferrule_route_duration_seconds_count", &[("route", "all")]), 2 * round));
            let known = [named.clone(), numbered.clone(), local(9)];
            // Connections that a reload has taken from the plan, and that are open for a moment longer, are counted
            // under a label of their own; they are opened by nobody.
            let connects = found.samples("ferrule_upstream_connects_total");
            let connects = connects.filter(|(_, count)| *count > 0.0);
            let labels: Vec<_> = connects.map(|(labels, _)| labels["node"].clone()).collect();
            assert!(labels.iter().all(|node| known.contains(node)), "{labels:?}");
        }
    }

    /// What a tunnel carries is counted under its node while it is open, also after a reload.
    fn bytes_of_tunnels_are_counted_under_their_node(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(Arc::new(|client| {
            if client.request().is_none() {
                return;
            }
            client.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
            while let Ok(bytes) = client.talk.exactly(1_000) {
                client.send(&bytes);
            }
        }));
        let node = local(upstream.port);
        let mut gateway = runs_on(scratch.path(), driver, &text(&[(node.clone(), 1)], ""));
        let mut tunnel = raw::plain(gateway.port("front"));
        tunnel.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n").expect("a connection");
        assert_eq!(tunnel.response("GET").expect("an answer").status(), 101);
        let of = |found: &Exposition, direction| {
            found.sum("ferrule_bytes_total", &[("side", "upstream"), ("node", &node), ("direction", direction)])
        };
        let heads = scrape_until(&gateway, "the heads", |found| of(found, "in") > 1.0 && of(found, "out") > 1.0);
        for round in 1..=2 {
            tunnel.send(&[b'x'; 1_000]).expect("a connection");
            tunnel.exactly(1_000).expect("the echo");
            scrape_until(&gateway, "the bytes", |found| {
                ["in", "out"].iter().all(|direction| is(of(found, direction) - of(&heads, direction), 1_000 * round))
            });
            let nodes = [(local(9), 0), (node.clone(), 1)];
            assert_eq!(gateway.reload(&text(&nodes, "")), Reloaded::Taken);
        }
    }
}
