//! The field table: lookup by meaning, by name, and by list element.

use ferrule_engine::wire::error::WireError;
use ferrule_engine::wire::fields::{
    Known, is_token, is_token_byte, is_value_byte, known, list_items, trim,
};
use ferrule_engine::wire::head::{RequestHead, parse_request};
use ferrule_engine::wire::view::FieldView;
use strum::VariantArray;

use super::feed::LIMITS;

const KNOWN: [(&str, Known); 22] = [
    ("Connection", Known::Connection),
    ("Content-Length", Known::ContentLength),
    ("Date", Known::Date),
    ("Expect", Known::Expect),
    ("Forwarded", Known::Forwarded),
    ("Host", Known::Host),
    ("Keep-Alive", Known::KeepAlive),
    ("Max-Forwards", Known::MaxForwards),
    ("Proxy-Connection", Known::ProxyConnection),
    ("Referer", Known::Referer),
    ("Server", Known::Server),
    ("TE", Known::Te),
    ("Trailer", Known::Trailer),
    ("Transfer-Encoding", Known::TransferEncoding),
    ("Upgrade", Known::Upgrade),
    ("User-Agent", Known::UserAgent),
    ("Via", Known::Via),
    ("X-Forwarded-For", Known::XForwardedFor),
    ("X-Forwarded-Host", Known::XForwardedHost),
    ("X-Forwarded-Port", Known::XForwardedPort),
    ("X-Forwarded-Proto", Known::XForwardedProto),
    ("X-Real-IP", Known::XRealIp),
];

#[test]
fn known_names_are_known_in_any_case_and_nothing_else_is() {
    for (name, meaning) in KNOWN {
        assert_eq!(known(name.as_bytes()), meaning, "{name}");
        assert_eq!(known(name.to_ascii_lowercase().as_bytes()), meaning, "{name}");
        assert_eq!(known(name.to_ascii_uppercase().as_bytes()), meaning, "{name}");
        for at in 0..name.len() {
            let mut other = name.as_bytes().to_vec();
            other[at] = b'_';
            assert_eq!(known(&other), Known::Other, "{name} with another byte {at}");
        }
        assert_eq!(known(format!("{name}x").as_bytes()), Known::Other);
    }
    assert_eq!(known(b""), Known::Other);
    assert_eq!(known(b"Transfer_Encoding"), Known::Other);
}

#[test]
fn fields_are_found_by_meaning_by_name_and_by_element() {
    let bytes = b"GET / HTTP/1.1\r\nhost: a\r\nConnection: close, ,X-a\t\r\nX-A: 1\r\n\
        CONNECTION: Keep-Alive\r\nx-a: 2\r\n\r\n";
    let mut head = RequestHead::default();
    parse_request(bytes, bytes.len(), LIMITS, &mut head).unwrap();
    let fields = head.view(bytes).fields();
    let value = FieldView::value;
    assert_eq!(fields.find(Known::Host).map(value), Some(&b"a"[..]));
    assert!(!fields.contains(Known::Date));
    assert_eq!(fields.all(Known::Connection).count(), 2);
    assert_eq!(fields.named(b"X-a").map(value), Some(&b"1"[..]));
    assert!(fields.named(b"X-b").is_none());
    let both: Vec<_> = fields.all_named(b"x-A").map(value).collect();
    assert_eq!(both, [b"1", b"2"]);
    let items: Vec<_> = fields.items(Known::Connection).collect();
    assert_eq!(items, [&b"close"[..], b"X-a", b"Keep-Alive"]);
    assert!(fields.has_item(Known::Connection, b"CLOSE"));
    assert!(fields.has_item(Known::Connection, b"keep-alive"));
    assert!(!fields.has_item(Known::Connection, b"keep"));
}

#[test]
fn lists_are_split_trimmed_and_cleared_of_empty_elements() {
    let cases: &[(&[u8], &[&[u8]])] = &[
        (b"", &[]),
        (b" ,\t, ", &[]),
        (b"a", &[b"a"]),
        (b"a,b", &[b"a", b"b"]),
        (b" a b ,,\tc\t", &[b"a b", b"c"]),
    ];
    for (value, items) in cases {
        assert_eq!(&list_items(value).collect::<Vec<_>>(), items);
    }
    assert_eq!(trim(b" \t a \t "), b"a");
    assert_eq!(trim(b" \t "), b"");
}

#[test]
fn the_byte_classes_are_those_of_the_grammar() {
    for byte in 0..=u8::MAX {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(is_token_byte(byte), token, "{byte:#x}");
        let value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        assert_eq!(is_value_byte(byte), value, "{byte:#x}");
    }
    assert!(is_token(b"a1-") && !is_token(b"") && !is_token(b"a "));
}

#[test]
fn every_error_has_its_own_word_and_a_client_error_or_a_refusal_of_a_feature() {
    let mut words: Vec<_> = WireError::VARIANTS.iter().map(|error| error.word()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), WireError::VARIANTS.len());
    for error in WireError::VARIANTS.iter().copied() {
        assert!(matches!(error.status(), 400 | 414 | 431 | 501 | 505), "{error:?}");
        let word = error.word();
        assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
}
