//! The same requests, logged by nginx and by the gateway in the same format of one's own, under each word of
//! `escape`: the same bytes.
//!
//! Three exceptions, all documented (`docs/operations.md`): in JSON a byte that is not UTF-8 becomes U+FFFD,
//! and with `none` a control character is escaped, both of which nginx writes as they came; and a field
//! that is there and empty is `-`, as one that is not there.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use ferrule_tests::{
    Driver, Nginx, PATIENCE, Setup, Shape, Upstream, echo, free_port, on_both_drivers, poll, raw,
    scratch,
};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// What both read of a request, with text between that is escaped nowhere.
const TEXT: &str =
    r#"$request_method $request_uri "$args" [$http_x_odd] $http_x_none \ $host $status"#;
const JSON: &str = r#"{"method":"$request_method","uri":"$request_uri","args":"$args","odd":"<$http_x_odd>","none":"$http_x_none","s":$status}"#;

/// Values of a field, without those that only one of us takes.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> =
        (b'!'..=b'~').chain(0x80..=0xff).map(|byte| vec![b'a', byte, b'z']).collect();
    values.extend(
        ["\u{e9}\u{2603}\u{1f600}", "a\tb", "\"", "\\", "\\\"\\n", "'$`{}[]", "<script>", "\\x22"]
            .map(|text| text.as_bytes().to_vec()),
    );
    values
}

fn requests(port: u16) -> usize {
    let mut raw = raw::plain(port);
    let mut count = 0;
    for value in values() {
        let head =
            [b"GET /a?b=c%22&d=' HTTP/1.1\r\nHost: x.test\r\nX-Odd: ", &value[..], b"\r\n\r\n"]
                .concat();
        raw.send(&head).expect("a connection");
        assert_eq!(raw.response("GET").expect("an answer").status(), 200, "{value:?}");
        count += 1;
    }
    count
}

fn lines(path: &Path, count: usize) -> Vec<Vec<u8>> {
    let found = poll(PATIENCE, || {
        let bytes = fs::read(path).ok()?;
        let lines: Vec<Vec<u8>> =
            bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        (lines.len() == count).then_some(lines)
    });
    let seen = || fs::read(path).unwrap_or_default().escape_ascii().to_string();
    assert!(found.is_some(), "not {count} lines: {}", seen());
    found.expect("it was found")
}

/// What we write where nginx wrote this.
fn ours(escape: &str, nginx: &[u8]) -> Vec<u8> {
    match escape {
        "json" => String::from_utf8_lossy(nginx).into_owned().into_bytes(),
        "none" => String::from_utf8_lossy(nginx).replace('\t', "\\x09").into_bytes(),
        _ => nginx.to_vec(),
    }
}

on_both_drivers! {
    fn own_formats_are_nginxs(driver) {
        let upstream = Upstream::plain(echo());
        for (escape, format) in [("default", TEXT), ("json", JSON), ("none", TEXT)] {
            compare(driver, &upstream, escape, format);
        }
    }
}

fn compare(driver: Driver, upstream: &Upstream, escape: &str, format: &str) {
    let scratch = scratch();
    let dir = scratch.path();
    let (port, log) = (free_port(), dir.join("nginx.log"));
    let quoted = format.replace('\\', "\\\\").replace('\'', "\\'");
    let http = format!(
        "log_format own escape={escape} '{quoted}';\nserver {{ listen 127.0.0.1:{port}; access_log {} own; \
         location / {{ return 200 ok; }} }}",
        log.display()
    );
    let _nginx = Nginx::start(dir, port, &http, Shape::Single);
    let gateway = Setup::new(dir, driver, CONFIG)
        .log_line(&format!(
            "access = {{ path = \"access.log\", escape = \"{escape}\", format = '{format}' }}"
        ))
        .set("upstream", &upstream.port)
        .start();
    let count = requests(port);
    assert_eq!(requests(gateway.port("front")), count);
    let theirs = lines(&log, count);
    for (nginx, line) in theirs.iter().zip(lines(&dir.join("access.log"), count)) {
        // Only where nginx writes raw bytes that are no text, ours with `none` are the same bytes.
        let is_text = std::str::from_utf8(nginx).is_ok();
        let wanted = if escape == "none" && !is_text { nginx.clone() } else { ours(escape, nginx) };
        assert_eq!(
            line.escape_ascii().to_string(),
            wanted.escape_ascii().to_string(),
            "escape={escape}: nginx wrote {}",
            nginx.escape_ascii()
        );
    }
}
