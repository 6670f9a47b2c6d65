//! One line for each request, in each format.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ferrule_tests::{
    Authority, Dial, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};

use crate::{PLAIN, write_ca};

/// Waits until the log has this many lines.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let found = poll(PATIENCE, || {
        let text = fs::read_to_string(path).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    });
    found.expect("the lines arrive")
}

on_both_drivers! {
    fn own_formats_hold_what_they_name(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let path = scratch.path().join("access.log");
        let format = "$request_method $request_uri $status $body_bytes_sent $host [$http_user_agent] $upstream_status";
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line(&format!("access = {{ path = \"access.log\", format = '{format}' }}"))
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let mut raw = raw::plain(front);
        raw.send(b"GET /a?b HTTP/1.1\r\nHost: Some.Test\r\nUser-Agent: \"me\"\x7f\r\n\r\n").expect("a connection");
        let first = raw.response("GET").expect("a response");
        if first.status() == 400 {
            // A control byte in a value may be refused; the log must be told either way.
            let refused = lines(&path, 1);
            assert!(refused[0].contains(" 400 "), "{refused:?}");
            return;
        }
        let all = lines(&path, 1);
        assert!(all[0].starts_with(&format!("GET /a?b 200 {} some.test [", first.body.len())), "{all:?}");
        assert!(all[0].ends_with("] 200"), "{all:?}");
        assert!(!all[0].contains('\x7f'), "{all:?}");
    }

    /// What became of it, in the words of docs/http.md, whatever status was sent.
    fn the_outcome_is_told(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(Arc::new(|client| {
            while let Some(request) = client.request() {
                if request.head.target() == "/cut" {
                    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                    return;
                }
                client.answer(b"whole");
            }
        }));
        let path = scratch.path().join("access.log");
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = { path = \"access.log\", format = '$status $outcome' }")
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let mut wanted = Vec::new();
        for (request, line) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 ok"),
            ("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n", "200 upstream-body-cut-off"),
            ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "400 forbidden-escape"),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 ambiguous-length"),
        ] {
            let mut raw = raw::plain(front);
            raw.send(request.as_bytes()).expect("a connection");
            let _ = raw.response("GET");
            drop(raw);
            wanted.push(line);
            assert_eq!(lines(&path, wanted.len()), wanted);
        }
    }

    fn json_lines_are_json(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let text = format!(
            "{}\n[[ssls]]\nsni = \"a.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\nclient.ca = \"ca.crt\"\n",
            PLAIN.replace("@front@\"", "@front@\"\ntls = true")
        );
        let gateway = Setup::new(dir, driver, &text)
            .log_line("access = { path = \"access.log\", format = \"json\" }")
            .set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let dial = Dial::as_client("a.test", &authority.client("quote\" and \\ slash"));
        assert_eq!(dial.get(front, "a.test", "/x").expect("an answer").status(), 200);
        assert_eq!(Dial::new(Some("a.test")).get(front, "a.test", "/").expect("an answer").status(), 400);
        let all = lines(&dir.join("access.log"), 2);
        for line in &all {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(value.is_object(), "{line}");
        }
        assert!(all[0].contains("SUCCESS") && all[1].contains("NONE"), "{all:?}");
    }

    fn combined_lines_start_as_they_always_did(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = \"access.log\"").set("upstream", &upstream.port).start();
        let answer = raw::plain_get(gateway.port("front"), "x", "/some/path");
        let all = lines(&scratch.path().join("access.log"), 1);
        assert!(all[0].starts_with("127.0.0.1 - "), "{all:?}");
        let wanted = format!("\"GET /some/path HTTP/1.1\" 200 {} ", answer.body.len());
        assert!(all[0].contains(&wanted), "{all:?}");
    }

    /// What of a line stays the same is rendered once for a connection, and again when it has another
    /// configuration.
    fn a_connection_that_lives_on_is_logged_in_the_new_format(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let text = format!(
            "{}\n[[ssls]]\nsni = \"a.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\nclient.ca = \"ca.crt\"\n",
            PLAIN.replace("@front@\"", "@front@\"\ntls = true")
        );
        let before = "<$ssl_client_s_dn|$scheme> $request_uri <$remote_addr>$status";
        let after = "<$remote_addr> $request_uri <$ssl_client_s_dn|$ssl_protocol> $status";
        let mut gateway = Setup::new(dir, driver, &text)
            .log_line(&format!("access = {{ path = \"access.log\", format = '{before}' }}"))
            .set("upstream", &upstream.port).start();
        let dial = Dial::as_client("a.test", &authority.client("me \"quoted\""));
        let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
        for uri in ["/1", "/2"] {
            assert_eq!(raw::get(&mut raw, "a.test", uri).status(), 200);
        }
        let config = fs::read_to_string(&gateway.file).expect("the file we wrote");
        fs::write(&gateway.file, config.replace(before, after)).expect("a writable directory");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        for uri in ["/3", "/4"] {
            assert_eq!(raw::get(&mut raw, "a.test", uri).status(), 200);
        }
        let name = "CN=me \\x5C\\x22quoted\\x5C\\x22";
        let wanted = [
            format!("<{name}|https> /1 <127.0.0.1>200"),
            format!("<{name}|https> /2 <127.0.0.1>200"),
            format!("<127.0.0.1> /3 <{name}|TLSv1.3> 200"),
            format!("<127.0.0.1> /4 <{name}|TLSv1.3> 200"),
        ];
        assert_eq!(lines(&dir.join("access.log"), 4), wanted);
    }

    /// Every request of every core is there once it is answered and the process has ended.
    fn no_line_is_lost_at_the_end(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = Setup::new(scratch.path(), driver, PLAIN)
            .log_line("access = { path = \"access.log\", format = '$request_uri' }")
            .set("upstream", &upstream.port).start();
        let mut raw = raw::plain(gateway.port("front"));
        for number in 0..500 {
            assert_eq!(raw::get(&mut raw, "x", &format!("/{number}")).status(), 200);
        }
        drop(raw);
        gateway.stop();
        let all = lines(&scratch.path().join("access.log"), 500);
        let wanted: Vec<String> = (0..500).map(|number| format!("/{number}")).collect();
        assert_eq!(all, wanted);
    }
}
