//! An answer of our own whose status, fields and body the configuration gives.
//!
//! In: these, rendered. Out: the whole answer, appended. Framing, `Date` and what the connection does next are
//! ours: none of them is among the fields.

use ferrule_config::model::may_have_body;

use super::answer::{AnswerTo, ErrorBody, ErrorText, digits, end_head};
use super::response_block::has_field;
use crate::wire::head::{Method, Version};
use crate::wire::write;

/// An answer in the operator's words.
#[derive(Clone, Copy, Debug)]
pub struct LocalAnswer<'a> {
    /// 200 to 599.
    pub status: u16,
    /// What the body is, unless a field says so.
    pub content_type: &'a [u8],
    /// Field lines, each with its line end.
    pub fields: &'a [u8],
    /// What is said.
    pub body: LocalBody<'a>,
}

/// The body of such an answer.
#[derive(Clone, Copy, Debug)]
pub enum LocalBody<'a> {
    /// These bytes; none at all where the status has no body.
    Bytes(&'a [u8]),
    /// The operator's page for an error of this status, or a text of ours.
    ErrorText,
}

/// Appends the whole answer. Returns how many bytes of it are body (0 for HEAD).
pub fn local_answer(own: &LocalAnswer<'_>, to: &AnswerTo<'_>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let digits = digits(own.status);
    let text = ErrorText {
        page_status: own.status,
        digits: &digits,
        title: write::reason(own.status),
        reason: None,
        details: to.details,
    };
    let (bytes, error) = match own.body {
        LocalBody::Bytes(bytes) => (bytes, None),
        LocalBody::ErrorText => (&[][..], Some(ErrorBody::choose(&text, &to.format))),
    };
    let content_type = match &error {
        Some(error) => error.content_type(),
        None => own.content_type,
    };
    let has_body = may_have_body(own.status);
    let len = if has_body { error.as_ref().map_or(bytes.len(), ErrorBody::len) } else { 0 };
    write::status_line(own.status, out);
    write::date(to.http_date.as_bytes(), out);
    if to.server_tokens && !has_field(own.fields, "server") {
        out.extend_from_slice(write::SERVER);
    }
    if len > 0 && !content_type.is_empty() && !has_field(own.fields, "content-type") {
        write::field(b"Content-Type", content_type, out);
    }
    // No length is right where the status alone says that there is no body (RFC 9110, section 8.6); 205 does not (RFC
    // 9112, section 6.3).
    if !matches!(own.status, 204 | 304) {
        write::content_length(len as u64, out);
    }
    if error.is_some() && !has_field(own.fields, "cache-control") {
        out.extend_from_slice(b"Cache-Control: no-store\r\n");
    }
    out.extend_from_slice(own.fields);
    let id = to.format.request_id.filter(|field| !field.id.is_empty());
    if let Some(field) = id.filter(|field| !has_field(own.fields, field.name)) {
        write::field(field.name.as_bytes(), field.id, out);
    }
    if !to.keep_alive {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    } else if to.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    end_head(start, to, out);
    if to.method == Method::Head || len == 0 {
        return 0;
    }
    match error {
        Some(error) => error.render(out),
        None => out.extend_from_slice(bytes),
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::answer::ResponseFormat;
    use crate::exchange::response_block::ResponseBlock;

    fn written(own: &LocalAnswer<'_>, method: Method, version: Version) -> (String, usize) {
        let mut block = ResponseBlock::default();
        block.set(b"X-Block", b"1");
        let to = AnswerTo {
            method,
            version,
            keep_alive: true,
            details: "",
            http_date: "now",
            server_tokens: false,
            format: ResponseFormat { block: Some(&block), ..ResponseFormat::default() },
        };
        let mut out = Vec::new();
        let len = local_answer(own, &to, &mut out);
        (String::from_utf8(out).unwrap(), len)
    }

    #[test]
    fn it_is_framed_by_its_status_and_method() {
        for status in 200..600 {
            for (body, len) in [(LocalBody::Bytes(b"hello"), 5), (LocalBody::Bytes(b""), 0)] {
                let own = LocalAnswer {
                    status,
                    content_type: b"text/css",
                    fields: b"X-Own: 1\r\n",
                    body,
                };
                let has_body = may_have_body(status);
                let wanted = if has_body { len } else { 0 };
                let (got, sent) = written(&own, Method::Get, Version::Http11);
                let (head, text) = got.split_once("\r\n\r\n").unwrap();
                assert_eq!((sent, text.len()), (wanted, wanted), "{got}");
                let length = format!("\r\nContent-Length: {wanted}");
                assert_eq!(head.contains(&length), !matches!(status, 204 | 304), "{got}");
                assert_eq!(head.contains("Content-Type: text/css"), wanted > 0, "{got}");
                assert!(head.contains("X-Own: 1") && head.ends_with("X-Block: 1"), "{got}");
                let (to_head, sent) = written(&own, Method::Head, Version::Http11);
                assert_eq!((to_head.as_str(), sent), (&*format!("{head}\r\n\r\n"), 0));
            }
        }
        let own = LocalAnswer {
            status: 403,
            content_type: b"",
            fields: b"Content-Type: a/b\r\n",
            body: LocalBody::ErrorText,
        };
        let (got, _) = written(&own, Method::Get, Version::Http10);
        assert!(got.ends_with("{\"error_msg\":\"403 Forbidden\"}"), "{got}");
        assert!(got.contains("Connection: keep-alive\r\n") && !got.contains("application/json"));
    }
}
