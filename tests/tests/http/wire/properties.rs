//! The invariants on random bytes, and round trips of random messages in random splits.

use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::head::Version;
use ferrule_engine::wire::write;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use super::feed::{body_cut, request, response};
use super::invariants;

/// Bytes that parsers trip over, and any others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(PIECES).prop_map(|piece: &[u8]| piece.to_vec()),
        2 => vec(any::<u8>(), 1..4),
        1 => "[ -~]{1,8}".prop_map(String::into_bytes),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What messages are made of.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b": ",
    b",",
    b";",
    b"GET ",
    b"OPTIONS ",
    b"CONNECT ",
    b"/",
    b"/a",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 ",
    b"204",
    b"304 ",
    b"Host: a\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: ",
    b"chunked",
    b"gzip",
    b"0",
    b"5",
    b"a",
    b"f",
    b"0\r\n",
    b"1\r\nx\r\n",
    b"2\r\nxy\r\n",
    b"0\r\n\r\n",
    b"http://",
    b"https://",
    b"a.b:80",
    b"[::1]",
    b"@",
    b"?",
    b"#",
    b"%2e",
    b"%2f",
    b"%5C",
    b"%3b",
    b"%00",
    b"%0a",
    b"%61",
    b"%",
    b".",
    b"..",
    b"\\",
    b"*",
    b"\0",
    b"\x80",
    b"\x7f",
];

/// A token, and a value with no white space around it.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value = vec(prop_oneof![8 => 0x21..=0x7e_u8, 1 => 0x80..=0xff_u8, 1 => Just(b' ')], 0..24)
        .prop_map(|bytes| bytes.trim_ascii().to_vec());
    ("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,16}", value)
}

/// The field section of a head, with white space where it may be.
fn section(fields: &[(String, Vec<u8>)], pads: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for ((name, value), pad) in fields.iter().zip(pads.iter().cycle()) {
        let parts: [&[u8]; 6] =
            [name.as_bytes(), b":", pad.as_bytes(), value, pad.as_bytes(), b"\r\n"];
        out.extend_from_slice(&parts.concat());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Pieces between random cuts.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.push(bytes.len());
    places.sort_unstable();
    let starts = [0].into_iter().chain(places.clone());
    starts.zip(places.clone()).map(|(start, end)| &bytes[start..end]).collect()
}

proptest! {
    #[test]
    fn no_bytes_break_an_invariant(bytes in bytes()) {
        invariants::request_head(&bytes);
        invariants::response_head(&bytes);
        invariants::chunked(&bytes);
        invariants::trailers(&bytes);
        invariants::target(&bytes);
    }

    #[test]
    fn a_legal_request_keeps_its_meaning(
        method in "[A-Z]{1,8}",
        target in "/[!-\"$-~]{0,24}",
        fields in vec(field(), 0..8),
        pads in vec(select(&["", " ", "\t", " \t "][..]), 1..4),
        http11 in any::<bool>(),
    ) {
        let (text, version) =
            if http11 { ("HTTP/1.1", Version::Http11) } else { ("HTTP/1.0", Version::Http10) };
        let line = format!("{method} {target} {text}\r\n");
        let bytes = [line.into_bytes(), section(&fields, &pads)].concat();
        let head = request(&bytes).unwrap().unwrap();
        prop_assert_eq!(head.first, (method, target.into_bytes()));
        prop_assert_eq!((head.version, head.fields, head.len), (version, fields, bytes.len()));
        invariants::request_head(&bytes);
    }

    #[test]
    fn a_legal_response_keeps_its_meaning(
        status in 100..=599_u16,
        reason in "[\t -~]{0,16}",
        fields in vec(field(), 0..8),
        pads in vec(select(&["", " ", "\t"][..]), 1..4),
    ) {
        let line = format!("HTTP/1.1 {status} {reason}\r\n");
        let bytes = [line.into_bytes(), section(&fields, &pads)].concat();
        let head = response(&bytes).unwrap().unwrap();
        prop_assert_eq!(head.first, (status.to_string(), reason.into_bytes()));
        prop_assert_eq!((head.fields, head.len), (fields, bytes.len()));
        invariants::response_head(&bytes);
    }

    #[test]
    fn one_changed_byte_never_breaks_an_invariant(
        fields in vec(field(), 0..4), at in any::<Index>(), byte in any::<u8>(),
    ) {
        for line in [&b"GET /a HTTP/1.1\r\n"[..], b"HTTP/1.1 200 OK\r\n"] {
            let mut bytes = [line, &section(&fields, &[" "])].concat();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            invariants::request_head(&bytes);
            invariants::response_head(&bytes);
        }
    }

    #[test]
    fn chunks_give_their_data_in_every_split(
        chunks in vec((vec(any::<u8>(), 1..64), "(;[a-z]{1,4}(=[a-z]{1,4})?){0,2}"), 0..12),
        trailers in vec(field(), 0..3),
        cuts in vec(any::<Index>(), 0..12),
        behind in vec(any::<u8>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for (data, extension) in &chunks {
            bytes.extend_from_slice(format!("{:x}{extension}\r\n", data.len()).as_bytes());
            bytes.extend_from_slice(data);
            bytes.extend_from_slice(write::CHUNK_END);
        }
        bytes.extend_from_slice(b"0\r\n");
        bytes.extend_from_slice(&section(&trailers, &[" "]));
        let len = bytes.len();
        bytes.extend_from_slice(&behind);
        let data: Vec<u8> = chunks.into_iter().flat_map(|(data, _)| data).collect();
        let (found, result) = body_cut(BodyLength::Chunked, &cut(&bytes, &cuts));
        prop_assert_eq!(&found, &data);
        prop_assert_eq!(result, Ok((data, len, true)));
    }

    #[test]
    fn a_length_gives_its_data_in_every_split(
        bytes in vec(any::<u8>(), 0..64), len in 0..64_u64, cuts in vec(any::<Index>(), 0..8),
    ) {
        let (found, result) = body_cut(BodyLength::Length(len), &cut(&bytes, &cuts));
        let take = bytes.len().min(usize::try_from(len).unwrap());
        prop_assert_eq!(&found, &bytes[..take]);
        prop_assert_eq!(result, Ok((found, take, take as u64 == len)));
    }

    #[test]
    fn paths_of_escapes_and_dots_break_no_invariant(
        path in prop::string::string_regex("(/|\\.|%2[eEfF5]|%5[cC]|%3[bB]|;|[a-c]|%[0-9a-f]{2}){0,12}")
            .unwrap(),
    ) {
        invariants::target(path.as_bytes());
        invariants::target(format!("/{path}").as_bytes());
        invariants::target(format!("http://a/{path}?q").as_bytes());
    }
}
