//! Logs that go to a syslog server or to the journal, and lines that are chosen.
//!
//! The receivers are sockets of the tests: what arrives is compared byte by byte, and one that does not read, or
//! is away, costs lines that are counted, and no request.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, now,
    on_both_drivers, poll, raw, scratch,
};

use crate::tunnel::{drained, echoing, open};
use crate::{PLAIN, write_ca};

const METRICS: &str = "\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

/// One route of certificates, and others.
const GUARDED: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client.ca = "ours.crt"

[[routes]]
id = "other"
uri = "/other"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
id = "payments"
uri = "/pay/*"
client.allow = ["CN=alice"]
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A route before [`CHAT`]'s own.
const OTHER: &str = r#"[[routes]]
id = "other"
uri = "/other"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Tunnels behind a route that has a number other than 0.
const CHAT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
id = "other"
uri = "/other"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
id = "chat"
enable_websocket = true
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn gateway(dir: &Path, driver: Driver, upstream: &Upstream, log: &str) -> Gateway {
    Setup::new(dir, driver, &format!("{PLAIN}{METRICS}"))
        .quiet()
        .log_line(log)
        .set("upstream", &upstream.port)
        .start()
}

fn ask(gateway: &Gateway, path: &str) {
    let answer = raw::plain_get(gateway.port("front"), "x", path);
    assert_eq!(answer.status(), 200, "{path}");
}

/// How many lines of the access log are lost.
fn lost(gateway: &Gateway) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum("ferrule_log_lines_dropped_total", &[("log", "access")])
}

/// The next datagram.
fn received(read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>) -> String {
    let mut bytes = vec![0; 128 << 10];
    let count = read(&mut bytes).expect("a datagram in time");
    String::from_utf8(bytes[..count].to_vec()).expect("text")
}

fn unix(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("a path of our own");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket
}

on_both_drivers! {
    /// RFC 5424 over UDP: priority, time, host, process, and the line.
    fn a_syslog_server_gets_a_datagram_for_each_request(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        server.set_read_timeout(Some(PATIENCE)).expect("a time");
        let address = server.local_addr().expect("an address");
        let log = format!(
            "access = {{ path = \"syslog\", format = \"$request_method $uri $status\" }}\n\
             syslog = {{ server = \"{address}\", facility = \"local3\" }}"
        );
        let gateway = gateway(scratch.path(), driver, &upstream, &log);
        ask(&gateway, "/one");
        let line = received(|bytes| server.recv(bytes));
        let words: Vec<&str> = line.split(' ').collect();
        // local3 is 19, info is 6.
        assert_eq!(words[0], "<158>1", "{line}");
        assert!(words[1].ends_with('Z') && words[1].len() == 24, "{line}");
        assert_eq!(words[3], "ferrule", "{line}");
        assert_eq!(words[4], gateway.process.id().to_string(), "{line}");
        assert_eq!(words[5..], ["access", "-", "GET", "/one", "200"], "{line}");
    }

    /// The form of a local daemon; and one that was started again is found.
    fn a_local_daemon_that_was_away_gets_the_next_lines(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let path = scratch.path().join("dev-log");
        let first = unix(&path);
        let log = "access = { path = \"syslog\", format = \"$uri\" }\nsyslog = { server = \"./dev-log\" }";
        let gateway = gateway(scratch.path(), driver, &upstream, log);
        ask(&gateway, "/one");
        let line = received(|bytes| first.recv(bytes));
        assert!(line.starts_with("<30>"), "{line}");
        let tag = format!(" ferrule[{}]: /one", gateway.process.id());
        assert!(line.ends_with(&tag), "{line}");
        drop(first);
        fs::remove_file(&path).expect("our own socket");
        ask(&gateway, "/nobody");
        let counted = poll(PATIENCE, || (lost(&gateway) >= 1.0).then_some(()));
        assert!(counted.is_some(), "{}", gateway.log());
        let second = unix(&path);
        ask(&gateway, "/two");
        assert!(received(|bytes| second.recv(bytes)).ends_with(": /two"));
    }

    /// The journal's own protocol: a field a line; diagnostics have their fields by name.
    fn the_journal_gets_entries_with_fields(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let journal = unix(&scratch.path().join("journal"));
        let log = "access = { path = \"journald\", format = \"json\" }\njournald = { socket = \"journal\" }";
        let mut gateway = gateway(scratch.path(), driver, &upstream, log);
        ask(&gateway, "/one");
        let entry = received(|bytes| journal.recv(bytes));
        assert!(entry.starts_with("MESSAGE={\"time\":"), "{entry}");
        let rest = "\nPRIORITY=6\nSYSLOG_IDENTIFIER=ferrule\nFERRULE_LOG=access\n";
        assert!(entry.ends_with(rest), "{entry}");
        // The error log goes there too from the next reload on.
        let file = fs::read_to_string(&gateway.file).expect("the file we wrote");
        let file = file.replace("error = { path = \"stderr\"", "error = { path = \"journald\"");
        fs::write(&gateway.file, file).expect("the file we wrote");
        gateway.process.signal(rustix::process::Signal::HUP);
        let entry = received(|bytes| journal.recv(bytes));
        assert!(entry.contains("\nFERRULE_LOG=error\n"), "{entry}");
        assert!(entry.starts_with("MESSAGE=") && entry.contains("\nPRIORITY=6\n"), "{entry}");
        assert!(!entry.contains('\u{1f}'), "{entry}");
        assert!(gateway.process.exited().is_none());
        assert!(gateway.stop().success());
    }

    /// A client makes its line longer than a message may be: who it was is still in it, it is JSON, and counted.
    fn a_long_line_is_cut_where_it_says_so(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        server.set_read_timeout(Some(PATIENCE)).expect("a time");
        let address = server.local_addr().expect("an address");
        let log = format!("access = {{ path = \"syslog\", format = \"json\" }}\nsyslog = {{ server = \"{address}\" }}");
        let gateway = gateway(scratch.path(), driver, &upstream, &log);
        let mut client = raw::plain(gateway.port("front"));
        let long = "\\".repeat(6_000);
        client.send(format!("GET /long HTTP/1.1\r\nHost: x\r\nUser-Agent: {long}\r\n\r\n").as_bytes()).expect("sent");
        assert_eq!(client.response("GET").expect("an answer").status(), 200);
        let line = received(|bytes| server.recv(bytes));
        assert!(line.len() <= 8 << 10, "{}", line.len());
        let at = line.find('{').expect("an object");
        let found: serde_json::Value = serde_json::from_str(line.get(at..).expect("ASCII")).expect("JSON");
        assert!(found["cut_from_bytes"].as_u64().expect("a number") > 12_000, "{line}");
        assert_eq!((&found["uri"], &found["outcome"]), (&"/long".into(), &"ok".into()), "{line}");
        let cut = || {
            let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
            Exposition::read(&answer.text()).sum("ferrule_log_lines_cut_total", &[("log", "access")])
        };
        assert!(poll(PATIENCE, || (cut() >= 1.0).then_some(())).is_some());
    }

    /// Nobody reads: requests go on, lines wait, and those that find no room are counted.
    fn a_daemon_that_does_not_read_costs_lines_and_no_request(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let daemon = unix(&scratch.path().join("journal"));
        let log = "access = { path = \"journald\", format = \"$uri$uri$uri$uri$uri$uri$uri$uri\" }\njournald = { socket = \"journal\" }";
        let gateway = gateway(scratch.path(), driver, &upstream, log);
        let long = format!("/{}", "x".repeat(3_000));
        let mut client = raw::plain(gateway.port("front"));
        let counted = poll(PATIENCE * 3, || {
            for _ in 0..50 {
                assert_eq!(raw::get(&mut client, "x", &long).status(), 200);
                client = raw::plain(gateway.port("front"));
            }
            (lost(&gateway) >= 1.0).then_some(())
        });
        assert!(counted.is_some(), "{}", gateway.log());
        assert!(received(|bytes| daemon.recv(bytes)).starts_with("MESSAGE=/xxx"));
    }

    /// Lines of answers with a status, of slow requests, and of a share of the rest.
    fn lines_are_chosen_by_status_and_by_chance(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let log = "access = { path = \"access.log\", format = \"$uri $status\", statuses = [\"4xx\"], sample = 0.2 }";
        let mut gateway = gateway(dir, driver, &upstream, log);
        let port = gateway.port("front");
        let bad = b"GET /bad HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n";
        for _ in 0..5 {
            drop(raw::exchange(port, bad));
        }
        let mut client = raw::plain(port);
        for _ in 0..400 {
            assert_eq!(raw::get(&mut client, "x", "/good").status(), 200);
        }
        drop(client);
        assert!(gateway.stop().success());
        let text = fs::read_to_string(dir.join("access.log")).expect("the log");
        assert_eq!(text.lines().filter(|line| line.ends_with(" 400")).count(), 5, "{text}");
        let good = text.lines().filter(|line| *line == "/good 200").count();
        // 80 are expected; five standard deviations are 40.
        assert!((40..=120).contains(&good), "{good}");
    }

    /// Who is refused at a route has asked for it: for the lack of a certificate, for a bad one, or by a list.
    fn refusals_are_lines_of_the_route_that_was_asked_for(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let (ours, others) = (Authority::new("ours"), Authority::new("others"));
        write_ca(dir, "ours", &ours);
        ours.server(&["x"]).write(dir, "server");
        let log = "access = { path = \"access.log\", format = \"$uri $status\", routes = [\"payments\"], statuses = [\"4xx\"], sample = 0 }";
        let mut gateway = Setup::new(dir, driver, GUARDED)
            .quiet()
            .log_line(log)
            .set("upstream", &upstream.port)
            .start();
        let front = gateway.port("front");
        for (name, leaf, path, status) in [
            ("nobody", None, "/pay/nobody", 400),
            ("a stranger", Some(others.client("alice")), "/pay/stranger", 400),
            ("who is not listed", Some(ours.client("bob")), "/pay/bob", 403),
            ("who is listed", Some(ours.client("alice")), "/pay/alice", 200),
            ("nobody, elsewhere", None, "/other", 400),
            ("nobody, nowhere", None, "/nowhere", 400),
        ] {
            let dial = Dial::with(Some("x"), leaf.as_ref(), rustls::ALL_VERSIONS);
            let answer = dial.get(front, "x", path).expect(name);
            assert_eq!(answer.status(), status, "{name}");
        }
        assert!(gateway.stop().success());
        let text = fs::read_to_string(dir.join("access.log")).expect("the log");
        assert_eq!(text, "/pay/nobody 400\n/pay/stranger 400\n/pay/bob 403\n");
    }

    /// A tunnel that a reload ends is a line of its route, whatever number the new configuration gives to that.
    fn a_tunnel_that_a_reload_ends_is_a_line_of_its_route(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let dir = scratch.path();
        let log = "access = { path = \"access.log\", format = \"$uri $status $route_id\", routes = [\"chat\"] }";
        let mut gateway = Setup::new(dir, driver, CHAT)
            .quiet()
            .log_line(log)
            .set("upstream", &upstream.port)
            .start();
        let mut tunnel = open(raw::plain(gateway.port("front")));
        // Another number, and no right to a tunnel any more.
        let closed = CHAT.replace("enable_websocket = true\n", "").replace(OTHER, "");
        assert_eq!(gateway.reload(&closed), Reloaded::Taken);
        assert!(drained(&mut tunnel));
        assert!(gateway.stop().success());
        let text = fs::read_to_string(dir.join("access.log")).expect("the log");
        assert_eq!(text, "/chat 101 chat\n");
    }

    /// What is fast is left out, and what is slow is not.
    fn slow_requests_are_written(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let access = |time: &str| format!("access = {{ path = \"access.log\", min_duration = \"{time}\" }}");
        let mut gateway = gateway(dir, driver, &upstream, &access("1h"));
        ask(&gateway, "/fast");
        let file = fs::read_to_string(&gateway.file).expect("the file we wrote");
        fs::write(&gateway.file, file.replace("\"1h\"", "\"5ms\"")).expect("the file we wrote");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        // Half of the head, and the rest when its time has begun to count; on a busy machine both may be read at
        // once, so it is tried again.
        let written = poll(PATIENCE, || {
            let mut client = raw::plain(gateway.port("front"));
            client.send(b"GET /slow HTTP/1.1\r\n").expect("a connection");
            let begun = now();
            poll(PATIENCE, || (begun.elapsed() > Duration::from_millis(50)).then_some(()));
            client.send(b"Host: x\r\n\r\n").expect("a connection");
            assert_eq!(client.response("GET").expect("an answer").status(), 200);
            let text = fs::read_to_string(dir.join("access.log")).expect("the log");
            text.contains("/slow").then_some(())
        });
        assert!(written.is_some(), "{}", gateway.log());
        assert!(gateway.stop().success());
        let text = fs::read_to_string(dir.join("access.log")).expect("the log");
        assert!(!text.contains("/fast") && text.contains("/slow"), "{text}");
    }

    /// Without any signal: the name leads to another file, and lines go there.
    fn a_file_that_was_moved_is_followed(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let log = "access = { path = \"access.log\", format = \"$uri\" }";
        let gateway = gateway(dir, driver, &upstream, log);
        let (name, old) = (dir.join("access.log"), dir.join("access.log.1"));
        ask(&gateway, "/before");
        let has = |path: &Path, line: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(line));
        assert!(poll(PATIENCE, || has(&name, "/before").then_some(())).is_some());
        fs::rename(&name, &old).expect("our own file");
        let followed = poll(PATIENCE, || {
            ask(&gateway, "/after");
            has(&name, "/after").then_some(())
        });
        assert!(followed.is_some(), "{}", gateway.log());
        assert!(has(&old, "/before"));
    }

    /// HUP opens files again, whatever the file says: also where nothing in it has changed.
    fn a_hangup_opens_the_files_again(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let log = "access = { path = \"access.log\", format = \"$uri\" }";
        let mut gateway = gateway(dir, driver, &upstream, log);
        let name = dir.join("access.log");
        fs::rename(&name, dir.join("access.log.1")).expect("our own file");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        let there = poll(PATIENCE, || name.exists().then_some(()));
        assert!(there.is_some(), "{}", gateway.log());
    }
}
