//! An answer, and how two of them differ.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use crate::identity::digest::sha256;
use crate::wire::body::BodyReader;
use crate::wire::framing::response_body;
use crate::wire::head::{HeadScan, Method, ResponseHead, parse_response};
use crate::wire::limits::HeadLimits;

const HEAD: HeadLimits = HeadLimits { head_bytes_max: 64 << 10, fields_max: 1_024 };

/// Fields that say when and over which connection an answer came, and not what it is.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "via",
    "age",
];

/// What a client got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PlayedAnswer {
    pub(super) status: u16,
    /// `name: value`, names in lower case.
    pub(super) fields: BTreeSet<String>,
    pub(super) body: String,
}

impl PlayedAnswer {
    /// # Errors
    /// The bytes are no answer; said in one word.
    pub(super) fn read(bytes: &[u8], method: &str) -> Result<Self, String> {
        let wrong =
            |error: crate::wire::error::WireError| format!("no HTTP: {}", error.upstream_word());
        let mut rest = bytes;
        loop {
            let len = HeadScan::default().advance(rest, HEAD).map_err(wrong)?;
            let len = len.ok_or_else(|| String::from("half a head"))?;
            let mut head = ResponseHead::default();
            parse_response(rest, len, HEAD, &mut head).map_err(wrong)?;
            let body = rest.get(len..).unwrap_or_default();
            if (100..200).contains(&head.status) && head.status != 101 {
                rest = body;
                continue;
            }
            let view = head.view(rest);
            let length = response_body(view, Method::of(method.as_bytes())).map_err(wrong)?;
            let body = whole(BodyReader::new(length), body)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields = view
                .fields()
                .iter()
                .map(|field| {
                    format!("{}: {}", text(field.name()).to_ascii_lowercase(), text(field.value()))
                })
                .collect();
            return Ok(Self { status: head.status, fields, body: HEXLOWER.encode(&sha256(&body)) });
        }
    }
}

fn whole(mut reader: BodyReader, mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while !reader.is_done() {
        let step =
            reader.step(rest).map_err(|error| format!("no HTTP: {}", error.upstream_word()))?;
        all.extend_from_slice(rest.get(step.data.clone()).unwrap_or_default());
        rest = rest.get(step.consumed..).unwrap_or_default();
        if step.consumed == 0 {
            break;
        }
    }
    if reader.may_end_here() { Ok(all) } else { Err(String::from("half a body")) }
}

/// How the new gateway's answer differs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct AnswerDifference {
    /// What nobody has announced.
    pub(super) unexpected: Vec<String>,
    /// What is different on purpose.
    pub(super) intended: Vec<String>,
}

/// Compares two results; a text is why there was no answer.
pub(super) fn compare(
    old: &Result<PlayedAnswer, String>,
    new: &Result<PlayedAnswer, String>,
) -> AnswerDifference {
    let mut found = AnswerDifference::default();
    match (old, new) {
        (Ok(old), Ok(new)) => compare_answers(old, new, &mut found),
        // How a handshake is refused is said in another alert, at most.
        (Err(old), Err(new)) if old != new => {
            found.intended.push(format!("no answer: {old} / {new}"));
        }
        (Err(_), Err(_)) => {}
        (Ok(old), Err(new)) => found.unexpected.push(format!("{} / no answer: {new}", old.status)),
        (Err(old), Ok(new)) if (400..500).contains(&new.status) => {
            found.intended.push(format!("no answer: {old} / refused with {}", new.status));
        }
        (Err(old), Ok(new)) => found.unexpected.push(format!("no answer: {old} / {}", new.status)),
    }
    found
}

fn compare_answers(old: &PlayedAnswer, new: &PlayedAnswer, found: &mut AnswerDifference) {
    if old.status != new.status {
        let line = format!("status {} / {}", old.status, new.status);
        match (old.status, new.status) {
            // Whoever is refused stays refused, and redirects keep the method.
            (400 | 403 | 495 | 496, 400 | 403 | 421) | (301 | 302 | 308, 301 | 308) => {
                found.intended.push(line);
            }
            _ => found.unexpected.push(line),
        }
    }
    // Texts of errors are each gateway's own.
    let own_text = old.status == new.status && old.status >= 300;
    let told = |field: &&String| {
        let name = field.split(':').next().unwrap_or_default();
        !(OF_THE_CONNECTION.contains(&name) || own_text && name == "content-type")
    };
    for field in old.fields.difference(&new.fields).filter(told) {
        found.unexpected.push(format!("only the old one sends `{}`", shown(field)));
    }
    for field in new.fields.difference(&old.fields).filter(told) {
        found.unexpected.push(format!("only the new one sends `{}`", shown(field)));
    }
    if old.body != new.body {
        let line = format!(
            "bodies differ: sha256 {} / {}",
            old.body.get(..12).unwrap_or_default(),
            new.body.get(..12).unwrap_or_default()
        );
        if own_text || old.status != new.status {
            found.intended.push(line);
        } else {
            found.unexpected.push(line);
        }
    }
}

/// A field for a terminal: cookies are secrets.
fn shown(field: &str) -> String {
    let (name, value) = field.split_once(": ").unwrap_or((field, ""));
    if name == "set-cookie" {
        return String::from("set-cookie: ...");
    }
    let value: String =
        value.chars().map(|mark| if mark.is_control() { '?' } else { mark }).take(120).collect();
    format!("{name}: {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PlayedAnswer, String> {
        PlayedAnswer::read(text.as_bytes(), "GET")
    }

    #[test]
    fn framing_makes_no_difference() {
        let chunked = read(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        );
        let counted = read(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\nDate: x\r\nContent-Length: 2\r\n\r\nhi",
        );
        assert_eq!(compare(&chunked, &counted), AnswerDifference::default());
        assert!(chunked.is_ok(), "{chunked:?}");
    }

    #[test]
    fn what_differs_is_told() {
        let old = read("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
        for (text, wanted) in [
            ("HTTP/1.1 404 No\r\nA: b\r\nContent-Length: 2\r\n\r\nhi", "status 200 / 404"),
            (
                "HTTP/1.1 200 OK\r\nA: c\r\nContent-Length: 2\r\n\r\nhi",
                "only the old one sends `a: b`",
            ),
            ("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nho", "bodies differ"),
            ("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nhi", "no answer: half a body"),
        ] {
            let found = compare(&old, &read(text));
            assert!(found.unexpected.iter().any(|line| line.contains(wanted)), "{text}: {found:?}");
        }
        let refused = read("HTTP/1.1 403 M\r\nContent-Length: 2\r\n\r\nno");
        let misdirected = read("HTTP/1.1 421 M\r\nContent-Length: 0\r\n\r\n");
        let found = compare(&old, &misdirected);
        assert!(!found.unexpected.is_empty(), "{found:?}");
        let found = compare(&refused, &misdirected);
        assert!(found.unexpected.is_empty() && found.intended.len() == 2, "{found:?}");
    }
}
