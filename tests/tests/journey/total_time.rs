//! `timeout.total`: whatever an exchange waits for, it ends in time; what is answered in time, and a tunnel, are
//! left alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, echo, now, on_both_drivers, poll, raw,
    scratch,
};

use crate::PLAIN;
use crate::tunnel::{echo_of, echoing, open};

/// Far less than anything else would wait for: the defaults are a minute.
const TOTAL: Duration = Duration::from_secs(1);

/// How late an end may be on a busy machine.
const LATE: Duration = Duration::from_secs(15);

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// In front of these nodes; `lines` belong to the route.
fn gateway(dir: &Path, driver: Driver, nodes: &[&Upstream], lines: &str) -> Gateway {
    let nodes: Vec<_> =
        nodes.iter().map(|node| format!("\"127.0.0.1:{}\" = 1", node.port)).collect();
    let text = PLAIN.replace("\"127.0.0.1:@upstream@\" = 1", &nodes.join(", "));
    let text =
        format!("[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n{text}timeout.total = 1\n{lines}");
    Setup::new(dir, driver, &text).start()
}

/// Waits for a count: a core counts an exchange after it has answered.
fn counted(gateway: &Gateway, name: &str, label: (&str, &str), wanted: f64) {
    let sum = || {
        let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
        Exposition::read(&answer.text()).sum(name, &[label])
    };
    let found = poll(PATIENCE, || Some(sum()).filter(|sum| (sum - wanted).abs() < 0.1));
    assert!(found.is_some(), "{name} {label:?}: {}", sum());
}

/// Takes a request and says nothing.
fn silent() -> Script {
    Arc::new(|client| while client.request().is_some() {})
}

/// Takes whatever comes and says nothing: to a `ClientHello` as well.
fn deaf() -> Script {
    Arc::new(|client| drop(client.talk.rest()))
}

/// Begins an answer, and goes on with it for as long as it is taken.
fn endless() -> Script {
    Arc::new(|client| {
        if client.request().is_some()
            && client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        {
            while client.send(b"drop") {
                let _: Option<()> = poll(Duration::from_millis(20), || None);
            }
        }
    })
}

/// More than all buffers on its way hold.
fn large() -> Script {
    Arc::new(|client| {
        if client.request().is_some()
            && client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        {
            let piece = vec![b'x'; 65_536];
            while client.send(&piece) {}
        }
    })
}

on_both_drivers! {
    /// Whatever is waited for: the answer, a further node, the handshake, the rest of the request.
    fn before_an_answer_it_is_a_504_of_its_own(driver) {
        let half: &[u8] = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf";
        for (node, request, lines) in [
            (silent(), GET, ""),
            (silent(), GET, "timeout.read = 0.4\nupstream.retries = 9\n"),
            (deaf(), GET, "upstream.scheme = \"https\"\nupstream.tls.verify = \"off\"\n"),
            (silent(), half, ""),
        ] {
            let (scratch, nodes) = (scratch(), [(); 9].map(|()| Upstream::plain(Arc::clone(&node))));
            let nodes: Vec<_> = nodes.iter().collect();
            let gateway = gateway(scratch.path(), driver, &nodes, lines);
            let started = now();
            let mut client = raw::plain(gateway.port("front"));
            client.send(request).expect("a gateway");
            let status = client.response("GET").expect("an answer").status();
            let took = started.elapsed();
            assert_eq!(status, 504, "{lines}");
            assert!((TOTAL..TOTAL + LATE).contains(&took), "{lines}: {took:?}");
            counted(&gateway, "ferrule_refusals_total", ("reason", "total-timeout"), 1.0);
            counted(&gateway, "ferrule_timeouts_total", ("of", "total"), 1.0);
            let asked = nodes.iter().filter(|node| node.accepted() > 0).count();
            // One waits for 0.4 s and up to 0.2 s more, so no fourth is asked within a second.
            assert!(asked == 1 || (lines.contains("0.4") && (2..=3).contains(&asked)), "{lines}: {asked}");
        }
    }

    /// A client must see that what it has is not the whole, and one that reads nothing is not waited for.
    fn within_an_answer_both_connections_end(driver) {
        for (node, reads) in [(endless(), true), (large(), false)] {
            let (scratch, node) = (scratch(), Upstream::plain(node));
            let gateway = gateway(scratch.path(), driver, &[&node], "");
            let mut client = raw::plain(gateway.port("front"));
            client.send(GET).expect("a gateway");
            if reads {
                let started = now();
                let head = client.head().expect("a head").expect("not an end");
                assert_eq!(head.status(), 200);
                assert!(client.exactly(99_999_999).is_err(), "it is cut");
                let took = started.elapsed();
                assert!(took < TOTAL + LATE, "{took:?}");
            }
            counted(&gateway, "ferrule_timeouts_total", ("of", "total"), 1.0);
            counted(&gateway, "ferrule_timeouts_total", ("of", "response"), 0.0);
        }
    }

    /// A node that had all of the time for its answer is set aside for its silence; one whose client was slow is not.
    fn a_node_is_blamed_for_its_own_silence_alone(driver) {
        let half: &[u8] = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf";
        for (request, blamed) in [(GET, 2.0), (half, 0.0)] {
            let (scratch, node) = (scratch(), Upstream::plain(silent()));
            let gateway = gateway(scratch.path(), driver, &[&node], "");
            for _ in 0..2 {
                let mut client = raw::plain(gateway.port("front"));
                client.send(request).expect("a gateway");
                assert_eq!(client.response("GET").expect("an answer").status(), 504);
            }
            counted(&gateway, "ferrule_refusals_total", ("reason", "total-timeout"), 2.0);
            counted(&gateway, "ferrule_upstream_faults_total", ("reason", "total-timeout"), blamed);
        }
    }

    /// Each exchange has its own time, and nothing of one is left for the next on the same connections.
    fn what_is_answered_in_time_is_left_alone(driver) {
        let (scratch, node) = (scratch(), Upstream::plain(echo()));
        let gateway = gateway(scratch.path(), driver, &[&node], "");
        let mut client = raw::plain(gateway.port("front"));
        let (started, mut requests) = (now(), 0);
        while started.elapsed() < TOTAL * 2 {
            assert_eq!(raw::get(&mut client, "x", "/").status(), 200);
            requests += 1;
            let _: Option<()> = poll(Duration::from_millis(100), || None);
        }
        assert_eq!((node.accepted(), node.seen().len()), (1, requests));
        counted(&gateway, "ferrule_timeouts_total", ("of", "total"), 0.0);
    }

    /// A tunnel has no end of its own, and `timeout.read` ends a silent one.
    fn a_tunnel_has_as_long_as_it_wants(driver) {
        let (scratch, node) = (scratch(), Upstream::plain(echoing()));
        let gateway = gateway(scratch.path(), driver, &[&node], "enable_websocket = true\n");
        let mut tunnel = open(raw::plain(gateway.port("front")));
        let started = now();
        while started.elapsed() < TOTAL * 2 {
            echo_of(&mut tunnel, b"still here");
            let _: Option<()> = poll(Duration::from_millis(100), || None);
        }
        echo_of(&mut tunnel, b"and now");
    }
}
