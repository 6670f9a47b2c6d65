//! Response heads: bytes and verdicts (RFC 9112, sections 2, 4 and 5).

use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::head::{ResponseHead, Version, parse_response};

use super::feed::{LIMITS, response, show};

/// A response head and the rule it breaks.
const REFUSED: &[(&[u8], WireError)] = &[
    (b"\0", NotHttp),
    (b"\x15\x03\x03\x00\x02\x02\x28", NotHttp),
    (b" HTTP/1.1 200 OK\r\n\r\n", NotHttp),
    (b"\nHTTP/1.1 200 OK\r\n\r\n", BareLf),
    (b"HTTP/1.1 200 OK\n\n", BareLf),
    (b"HTTP/1.1 200 OK\r\nA: b\n\r\n", BareLf),
    (b"HTTP/1.1 200\n\r\n", BareLf),
    (b"HTTP/1.1 200 O\rK\r\n\r\n", BareCr),
    (b"HTTP/1.1 200\r \r\n\r\n", BareCr),
    (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", BareCr),
    (b"HTTP/1.1 200 OK\r\r\n\r\n", BareCr),
    // An empty line is skipped before requests only.
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 \r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 20\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 2000 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 +20 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1  200 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1\t200 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 200\tOK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.1 200OK\r\n\r\n", MalformedStatusLine),
    (b"http/1.1 200 OK\r\n\r\n", MalformedStatusLine),
    (b"ICY 200 OK\r\n\r\n", MalformedStatusLine),
    (b"HTTP/1.12 200 OK\r\n\r\n", MalformedStatusLine),
    (b"GET / HTTP/1.1\r\n\r\n", MalformedStatusLine),
    (b"HTTP/2.0 200 OK\r\n\r\n", UnsupportedVersion),
    (b"HTTP/1.2 200 OK\r\n\r\n", UnsupportedVersion),
    (b"HTTP/1.1 099 Low\r\n\r\n", InvalidStatus),
    (b"HTTP/1.1 000 Zero\r\n\r\n", InvalidStatus),
    (b"HTTP/1.1 600 High\r\n\r\n", InvalidStatus),
    (b"HTTP/1.1 999 Denied\r\n\r\n", InvalidStatus),
    (b"HTTP/1.1 200 O\0K\r\n\r\n", InvalidReason),
    (b"HTTP/1.1 200 O\x7fK\r\n\r\n", InvalidReason),
    (b"HTTP/1.1 200 \x1b[0m\r\n\r\n", InvalidReason),
    (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", SpaceBeforeColon),
    (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", ObsoleteFold),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", ObsoleteFold),
    (b"HTTP/1.1 200 OK\r\nA b\r\n\r\n", InvalidFieldName),
    // White space before the colon of what is no name anyway; and a fault behind a bare status.
    (b"HTTP/1.1 200 OK\r\nA( : b\r\n\r\n", InvalidFieldName),
    (b"HTTP/1.1 200\r\nA : b\r\n\r\n", SpaceBeforeColon),
    (b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", InvalidFieldValue),
];

#[test]
fn every_broken_rule_of_a_response_head_has_its_verdict_in_every_split() {
    for (bytes, error) in REFUSED {
        assert_eq!(response(bytes), Err(*error), "{}", show(bytes));
    }
}

/// The parser relies on the scan for the length only, not for any rule.
#[test]
fn a_response_is_refused_without_a_scan_before_it_too() {
    let mut head = ResponseHead::default();
    for (bytes, error) in REFUSED {
        let parsed = parse_response(bytes, bytes.len(), LIMITS, &mut head);
        let same = parsed == Err(*error) || (*error == NotHttp && parsed.is_err());
        assert!(same, "{parsed:?}: {}", show(bytes));
    }
}

#[test]
fn legal_status_lines_pass_with_and_without_a_reason() {
    let cases: &[(&[u8], &str, &[u8], Version)] = &[
        (b"HTTP/1.1 200 OK\r\n\r\n", "200", b"OK", Version::Http11),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "404", b"Not Found", Version::Http10),
        (b"HTTP/1.1 100 \r\n\r\n", "100", b"", Version::Http11),
        (b"HTTP/1.1 599 \r\nA: b\r\n\r\n", "599", b"", Version::Http11),
        // Without the space that has to be there (RFC 9112, section 4): common, and unambiguous.
        (b"HTTP/1.1 200\r\n\r\n", "200", b"", Version::Http11),
        (b"HTTP/1.1 200\r\nA: b\r\n\r\n", "200", b"", Version::Http11),
        (b"HTTP/1.1 200  O\tK \r\n\r\n", "200", b" O\tK ", Version::Http11),
        (b"HTTP/1.1 200 \xc3\xa9\xff\r\n\r\n", "200", b"\xc3\xa9\xff", Version::Http11),
    ];
    for (bytes, status, reason, version) in cases {
        let head = response(bytes).unwrap().unwrap();
        assert_eq!(head.first, ((*status).to_owned(), reason.to_vec()), "{}", show(bytes));
        assert_eq!((head.version, head.len), (*version, bytes.len()));
    }
}

#[test]
fn the_head_ends_where_the_body_begins() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
    let head = response(bytes).unwrap().unwrap();
    assert_eq!(head.len, bytes.len() - 4);
    assert_eq!(head.fields, [("Content-Length".into(), b"4".to_vec())]);
}
