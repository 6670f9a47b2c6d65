//! The core paths by name, each to be gone once more: what callgrind counts.

use std::hint::black_box;

use ferrule_engine::wire::framing::{request_body, response_body};
use ferrule_engine::wire::head::{
    Method, RequestHead, ResponseHead, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;

use crate::exchange::Exchange;
use crate::records::Ours;

/// Every path, and how often it is gone to be counted.
pub const PATHS: [(&str, u64); 15] = [
    ("exchange/request", 2000),
    ("exchange/response", 2000),
    ("exchange/0 identity headers", 2000),
    ("exchange/3 identity headers", 2000),
    ("exchange/10 identity headers", 2000),
    ("rewrite/0 identity headers", 2000),
    ("rewrite/3 identity headers", 2000),
    ("rewrite/10 identity headers", 2000),
    ("log/JSON", 2000),
    ("framing/request length", 5000),
    ("framing/request chunked", 5000),
    ("framing/response length", 5000),
    ("framing/response chunked", 5000),
    ("record/256 bytes", 2000),
    ("record/16384 bytes", 200),
];

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 32 * 1024, fields_max: 100 };

/// One of [`PATHS`], ready to be gone; what it returns is of no account.
#[must_use]
pub fn path(name: &str) -> Option<Box<dyn FnMut() -> usize>> {
    let (room, rest) = name.split_once('/')?;
    let (word, _) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(match (room, word) {
        ("exchange", "request") => going(Exchange::new(), Exchange::request),
        ("exchange", "response") => going(Exchange::new(), Exchange::response),
        ("exchange", _) => going(Exchange::identified(word.parse().ok()?), Exchange::whole),
        ("rewrite", _) => going(Exchange::identified(word.parse().ok()?), Exchange::rewrite),
        ("log", _) => going(Exchange::logged(), Exchange::line),
        ("framing", "request") => framing_of_request(rest),
        ("framing", "response") => framing_of_response(rest),
        ("record", _) => {
            let plain = vec![7; word.parse().ok()?];
            going(Ours::new(), move |ends| ends.round(&plain))
        }
        _ => return None,
    })
}

fn going<T: 'static>(
    mut what: T,
    mut once: impl FnMut(&mut T) -> usize + 'static,
) -> Box<dyn FnMut() -> usize> {
    Box::new(move || once(&mut what))
}

/// Ten fields that say nothing about the body, before the one that does.
fn head(first: &str, kind: &str) -> Vec<u8> {
    let fields: String = (0..10).map(|n| format!("X-Field-{n}: some value {n}\r\n")).collect();
    let last = if kind.ends_with("chunked") {
        "Transfer-Encoding: chunked"
    } else {
        "Content-Length: 1048576"
    };
    format!("{first}\r\n{fields}{last}\r\n\r\n").into_bytes()
}

fn framing_of_request(kind: &str) -> Box<dyn FnMut() -> usize> {
    let bytes = head("POST / HTTP/1.1", kind);
    let mut head = RequestHead::default();
    parse_request(&bytes, bytes.len(), LIMITS, &mut head).expect("a good head");
    going(head, move |head| usize::from(request_body(head.view(black_box(&bytes))).is_ok()))
}

fn framing_of_response(kind: &str) -> Box<dyn FnMut() -> usize> {
    let bytes = head("HTTP/1.1 200 OK", kind);
    let mut head = ResponseHead::default();
    parse_response(&bytes, bytes.len(), LIMITS, &mut head).expect("a good head");
    going(head, move |head| {
        usize::from(response_body(head.view(black_box(&bytes)), Method::Get).is_ok())
    })
}
