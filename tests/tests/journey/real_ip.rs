//! The address of a client behind proxies, and everything that asks for it.

use std::fs;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch,
};

use crate::write_ca;

const LISTEN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[listen]]
address = "127.0.0.1:@balanced@"
proxy_protocol = true
proxy_protocol_trusted = ["127.0.0.1"]

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional" }
"#;

const ROUTES: &str = r#"
[[routes]]
uri = "/in"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
client.allow_addrs = ["192.0.2.0/24"]

[[routes]]
uri = "/*"
remote_addrs = ["192.0.2.0/24"]
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.set = { X-Where = "near $remote_addr:$remote_port $realip_remote_addr" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.set = { X-Where = "far $remote_addr:$remote_port $realip_remote_addr" }
"#;

const FORMAT: &str =
    "access = { path = \"access.log\", format = '$remote_addr $realip_remote_addr $request_uri' }";

fn start(dir: &std::path::Path, driver: Driver, http: &str) -> (Gateway, Upstream) {
    let (authority, upstream) = (Authority::new("Root"), Upstream::plain(echo()));
    write_ca(dir, "ca", &authority);
    authority.server(&["a.test"]).write(dir, "server");
    let text = format!("[http]\n{http}\n{LISTEN}{ROUTES}");
    let setup = Setup::new(dir, driver, &text).set("upstream", &upstream.port).log_line(FORMAT);
    (setup.start(), upstream)
}

const LIST: &str = "real_ip = { source = \"http_x_forwarded_for\", trusted_addresses = [\"127.0.0.1\", \"10.0.0.0/8\"], \
                    recursive = true }";

on_both_drivers! {
    /// One connection of a load balancer carries requests of several clients, and of some that it says nothing about.
    fn every_request_has_the_address_that_it_tells(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver, LIST);
        let mut kept = raw::plain(gateway.port("front"));
        let mut wanted_lines = Vec::new();
        for (at, (list, address, port)) in [
            ("192.0.2.9", "192.0.2.9", ""),
            ("198.51.100.1, 192.0.2.9:77, 10.1.1.1", "192.0.2.9", "77"),
            ("192.0.2.9, 198.51.100.1", "198.51.100.1", ""),
            ("", "127.0.0.1", "?"),
            ("192.0.2.9, nobody", "127.0.0.1", "?"),
            ("::ffff:192.0.2.10", "192.0.2.10", ""),
            ("192.0.2.9, 2001:db8::7", "2001:db8::7", ""),
        ].into_iter().enumerate() {
            let field = if list.is_empty() { String::new() } else { format!("X-Forwarded-For: {list}\r\n") };
            let near = address.starts_with("192.0.2.");
            for (path, status) in [("/x", 200), ("/in", if near { 200 } else { 403 })] {
                let head = format!("GET {path}?{at} HTTP/1.1\r\nHost: a.test\r\n{field}\r\n");
                kept.send(head.as_bytes()).expect("a connection");
                assert_eq!(kept.response("GET").expect("an answer").status(), status, "{list} {path}");
                wanted_lines.push(format!("{address} 127.0.0.1 {path}?{at}"));
                if path == "/in" {
                    continue;
                }
                let seen = upstream.seen().pop().expect("a request").message;
                let told = seen.head.get("x-where").expect("a header").to_owned();
                let start = format!("{} {address}:", if near { "near" } else { "far" });
                let rest = told.strip_prefix(&start);
                assert!(rest.is_some(), "{told}: {start}");
                let rest = rest.unwrap_or_default();
                let (told_port, own) = rest.split_once(' ').expect("two words");
                assert!(own == "127.0.0.1" && (port == "?" || told_port == port), "{told}");
                assert_eq!(seen.head.get("x-real-ip"), Some(address), "{list}");
                // The next proxy reads whom this connection came from, and goes on from there.
                let passed = if list.is_empty() { "127.0.0.1".to_owned() } else { format!("{list}, 127.0.0.1") };
                assert_eq!(seen.head.get("x-forwarded-for"), Some(passed.as_str()));
            }
        }
        let log = || fs::read_to_string(scratch.path().join("access.log")).unwrap_or_default();
        let whole = poll(PATIENCE, || (log().lines().count() == wanted_lines.len()).then_some(()));
        assert!(whole.is_some(), "{}", log());
        assert_eq!(log().lines().collect::<Vec<_>>(), wanted_lines);
    }

    fn nobody_else_can_tell_an_address(driver) {
        let scratch = scratch();
        let stranger = LIST.replace("\"127.0.0.1\", ", "");
        let (mut gateway, _upstream) = start(scratch.path(), driver, &stranger);
        let ask = |gateway: &Gateway, port: &str, start: &str| {
            let head = format!("{start}GET /in HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.9\r\nConnection: close\r\n\r\n");
            raw::exchange(gateway.port(port), head.as_bytes()).0.status()
        };
        assert_eq!(ask(&gateway, "front", ""), 403);
        // Behind a PROXY protocol header it is the address of that one that must be trusted.
        assert_eq!(ask(&gateway, "balanced", "PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n"), 200);
        assert_eq!(ask(&gateway, "balanced", "PROXY TCP4 11.0.0.1 127.0.0.1 1 2\r\n"), 403);
        // A connection that lives follows: it is trusted, and then it is not.
        let mut kept = raw::plain(gateway.port("front"));
        let mut again = || {
            kept.send(b"GET /in HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n").expect("a connection");
            kept.response("GET").expect("an answer").status()
        };
        assert_eq!(again(), 403);
        for (http, status) in [(LIST, 200), ("", 403), (LIST, 200), (stranger.as_str(), 403)] {
            assert_eq!(gateway.reload(&format!("[http]\n{http}\n{LISTEN}{ROUTES}")), Reloaded::Taken);
            assert_eq!(again(), status, "{http}");
        }
    }

    fn a_header_of_another_name_tells_it_over_tls_too(driver) {
        let scratch = scratch();
        let http = "real_ip = { source = \"http_x_real_ip\", trusted_addresses = [\"127.0.0.1\"] }";
        let (gateway, upstream) = start(scratch.path(), driver, http);
        let mut raw = Dial::new(Some("a.test")).connect(gateway.port("secure")).expect("a handshake");
        for (value, status) in [("192.0.2.1", 200), ("198.51.100.1", 403), ("192.0.2.2", 200), ("x", 403)] {
            let head = format!("GET /in HTTP/1.1\r\nHost: a.test\r\nX-Real-IP: {value}\r\n\r\n");
            raw.send(head.as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("an answer").status(), status, "{value}");
        }
        let seen = upstream.seen();
        let told: Vec<_> = seen.iter().map(|one| one.message.head.get("x-real-ip")).collect();
        assert_eq!(told, [Some("192.0.2.1"), Some("192.0.2.2")]);
    }
}
