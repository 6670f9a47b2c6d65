//! The page as HTTP: where it is, who may ask, what a reader of its events may cost.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use ferrule_tests::{PATIENCE, Reloaded, poll, raw};

use crate::{CONFIG, ShownGateway};

fn ask(port: u16, line: &str, host: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the endpoint");
    stream
        .write_all(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A reader of events that has read so many bytes.
fn read_events(port: u16, bytes: usize) -> (TcpStream, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the endpoint");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(b"GET /status/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut text = vec![0; bytes];
    stream.read_exact(&mut text).expect("events");
    (stream, String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_page_is_off_unless_it_is_asked_for() {
    let mut shown = ShownGateway::start(
        &CONFIG.replace("status_path = \"/status\"\nimport_report = \"import.txt\"", ""),
    );
    let port = shown.metrics();
    assert!(ask(port, "GET /status", "localhost").starts_with("HTTP/1.1 404 "));
    assert_eq!(shown.gateway.reload(CONFIG), Reloaded::Taken);
    assert!(ask(port, "GET /status", "localhost").starts_with("HTTP/1.1 200 "));
    assert!(ask(port, "GET /metrics", "localhost").starts_with("HTTP/1.1 200 "));
}

#[test]
fn only_those_who_may_ask_are_answered_and_nothing_can_be_done() {
    let shown = ShownGateway::start(CONFIG);
    let port = shown.metrics();
    for path in [
        "",
        "/page.js",
        "/page.css",
        "/icon.svg",
        "/routes",
        "/events",
        "/match?method=GET&url=a.test/",
    ] {
        let line = format!("GET /status{path}");
        for host in ["evil.test", "localhost.evil.test"] {
            assert!(ask(port, &line, host).starts_with("HTTP/1.1 403 "), "{path} {host}");
        }
        let head = ask(port, &format!("HEAD /status{path}"), "127.0.0.1");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        for wanted in
            ["default-src 'none'", "frame-ancestors 'none'", "nosniff", "no-referrer", "no-store"]
        {
            assert!(head.contains(wanted), "{path} {wanted}: {head}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = ask(port, &format!("{method} /status{path}"), "localhost");
            assert!(answer.starts_with("HTTP/1.1 405 "), "{method} {path}: {answer}");
        }
    }
    for path in ["/", "x", "/page.js/", "/../metrics", "/%2e", "/nothing"] {
        let answer = ask(port, &format!("GET /status{path}"), "localhost");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

#[test]
fn questions_about_routes_are_answered_and_bounded() {
    let shown = ShownGateway::start(CONFIG);
    let port = shown.metrics();
    let find = |query: &str| ask(port, &format!("GET /status/match?{query}"), "localhost");
    let found = find("method=GET&url=https%3A%2F%2Fa.test%2Forders%2F1");
    assert!(found.contains("\"id\":\"orders\"") && found.contains("\"taken\":true"), "{found}");
    let found = find("method=PUT&url=http%3A%2F%2Fx.test%2Forders");
    assert!(found.contains("\"id\":\"rest\""), "{found}");
    for wrong in
        ["", "method=GET", "method=GET&url=", "method=G%0d%0aX&url=a.test/", "method=GET&url=a%00b"]
    {
        assert!(find(wrong).starts_with("HTTP/1.1 400 "), "{wrong}");
    }
    let refused = poll(PATIENCE, || {
        find("method=GET&url=a.test/").starts_with("HTTP/1.1 429 ").then_some(())
    });
    assert!(refused.is_some(), "any number of questions is answered");
}

/// Readers are bounded, what they get is well-formed, and scrapers get through beside them.
#[test]
fn readers_of_events_are_bounded() {
    let shown = ShownGateway::start(CONFIG);
    let port = shown.metrics();
    let readers: Vec<_> = (0..8).map(|_| read_events(port, 1_500)).collect();
    for (_, text) in &readers {
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("text/event-stream"), "{text}");
        assert!(text.contains("\r\n\r\nevent: overview\ndata: {"), "{text}");
    }
    assert!(ask(port, "GET /status/events", "localhost").starts_with("HTTP/1.1 503 "));
    assert_eq!(raw::plain_get(port, "localhost", "/metrics").status(), 200);
    drop(readers);
    let free = poll(PATIENCE, || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.write_all(b"GET /status/events HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut start = [0; 13];
        stream.read_exact(&mut start).ok()?;
        (&start == b"HTTP/1.1 200 ").then_some(())
    });
    assert!(free.is_some(), "places are not given back");
}

/// Nothing that the page says is a secret.
#[test]
fn no_key_is_on_the_page() {
    let shown = ShownGateway::start(CONFIG);
    let (_reader, text) = read_events(shown.metrics(), 4_000);
    let routes = ask(shown.metrics(), "GET /status/routes", "localhost");
    let key = std::fs::read_to_string(shown.scratch.path().join("server.key")).expect("a key");
    for line in key.lines().filter(|line| line.len() > 20) {
        assert!(!text.contains(line) && !routes.contains(line), "{line}");
    }
    assert!(!text.contains("PRIVATE"));
}
