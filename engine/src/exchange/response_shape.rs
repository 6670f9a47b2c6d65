//! What a route's policy makes of the upstream's response.
//!
//! In: a response head that was admitted, and the changes that the policy asks for. Out: the head that the client
//! gets, framed anew where the body is another one than the upstream's. Only the final response is changed:
//! neither interim ones nor a 101.

use ferrule_config::model::may_have_body;

use super::flow::Framing;
use super::response::{Delivery, PendingRequest};
use super::response_block::ResponseBlock;
use super::response_head::client_head;
use super::trailers::TrailerRules;
use crate::plan::body_filter::media_types;
use crate::wire::framing::BodyLength;
use crate::wire::head::Method;
use crate::wire::view::{FieldView, ResponseView};
use crate::wire::write;

/// Fields that describe the body of the upstream (RFC 9110, section 8; RFC 9530): untrue of another one.
const OF_THE_BODY: [&[u8]; 9] = [
    b"Accept-Ranges",
    b"Content-Digest",
    b"Content-Encoding",
    b"Content-MD5",
    b"Content-Range",
    b"Digest",
    b"ETag",
    b"Last-Modified",
    b"Repr-Digest",
];

/// What the client gets in the place of what the upstream has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseChange<'a> {
    /// Another status.
    pub status: Option<u16>,
    /// Another body.
    pub body: Option<&'a [u8]>,
    /// What that is; empty for what the response says.
    pub content_type: &'a [u8],
    /// The upstream's body is searched, and perhaps changed, unless there is another one.
    pub filtered: bool,
}

/// A response as the client gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ShapedResponse {
    /// How it is delivered; its status is still the upstream's.
    pub delivery: Delivery,
    /// The status that is sent.
    pub status: u16,
    /// Bytes of a body of our own, behind the head.
    pub own_body: usize,
    /// The body that is read from the upstream is to be filtered as a whole: [`end_with_body`] completes the head.
    pub filtered: bool,
}

/// Appends the head of the changed response, and the body where it is ours. `asked` is the method by which the
/// client asked; `pending` has the one that was sent.
pub fn shaped_head(
    response: ResponseView<'_>,
    delivery: &Delivery,
    pending: &PendingRequest<'_>,
    asked: Method,
    change: &ResponseChange<'_>,
    block: &mut ResponseBlock,
    out: &mut Vec<u8>,
) -> ShapedResponse {
    let start = out.len();
    let status = change.status.unwrap_or(delivery.status);
    let (to_head, sent_head) = (asked == Method::Head, pending.method == Method::Head);
    let is_empty = delivery.body == BodyLength::None;
    let replaced = change.body.is_some() || (!may_have_body(status) && !is_empty);
    let searched = change.filtered && change.body.is_none();
    let filtered = searched && !replaced && !is_empty && !to_head;
    if replaced || searched {
        for name in OF_THE_BODY {
            block.remove(name);
        }
    }
    let body = change.body.filter(|_| may_have_body(status));
    if body.is_some() && !change.content_type.is_empty() {
        block.set_default(b"Content-Type", change.content_type);
    }
    if filtered || (searched && to_head) {
        // Known when the body is, which HEAD does not ask for.
        block.remove(b"Content-Length");
    }
    let bytes = body.unwrap_or_default();
    // Where HEAD was sent, or where the status that came has no body, there is none to pass on.
    let lacks_body = is_empty && !to_head && (sent_head || status != delivery.status);
    let is_ours = replaced || lacks_body;
    let mut shaped = *delivery;
    if is_ours || (to_head && !sent_head) {
        shaped.upstream_reusable &= is_empty;
        shaped.body = BodyLength::None;
        shaped.trailers = false;
        // No connection ends behind a body that is not sent.
        shaped.client_keep_alive = pending.keep_alive;
        shaped.to_client = match status {
            _ if !is_ours => Framing::None,
            204 | 304 => Framing::None,
            205 => Framing::Length(0),
            _ => Framing::Length(bytes.len() as u64),
        };
    }
    if filtered {
        shaped.to_client = Framing::None;
        shaped.trailers = false;
        shaped.client_keep_alive = pending.keep_alive;
    }
    if status != delivery.status && matches!(status, 204 | 304) {
        // The upstream's is untrue of it (RFC 9110, section 8.6).
        block.remove(b"Content-Length");
    }
    let trailers = pending.trailers.map(|rules| TrailerRules { block: Some(block), ..rules });
    client_head(response, &shaped, &PendingRequest { trailers, ..*pending }, out);
    if status != delivery.status {
        put_status_line(status, start, out);
    }
    block.apply(start, out);
    let own_body = if to_head || !is_ours { 0 } else { bytes.len() };
    if own_body > 0 {
        out.extend_from_slice(bytes);
    }
    ShapedResponse { delivery: shaped, status, own_body, filtered }
}

/// Is this a body that filters may search as a whole: neither encoded, nor a part, nor one that never ends?
#[must_use]
pub fn is_filterable(response: ResponseView<'_>) -> bool {
    let is_plain = |value: &[u8]| {
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    };
    let is_whole = |value: &[u8]| {
        let others: [&[u8]; 2] = [b"text/event-stream", b"multipart/byteranges"];
        !media_types(value).any(|media| others.iter().any(|name| name.eq_ignore_ascii_case(media)))
    };
    let fits = |field: FieldView<'_>| {
        let is = |name: &[u8]| field.name().eq_ignore_ascii_case(name);
        let (value, is_range) = (field.value(), is(b"Content-Range"));
        !is_range
            && (!is(b"Content-Encoding") || is_plain(value))
            && (!is(b"Content-Type") || is_whole(value))
    };
    response.status() != 206 && response.fields().iter().all(fits)
}

/// The lines of a response's `Content-Type`; there should be one.
pub fn content_types(response: ResponseView<'_>) -> impl Iterator<Item = &[u8]> {
    let is_one = |field: &FieldView<'_>| field.name().eq_ignore_ascii_case(b"Content-Type");
    response.fields().iter().filter(is_one).map(FieldView::value)
}

/// Completes the head that ends the buffer with the length of the body that follows it.
pub fn end_with_body(body: &[u8], out: &mut Vec<u8>) {
    out.truncate(out.len().saturating_sub(write::CRLF.len()));
    write::content_length(u64::try_from(body.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(write::CRLF);
    out.extend_from_slice(body);
}

/// Puts another status line in the place of that of the head which begins at `start` and ends the buffer.
fn put_status_line(status: u16, start: usize, out: &mut Vec<u8>) {
    let Some(end) = out.get(start..).and_then(|head| memchr::memchr(b'\n', head)) else { return };
    let before = out.len();
    write::status_line(status, out);
    let added = out.len().saturating_sub(before);
    if let Some(head) = out.get_mut(start..) {
        head.rotate_right(added);
    }
    let old = start.saturating_add(added);
    out.drain(old..old.saturating_add(end).saturating_add(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::response::{ResponseStep, admit_response};
    use crate::wire::framing::{content_length, response_body};
    use crate::wire::head::{ResponseHead, Version, parse_response};
    use crate::wire::limits::HeadLimits;

    const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 65_536, fields_max: 100 };

    fn parsed(text: &[u8]) -> ResponseHead {
        let mut head = ResponseHead::default();
        let len = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        parse_response(text, len, LIMITS, &mut head).unwrap();
        head
    }

    /// Whatever the upstream sends, the client asked by, was sent in its place and is put into the answer: the client
    /// reads as many bytes as it gets, and no more.
    #[test]
    fn every_answer_ends_where_its_head_says() {
        let statuses = [200, 204, 205, 206, 304, 404, 500];
        let framings = [
            "",
            "Content-Length: 5\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
        ];
        let methods = [Method::Get, Method::Head, Method::Post];
        let changed = [None, Some(200), Some(204), Some(205), Some(304), Some(503)];
        let bodies = [None, Some(&b""[..]), Some(&b"hello, world"[..])];
        let mut count = 0;
        for (status, framing) in statuses.iter().flat_map(|one| framings.map(|other| (*one, other)))
        {
            for (asked, sent) in methods.iter().flat_map(|one| methods.map(|other| (*one, other))) {
                for (to, body) in changed.iter().flat_map(|one| bodies.map(|other| (*one, other))) {
                    for (version, filtered) in [
                        (Version::Http11, false),
                        (Version::Http10, false),
                        (Version::Http11, true),
                        (Version::Http10, true),
                    ] {
                        count += 1;
                        let sent = ShapeCase { status, framing, asked, sent, filtered };
                        judge(&sent, to, body, version);
                    }
                }
            }
        }
        assert!(count > 4_000);
    }

    /// What the upstream sends, what the client asked by, and what was sent in the place of that.
    struct ShapeCase {
        status: u16,
        framing: &'static str,
        asked: Method,
        sent: Method,
        filtered: bool,
    }

    fn judge(case: &ShapeCase, to: Option<u16>, body: Option<&[u8]>, version: Version) {
        let &ShapeCase { status, framing, asked, sent, filtered } = case;
        let text = format!(
            "HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\nETag: \"1\"\r\nTrailer: X-A\r\n{framing}\r\n"
        );
        let pending = PendingRequest {
            method: sent,
            version,
            keep_alive: true,
            upgrade: false,
            repeatable: false,
            interims: 0,
            http_date: "now",
            continue_wanted: false,
            trailers: None,
            via: None,
            request_id: None,
        };
        let head = parsed(text.as_bytes());
        let view = head.view(text.as_bytes());
        // What has no legal framing is never shaped.
        let Ok(ResponseStep::Final(delivery)) = admit_response(view, &pending) else { return };
        let change = ResponseChange { status: to, body, content_type: b"text/plain", filtered };
        let (mut block, mut out) = (ResponseBlock::default(), Vec::new());
        let mut shaped =
            shaped_head(view, &delivery, &pending, asked, &change, &mut block, &mut out);
        if shaped.filtered {
            // What the shell makes of it.
            end_with_body(b"changed", &mut out);
            shaped.delivery.body = BodyLength::None;
            shaped.own_body = 7;
        }
        let case =
            format!("{text}{asked:?} {sent:?} {change:?} {version:?}\n{}", out.escape_ascii());
        let got = parsed(&out);
        let got = got.view(&out);
        assert_eq!(got.status(), to.unwrap_or(status), "{case}");
        let behind = out.len() - (out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4);
        assert_eq!(behind, shaped.own_body, "{case}");
        // As the client reads it, by the method that it asked by.
        let read = response_body(got, asked).unwrap_or_else(|error| panic!("{error:?} {case}"));
        let is_passed_on = shaped.delivery.body != BodyLength::None;
        match read {
            BodyLength::None => assert!(!is_passed_on && behind == 0, "{case}"),
            BodyLength::Length(len) if is_passed_on => {
                assert_eq!(shaped.delivery.body, BodyLength::Length(len), "{case}");
            }
            BodyLength::Length(len) => assert_eq!(len, behind as u64, "{case}"),
            BodyLength::Chunked => {
                assert_eq!(shaped.delivery.to_client, Framing::Chunked, "{case}");
            }
            BodyLength::UntilClose => {
                assert_eq!(shaped.delivery.to_client, Framing::Raw, "{case}");
                assert!(!shaped.delivery.client_keep_alive, "{case}");
            }
        }
        let may_be_told = asked == Method::Head || !matches!(got.status(), 204);
        assert!(may_be_told || content_length(got.fields()) == Ok(None), "{case}");
        // An upstream whose body is not read to its end serves nobody else.
        let unread = delivery.body != BodyLength::None && !is_passed_on && !shaped.filtered;
        assert!(!unread || !shaped.delivery.upstream_reusable, "{case}");
        if body.is_some() || filtered {
            let stale = got.fields().iter().any(|field| field.name().eq_ignore_ascii_case(b"etag"));
            assert!(!stale, "{case}");
        }
    }

    #[test]
    fn what_filters_cannot_search_is_told() {
        for (head, wanted) in [
            ("200 OK\r\n", true),
            ("200 OK\r\nContent-Encoding: identity,\r\nContent-Type: text/html; a=b\r\n", true),
            ("404 No\r\nContent-Type: text/event-streams\r\n", true),
            ("200 OK\r\nContent-Encoding: gzip\r\n", false),
            ("200 OK\r\nContent-Encoding: identity\r\ncontent-encoding: br\r\n", false),
            ("200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n", false),
            ("200 OK\r\nContent-Type: multipart/byteranges; boundary=a\r\n", false),
            ("200 OK\r\nContent-Type: text/html, text/event-stream\r\n", false),
            ("200 OK\r\nContent-Type: text/html\r\nContent-Type: text/event-stream\r\n", false),
            ("200 OK\r\nContent-Range: bytes 0-1/2\r\n", false),
            ("206 Part\r\n", false),
        ] {
            let text = format!("HTTP/1.1 {head}\r\n");
            let parsed = parsed(text.as_bytes());
            assert_eq!(is_filterable(parsed.view(text.as_bytes())), wanted, "{head}");
        }
    }
}
