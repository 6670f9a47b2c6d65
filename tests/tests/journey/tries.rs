//! What the access log says of the nodes that were tried. The lists themselves are compared with nginx's in
//! `tests/tests/peers/differential/tries.rs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ferrule_tests::{
    PATIENCE, Reloaded, Setup, Upstream, echo, free_port, on_both_drivers, poll, raw, scratch,
};
use serde_json::Value;

/// The lines of a log, once there are so many.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let found = poll(PATIENCE, || {
        let text = fs::read_to_string(path).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    });
    found.expect("the lines arrive")
}

on_both_drivers! {
    /// Every list has one value for each try, in the order of the tries; of a name the address that it led to.
    fn json_lists_every_try(driver) {
        let (scratch, living) = (scratch(), Upstream::plain(echo()));
        let dead = free_port();
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[[routes]]\nuri = \"/*\"\n\
             upstream.nodes = {{ \"127.0.0.1:{dead}\" = 100, \"localhost:{}\" = 1 }}\n\
             upstream.checks.passive.unhealthy.tcp_failures = 0\n",
            living.port
        );
        let gateway = Setup::new(scratch.path(), driver, &text)
            .log_line("access = { path = \"access.log\", format = \"json\" }").start();
        let count = 4;
        for _ in 0..count {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        let mut both = 0;
        for line in lines(&scratch.path().join("access.log"), count) {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            let list = |name: &str| -> Vec<String> {
                line[name].as_str().expect("a string").split(", ").map(str::to_owned).collect()
            };
            let addresses = list("upstream_addr");
            let last = addresses.last().expect("a node");
            assert!([format!("127.0.0.1:{}", living.port), format!("[::1]:{}", living.port)].contains(last), "{line}");
            assert_eq!(list("upstream_status").last().map(String::as_str), Some("200"));
            for name in ["upstream_status", "upstream_connect_time", "upstream_header_time", "upstream_response_time"] {
                assert_eq!(list(name).len(), addresses.len(), "{name}: {line}");
            }
            if addresses.len() == 2 {
                both += 1;
                assert_eq!(addresses[0], format!("127.0.0.1:{dead}"));
                assert_eq!(list("upstream_status")[0], "502");
                assert_eq!((&*list("upstream_connect_time")[0], &*list("upstream_header_time")[0]), ("-", "-"));
            }
        }
        assert!(both >= count - 1, "{both}");
    }

    /// A pooled connection took no time, and a request on a connection that had died is tried again.
    fn a_pooled_connection_that_had_died_is_a_try(driver) {
        let scratch = scratch();
        // Closes each connection when its second request comes, unanswered.
        let upstream = Upstream::plain(Arc::new(|client| {
            drop(client.request());
            client.answer(b"first");
            drop(client.request());
        }));
        let format = "$upstream_status|$upstream_connect_time|$upstream_addr";
        let gateway = Setup::new(scratch.path(), driver, crate::PLAIN)
            .log_line(&format!("access = {{ path = \"access.log\", format = '{format}' }}"))
            .set("upstream", &upstream.port).start();
        for _ in 0..2 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        let all = lines(&scratch.path().join("access.log"), 2);
        let node = format!("127.0.0.1:{}", upstream.port);
        assert!(all[0].starts_with("200|0.0") && all[0].ends_with(&format!("|{node}")), "{all:?}");
        assert!(all[1].starts_with("502, 200|0.000, 0.0"), "{all:?}");
        assert!(all[1].ends_with(&format!("|{node}, {node}")), "{all:?}");
    }

    /// A tunnel is logged with the nodes of the configuration that opened it.
    fn a_tunnel_keeps_its_tries_over_a_reload(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(Arc::new(|client| {
            if client.request().is_some() {
                client.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
                let _ = client.talk.rest();
            }
        }));
        let dead = free_port();
        let nodes = |first: &str| format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[[routes]]\nuri = \"/*\"\nenable_websocket = true\n\
             upstream.nodes = {{ {first}\"127.0.0.1:{dead}\" = 100, \"127.0.0.1:{}\" = 1 }}\n",
            upstream.port
        );
        let mut gateway = Setup::new(scratch.path(), driver, &nodes(""))
            .log_line("access = { path = \"access.log\", format = '$status|$upstream_addr|$upstream_status' }")
            .start();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let mut tunnels = Vec::new();
        for _ in 0..2 {
            let mut client = raw::plain(gateway.port("front"));
            client.send(request).expect("a connection");
            assert_eq!(client.response("GET").expect("an answer").status(), 101);
            tunnels.push(client);
        }
        // Another one comes first now, so every node has another number.
        assert_eq!(gateway.reload(&nodes("\"127.0.0.1:9\" = 1, ")), Reloaded::Taken);
        drop(tunnels);
        let all = lines(&scratch.path().join("access.log"), 2);
        let wanted = format!("101|127.0.0.1:{dead}, 127.0.0.1:{}|502, 101", upstream.port);
        assert!(all.contains(&wanted), "{all:?}, not {wanted}");
    }
}
