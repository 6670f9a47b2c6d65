//! Where bodies end: fields and verdicts (RFC 9112, section 6.3).

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::head::Method;

use super::feed::{body, request_framing, response_framing};

/// Field lines, and what they say of a body in a request or a response that may have one.
const CASES: &[(&str, Result<BodyLength, WireError>)] = &[
    ("Content-Length: 5\r\n", Ok(BodyLength::Length(5))),
    ("content-length:5\t\r\n", Ok(BodyLength::Length(5))),
    ("Content-Length: 0\r\n", Ok(BodyLength::Length(0))),
    ("Content-Length: 007\r\n", Ok(BodyLength::Length(7))),
    ("Content-Length: 9223372036854775807\r\n", Ok(BodyLength::Length(u64::MAX >> 1))),
    ("Content-Length: 9223372036854775808\r\n", Err(ContentLengthTooLarge)),
    ("Content-Length: 18446744073709551615\r\n", Err(ContentLengthTooLarge)),
    ("Content-Length: 18446744073709551616\r\n", Err(ContentLengthTooLarge)),
    ("Content-Length: 99999999999999999999999\r\n", Err(ContentLengthTooLarge)),
    ("Content-Length:\r\n", Err(InvalidContentLength)),
    ("Content-Length: +5\r\n", Err(InvalidContentLength)),
    ("Content-Length: -5\r\n", Err(InvalidContentLength)),
    ("Content-Length: 0x5\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5 5\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5,5\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5, 6\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5,\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5.0\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5_0\r\n", Err(InvalidContentLength)),
    ("Content-Length: 1e3\r\n", Err(InvalidContentLength)),
    ("Content-Length: \u{b2}\r\n", Err(InvalidContentLength)),
    ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(SeveralContentLengths)),
    ("Content-Length: 5\r\nA: b\r\ncontent-length: 6\r\n", Err(SeveralContentLengths)),
    ("Content-Length:\r\nContent-Length: 5\r\n", Err(SeveralContentLengths)),
    ("Transfer-Encoding: chunked\r\n", Ok(BodyLength::Chunked)),
    ("transfer-encoding:\tCHUNKED \r\n", Ok(BodyLength::Chunked)),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(AmbiguousLength)),
    ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Err(AmbiguousLength)),
    ("Transfer-Encoding: nonsense\r\nContent-Length: 5\r\n", Err(AmbiguousLength)),
    ("Transfer-Encoding:\r\nContent-Length: 5\r\n", Err(AmbiguousLength)),
    ("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", Err(InvalidContentLength)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: chunked, chunked\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: chunked, gzip\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: chunked, identity\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: gzip\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: x-gzip, deflate\r\n", Err(ChunkedNotLast)),
    ("Transfer-Encoding: gzip, chunked\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: identity\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: identity, chunked\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: xchunked\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: chunked-x\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding: chunke\r\n", Err(UnknownTransferCoding)),
    ("Transfer-Encoding:\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: ,\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: chunked,\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: ,chunked\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: chunked;q=1\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: \"chunked\"\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: chunked chunked\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: chunked\u{a0}\r\n", Err(InvalidTransferEncoding)),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", Err(InvalidTransferEncoding)),
];

fn request(version: &str, fields: &str) -> Result<BodyLength, WireError> {
    request_framing(format!("POST / {version}\r\n{fields}\r\n").as_bytes())
}

fn response(status: u16, method: Method, fields: &str) -> Result<BodyLength, WireError> {
    response_framing(format!("HTTP/1.1 {status} \r\n{fields}\r\n").as_bytes(), method)
}

#[test]
fn requests_and_responses_are_framed_with_the_same_care() {
    for (fields, length) in CASES {
        assert_eq!(request("HTTP/1.1", fields), *length, "request with {fields}");
        assert_eq!(response(200, Method::Get, fields), *length, "response with {fields}");
        assert_eq!(response(404, Method::Post, fields), *length, "response with {fields}");
    }
}

/// A request without framing fields has no body; a response ends with its connection.
#[test]
fn no_framing_field_means_no_body_in_a_request_and_the_rest_in_a_response() {
    assert_eq!(request("HTTP/1.1", "Host: a\r\n"), Ok(BodyLength::None));
    assert_eq!(request("HTTP/1.0", ""), Ok(BodyLength::None));
    assert_eq!(response(200, Method::Get, "A: b\r\n"), Ok(BodyLength::UntilClose));
    assert_eq!(response(205, Method::Get, ""), Ok(BodyLength::UntilClose));
}

/// An HTTP/1.0 hop may have passed the field on without understanding it (RFC 9112, section 6.1).
#[test]
fn transfer_encoding_in_http10_is_refused() {
    let fields = "Transfer-Encoding: chunked\r\n";
    assert_eq!(request("HTTP/1.0", fields), Err(TransferEncodingInHttp10));
    let response = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(response_framing(response, Method::Get), Err(TransferEncodingInHttp10));
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    assert_eq!(request("HTTP/1.0", both), Err(AmbiguousLength));
}

#[test]
fn answers_to_head_and_304_describe_a_body_and_have_none() {
    for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        assert_eq!(response(200, Method::Head, fields), Ok(BodyLength::None));
        assert_eq!(response(304, Method::Get, fields), Ok(BodyLength::None));
        assert_eq!(response(200, Method::Connect, fields), Ok(BodyLength::None));
    }
    // The fields may be forwarded, so they are checked all the same.
    for (fields, length) in CASES.iter().filter(|case| case.1.is_err()) {
        assert_eq!(response(200, Method::Head, fields), *length);
        assert_eq!(response(304, Method::Get, fields), *length);
    }
    assert_eq!(response(403, Method::Connect, "Content-Length: 5\r\n"), Ok(BodyLength::Length(5)));
}

#[test]
fn answers_that_cannot_have_a_body_must_not_announce_one() {
    for status in [100, 101, 103, 199, 204] {
        assert_eq!(response(status, Method::Get, ""), Ok(BodyLength::None));
        assert_eq!(response(status, Method::Get, "Content-Length: 0\r\n"), Ok(BodyLength::None));
        for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            assert_eq!(response(status, Method::Get, fields), Err(UnexpectedBody));
            assert_eq!(response(status, Method::Head, fields), Err(UnexpectedBody));
        }
    }
}

/// A reset has no content (RFC 9110, section 15.3.6); an answer to HEAD may describe what it likes.
#[test]
fn a_205_must_not_announce_content() {
    let five = "Content-Length: 5\r\n";
    assert_eq!(response(205, Method::Get, five), Err(UnexpectedBody));
    assert_eq!(response(205, Method::Get, "Content-Length: 0\r\n"), Ok(BodyLength::Length(0)));
    assert_eq!(response(205, Method::Head, five), Ok(BodyLength::None));
}

#[test]
fn a_body_ends_with_its_length_and_leaves_the_next_message_alone() {
    let bytes = b"helloGET / HTTP/1.1\r\n";
    assert_eq!(body(BodyLength::None, bytes), Ok((vec![], 0, true)));
    assert_eq!(body(BodyLength::Length(0), bytes), Ok((vec![], 0, true)));
    assert_eq!(body(BodyLength::Length(5), bytes), Ok((b"hello".to_vec(), 5, true)));
    assert_eq!(body(BodyLength::Length(5), b"hell"), Ok((b"hell".to_vec(), 4, false)));
    assert_eq!(body(BodyLength::UntilClose, bytes), Ok((bytes.to_vec(), bytes.len(), false)));
    let chunks = b"5\r\nhello\r\n0\r\n\r\nGET";
    assert_eq!(body(BodyLength::Chunked, chunks), Ok((b"hello".to_vec(), 15, true)));
}

#[test]
fn a_body_may_end_with_the_connection_only_if_nothing_is_missing() {
    let may_end = |length, bytes: &[u8]| {
        let mut reader = BodyReader::new(length);
        reader.step(bytes).unwrap();
        reader.may_end_here()
    };
    assert!(may_end(BodyLength::None, b""));
    assert!(may_end(BodyLength::Length(0), b""));
    assert!(may_end(BodyLength::Length(2), b"ab"));
    assert!(!may_end(BodyLength::Length(2), b"a"));
    assert!(may_end(BodyLength::UntilClose, b""));
    assert!(may_end(BodyLength::Chunked, b"0\r\n\r\n"));
    for unfinished in [&b""[..], b"1", b"1\r\n", b"1\r\na", b"1\r\na\r\n", b"0\r\n", b"0\r\n\r"] {
        assert!(!may_end(BodyLength::Chunked, unfinished));
    }
}

#[test]
fn a_length_beyond_the_address_space_is_only_a_number() {
    let mut reader = BodyReader::new(BodyLength::Length(u64::MAX >> 1));
    let step = reader.step(b"abc").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (3, 0..3, false));
}
