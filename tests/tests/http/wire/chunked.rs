//! Chunked bodies: bytes and verdicts (RFC 9112, section 7.1).

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_TOTAL_MAX, TRAILER_LIMITS,
};

use super::feed::{Body, body, body_cut, show};

fn chunked(bytes: &[u8]) -> Body {
    body(BodyLength::Chunked, bytes)
}

/// A body, and the rule it breaks.
const REFUSED: &[(&[u8], WireError)] = &[
    // The size: hexadecimal digits, at least one, nothing around them.
    (b"\r\n", InvalidChunkSize),
    (b"\r\n0\r\n\r\n", InvalidChunkSize),
    (b" 5\r\nhello\r\n", InvalidChunkSize),
    (b"5 \r\nhello\r\n", InvalidChunkSize),
    (b"5\t\r\nhello\r\n", InvalidChunkSize),
    (b"+5\r\nhello\r\n", InvalidChunkSize),
    (b"-5\r\nhello\r\n", InvalidChunkSize),
    (b"0x5\r\nhello\r\n", InvalidChunkSize),
    (b"5h\r\nhello\r\n", InvalidChunkSize),
    (b"5_0\r\nhello\r\n", InvalidChunkSize),
    (b"5 5\r\nhello\r\n", InvalidChunkSize),
    (b"g\r\n", InvalidChunkSize),
    (b";a=b\r\n", InvalidChunkSize),
    (b"\0", InvalidChunkSize),
    (b"5\0\r\nhello\r\n", InvalidChunkSize),
    (b"\xef\xbc\x95\r\nhello\r\n", InvalidChunkSize),
    (b"5\x0b\r\nhello\r\n", InvalidChunkSize),
    (b"8000000000000000\r\n", ChunkSizeTooLarge),
    (b"ffffffffffffffff\r\n", ChunkSizeTooLarge),
    (b"10000000000000000\r\n", ChunkSizeTooLarge),
    (b"00000000000000005\r\nhello\r\n", ChunkSizeTooLarge),
    (b"00000000000000000\r\n\r\n", ChunkSizeTooLarge),
    // Line ends.
    (b"\n", BareLf),
    (b"5\nhello\n0\n\n", BareLf),
    (b"5 \nhello\r\n", BareLf),
    (b"5;a\nhello\r\n0\r\n\r\n", BareLf),
    (b"5\r\nhello\n0\r\n\r\n", BareLf),
    (b"5\r\nhello\r\n0\n\r\n", BareLf),
    (b"0\r\n\n", BareLf),
    (b"0\r\nA: b\n\r\n", BareLf),
    (b"0\r\nA\n\r\n", BareLf),
    (b"5\rhello\r\n", BareCr),
    (b"5\r\r\nhello\r\n", BareCr),
    (b"5\r\nhello\rX0\r\n\r\n", BareCr),
    (b"5\r\nhello\r\r\n0\r\n\r\n", BareCr),
    (b"5;a\rb\r\nhello\r\n", BareCr),
    (b"0\r\n\rX", BareCr),
    (b"0\r\nA: b\rc\r\n\r\n", BareCr),
    // Data that is longer or shorter than its size.
    (b"5\r\nhello!\r\n0\r\n\r\n", MissingChunkEnd),
    (b"5\r\nhello0\r\n\r\n", MissingChunkEnd),
    (b"5\r\nhel\r\n0\r\n\r\n", MissingChunkEnd),
    // Extensions.
    (b"5;\0\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\x7f\r\nhello\r\n", InvalidChunkExtension),
    (b"0;a=\"\x01\"\r\n\r\n", InvalidChunkExtension),
    // A quote that is still open, for who would read on to its end.
    (b"5;a=\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"\\\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"\\\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"\\\x01\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"\r0\r\n\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=b\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\"c\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\"\"c\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=b=c\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\"=c\r\nhello\r\n", InvalidChunkExtension),
    (b"5;\r\nhello\r\n", InvalidChunkExtension),
    (b"5; \r\nhello\r\n", InvalidChunkExtension),
    (b"5;;a\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a;\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a \r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=b \r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\"\t\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a= \r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=;b\r\nhello\r\n", InvalidChunkExtension),
    (b"5;=b\r\nhello\r\n", InvalidChunkExtension),
    (b"5;\"a\"\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a b\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=b c\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\"b\" c\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a\xff\r\nhello\r\n", InvalidChunkExtension),
    (b"5;a=\xff\r\nhello\r\n", InvalidChunkExtension),
    // Trailers, dropped, but no place for tricks.
    (b"0\r\n A: b\r\n\r\n", ObsoleteFold),
    (b"0\r\nA: b\r\n c\r\n\r\n", ObsoleteFold),
    (b"0\r\nA : b\r\n\r\n", SpaceBeforeColon),
    (b"0\r\n: b\r\n\r\n", InvalidFieldName),
    (b"0\r\nA\r\n\r\n", InvalidFieldName),
    (b"0\r\n\0", InvalidFieldName),
    (b"0\r\nA(: b\r\n\r\n", InvalidFieldName),
    (b"0\r\nGET / HTTP/1.1\r\n\r\n", SpaceBeforeColon),
    (b"0\r\nA: \0\r\n\r\n", InvalidFieldValue),
    (b"0\r\nA: \x7f\r\n\r\n", InvalidFieldValue),
];

#[test]
fn every_broken_rule_of_a_chunked_body_has_its_verdict_in_every_split() {
    for (bytes, error) in REFUSED {
        assert_eq!(chunked(bytes), Err(*error), "{}", show(bytes));
    }
}

#[test]
fn legal_chunked_bodies_give_their_data() {
    let cases: &[(&[u8], &[u8])] = &[
        (b"0\r\n\r\n", b""),
        (b"0000000000000000\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"0000000000000005\r\nhello\r\n00\r\n\r\n", b"hello"),
        (b"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", b"abcdef"),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (b"5;a\r\nhello\r\n0;a\r\n\r\n", b"hello"),
        (b"5;a;b;c=\"\";d\r\nhello\r\n0;a\r\n\r\n", b"hello"),
        (b"5 ; a\t=\tb ; c \t;d = \"\\\\\" ;e\r\nhello\r\n0\t;x=y\r\n\r\n", b"hello"),
        (b"5;a=\"quo;ted\\\" \xff\"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"0\r\nA:b\r\nX-Sum: \t\xff 1 \r\nEmpty:\r\n\r\n", b""),
        (b"3\r\nabc\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\n\r\n", b"abc"),
    ];
    for (bytes, data) in cases {
        assert_eq!(chunked(bytes), Ok((data.to_vec(), bytes.len(), true)), "{}", show(bytes));
        let more = [bytes, &b"GET / HTTP/1.1\r\n\r\n"[..]].concat();
        assert_eq!(chunked(&more), Ok((data.to_vec(), bytes.len(), true)), "{}", show(bytes));
        for len in 0..bytes.len() {
            let cut_off = chunked(&bytes[..len]).unwrap();
            assert!(!cut_off.2 && data.starts_with(&cut_off.0), "{}", show(&bytes[..len]));
        }
    }
}

/// The largest size is a number to us; nothing of it is reserved.
#[test]
fn the_largest_chunk_is_read_as_far_as_it_comes() {
    let bytes = b"7fffffffffffffff\r\nabc";
    assert_eq!(chunked(bytes), Ok((b"abc".to_vec(), bytes.len(), false)));
}

#[test]
fn data_comes_in_one_piece_a_step_with_the_framing_around_it() {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let step = reader.step(b"5\r\nhello\r\n0\r\n\r\nnext").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (15, 3..8, true));

    let mut reader = BodyReader::new(BodyLength::Chunked);
    let step = reader.step(b"2\r\nab\r\n1\r\nc\r\n").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (10, 3..5, false));
}

/// A body that is over stays over, and takes nothing of the next message.
#[test]
fn a_complete_body_takes_nothing_more() {
    for length in [BodyLength::None, BodyLength::Length(0), BodyLength::Length(2)] {
        let mut reader = BodyReader::new(length);
        let _ = reader.step(b"ab").unwrap();
        let step = reader.step(b"next").unwrap();
        assert_eq!((step.consumed, step.data, step.done), (0, 0..0, true), "{length:?}");
    }
}

/// What came before the fault was sound, and the fault does not take it along.
#[test]
fn data_before_a_fault_is_handed_out_first() {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let step = reader.step(b"5\r\nhello!!").unwrap();
    assert_eq!((step.consumed, step.data), (8, 3..8));
    assert_eq!(reader.step(b"!!"), Err(MissingChunkEnd));
}

#[test]
fn extensions_are_bounded_by_line() {
    let max = usize::from(CHUNK_EXTENSION_BYTES_MAX);
    let with = |len: usize| [b"1;", "x".repeat(len - 1).as_bytes(), b"\r\na\r\n0\r\n\r\n"].concat();
    assert!(chunked(&with(max)).is_ok());
    assert_eq!(chunked(&with(max + 1)), Err(ChunkExtensionsTooLong));
    let blank = [b"1", " ".repeat(max + 1).as_bytes(), b";\r\n"].concat();
    assert_eq!(chunked(&blank), Err(ChunkExtensionsTooLong));
}

#[test]
fn extensions_are_bounded_by_body() {
    let line = [b"1;", "x".repeat(127).as_bytes(), b"\r\na\r\n"].concat();
    let count = usize::try_from(CHUNK_EXTENSIONS_TOTAL_MAX).unwrap() / 128;
    let exact = [line.repeat(count), b"0\r\n\r\n".to_vec()].concat();
    let (data, result) = body_cut(BodyLength::Chunked, &[&exact]);
    assert_eq!((data.len(), result.map(|body| body.2)), (count, Ok(true)));
    let over = [line.repeat(count), b"0;\r\n\r\n".to_vec()].concat();
    let (data, result) = body_cut(BodyLength::Chunked, &[&over]);
    assert_eq!((data.len(), result), (count, Err(ChunkExtensionsTooLong)));
}

#[test]
fn trailers_are_bounded_by_bytes_and_by_lines() {
    let max = TRAILER_LIMITS.head_bytes_max as usize;
    let with = |len: usize| [b"0\r\nA:", "x".repeat(len - 4).as_bytes(), b"\r\n\r\n"].concat();
    let verdict = |bytes: &[u8]| body_cut(BodyLength::Chunked, &[bytes]).1.map(|body| body.2);
    assert_eq!(verdict(&with(max)), Ok(true));
    assert_eq!(verdict(&with(max + 1)), Err(TrailersTooLarge));
    let lines = |count: u16| [&b"0\r\n"[..], &b"A:\r\n".repeat(count.into()), b"\r\n"].concat();
    assert_eq!(verdict(&lines(TRAILER_LIMITS.fields_max)), Ok(true));
    assert_eq!(verdict(&lines(TRAILER_LIMITS.fields_max + 1)), Err(TrailersTooLarge));
}
