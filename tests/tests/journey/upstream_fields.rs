//! Fields of responses that tell which nodes were asked (docs/responses.md), as `add_header X $upstream_addr` does.

use std::sync::Arc;

use ferrule_tests::{Script, Setup, Upstream, free_port, on_both_drivers, raw, scratch};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[global_rules]]
response.headers.set = { X-To = "$upstream_addr", X-Was = "$upstream_status", X-Took = "$upstream_connect_time $upstream_header_time_ms" }

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[upstreams]]
id = "dead"
nodes = { "127.0.0.1:@dead@" = 1 }

[[upstreams]]
id = "both"
nodes = { "127.0.0.1:@dead@" = 1, "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/up"
upstream_id = "up"

[[routes]]
uri = "/changed"
upstream_id = "up"
response = { status = 418, body = "from $upstream_addr: $upstream_status", content_type = "text/plain" }

[[routes]]
uri = "/dead"
upstream_id = "dead"

[[routes]]
uri = "/retried"
upstream_id = "both"

[[routes]]
uri = "/split"
upstream_id = "dead"
traffic_split = { weighted_upstreams = [{ upstream_id = "up" }] }

[[routes]]
uri = "/own"
return = { body = "ok" }
"#;

on_both_drivers! {
    fn fields_tell_which_nodes_were_asked(driver) {
        let scratch = scratch();
        let answering: Script =
            Arc::new(|client| while client.request().is_some() && client.answer(b"yes") {});
        let upstream = Upstream::plain(answering);
        let dead = free_port();
        let setup = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port);
        let gateway = setup.set("dead", &dead).start();
        let (up, down) = (format!("127.0.0.1:{}", upstream.port), format!("127.0.0.1:{dead}"));
        let both = format!("{down}, {up}");
        let mut client = raw::plain(gateway.port("front"));
        for round in 0..2 {
            for (path, status, to, was) in [
                ("/up", 200, Some(&up), Some("200")),
                ("/changed", 418, Some(&up), Some("200")),
                ("/dead", 502, Some(&down), Some("502")),
                ("/split", 200, Some(&up), Some("200")),
                ("/own", 200, None, None),
            ] {
                // A node that failed may be left alone for a while.
                if round > 0 && path == "/dead" {
                    continue;
                }
                let answer = raw::get(&mut client, "x", path);
                assert_eq!(answer.status(), status, "{path}");
                assert_eq!(answer.head.get("x-to"), to.map(String::as_str), "{path}");
                assert_eq!(answer.head.get("x-was"), was, "{path}");
                if status == 200 && to.is_some() {
                    let took = answer.head.get("x-took").expect("times");
                    let (connect, head) = took.split_once(' ').expect("two of them");
                    assert!(connect.starts_with("0.0") && head.parse::<u16>().is_ok(), "{took}");
                }
                if path == "/changed" {
                    assert_eq!(answer.text(), format!("from {up}: 200"));
                }
            }
        }
        // Whichever node has the first turn.
        let retried = (0..2).any(|_| {
            let answer = raw::get(&mut client, "x", "/retried");
            assert_eq!(answer.status(), 200);
            let is_retried = answer.head.get("x-to") == Some(both.as_str());
            let was = if is_retried { "502, 200" } else { "200" };
            assert_eq!(answer.head.get("x-was"), Some(was));
            is_retried
        });
        assert!(retried, "each node has its turn");
    }
}
