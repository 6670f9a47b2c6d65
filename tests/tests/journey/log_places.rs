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
    Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, now, on_both_drivers, poll, raw,
    scratch,
};

use crate::PLAIN;

const METRICS: &str = "\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

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
