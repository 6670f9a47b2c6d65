//! `count_from` and its like (docs/request-limits.md): numbers of limits that requests say.

use std::path::Path;
use std::sync::Arc;

use ferrule_tests::{
    Driver, Gateway, Message, Script, Setup, Upstream, on_both_drivers, raw, scratch,
};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/count"
upstream_id = "up"
limits.requests = { count = 2, count_from = "$http_x_count", window = "1h", window_from = "$arg_seconds", key = "$http_x_user", status = 429 }

[[routes]]
uri = "/rate"
upstream_id = "up"
limits.rate = { rate = 0.001, rate_from = "$http_x_rate", burst = 0, burst_from = "$http_x_burst", nodelay = true, key = "$http_x_user", status = 429 }

[[routes]]
uri = "/at-once"
upstream_id = "up"
enable_websocket = true
limits.connections = { connections = 1, connections_from = "$http_x_most", burst_from = "$http_x_burst", delay = "1ms", key = "$http_x_user", status = 429 }
"#;

fn start(dir: &Path, driver: Driver) -> (Gateway, Upstream) {
    let answering: Script =
        Arc::new(|client| while client.request().is_some() && client.answer(b"yes") {});
    let upstream = Upstream::plain(answering);
    let runtime = format!("workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
    let setup = Setup::new(dir, driver, CONFIG).runtime(&runtime);
    (setup.set("upstream", &upstream.port).start(), upstream)
}

/// The answer to one request with these lines, over a connection of its own.
fn ask(gateway: &Gateway, target: &str, fields: &str) -> Message {
    let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    raw::exchange(gateway.port("front"), head.as_bytes()).0
}

/// The statuses of so many.
fn statuses(gateway: &Gateway, target: &str, fields: &str, asked: usize) -> Vec<u16> {
    (0..asked).map(|_| ask(gateway, target, fields).status()).collect()
}

on_both_drivers! {
    /// Each request is held against its own number, and all of one key are counted together, on whatever core.
    fn a_request_says_how_many_may_pass(driver) {
        let scratch = scratch();
        let (gateway, _upstream) = start(scratch.path(), driver);
        assert_eq!(statuses(&gateway, "/count", "X-User: a\r\n", 3), [200, 200, 429]);
        let four = "X-User: a\r\nX-Count: 4\r\n";
        assert_eq!(statuses(&gateway, "/count", four, 3), [200, 200, 429], "two were counted before");
        let answer = ask(&gateway, "/count", "X-User: b\r\nX-Count: 9\r\n");
        let told = |name: &str| answer.head.get(name).map(str::to_owned);
        assert_eq!(told("x-ratelimit-limit").as_deref(), Some("9"));
        assert_eq!(told("x-ratelimit-remaining").as_deref(), Some("8"));
        let answer = ask(&gateway, "/count?seconds=40", "X-User: c\r\n");
        let reset = answer.head.get("x-ratelimit-reset").and_then(|text| text.parse::<u64>().ok());
        assert!(reset.is_some_and(|seconds| (38..=40).contains(&seconds)), "{answer:?}");
        let burst = "X-User: a\r\nX-Rate: 0.002\r\nX-Burst: 2\r\n";
        assert_eq!(statuses(&gateway, "/rate", burst, 4), [200, 200, 200, 429]);
        assert_eq!(statuses(&gateway, "/rate", "X-User: b\r\n", 2), [200, 429]);
        for _ in 0..3 {
            let two = "X-User: a\r\nX-Most: 2\r\nX-Burst: 3\r\n";
            assert_eq!(ask(&gateway, "/at-once", two).status(), 200, "each gives its place back");
        }
    }

    /// Whatever is no number of that range is refused, and costs nobody's quota.
    fn what_is_no_number_is_refused(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver);
        for (target, name, wrong) in [
            ("/count", "X-Count", &["0", "-1", "1.5", "1e3", "a", "1 2", "1000000001", "99007199254740993"][..]),
            // Longer than a day is nobody counted because a request says so.
            ("/count?seconds=86401", "X-Other", &["x"]),
            ("/rate", "X-Burst", &["100000000"]),
            ("/rate", "X-Rate", &["0", "-1", "0.0001", "1.", ".5", "1000000000.001"]),
            ("/rate", "X-Burst", &["-1", "0.0001", "x"]),
            ("/at-once", "X-Most", &["0", "-1", "1.5", "1000001"]),
            ("/at-once", "X-Burst", &["-1", "1.5", "1000001", "18446744073709551616"]),
        ] {
            for value in wrong {
                let answer = ask(&gateway, target, &format!("X-User: a\r\n{name}: {value}\r\n"));
                assert_eq!(answer.status(), 500, "{target} {name}: {value}");
            }
        }
        // Of two lines none is the number.
        assert_eq!(ask(&gateway, "/count", "X-User: a\r\nX-Count: 5\r\nX-Count: 6\r\n").status(), 500);
        assert!(upstream.seen().is_empty());
        // What has no value is as if it were not there.
        assert_eq!(statuses(&gateway, "/count", "X-User: a\r\nX-Count:\r\n", 3), [200, 200, 429]);
    }
}
