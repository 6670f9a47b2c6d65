//! Our own answers in every form, the operator's pages, and the ids that requests carry.

use std::fs;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Message, PATIENCE, Reloaded, Script, Setup, Upstream, echo,
    on_both_drivers, poll, raw, scratch,
};

use crate::{PLAIN, write_ca};

const MARKED: &str = r#"
[http]
traceparent = "@mode@"

[[global_rules]]
request_id = "X-Request-Id"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/here/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// One request with these fields, on a connection of its own.
fn ask(gateway: &Gateway, target: &str, fields: &str) -> Message {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let mut raw = raw::plain(gateway.port("front"));
    raw.send(request.as_bytes()).expect("a connection that takes a request");
    raw.response("GET").expect("a response")
}

fn marked(dir: &std::path::Path, driver: Driver, (mode, upstream): (&str, &Upstream)) -> Gateway {
    Setup::new(dir, driver, MARKED)
        .log_line("access = { path = \"access.log\", format = \"json\" }")
        .set("mode", &mode)
        .set("upstream", &upstream.port)
        .start()
}

/// Echoes, and sends an id of its own.
fn opinionated() -> Script {
    std::sync::Arc::new(|client| {
        while let Some(message) = client.request() {
            let body = message.head.raw;
            let head = "HTTP/1.1 200 OK\r\nx-request-id: theirs\r\n";
            if !client
                .send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            {
                return;
            }
        }
    })
}

/// `8-4-4-4-12` digits, version 4.
fn is_uuid(text: &str) -> bool {
    let lens: Vec<usize> = text.split('-').map(str::len).collect();
    lens == [8, 4, 4, 4, 12]
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
        && text.as_bytes()[14] == b'4'
}

/// What the upstream saw of this field; the answer's body is the request's head.
fn went_up(answer: &Message, name: &str) -> Vec<String> {
    let head = ferrule_tests::Head { raw: answer.text() };
    head.all(name).into_iter().map(str::to_owned).collect()
}

on_both_drivers! {
    fn the_client_chooses_the_form_of_an_error(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = marked(scratch.path(), driver, ("off", &upstream));
        for (accept, media, starts) in [
            ("", "application/json", "{\"error_msg\":\"404 Route Not Found\",\"request_id\":\"id-7\"}"),
            ("Accept: */*\r\n", "application/json", "{\"error_msg\""),
            ("Accept: image/png\r\n", "application/json", "{\"error_msg\""),
            ("Accept: text/plain\r\n", "text/plain; charset=utf-8", "404 Route Not Found\nRequest id: id-7\n"),
            ("Accept: text/html,application/xml;q=0.9,*/*;q=0.8\r\n", "text/html; charset=utf-8", "<!doctype html>"),
        ] {
            let answer = ask(&gateway, "/gone", &format!("X-Request-Id: id-7\r\n{accept}"));
            assert_eq!(answer.status(), 404);
            assert_eq!(answer.head.get("content-type"), Some(media), "{accept}");
            assert_eq!(answer.head.get("cache-control"), Some("no-store"));
            assert_eq!(answer.head.all("x-request-id"), ["id-7"]);
            assert!(answer.text().starts_with(starts), "{accept}: {}", answer.text());
            assert!(!answer.head.raw.to_lowercase().contains("server:"));
        }
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(b"HEAD /gone HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n").expect("a connection");
        let head = raw.response("HEAD").expect("a response");
        let length: usize = head.head.get("content-length").and_then(|text| text.parse().ok()).expect("a length");
        assert_eq!(length, "404 Route Not Found\nRequest id: ".len() + 36 + 1);
        // Nothing of a body stands in the way of the next answer.
        assert_eq!(raw::get(&mut raw, "x", "/here/").status(), 200);
    }

    fn every_request_has_one_id(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(opinionated()));
        let gateway = marked(scratch.path(), driver, ("off", &upstream));
        let mut wanted = Vec::new();
        for (fields, taken) in [
            ("X-Request-Id: mine-1\r\n", Some("mine-1")),
            ("x-request-id: a/b+c=@~:_.\r\n", Some("a/b+c=@~:_.")),
            ("", None),
            ("X-Request-Id: a\"b\r\n", None),
            ("X-Request-Id: <b>\r\n", None),
            ("X-Request-Id: a\r\nX-Request-Id: b\r\n", None),
            ("X_Request_Id: sneaky\r\n", None),
        ] {
            let answer = ask(&gateway, "/here/", fields);
            let back = answer.head.all("x-request-id");
            assert_eq!(back.len(), 1, "{}", answer.head.raw);
            assert!(taken.map_or_else(|| is_uuid(back[0]), |id| id == back[0]), "{fields}: {back:?}");
            assert_eq!(went_up(&answer, "x-request-id"), back, "{fields}");
            assert!(!answer.text().contains("sneaky"));
            wanted.push(back[0].to_owned());
        }
        // So has one that nobody understood.
        let (answer, _) = raw::exchange(gateway.port("front"), b"GET / HTTP/1.1\nX-Request-Id: a\n\n");
        let id = answer.head.get("x-request-id").expect("an id").to_owned();
        assert!(answer.status() == 400 && is_uuid(&id), "{answer:?}");
        assert!(answer.text().contains(&format!("\"request_id\":\"{id}\"")));
        wanted.push(id);
        let distinct: std::collections::BTreeSet<&String> = wanted.iter().collect();
        assert_eq!(distinct.len(), wanted.len());
        let logged = poll(PATIENCE, || {
            let text = fs::read_to_string(scratch.path().join("access.log")).ok()?;
            let ids: Vec<String> = text.lines().filter_map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(value["request_id"].as_str()?.to_owned())
            }).collect();
            (ids.len() >= wanted.len()).then_some(ids)
        });
        assert_eq!(logged.expect("a line for each"), wanted);
    }

    fn nothing_is_marked_unasked(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(opinionated()));
        let gateway = Setup::new(scratch.path(), driver, PLAIN).set("upstream", &upstream.port).start();
        let answer = ask(&gateway, "/", "traceparent: nonsense\r\nX-Request-Id: <any>\r\n");
        assert_eq!(answer.head.all("x-request-id"), ["theirs"]);
        assert_eq!(went_up(&answer, "x-request-id"), ["<any>"]);
        assert_eq!(went_up(&answer, "traceparent"), ["nonsense"]);
    }

    fn traces_pass_or_begin(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let state = "tracestate: a=1\r\ntracestate: b=2\r\n";
        let good = format!("traceparent: {PARENT}\r\n{state}");
        let twice = format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n{state}");
        for (mode, begins) in [("pass", false), ("begin", true)] {
            let gateway = marked(scratch.path(), driver, (mode, &upstream));
            let answer = ask(&gateway, "/here/", &good);
            assert_eq!(went_up(&answer, "traceparent"), [PARENT]);
            assert_eq!(went_up(&answer, "tracestate"), ["a=1,b=2"]);
            let bad_state = format!("traceparent: {PARENT}\r\ntracestate: A\r\n");
            let answer = ask(&gateway, "/here/", &bad_state);
            assert_eq!(went_up(&answer, "traceparent"), [PARENT]);
            assert!(went_up(&answer, "tracestate").is_empty());
            for fields in ["", "traceparent: nonsense\r\ntracestate: a=1\r\n", twice.as_str(), state] {
                let answer = ask(&gateway, "/here/", fields);
                let sent = went_up(&answer, "traceparent");
                assert!(went_up(&answer, "tracestate").is_empty(), "{fields}");
                assert_eq!(sent.len(), usize::from(begins), "{mode} {fields}: {sent:?}");
                if begins {
                    let parts: Vec<&str> = sent[0].split('-').collect();
                    let lens: Vec<usize> = parts.iter().map(|part| part.len()).collect();
                    assert_eq!((parts[0], parts[3], lens), ("00", "01", vec![2, 32, 16, 2]));
                    let found = poll(PATIENCE, || {
                        let text = fs::read_to_string(scratch.path().join("access.log")).ok()?;
                        let (trace, span) = (parts[1], parts[2]);
                        text.contains(&format!("\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"")).then_some(())
                    });
                    assert!(found.is_some(), "{sent:?} is in no line");
                }
            }
        }
    }

    fn own_pages_outlive_their_files_and_bad_reloads(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        fs::write(dir.join("404.html"), "<h1>Nothing here</h1>$request_id").expect("a file");
        fs::write(dir.join("404.json"), "{\"sorry\":404}").expect("a file");
        fs::write(dir.join("5xx.txt"), "try later").expect("a file");
        let text = MARKED.replace("[http]\n", "[http]\nerror_pages = { 404 = [\"404.html\", \"404.json\"], 5xx = \"5xx.txt\" }\n");
        let mut gateway = Setup::new(dir, driver, &text).set("mode", &"off").set("upstream", &upstream.port).start();
        check_pages(&gateway);
        drop(fs::remove_file(dir.join("404.html")));
        check_pages(&gateway);
        assert_eq!(gateway.signal_reload(), Reloaded::Refused);
        assert!(gateway.log().contains("404.html"), "{}", gateway.log());
        check_pages(&gateway);
        drop(upstream);
        let answer = ask(&gateway, "/here/", "");
        assert_eq!((answer.status(), answer.text().as_str()), (502, "try later"));
        fs::write(dir.join("404.html"), vec![b'a'; 64 * 1024 + 1]).expect("a file");
        let (code, said) = Setup::new(dir, driver, &text).named("large").set("mode", &"off").set("upstream", &1).check();
        assert!(code != Some(0) && said.contains("too large"), "{said}");
        fs::write(dir.join("404.html"), [0xff]).expect("a file");
        let (code, said) = Setup::new(dir, driver, &text).named("binary").set("mode", &"off").set("upstream", &1).check();
        assert!(code != Some(0) && said.contains("UTF-8"), "{said}");
    }

    /// A page for a class says nothing about certificates; one for nginx's own number does.
    fn certificates_keep_their_reason_beside_pages(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        fs::write(dir.join("any.txt"), "any").expect("a file");
        fs::write(dir.join("none.txt"), "show one").expect("a file");
        let text = format!(
            "[http]\nerror_pages = {{ 4xx = \"any.txt\", 496 = \"none.txt\" }}\n{}\n[[ssls]]\nsni = \"a.test\"\n\
             cert = \"server.crt\"\nkey = \"server.key\"\nclient.ca = \"ca.crt\"\n",
            PLAIN.replace("@front@\"", "@front@\"\ntls = true")
        );
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let none = Dial::new(Some("a.test")).get(front, "a.test", "/").expect("an answer");
        assert_eq!((none.status(), none.text().as_str()), (400, "show one"));
        let stranger = Authority::new("other").client("me");
        let bad = Dial::as_client("a.test", &stranger).get(front, "a.test", "/").expect("an answer");
        assert_eq!(bad.status(), 400);
        assert!(bad.text().contains("400 The SSL certificate error") && bad.text().contains("reason"), "{}", bad.text());
        let plain = raw::plain_get(front, "a.test", "/");
        assert!(plain.text().contains("plain HTTP request"), "{}", plain.text());
        let known = Dial::as_client("a.test", &authority.client("me"));
        let misdirected = known.get(front, "b.test", "/").expect("an answer");
        assert_eq!((misdirected.status(), misdirected.text().as_str()), (421, "any"));
    }
}

fn check_pages(gateway: &Gateway) {
    let html = ask(gateway, "/gone", "Accept: text/html\r\nX-Request-Id: id-1\r\n");
    assert_eq!((html.status(), html.text().as_str()), (404, "<h1>Nothing here</h1>id-1"));
    assert_eq!(html.head.get("content-type"), Some("text/html; charset=utf-8"));
    let json = ask(gateway, "/gone", "Accept: application/json\r\n");
    assert_eq!(json.text(), "{\"sorry\":404}");
    let neither = ask(gateway, "/gone", "Accept: image/png\r\nX-Request-Id: id-2\r\n");
    assert_eq!(neither.text(), "<h1>Nothing here</h1>id-2");
}
