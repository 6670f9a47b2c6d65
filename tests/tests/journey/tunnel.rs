//! WebSocket upgrades: forwarded where a route allows them, and a tunnel only behind a 101.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Raw, Reloaded, Script, Setup, Upstream,
    on_both_drivers, poll, raw, scratch,
};
use rustix::process::Signal;

use crate::{PLAIN, write_ca};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";

const GRANT: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";

const LOCKED: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn allowed() -> String {
    PLAIN.replace("uri =", "enable_websocket = true\nuri =")
}

/// Grants every request, greets with it, and echoes until the other side has said all.
pub(crate) fn echoing() -> Script {
    let echo = echoing_after();
    Arc::new(move |client| {
        if client.request().is_some() {
            echo(client);
        }
    })
}

/// The same, for a request that has come.
pub(crate) fn echoing_after() -> Script {
    Arc::new(|client| {
        if !client.send(GRANT) {
            return;
        }
        // Whatever comes now was not there before the 101, so nothing of it was read ahead.
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = client.talk.stream.read(&mut bytes) {
            if !client.send(&bytes[..count]) {
                return;
            }
        }
        client.send(b"bye");
    })
}

/// Answers every request with these bytes.
fn answering(bytes: &'static [u8]) -> Script {
    Arc::new(move |client| while client.request().is_some() && client.send(bytes) {})
}

fn start(dir: &Path, driver: Driver, text: &str, upstream: &Upstream) -> Gateway {
    Setup::new(dir, driver, text)
        .log_line("access = { path = \"access.log\", format = '$request_uri $status $request_length $body_bytes_sent' }")
        .set("upstream", &upstream.port)
        .start()
}

/// With [`LOCKED`], its certificates, and a client's that opens it.
fn start_locked(dir: &Path, driver: Driver, upstream: &Upstream) -> (Gateway, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["x"]).write(dir, "server");
    (start(dir, driver, LOCKED, upstream), authority.client("alice"))
}

/// An open tunnel, greeted.
pub(crate) fn open(raw: Raw) -> Raw {
    open_at(raw, "x")
}

/// The same, at this host.
pub(crate) fn open_at(mut raw: Raw, host: &str) -> Raw {
    let ask = ASK.replace("Host: x", &format!("Host: {host}"));
    raw.send(ask.as_bytes()).expect("a connection");
    let head = raw.head().expect("a head").expect("not an end");
    assert_eq!(head.status(), 101, "{}", head.raw);
    assert_eq!((head.all("Upgrade"), head.all("Connection")), (vec!["websocket"], vec!["Upgrade"]));
    assert_eq!(head.get("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(raw.exactly(5).expect("the greeting"), b"hello");
    raw
}

pub(crate) fn echo_of(raw: &mut Raw, bytes: &[u8]) {
    raw.send(bytes).expect("an open tunnel");
    assert_eq!(raw.exactly(bytes.len()).expect("the echo"), bytes);
}

/// Says that nothing follows, as each kind of connection does.
fn finish(raw: &mut Raw) {
    if let Line::Tls(stream) = &mut raw.stream {
        stream.conn.send_close_notify();
        std::io::Write::flush(stream).expect("an open connection");
    } else {
        raw.stream.finish().expect("an open connection");
    }
}

fn logged(dir: &Path) -> String {
    let line =
        || fs::read_to_string(dir.join("access.log")).ok().filter(|text| text.ends_with('\n'));
    poll(PATIENCE, line).expect("a line in the access log")
}

/// Reads until the connection is over, in whatever way.
pub(crate) fn drained(raw: &mut Raw) -> bool {
    let mut bytes = [0; 1024];
    poll(PATIENCE, || match raw.stream.read(&mut bytes) {
        Ok(0) => Some(true),
        Ok(_) => None,
        Err(error) => Some(error.kind() != std::io::ErrorKind::WouldBlock),
    }) == Some(true)
}

on_both_drivers! {
    fn bytes_go_both_ways_and_ends_are_passed_on(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let gateway = start(scratch.path(), driver, &allowed(), &upstream);
        let mut raw = open(raw::plain(gateway.port("front")));
        echo_of(&mut raw, b"a");
        echo_of(&mut raw, &vec![7; 100_000]);
        finish(&mut raw);
        assert_eq!(raw.rest().expect("a clean end"), b"bye");
        let sent = ASK.len() + 100_001;
        assert_eq!(logged(scratch.path()), format!("/chat 101 {sent} {}\n", 100_001 + 8));
        let seen = upstream.seen();
        let head = &seen[0].message.head;
        assert_eq!((head.all("Upgrade"), head.all("Connection")), (vec!["websocket"], vec!["Upgrade"]));
        // The next one gets a connection of its own.
        open(raw::plain(gateway.port("front")));
        assert_eq!(upstream.accepted(), 2);
    }

    fn over_tls_too(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let (gateway, leaf) = start_locked(scratch.path(), driver, &upstream);
        for version in rustls::ALL_VERSIONS {
            let dial = Dial::with(Some("x"), Some(&leaf), &[version]);
            let mut raw = open(dial.connect(gateway.port("front")).expect("a handshake"));
            echo_of(&mut raw, b"a");
            echo_of(&mut raw, &vec![7; 100_000]);
            finish(&mut raw);
            assert_eq!(raw.rest().expect("a clean end"), b"bye");
        }
    }

    /// What a client sends behind its head reaches the upstream only after a 101.
    fn early_bytes_wait_for_the_101(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let gateway = start(scratch.path(), driver, &allowed(), &upstream);
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(format!("{ASK}early").as_bytes()).expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("not an end").status(), 101);
        assert_eq!(raw.exactly(10).expect("both"), b"helloearly");
        drop(raw);

        let refusing = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno";
        let upstream = Upstream::plain(answering(refusing));
        let gateway = Setup::new(scratch.path(), driver, &allowed()).named("second")
            .set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(format!("{ASK}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a connection");
        let answer = raw.response("GET").expect("a response");
        assert_eq!((answer.status(), answer.head.get("Connection")), (426, Some("close")));
        assert!(raw.is_closed());
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/after").status(), 426);
        let targets: Vec<String> =
            upstream.seen().iter().map(|seen| seen.message.head.target().to_owned()).collect();
        assert_eq!(targets, ["/chat", "/after"]);
    }

    /// Without the route's word, or in another form, it is an ordinary request; its 101 is no answer.
    fn elsewhere_it_is_an_ordinary_request(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(answering(GRANT)));
        let gateway = start(scratch.path(), driver, PLAIN, &upstream);
        let open = Setup::new(scratch.path(), driver, &allowed()).named("second")
            .set("upstream", &upstream.port).start();
        let mut cases = vec![(&gateway, ASK.to_owned())];
        for (from, to) in [
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Upgrade: websocket", "Upgrade: websocket/13"),
            ("Upgrade: websocket", "Transfer-Encoding: chunked\r\nUpgrade: websocket"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("keep-alive, Upgrade", "keep-alive"),
            ("GET /chat", "POST /chat"),
        ] {
            cases.push((&open, ASK.replace(from, to)));
        }
        for (number, (gateway, ask)) in cases.iter().enumerate() {
            let mut raw = raw::plain(gateway.port("front"));
            let body = if ask.contains("chunked") { "0\r\n\r\n" } else { "" };
            raw.send(format!("{ask}{body}").as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("a response").status(), 502, "{ask}");
            let seen = upstream.seen();
            let head = &seen[number].message.head;
            assert_eq!((head.get("Upgrade"), head.get("Connection")), (None, None), "{ask}");
        }
    }

    /// What the request says of other protocols, or of a body that it does not have, stays here.
    fn it_is_asked_for_in_other_words(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let gateway = start(scratch.path(), driver, &allowed(), &upstream);
        let forms = [
            ("Upgrade: websocket", "Content-Length: 0\r\nUpgrade: websocket"),
            ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
            ("Upgrade: websocket", "Upgrade: websocket, TLS/1.2"),
            ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
            ("keep-alive, Upgrade", "close, upgrade"),
            ("keep-alive, Upgrade", "keep-alive\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
            ("keep-alive, Upgrade", "Upgrade\r\nExpect: 100-continue"),
        ];
        for (number, (from, to)) in forms.into_iter().enumerate() {
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(ASK.replace(from, to).as_bytes()).expect("a connection");
            assert_eq!(raw.head().expect("a head").expect("not an end").status(), 101, "{to}");
            assert_eq!(raw.exactly(5).expect("the greeting"), b"hello");
            echo_of(&mut raw, b"a");
            let seen = upstream.seen();
            let head = &seen[number].message.head;
            assert_eq!((head.all("Upgrade"), head.all("Connection")), (vec!["websocket"], vec!["Upgrade"]));
            for name in ["Content-Length", "Transfer-Encoding", "HTTP2-Settings", "Expect"] {
                assert_eq!(head.get(name), None, "{to}");
            }
        }
    }

    /// A field that a status requires reaches the client, though it ends at this hop or was named in
    /// `Connection`; the same one on another status does not.
    fn what_a_status_requires_is_sent(driver) {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket, TLS/1.3\r\n";
        for (status, field, wanted) in [
            ("426 Upgrade Required", upgrade, ("Upgrade", Some("websocket, TLS/1.3"))),
            ("426 Upgrade Required", "Upgrade: websocket\r\n", ("Upgrade", Some("websocket"))),
            ("426 Upgrade Required", "", ("Upgrade", None)),
            ("200 OK", upgrade, ("Upgrade", None)),
            ("503 Service Unavailable", upgrade, ("Upgrade", None)),
            ("401 Unauthorized", "Connection: www-authenticate\r\nWWW-Authenticate: Basic\r\n", ("WWW-Authenticate", Some("Basic"))),
            ("405 Method Not Allowed", "Connection: Allow\r\nAllow: PUT\r\n", ("Allow", Some("PUT"))),
            ("407 Proxy Authentication Required", "Connection: Proxy-Authenticate\r\nProxy-Authenticate: Basic\r\n", ("Proxy-Authenticate", Some("Basic"))),
            ("302 Found", "Connection: location\r\nLocation: /a\r\n", ("Location", Some("/a"))),
        ] {
            let answer = format!("HTTP/1.1 {status}\r\n{field}Content-Length: 2\r\n\r\nno");
            let script: Script = Arc::new(move |client| while client.request().is_some() && client.send(answer.as_bytes()) {});
            let (scratch, upstream) = (scratch(), Upstream::plain(script));
            let gateway = start(scratch.path(), driver, &allowed(), &upstream);
            for (version, persistence) in [("1.1", None), ("1.1", Some("close")), ("1.0", Some("keep-alive"))] {
                let mut raw = raw::plain(gateway.port("front"));
                let option = persistence.map_or_else(String::new, |word| format!("Connection: {word}\r\n"));
                raw.send(format!("GET / HTTP/{version}\r\nHost: x\r\n{option}\r\n").as_bytes()).expect("a connection");
                let answer = raw.response("GET").expect("a response");
                assert_eq!(answer.head.get(wanted.0), wanted.1, "{}", answer.head.raw);
                let upgrades = (wanted.0, wanted.1.is_some()) == ("Upgrade", true);
                let options: Vec<&str> = persistence.into_iter().chain(upgrades.then_some("Upgrade")).collect();
                let said = answer.head.get("Connection").map(str::to_owned);
                assert_eq!(said, (!options.is_empty()).then(|| options.join(", ")), "{}", answer.head.raw);
                assert_eq!(answer.body, b"no");
            }
        }
    }

    fn a_101_for_something_else_is_no_answer(driver) {
        for grant in [
            &b"HTTP/1.1 101 S\r\n\r\n"[..],
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ] {
            let (scratch, upstream) = (scratch(), Upstream::plain(answering(grant)));
            let gateway = start(scratch.path(), driver, &allowed(), &upstream);
            let (answer, closed) = raw::exchange(gateway.port("front"), ASK.as_bytes());
            assert_eq!((answer.status(), closed), (502, true));
        }
    }

    /// Either side that speaks keeps it open; silence ends it, with a goodbye.
    fn silence_ends_it(driver) {
        let ticking: Script = Arc::new(|client| {
            if client.request().is_some() && client.send(GRANT) {
                for _ in 0..8 {
                    let _: Option<()> = poll(Duration::from_millis(250), || None);
                    client.send(b".");
                }
                let _ = client.talk.rest();
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(ticking));
        let text = format!("{}timeout = {{ read = 1 }}\n", allowed());
        let gateway = start(scratch.path(), driver, &text, &upstream);
        let mut raw = open(raw::plain(gateway.port("front")));
        assert_eq!(raw.rest().expect("a clean end"), b"........");
    }

    fn a_drain_leaves_it_alone_until_time_is_up(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let mut gateway = Setup::new(scratch.path(), driver, &allowed())
            .runtime_line("shutdown_timeout = \"3s\"")
            .log_line("access = { path = \"access.log\", format = '$request_uri $status' }")
            .set("upstream", &upstream.port).start();
        let mut raw = open(raw::plain(gateway.port("front")));
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        for _ in 0..8 {
            let _: Option<()> = poll(Duration::from_millis(200), || None);
            echo_of(&mut raw, b"still here");
        }
        assert!(drained(&mut raw));
        gateway.wait(Duration::from_secs(9));
        assert_eq!(logged(scratch.path()), "/chat 101\n");
    }

    /// A tunnel has no next request, so a reload is looked at by itself.
    fn a_reload_that_takes_the_right_away_ends_it(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let (mut gateway, leaf) = start_locked(scratch.path(), driver, &upstream);
        let dial = Dial::with(Some("x"), Some(&leaf), rustls::ALL_VERSIONS);
        let front = gateway.port("front");
        let mut raw = open(dial.connect(front).expect("a handshake"));
        assert_eq!(gateway.reload(&LOCKED.replace("/*", "/chat*")), Reloaded::Taken);
        for _ in 0..8 {
            let _: Option<()> = poll(Duration::from_millis(200), || None);
            echo_of(&mut raw, b"still here");
        }
        let closed = LOCKED.replace("enable_websocket = true\n", "");
        assert_eq!(gateway.reload(&closed), Reloaded::Taken);
        assert!(drained(&mut raw));
        assert_eq!(gateway.reload(LOCKED), Reloaded::Taken);

        let mut raw = open(dial.connect(front).expect("a handshake"));
        write_ca(scratch.path(), "ca", &Authority::new("other"));
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert!(drained(&mut raw));
        let reason = || gateway.log().contains("bad-certificate").then_some(());
        assert!(poll(PATIENCE, reason).is_some(), "{}", gateway.log());
    }

    /// However often the configuration changes under a tunnel, only the newest is kept for it.
    fn an_open_tunnel_keeps_no_old_configuration(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["x"]).write(scratch.path(), "server");
        let text = format!("[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n{LOCKED}")
            .replace("tls = true", "tls = true\n[[listen]]\nmtls_routes = \"allow\"\naddress = \"127.0.0.1:@open@\"")
            .replace("uri =", "id = \"first\"\nuri =");
        let mut gateway = Setup::new(scratch.path(), driver, &text)
            .log_line("access = { path = \"access.log\", format = '$request_uri $status $upstream_addr $ssl_client_s_dn_cn' }")
            .set("upstream", &upstream.port).start();
        let dial = Dial::with(Some("x"), Some(&authority.client("alice")), rustls::ALL_VERSIONS);
        let mut tunnels = Vec::new();
        for round in 0..3 {
            tunnels.push(open(raw::plain(gateway.port("open"))));
            tunnels.push(open(dial.connect(gateway.port("front")).expect("a handshake")));
            // Everything gets another number.
            let more = "[[routes]]\nuri = \"/a\"\nupstream.nodes = { \"127.0.0.1:1\" = 1 }\n";
            let text = text.replace("[[routes]]", &format!("{}[[routes]]", more.repeat(round + 1)));
            let text = text.replacen("uri = \"/a\"", "uri = \"/a0\"", 1);
            let text = text.replacen("uri = \"/a\"", "uri = \"/a1\"", 1);
            assert_eq!(gateway.reload(&text), Reloaded::Taken);
        }
        let held = || {
            let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
            Exposition::read(&answer.text()).sum("ferrule_generations_held", &[])
        };
        let alone = poll(PATIENCE, || Some(held()).filter(|held| (*held - 1.0).abs() < 0.1));
        assert!(alone.is_some(), "{} are held", held());
        for tunnel in &mut tunnels {
            echo_of(tunnel, b"still here");
            finish(tunnel);
            assert_eq!(tunnel.rest().expect("a clean end"), b"bye");
        }
        let node = format!("127.0.0.1:{}", upstream.port);
        let both = || logged(scratch.path()).lines().count() == 6;
        assert!(poll(PATIENCE, || both().then_some(())).is_some(), "{}", logged(scratch.path()));
        for line in logged(scratch.path()).lines() {
            assert!(line.starts_with(&format!("/chat 101 {node} ")), "{line}");
        }
        assert_eq!(logged(scratch.path()).matches(" alice\n").count(), 3);
    }

    /// Back-pressure: a client that does not read stops the upstream, and loses nothing.
    fn a_slow_reader_loses_nothing(driver) {
        // More than the sockets on the way hold, however far the kernel lets them grow.
        const LEN: usize = 64 << 20;
        let done = Arc::new(AtomicBool::new(false));
        let sent = Arc::clone(&done);
        let flooding: Script = Arc::new(move |client| {
            if client.request().is_some() && client.send(GRANT) {
                let piece = vec![9; 65_536];
                for _ in 0..LEN / piece.len() {
                    client.send(&piece);
                }
                sent.store(true, Ordering::SeqCst);
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(flooding));
        let gateway = start(scratch.path(), driver, &allowed(), &upstream);
        let mut raw = open(raw::plain(gateway.port("front")));
        let _: Option<()> = poll(Duration::from_millis(300), || None);
        assert!(!done.load(Ordering::SeqCst), "all of it is somewhere in between");
        let rest = raw.rest().expect("a clean end");
        assert!(rest.len() == LEN && rest.iter().all(|byte| *byte == 9), "{}", rest.len());
    }
}
