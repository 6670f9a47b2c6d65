//! The ids that requests are given, by algorithm.

use std::collections::BTreeSet;
use std::fs;

use ferrule_tests::{PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch};

use crate::tunnel;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[global_rules]]
request_id = { header_name = "X-Id", @keys@ }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

on_both_drivers! {
    /// The line of a tunnel, which is written at its end, has the id that its upstream was told.
    fn a_tunnel_keeps_its_id(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(tunnel::echoing()));
        let text = CONFIG.replace("@keys@", "algorithm = \"uuid\"");
        let text = text.replace("uri = \"/*\"", "uri = \"/*\"\nenable_websocket = true");
        let log = "access = { path = \"access.log\", format = '$status $request_id' }";
        let setup = Setup::new(scratch.path(), driver, &text).log_line(log);
        let gateway = setup.set("upstream", &upstream.port).start();
        drop(tunnel::open(raw::plain(gateway.port("front"))));
        let id = upstream.seen().pop().expect("a request").message.head.get("x-id").expect("an id").to_owned();
        let line = poll(PATIENCE, || {
            fs::read_to_string(scratch.path().join("access.log")).ok().filter(|text| text.ends_with('\n'))
        });
        assert_eq!(line, Some(format!("101 {id}\n")));
    }

    fn ids_are_of_their_algorithm_and_new_each_time(driver) {
        for (keys, length, chars) in [
            ("algorithm = \"uuid\"", 36, "0123456789abcdef-"),
            ("algorithm = \"nanoid\"", 21, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"),
            ("algorithm = \"ksuid\"", 27, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
            ("algorithm = \"range_id\", range_id = { length = 30, char_set = \"abcdef\" }", 30, "abcdef"),
            ("algorithm = \"range_id\", include_in_response = false", 16, ""),
        ] {
            let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
            let setup = Setup::new(scratch.path(), driver, &CONFIG.replace("@keys@", keys));
            let gateway = setup.set("upstream", &upstream.port).start();
            let mut kept = raw::plain(gateway.port("front"));
            let mut ids = BTreeSet::new();
            for _ in 0..20 {
                let answer = raw::get(&mut kept, "a.test", "/");
                let seen = upstream.seen().pop().expect("a request").message;
                let id = seen.head.get("x-id").expect("an id").to_owned();
                assert!(id.len() == length && (chars.is_empty() || id.chars().all(|one| chars.contains(one))), "{id}");
                let told = (!keys.contains("include_in_response")).then_some(id.as_str());
                assert_eq!(answer.head.get("x-id"), told, "{keys}");
                ids.insert(id);
            }
            assert_eq!(ids.len(), 20, "{keys}");
            // The client's own, and one that could do harm.
            for (own, kept_as_it_is) in [("abctesting", true), ("a;b", false)] {
                let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Id: {own}\r\n\r\n");
                kept.send(head.as_bytes()).expect("a connection");
                kept.response("GET").expect("an answer");
                let seen = upstream.seen().pop().expect("a request").message;
                assert_eq!(seen.head.get("x-id") == Some(own), kept_as_it_is, "{own}");
            }
            // An answer of the gateway has one as well.
            let refused = raw::exchange(gateway.port("front"), b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n").0;
            let told = refused.head.get("x-id").is_some_and(|id| id.len() == length);
            assert_eq!(told, !keys.contains("include_in_response"), "{keys}");
        }
    }
}
