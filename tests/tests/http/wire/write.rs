//! The writers: one spelling of everything, which our own readers take back.

use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::write::{
    CHUNK_END, CONNECTION_CLOSE, CRLF, LAST_CHUNK, TRANSFER_ENCODING_CHUNKED, chunk_head,
    content_length, date, decimal, field, reason, request_line, status_line, status_line_with,
};

use super::feed::{body, request, response};

/// What `write` appends behind something else.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

#[test]
fn lines_are_written_in_one_spelling() {
    assert_eq!(written(|out| request_line(b"GET", b"/a", out)), "GET /a HTTP/1.1\r\n");
    assert_eq!(written(|out| status_line(404, out)), "HTTP/1.1 404 Not Found\r\n");
    assert_eq!(written(|out| status_line(299, out)), "HTTP/1.1 299 \r\n");
    assert_eq!(written(|out| status_line_with(200, b"Fine", out)), "HTTP/1.1 200 Fine\r\n");
    assert_eq!(written(|out| field(b"Host", b"a", out)), "Host: a\r\n");
    assert_eq!(written(|out| content_length(0, out)), "Content-Length: 0\r\n");
    assert_eq!(written(|out| decimal(u64::MAX, out)), "18446744073709551615");
    let text = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(written(|out| date(text.as_bytes(), out)), format!("Date: {text}\r\n"));
    assert_eq!(TRANSFER_ENCODING_CHUNKED, b"Transfer-Encoding: chunked\r\n");
    assert_eq!(CONNECTION_CLOSE, b"Connection: close\r\n");
}

#[test]
fn chunk_sizes_are_shortest_hexadecimal() {
    let sizes = [(1, "1"), (15, "f"), (16, "10"), (0xabc, "abc"), (65536, "10000")];
    for (len, text) in sizes {
        assert_eq!(written(|out| chunk_head(len, out)), format!("{text}\r\n"));
    }
    assert_eq!(written(|out| chunk_head(usize::MAX, out)), format!("{:x}\r\n", usize::MAX));
}

#[test]
fn written_chunks_are_read_back() {
    let mut out = Vec::new();
    for piece in [&b"hello"[..], b" ", &[b'x'; 300]] {
        chunk_head(piece.len(), &mut out);
        out.extend_from_slice(piece);
        out.extend_from_slice(CHUNK_END);
    }
    out.extend_from_slice(LAST_CHUNK);
    let expected = [&b"hello "[..], &[b'x'; 300]].concat();
    assert_eq!(body(BodyLength::Chunked, &out), Ok((expected, out.len(), true)));
}

#[test]
fn written_heads_are_read_back() {
    let mut out = Vec::new();
    request_line(b"PUT", b"/x?y", &mut out);
    field(b"Host", b"a", &mut out);
    content_length(3, &mut out);
    out.extend_from_slice(CRLF);
    let head = request(&out).unwrap().unwrap();
    assert_eq!(head.first, ("PUT".into(), b"/x?y".to_vec()));
    assert_eq!(head.fields.len(), 2);

    out.clear();
    status_line(502, &mut out);
    out.extend_from_slice(CONNECTION_CLOSE);
    out.extend_from_slice(CRLF);
    let head = response(&out).unwrap().unwrap();
    assert_eq!(head.first, ("502".into(), b"Bad Gateway".to_vec()));
}

#[test]
fn every_status_we_answer_with_has_a_reason() {
    for status in [400, 403, 404, 405, 408, 413, 414, 417, 421, 431, 500, 501, 502, 503, 504, 505] {
        assert!(!reason(status).is_empty(), "{status}");
    }
    for status in 0..=999 {
        assert!(reason(status).bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    }
}
