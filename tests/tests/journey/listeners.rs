//! Listeners that a reload changes, moves or takes away, and the connections that came in by them: they finish
//! what runs, are judged by what the new configuration says of such connections, and then close. None gains a
//! right by it.

mod load;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, Message, PATIENCE, Raw, Reloaded, Script, Setup,
    Upstream, on_both_drivers, poll, raw, scratch,
};

use crate::tunnel::{drained, echo_of, open_at};
use crate::write_ca;

/// `plain.test` is nobody's server name; everything else leads where `a.test` demands a certificate.
const REST: &str = r#"
[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
host = "plain.test"
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// How a client comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Plain HTTP, to what asks for no certificate.
    Plain,
    /// Plain HTTP, to what asks for one, which `mtls_routes = "allow"` lets in.
    PlainMtls,
    /// Behind a PROXY protocol header.
    Proxied,
    /// Over TLS with a certificate.
    Tls,
    /// The same without a server name.
    Nameless,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// Nothing.
    Stays,
    /// It is told to close with its next answer; its tunnel lives.
    Finishes,
    /// It gets 421 and is closed; its tunnel is cut.
    Refused,
}

use Fate::{Finishes, Refused, Stays};
use Way::{Nameless, Plain, PlainMtls, Proxied, Tls};

/// Listeners before and after a reload: a letter for the address of each, and what else it says. A client
/// comes by `a`.
const CHANGES: &[(Way, &str, &str, Fate)] = &[
    // The order.
    (Plain, "a, b", "b, a", Stays),
    (Tls, "a tls, b", "c tls, b, a tls", Stays),
    // What concerns new connections only.
    (Tls, "a tls", "a tls late", Stays),
    // The address.
    (Plain, "a", "b", Finishes),
    (Tls, "a tls", "b tls", Finishes),
    (Plain, "a, b tls", "c, d tls", Finishes),
    (Tls, "a tls, b", "c, d tls", Finishes),
    // One is taken away.
    (Plain, "a, b", "b", Finishes),
    (Tls, "a tls, b", "b", Finishes),
    (Tls, "a tls, b tls", "b tls", Finishes),
    // TLS.
    (Plain, "a", "a tls", Finishes),
    (Tls, "a tls", "a", Finishes),
    (Plain, "a, b tls", "a tls, b", Finishes),
    (Tls, "a tls, b", "a, b tls", Finishes),
    // The PROXY protocol: whom a sender speaks for is as good as the trust in the sender.
    (Plain, "a", "a proxy", Finishes),
    (Proxied, "a proxy", "a proxy wider", Stays),
    (Proxied, "a proxy", "b proxy", Finishes),
    (Proxied, "a proxy", "a", Refused),
    (Proxied, "a proxy", "a proxy other", Refused),
    (Proxied, "a proxy", "b proxy other", Refused),
    (Proxied, "a proxy, b", "b", Refused),
    // What plain HTTP may reach.
    (PlainMtls, "a allow", "b allow", Finishes),
    (PlainMtls, "a allow", "a", Refused),
    (PlainMtls, "a allow", "b", Refused),
    (PlainMtls, "a allow, b", "b", Refused),
    (PlainMtls, "a allow", "b allow, c", Refused),
    (PlainMtls, "a allow", "a tls", Refused),
    // Whom no server name is.
    (Nameless, "a tls fallback", "b tls fallback", Finishes),
    (Nameless, "a tls fallback", "a tls", Refused),
    (Nameless, "a tls fallback", "b tls", Refused),
    (Nameless, "a tls fallback, b tls", "b tls", Refused),
];

fn config(listeners: &str) -> String {
    let mut text = String::new();
    for listener in listeners.split(", ") {
        let (name, words) = listener.split_once(' ').unwrap_or((listener, ""));
        text.extend(["[[listen]]\naddress = \"127.0.0.1:@", name, "@\"\n"]);
        let has = |word| words.split(' ').any(|one| one == word);
        let mtls_routes = if has("allow") { "allow" } else { "reject" };
        if has("tls") {
            text.push_str("tls = true\n");
        } else {
            text.extend(["mtls_routes = \"", mtls_routes, "\"\n"]);
        }
        for (word, line) in [
            ("late", "handshake_timeout = \"7s\""),
            ("fallback", "fallback_sni = \"a.test\""),
            ("proxy", "proxy_protocol = true"),
        ] {
            if has(word) {
                text.extend([line, "\n"]);
            }
        }
        let trusted = match () {
            () if has("wider") => "\"127.0.0.0/8\", \"::1\"",
            () if has("other") => "\"192.0.2.0/24\"",
            () => "\"127.0.0.1\"",
        };
        if has("proxy") {
            text.extend(["proxy_protocol_trusted = [", trusted, "]\n"]);
        }
    }
    format!("{text}{REST}")
}

/// Answers `/held` and the second half of `/half` once it is released, and opens a tunnel for `/chat`.
fn script(released: &Arc<AtomicBool>) -> Script {
    let (released, tunnel) = (Arc::clone(released), crate::tunnel::echoing_after());
    let wait = move || {
        let _ = poll(PATIENCE, || released.load(Ordering::SeqCst).then_some(()));
    };
    Arc::new(move |client| {
        while let Some(message) = client.request() {
            let sent = match message.head.target() {
                "/held" => {
                    wait();
                    client.answer(b"held")
                }
                "/half" => {
                    let first = client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
                    wait();
                    first && client.send(b"def")
                }
                "/chat" => return tunnel(client),
                _ => client.answer(&message.body),
            };
            if !sent {
                return;
            }
        }
    })
}

struct Stage {
    gateway: Gateway,
    leaf: Leaf,
    released: Arc<AtomicBool>,
    _upstream: Upstream,
}

impl Stage {
    fn new(dir: &Path, driver: Driver, listeners: &str) -> Self {
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let released = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::plain(script(&released));
        let gateway = Setup::new(dir, driver, &config(listeners))
            .quiet()
            .set("upstream", &upstream.port)
            .start();
        Self { gateway, leaf: authority.client("alice"), released, _upstream: upstream }
    }

    fn connect(&self, way: Way, name: &str) -> Raw {
        let port = self.gateway.port(name);
        match way {
            Plain | PlainMtls => raw::plain(port),
            Proxied => {
                let mut raw = raw::plain(port);
                raw.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n").expect("a connection");
                raw
            }
            Tls => Dial::as_client("a.test", &self.leaf).connect(port).expect("a handshake"),
            Nameless => {
                let dial = Dial::with(None, Some(&self.leaf), rustls::ALL_VERSIONS);
                dial.connect(port).expect("a handshake")
            }
        }
    }
}

const fn host(way: Way) -> &'static str {
    match way {
        Plain | Proxied => "plain.test",
        PlainMtls | Tls => "a.test",
        Nameless => "nowhere.test",
    }
}

fn ask(raw: &mut Raw, way: Way, target: &str) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", host(way));
    raw.send(head.as_bytes()).expect("a connection that takes a request");
}

fn answer(raw: &mut Raw) -> Message {
    raw.response("GET").expect("a response")
}

fn says_close(message: &Message) -> bool {
    message.head.get("Connection") == Some("close")
}

/// One change, with a connection of each kind that it finds.
fn check(driver: Driver, (way, before, after, fate): (Way, &str, &str, Fate)) {
    let scratch = scratch();
    let mut stage = Stage::new(scratch.path(), driver, before);
    let about = format!("{way:?}: {before} -> {after}");
    let asked = || {
        let mut raw = stage.connect(way, "a");
        assert_eq!(raw::get(&mut raw, host(way), "/").status(), 200, "{about}");
        raw
    };
    let (mut idle, mut left_alone, mut silent) = (asked(), asked(), stage.connect(way, "a"));
    let mut busy = asked();
    ask(&mut busy, way, "/held");
    let mut downloading = asked();
    ask(&mut downloading, way, "/half");
    assert_eq!(downloading.head().expect("a head").expect("not an end").status(), 200);
    assert_eq!(downloading.exactly(3).expect("its first half"), b"abc");
    let mut uploading = asked();
    let head = format!("POST /up HTTP/1.1\r\nHost: {}\r\nContent-Length: 6\r\n\r\nabc", host(way));
    uploading.send(head.as_bytes()).expect("a connection");
    let mut tunnel = open_at(stage.connect(way, "a"), host(way));
    let mut second = open_at(stage.connect(way, "a"), host(way));

    assert_eq!(stage.gateway.reload(&config(after)), Reloaded::Taken, "{about}");
    let closes = fate != Stays;
    for raw in [&mut idle, &mut silent] {
        ask(raw, way, "/");
        let answer = answer(raw);
        let wanted = if fate == Refused { 421 } else { 200 };
        assert_eq!((answer.status(), says_close(&answer)), (wanted, closes), "{about}");
        assert!(!closes || raw.is_closed(), "{about}");
    }
    uploading.send(b"def").expect("a connection that takes the rest");
    let uploaded = answer(&mut uploading);
    assert_eq!((uploaded.status(), &uploaded.body[..]), (200, &b"abcdef"[..]), "{about}");
    stage.released.store(true, Ordering::SeqCst);
    assert_eq!(downloading.exactly(3).expect("its second half"), b"def", "{about}");
    let held = answer(&mut busy);
    assert_eq!(
        (held.status(), says_close(&held)),
        (200, closes && is_moved(before, after)),
        "{about}"
    );
    if fate == Refused {
        assert!(drained(&mut tunnel) && drained(&mut second), "{about}");
        return;
    }
    // Its review comes once a second.
    for _ in 0..12 {
        let _: Option<()> = poll(Duration::from_millis(200), || None);
        echo_of(&mut tunnel, b"still here");
    }
    if fate == Finishes {
        assert!(left_alone.is_closed(), "{about}: it was idle");
    } else {
        assert_eq!(raw::get(&mut left_alone, host(way), "/").status(), 200, "{about}");
    }
    // A tunnel goes on from listener to listener.
    assert_eq!(stage.gateway.reload(&config(before)), Reloaded::Taken, "{about}");
    for _ in 0..8 {
        let _: Option<()> = poll(Duration::from_millis(200), || None);
        echo_of(&mut second, b"still here");
    }
}

/// Is the listener that a client came by another one, or gone?
fn is_moved(before: &str, after: &str) -> bool {
    let kind = |listeners: &str| {
        let found = listeners.split(", ").find(|listener| listener.starts_with('a'))?;
        Some([found.contains("tls"), found.contains("proxy")])
    };
    kind(before) != kind(after)
}

fn check_all(driver: Driver, ways: &[Way]) {
    let changes = CHANGES.iter().filter(|(way, ..)| ways.contains(way));
    std::thread::scope(|scope| {
        for change in changes {
            scope.spawn(move || check(driver, *change));
        }
    });
}

on_both_drivers! {
    fn plain_connections_outlive_their_listener(driver) {
        check_all(driver, &[Plain, PlainMtls]);
    }

    fn proxied_connections_are_as_good_as_their_sender(driver) {
        check_all(driver, &[Proxied]);
    }

    fn tls_connections_outlive_their_listener(driver) {
        check_all(driver, &[Tls, Nameless]);
    }

    /// What its own listener did not allow, no other one allows a connection that came in by that.
    fn nobody_gains_by_a_change(driver) {
        for (way, before, after, host) in [
            (Plain, "a", "b allow", "a.test"),
            (Plain, "a, b allow", "b allow", "a.test"),
            (Plain, "a, b tls", "b tls, c allow", "a.test"),
            (Tls, "a tls", "b tls fallback", "nowhere.test"),
            (Tls, "a tls", "a", "nowhere.test"),
        ] {
            let scratch = scratch();
            let mut stage = Stage::new(scratch.path(), driver, before);
            let mut raw = stage.connect(way, "a");
            assert_eq!(raw::get(&mut raw, crate::listeners::host(way), "/").status(), 200);
            assert_eq!(stage.gateway.reload(&config(after)), Reloaded::Taken);
            let answer = raw::get(&mut raw, host, "/");
            assert_eq!((answer.status(), says_close(&answer)), (421, true), "{before} -> {after}");
        }
    }
}
