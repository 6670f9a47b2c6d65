//! What a configuration demands holds for connections that were made before it, too: of clients that
//! wait for their next request, of tunnels, and of the upstreams at their other end.

use std::path::Path;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Reloaded, Setup, Upstream, on_both_drivers,
    poll, raw, scratch, tls,
};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::tunnel::{drained, echo_of, echoing, open};
use crate::write_ca;

const CLIENTS: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
ssl_protocols = @versions@
@client@

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const UPSTREAM: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
enable_websocket = true
upstream_id = "far"

[[upstreams]]
id = "far"
nodes = { "127.0.0.1:@upstream@" = 1 }
@tls@
"#;

const BOTH: &str = r#"["TLSv1.2", "TLSv1.3"]"#;
const LOST: &str = "a connected upstream is not trusted any more";
const GOOD: &str = r#"tls = { ca = "ca.crt", server_name = "up.test" }"#;

fn authority(dir: &Path) -> (Authority, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    write_ca(dir, "other", &Authority::new("other"));
    authority.server(&["x"]).write(dir, "server");
    let leaf = authority.client("alice");
    (authority, leaf)
}

fn clients(versions: &str, mutual: bool) -> String {
    let client = if mutual { "client.ca = \"ca.crt\"" } else { "" };
    CLIENTS.replace("@versions@", versions).replace("@client@", client)
}

fn upstream(tls: &str) -> String {
    let scheme = if tls.is_empty() { String::new() } else { format!("scheme = \"https\"\n{tls}") };
    UPSTREAM.replace("@tls@", &scheme)
}

/// For longer than from one look to the next.
fn stays(tunnel: &mut ferrule_tests::Raw) {
    for _ in 0..15 {
        let _: Option<()> = poll(Duration::from_millis(100), || None);
        echo_of(tunnel, b"still here");
    }
}

fn told(gateway: &Gateway, words: &str) {
    let found = poll(PATIENCE, || gateway.log().contains(words).then_some(()));
    assert!(found.is_some(), "{words}:\n{}", gateway.log());
}

/// A connection of this version meets a reload to those.
#[derive(Clone, Copy, Debug)]
struct Change {
    mutual: bool,
    made: &'static SupportedProtocolVersion,
    to: &'static str,
    ends: bool,
}

impl Change {
    /// One of another version is told where it belongs; one that fits lives on.
    fn check(self, driver: Driver) {
        self.check_to(driver, |text| text);
    }

    /// Likewise, with more changes to the file.
    fn check_to(self, driver: Driver, more: impl Fn(String) -> String) {
        let Self { mutual, made, to, ends } = self;
        let (scratch, node) = (scratch(), Upstream::plain(echoing()));
        let (_, leaf) = authority(scratch.path());
        let mut gateway = Setup::new(scratch.path(), driver, &clients(BOTH, mutual))
            .set("upstream", &node.port)
            .start();
        let dial = Dial::with(Some("x"), Some(&leaf).filter(|_| mutual), &[made]);
        let connect = || dial.connect(gateway.port("front")).expect("a handshake");
        let (mut idle, mut tunnel) = (connect(), open(connect()));
        echo_of(&mut tunnel, b"before");
        assert_eq!(gateway.reload(&more(clients(to, mutual))), Reloaded::Taken);
        let asked = idle.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = asked.and_then(|()| idle.response("GET")).map(|answer| answer.status());
        if ends {
            // Who is on the roll may have been let go before it asked.
            assert!(matches!(answer, Ok(421) | Err(_)), "{self:?}: {answer:?}");
            assert!(drained(&mut tunnel), "{self:?}: {}", gateway.log());
        } else {
            // The node has nothing but tunnels to give.
            assert_eq!(answer.expect("an answer"), 502);
            stays(&mut tunnel);
        }
    }
}

/// A tunnel to an upstream of these settings meets a reload to those.
fn meet(driver: Driver, (before, after): (&str, &str), ends: bool) {
    let scratch = scratch();
    let (authority, _) = authority(scratch.path());
    let config = tls::server(&authority.server(&["up.test"]), None);
    let node = if before.is_empty() {
        Upstream::plain(echoing())
    } else {
        Upstream::tls(config, echoing())
    };
    let mut gateway =
        Setup::new(scratch.path(), driver, &upstream(before)).set("upstream", &node.port).start();
    let mut tunnel = open(raw::plain(gateway.port("front")));
    echo_of(&mut tunnel, b"before");
    let text = if after.contains("tls") || after.is_empty() {
        upstream(after)
    } else {
        UPSTREAM.replace("@tls@", after)
    };
    assert_eq!(gateway.reload(&text), Reloaded::Taken, "{}", gateway.log());
    if ends {
        assert!(drained(&mut tunnel), "{before} -> {after}: {}", gateway.log());
        told(&gateway, LOST);
    } else {
        stays(&mut tunnel);
    }
}

on_both_drivers! {
    fn a_tls_version_that_is_not_wanted_any_more_is_not_spoken_any_more(driver) {
        const OLD: &str = r#"["TLSv1.2"]"#;
        const NEW: &str = r#"["TLSv1.3"]"#;
        for mutual in [false, true] {
            Change { mutual, made: &TLS12, to: NEW, ends: true }.check(driver);
            Change { mutual, made: &TLS13, to: OLD, ends: true }.check(driver);
        }
        Change { mutual: true, made: &TLS13, to: NEW, ends: false }.check(driver);
    }

    /// A server name that is in the file no more is nobody's: what came in by it is let go.
    fn a_server_name_that_is_taken_away_ends_what_came_in_by_it(driver) {
        for mutual in [false, true] {
            Change { mutual, made: &TLS13, to: BOTH, ends: true }.check_to(driver, |text| {
                text.replace("sni = \"x\"", "sni = \"y\"")
            });
        }
    }

    /// As a new connection would be made, or not at all.
    fn a_tunnel_is_held_to_what_its_upstream_is_asked_for_now(driver) {
        for (before, after, ends) in [
            (GOOD, r#"tls = { ca = "ca.crt", server_name = "other.test" }"#, true),
            (GOOD, r#"tls = { ca = "other.crt", server_name = "up.test" }"#, true),
            (GOOD, r#"tls = { ca = "ca.crt", server_name = "up.test", ssl_protocols = ["TLSv1.2"] }"#, true),
            (GOOD, "", true),
            ("", GOOD, true),
            (r#"tls.verify = "off""#, r#"tls = { ca = "other.crt", verify = "ca" }"#, true),
            (r#"tls = { ca = "ca.crt", verify = "ca" }"#, r#"tls = { ca = "ca.crt", server_name = "other.test" }"#, true),
            (r#"tls = { ca = "ca.crt", verify = "ca" }"#, GOOD, false),
            (GOOD, r#"tls = { ca = ["ca.crt", "other.crt"], server_name = "UP.test", ssl_protocols = ["TLSv1.3"] }"#, false),
            ("", "retries = 0", false),
        ] {
            meet(driver, (before, after), ends);
        }
    }

    /// Where no name is configured it is the one that the upstream is told as its Host, or the node's: one
    /// that was configured before is nothing to it.
    fn a_tunnel_is_held_to_the_name_that_counts_now(driver) {
        const BARE: &str = r#"tls = { ca = "ca.crt" }"#;
        const NODE: &str = "pass_host = \"node\"\ntls = { ca = \"ca.crt\" }";
        const GOOD_HOST: &str =
            "pass_host = \"rewrite\"\nupstream_host = \"up.test:1\"\ntls = { ca = \"ca.crt\" }";
        const OTHER_HOST: &str =
            "pass_host = \"rewrite\"\nupstream_host = \"other.test\"\ntls = { ca = \"ca.crt\" }";
        for (before, after, ends) in [
            (GOOD, BARE, true),
            (GOOD, NODE, true),
            (GOOD, OTHER_HOST, true),
            (GOOD, GOOD_HOST, false),
            (GOOD_HOST, OTHER_HOST, true),
            (GOOD_HOST, BARE, true),
            (GOOD_HOST, NODE, true),
            (GOOD_HOST, GOOD, false),
        ] {
            meet(driver, (before, after), ends);
        }
    }
}
