//! Request heads: bytes and verdicts (RFC 9112, sections 2, 3 and 5).

use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::head::{
    Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use ferrule_engine::wire::limits::{FIELDS_MAX, HeadLimits};

use super::feed::{LIMITS, request, request_within, show};

/// A request head and the rule it breaks.
const REFUSED: &[(&[u8], WireError)] = &[
    // What can begin no message at all.
    (b"\0GET / HTTP/1.1\r\n\r\n", NotHttp),
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", NotHttp),
    (b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", NotHttp),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NotHttp),
    (b"\x80GET / HTTP/1.1\r\n\r\n", NotHttp),
    (b":GET / HTTP/1.1\r\n\r\n", NotHttp),
    // Line ends: CRLF and nothing else.
    (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf),
    (b"GET / HTTP/1.1\nHost: a\n\n", BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", BareLf),
    (b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BareCr),
    (b"GET / HTTP/1.1\rHost: a\r\n\r\n", BareCr),
    (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BareCr),
    (b"GET / HTTP/1.1\r\nHost: \ra\r\n\r\n", BareCr),
    (b"GET / HTTP/1.1\r\n\rHost: a\r\n\r\n", BareCr),
    (b"G\rET / HTTP/1.1\r\nHost: a\r\n\r\n", BareCr),
    (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareCr),
    // At most one empty line before it.
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"\r\n\r\n", MalformedRequestLine),
    (b"\r\n GET / HTTP/1.1\r\n\r\n", MalformedRequestLine),
    // The request line: three parts, two single spaces.
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET\r\n\r\n", MalformedRequestLine),
    (b"GET /\r\n\r\n", MalformedRequestLine),
    (b"GET \r\n\r\n", MalformedRequestLine),
    (b"GET / \r\n\r\n", MalformedRequestLine),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", MalformedRequestLine),
    (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", InvalidMethod),
    (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", InvalidMethod),
    (b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", InvalidMethod),
    (b"G\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n", InvalidMethod),
    (b"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", InvalidTarget),
    (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", InvalidTarget),
    (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", InvalidTarget),
    (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", InvalidTarget),
    (b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", InvalidTarget),
    // Versions we know of but do not speak.
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", UnsupportedVersion),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UnsupportedVersion),
    (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", UnsupportedVersion),
    (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", UnsupportedVersion),
    // Field lines.
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", SpaceBeforeColon),
    (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", SpaceBeforeColon),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", SpaceBeforeColon),
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", ObsoleteFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", ObsoleteFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\tb: c\r\n\r\n", ObsoleteFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", ObsoleteFold),
    (b"GET / HTTP/1.1\r\n: a\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHost\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\x0b: b\r\n\r\n", InvalidFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", InvalidFieldValue),
    (b"GET / HTTP/1.1\r\nHost:\0a\r\n\r\n", InvalidFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n", InvalidFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\x1b[31m\r\n\r\n", InvalidFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", InvalidFieldValue),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", InvalidFieldValue),
];

#[test]
fn every_broken_rule_of_a_request_head_has_its_verdict_in_every_split() {
    for (bytes, error) in REFUSED {
        assert_eq!(request(bytes), Err(*error), "{}", show(bytes));
    }
}

/// The parser relies on the scan for the length only, not for any rule.
#[test]
fn a_request_is_refused_without_a_scan_before_it_too() {
    let mut head = RequestHead::default();
    for (bytes, error) in REFUSED {
        let parsed = parse_request(bytes, bytes.len(), LIMITS, &mut head);
        let same = parsed == Err(*error) || (*error == NotHttp && parsed.is_err());
        assert!(same, "{parsed:?}: {}", show(bytes));
    }
}

#[test]
fn no_control_byte_passes_anywhere_in_a_request_head() {
    let head = b"GET /path HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
    for at in 0..head.len() {
        for byte in (0..0x20).chain([0x7f]).filter(|&byte| byte != b'\t') {
            let mut bytes = head.to_vec();
            if bytes[at] == byte {
                continue;
            }
            bytes[at] = byte;
            assert!(!matches!(request(&bytes), Ok(Some(_))), "{byte:#x} at {at}");
        }
    }
}

#[test]
fn a_legal_request_head_is_taken_apart() {
    let bytes = b"POST /a?b=c HTTP/1.1\r\nHost: a.b\r\nX-Empty:\r\nX-Blank: \t \r\n\
        X-Tab:\ta\tb \t\r\nX-Obs: \xff\x80\r\nx!#$%&'*+-.^_`|~9: colon: too\r\n\r\nbody";
    let head = request(bytes).unwrap().unwrap();
    assert_eq!(head.first, ("POST".into(), b"/a?b=c".to_vec()));
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.len, bytes.len() - 4);
    let expected: [(&str, &[u8]); 6] = [
        ("Host", b"a.b"),
        ("X-Empty", b""),
        ("X-Blank", b""),
        ("X-Tab", b"a\tb"),
        ("X-Obs", b"\xff\x80"),
        ("x!#$%&'*+-.^_`|~9", b"colon: too"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_vec()));
    assert_eq!(head.fields, expected);
}

#[test]
fn heads_at_the_edge_of_the_grammar_pass() {
    let passes: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%zz|{}<>\"^`\\ HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for bytes in passes {
        assert!(matches!(request(bytes), Ok(Some(_))), "{}", show(bytes));
    }
}

#[test]
fn one_empty_line_before_a_request_is_skipped_and_counted() {
    let bytes = b"\r\nGET / HTTP/1.0\r\nA: b\r\n\r\nnext";
    let head = request(bytes).unwrap().unwrap();
    assert_eq!(head.first, ("GET".into(), b"/".to_vec()));
    assert_eq!(head.len, bytes.len() - 4);
    assert_eq!(head.fields, [("A".into(), b"b".to_vec())]);
}

#[test]
fn an_unfinished_head_is_no_verdict() {
    let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for len in 0..head.len() {
        assert_eq!(request(&head[..len]), Ok(None));
    }
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    let head = b"GET /abc HTTP/1.1\r\nHost: a\r\n\r\n";
    let len = u32::try_from(head.len()).unwrap();
    let within = |bytes: &[u8], head_bytes_max| {
        request_within(bytes, HeadLimits { head_bytes_max, ..LIMITS }).map(|head| head.is_some())
    };
    assert_eq!(within(head, len), Ok(true));
    assert_eq!(within(head, len - 1), Err(HeadTooLarge));
    assert_eq!(within(head, 19), Err(HeadTooLarge));
    assert_eq!(within(head, 18), Err(TargetTooLong));
    assert_eq!(within(head, 0), Err(TargetTooLong));
    assert_eq!(within(&[b"\r\n", &head[..]].concat(), len), Err(HeadTooLarge));
    assert_eq!(within(&[b"\r\n", &head[..]].concat(), 18), Err(TargetTooLong));
    assert_eq!(within(&[b'a'; 5000], 4096), Err(TargetTooLong));
    assert_eq!(within(&[b'a'; 4095], 4096), Ok(false));
    // What lies behind the limit is nobody's fault yet.
    assert_eq!(within(b"GET /abc HTTP/1.1\r\n\r\n\n\n\n\n", 21), Ok(true));
}

#[test]
fn field_lines_are_counted() {
    let with = |count: usize| {
        [b"GET / HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(count), b"\r\n".to_vec()].concat()
    };
    let within = |count, fields_max| {
        let limits = HeadLimits { head_bytes_max: 4096, fields_max };
        request_within(&with(count), limits).map(|head| head.map(|head| head.fields.len()))
    };
    assert_eq!(within(3, 3), Ok(Some(3)));
    assert_eq!(within(4, 3), Err(TooManyFields));
    assert_eq!(within(0, 0), Ok(Some(0)));
    assert_eq!(within(1, 0), Err(TooManyFields));
    assert_eq!(within(FIELDS_MAX, u16::MAX), Ok(Some(FIELDS_MAX)));
    assert_eq!(within(FIELDS_MAX + 1, u16::MAX), Err(TooManyFields));
}

#[test]
fn methods_are_case_sensitive() {
    let known: [(&[u8], Method); 10] = [
        (b"CONNECT", Method::Connect),
        (b"DELETE", Method::Delete),
        (b"GET", Method::Get),
        (b"HEAD", Method::Head),
        (b"OPTIONS", Method::Options),
        (b"PATCH", Method::Patch),
        (b"POST", Method::Post),
        (b"PURGE", Method::Purge),
        (b"PUT", Method::Put),
        (b"TRACE", Method::Trace),
    ];
    for (text, method) in known {
        assert_eq!(Method::of(text), method);
        assert_eq!(Method::of(&text.to_ascii_lowercase()), Method::Other);
    }
}

/// The caller's length is trusted for nothing.
#[test]
fn a_head_is_parsed_at_its_very_length_or_not_at_all() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
    let end = bytes.len() - 3;
    let mut head = RequestHead::default();
    for len in 0..bytes.len() + 2 {
        let parsed = parse_request(bytes, len, LIMITS, &mut head);
        assert_eq!(parsed, if len == end { Ok(()) } else { Err(MalformedHead) }, "{len}");
    }
    let limits = HeadLimits { head_bytes_max: 8, ..LIMITS };
    assert_eq!(parse_request(bytes, end, limits, &mut head), Err(HeadTooLarge));
    let bytes = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nxyz";
    let mut head = ResponseHead::default();
    for len in 0..bytes.len() + 2 {
        let parsed = parse_response(bytes, len, LIMITS, &mut head);
        let legal = len == bytes.len() - 3;
        assert_eq!(parsed, if legal { Ok(()) } else { Err(MalformedHead) }, "{len}");
    }
}

/// Heads are parsed into the same memory, one after the other; nothing of one may be in the next.
#[test]
fn a_head_holds_nothing_of_the_one_before() {
    let mut head = RequestHead::default();
    let mut fields = |bytes: &[u8]| {
        let parsed = parse_request(bytes, bytes.len(), LIMITS, &mut head);
        parsed.map(|()| head.fields.as_slice().len())
    };
    assert_eq!(fields(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n"), Ok(3));
    assert_eq!(fields(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"), Ok(1));
    assert_eq!(fields(b"GET / HTTP/1.1\r\nHost: b\r\nX : 1\r\n\r\n"), Err(SpaceBeforeColon));
    assert!(head.fields.as_slice().is_empty());
}
