//! Trailers of responses: how they are read, and which of them pass.

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::head::{Method, Version};
use ferrule_engine::wire::limits::TRAILER_LIMITS;
use ferrule_engine::wire::trailers::parse_trailers;

use super::gate::Gate;

/// The section of a body, as its reader points at it piece by piece.
fn pointed_at(body: &[u8], cuts: &[usize]) -> Result<Vec<u8>, WireError> {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let (mut section, mut start) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([body.len()]) {
        let mut rest = &body[start..end];
        while !rest.is_empty() && !reader.is_done() {
            let step = reader.step(rest)?;
            section.extend_from_slice(&rest[step.trailers]);
            rest = &rest[step.consumed..];
        }
        start = end;
    }
    assert!(reader.is_done());
    Ok(section)
}

fn lines(section: &[u8]) -> Result<Vec<(String, String)>, WireError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(parse_trailers(section, TRAILER_LIMITS)?
        .map(|(name, value)| (text(name), text(value)))
        .collect())
}

#[test]
fn every_broken_rule_has_its_verdict() {
    for (section, error) in [
        (&b""[..], MalformedHead),
        (b"A: b\r\n", MalformedHead),
        (b"A: b\r\n\r\nX", MalformedHead),
        (b"\n", BareLf),
        (b"A: b\n\r\n", BareLf),
        (b"A: b\r\n\n", BareLf),
        (b"A: b\rc\r\n\r\n", BareCr),
        (b"\rX", BareCr),
        (b" A: b\r\n\r\n", ObsoleteFold),
        (b"A: b\r\n\tc\r\n\r\n", ObsoleteFold),
        (b"A : b\r\n\r\n", SpaceBeforeColon),
        (b"A\t: b\r\n\r\n", SpaceBeforeColon),
        (b": b\r\n\r\n", InvalidFieldName),
        (b"A\r\n\r\n", InvalidFieldName),
        (b"A(: b\r\n\r\n", InvalidFieldName),
        (b"A\xc3: b\r\n\r\n", InvalidFieldName),
        (b"A: \0\r\n\r\n", InvalidFieldValue),
        (b"A: \x1b\r\n\r\n", InvalidFieldValue),
        (b"A: \x7f\r\n\r\n", InvalidFieldValue),
    ] {
        assert_eq!(lines(section), Err(error), "{}", section.escape_ascii());
    }
    let long =
        [b"A:", &vec![b'x'; TRAILER_LIMITS.head_bytes_max as usize][..], b"\r\n\r\n"].concat();
    assert_eq!(lines(&long), Err(TrailersTooLarge));
    let many =
        [&b"A:\r\n".repeat(usize::from(TRAILER_LIMITS.fields_max) + 1)[..], b"\r\n"].concat();
    assert_eq!(lines(&many), Err(TrailersTooLarge));
}

#[test]
fn lines_are_names_and_values() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(lines(b"\r\n"), Ok(vec![]));
    assert_eq!(
        lines(b"A:b\r\nX-Sum: \t1: 2\t \r\nEmpty:\r\na: c\r\n\r\n"),
        Ok(vec![pair("A", "b"), pair("X-Sum", "1: 2"), pair("Empty", ""), pair("a", "c")])
    );
}

/// However a body is cut, the section is the same bytes, and what goes out the same answer.
#[test]
fn every_split_gives_the_same_trailers() {
    let gate = Gate::new("forwarded_headers = false", "", "192.0.2.7");
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = b"3;x=y\r\nabc\r\n0;a=b\r\nX-Sum: 1\r\nHost: evil\r\nx_id: CN=root\r\nB:2\r\n\r\n";
    let section = b"X-Sum: 1\r\nHost: evil\r\nx_id: CN=root\r\nB:2\r\n\r\n";
    let asked = (Method::Get, Version::Http11, true);
    let whole = |pieces: &[&[u8]]| {
        let (_, out, done) = gate.response(asked, head, pieces).unwrap();
        assert!(done);
        // Where data is cut its chunk is, too: compare what comes behind it.
        let text = String::from_utf8(out).unwrap();
        text.split_once("\r\n0\r\n").unwrap().1.to_owned()
    };
    let wanted = "X-Sum: 1\r\nB: 2\r\n\r\n";
    assert_eq!(whole(&[body]), wanted);
    for first in 0..=body.len() {
        assert_eq!(pointed_at(body, &[first]).unwrap(), section, "{first}");
        assert_eq!(whole(&[&body[..first], &body[first..]]), wanted, "{first}");
        for second in first..=body.len() {
            assert_eq!(pointed_at(body, &[first, second]).unwrap(), section);
        }
    }
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(whole(&single), wanted);
}

#[test]
fn who_did_not_ask_gets_none() {
    let gate = Gate::new("forwarded_headers = false", "", "192.0.2.7");
    let body: &[u8] = b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let text = |asked, connection: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{connection}Transfer-Encoding: chunked\r\n\r\n");
        let (_, out, done) = gate.response(asked, head.as_bytes(), &[body]).unwrap();
        assert!(done);
        String::from_utf8(out).unwrap()
    };
    let get = |version, trailers| (Method::Get, version, trailers);
    assert!(text(get(Version::Http11, true), "").ends_with("\r\n0\r\nX-Sum: 1\r\n\r\n"));
    assert!(text(get(Version::Http11, false), "").ends_with("\r\n0\r\n\r\n"));
    assert!(text(get(Version::Http10, true), "").ends_with("\r\n\r\nabc"));
    // `Connection` names trailers as well as headers (RFC 9110, section 7.6.1).
    let named = text(get(Version::Http11, true), "Connection: x-sum\r\n");
    assert!(named.ends_with("\r\n0\r\n\r\n"), "{named}");
}

/// A broken trailer breaks the response: the end of the body does not go out.
#[test]
fn a_broken_trailer_cuts_the_response() {
    let gate = Gate::new("forwarded_headers = false", "", "192.0.2.7");
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [&b"1\r\na\r\n0\r\nA : b\r\n\r\n"[..], b"1\r\na\r\n0\r\nA: b\n\r\n"] {
        for takes in [false, true] {
            let asked = (Method::Get, Version::Http11, takes);
            let (_, out, done) = gate.response(asked, head, &[body]).unwrap();
            assert!(!done && !out.ends_with(b"0\r\n\r\n"));
        }
    }
}
