//! Heads and trailers of responses have bounds of their own, which take what nginx takes, and whoever is refused
//! for one is logged with its key.

use std::sync::Arc;

use ferrule_tests::{Driver, Raw, Script, Setup, Upstream, on_both_drivers, poll, raw, scratch};

use crate::PLAIN;

/// Answers every request with these bytes.
fn answering(bytes: Vec<u8>) -> Upstream {
    let script: Script =
        Arc::new(move |client| while client.request().is_some() && client.send(&bytes) {});
    Upstream::plain(script)
}

/// A head of so many field lines, of which the last fills it up to so many bytes; 0 leaves it short.
fn head(status: &str, lines: usize, bytes: usize) -> Vec<u8> {
    let length = if status.starts_with('1') { "X: 0\r\n" } else { "Content-Length: 0\r\n" };
    let mut head = format!("HTTP/1.1 {status}\r\n{length}{}", "a:\r\n".repeat(lines - 2));
    let rest = bytes.saturating_sub(head.len() + "b:\r\n\r\n".len());
    head.extend(["b:", &"x".repeat(rest), "\r\n\r\n"]);
    head.into_bytes()
}

/// A body in chunks with so many lines of trailers, as long as this altogether; 0 leaves them short.
fn with_trailers(lines: usize, bytes: usize) -> Vec<u8> {
    let mut section = "a:\r\n".repeat(lines - 1);
    let rest = bytes.saturating_sub(section.len() + "b:\r\n".len());
    section.extend(["b:", &"x".repeat(rest), "\r\n"]);
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{section}\r\n")
        .into_bytes()
}

fn ask(port: u16, more: &str) -> Raw {
    let mut raw = raw::plain(port);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n{more}\r\n");
    raw.send(head.as_bytes()).expect("a connection");
    raw
}

/// The status of the final answer; 0 if it was cut off.
fn status(driver: Driver, http: &str, answer: Vec<u8>, more: &str, logged: Option<&str>) -> u16 {
    let (scratch, upstream) = (scratch(), answering(answer));
    let text = format!("[http]\n{http}\n{PLAIN}");
    let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
    let mut raw = ask(gateway.port("front"), more);
    let status = raw.response("GET").map_or(0, |answer| answer.status());
    if let Some(key) = logged {
        let named = || gateway.log().contains(&format!("limit=\"{key}\"")).then_some(());
        assert!(poll(ferrule_tests::PATIENCE, named).is_some(), "{key}: {}", gateway.log());
    }
    status
}

const FIELDS: Option<&str> = Some("http.max_response_headers");
const BYTES: Option<&str> = Some("http.response_header_buffer");
const TRAILERS: Option<&str> = Some("http.response_header_buffer, http.max_response_headers");

on_both_drivers! {
    fn a_response_may_have_what_nginx_takes(driver) {
        const LIMIT: usize = 32 * 1024;
        let early = |lines| [head("103 Early Hints", lines, 0), head("200 OK", 2, 0)].concat();
        for (answer, wanted, key) in [
            // As many of the shortest as nginx's 4k of `proxy_buffer_size` hold.
            (head("200 OK", 1_013, 0), 200, None),
            (head("200 OK", 1_024, 0), 200, None),
            (head("200 OK", 1_025, 0), 502, FIELDS),
            (head("200 OK", 2, LIMIT), 200, None),
            (head("200 OK", 1_024, LIMIT), 200, None),
            (head("200 OK", 2, LIMIT + 1), 502, BYTES),
            // Without an end, it is not read for ever.
            (vec![b'x'; 1 << 20].into_iter().fold(b"HTTP/1.1 200 OK\r\nA: ".to_vec(), |mut all, byte| { all.push(byte); all }), 502, BYTES),
            (format!("HTTP/1.1 200 {}", "x".repeat(LIMIT)).into_bytes(), 502, BYTES),
            (early(1_024), 200, None),
            (early(1_025), 502, FIELDS),
            (with_trailers(1_024, 0), 200, None),
            (with_trailers(1_025, 0), 0, TRAILERS),
            (with_trailers(2, LIMIT), 200, None),
            (with_trailers(2, LIMIT + 1), 0, TRAILERS),
        ] {
            let about = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
            assert_eq!(status(driver, "", answer, "", key), wanted, "{about}");
        }
    }

    /// What bounds the one says nothing of the other.
    fn requests_and_responses_have_keys_of_their_own(driver) {
        let fields = |count: usize| "X-Field: 1\r\n".repeat(count);
        let long = |count: usize| format!("X-Field: {}\r\n", "x".repeat(count));
        let small = || head("200 OK", 2, 0);
        for (http, answer, more, wanted, key) in [
            ("max_response_headers = 8", head("200 OK", 8, 0), fields(50), 200, None),
            ("max_response_headers = 8", head("200 OK", 9, 0), String::new(), 502, FIELDS),
            ("max_response_headers = 8", with_trailers(9, 0), String::new(), 0, TRAILERS),
            ("max_response_headers = 2048", head("200 OK", 2_048, 0), String::new(), 200, None),
            ("response_header_buffer = '1k'", head("200 OK", 2, 1_024), long(4_000), 200, None),
            ("response_header_buffer = '1k'", head("200 OK", 2, 1_025), String::new(), 502, BYTES),
            ("response_header_buffer = '1k'", with_trailers(2, 1_025), String::new(), 0, TRAILERS),
            ("response_header_buffer = '64k'", head("200 OK", 2, 65_536), String::new(), 200, None),
            ("max_headers = 8", head("200 OK", 300, 0), fields(5), 200, None),
            ("max_headers = 8", small(), fields(6), 431, Some("http.max_headers")),
            ("large_client_header_buffers = '1k'", head("200 OK", 2, 30_000), String::new(), 200, None),
            ("large_client_header_buffers = '1k'", small(), long(1_000), 431, Some("http.large_client_header_buffers")),
        ] {
            let about = format!("{http}: {}", String::from_utf8_lossy(&answer[..answer.len().min(40)]));
            assert_eq!(status(driver, http, answer, &more, key), wanted, "{about}");
        }
    }
}
