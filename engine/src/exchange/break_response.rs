//! The response of a broken circuit, in the operator's words.

use ferrule_config::model::BreakResponse;

use super::answer::AnswerTo;
use super::local_answer::{LocalAnswer, LocalBody, local_answer};
use super::response_block::has_field;
use crate::wire::write;

/// Is there more to it than the status of an error, which has a text of ours?
pub(super) const fn is_worded(own: &BreakResponse) -> bool {
    own.body.is_some() || !own.headers.is_empty() || own.status < 400
}

/// Appends the whole of it. Returns how many bytes of it are body (0 for HEAD).
pub(super) fn answer(own: &BreakResponse, to: &AnswerTo<'_>, out: &mut Vec<u8>) -> usize {
    let mut fields = Vec::new();
    for header in &own.headers {
        write::field(header.name.as_bytes(), header.value.as_bytes(), &mut fields);
    }
    if !has_field(&fields, "cache-control") {
        fields.extend_from_slice(b"Cache-Control: no-store\r\n");
    }
    let answer = LocalAnswer {
        status: own.status,
        content_type: b"text/plain; charset=utf-8",
        fields: &fields,
        body: LocalBody::Bytes(own.body.as_deref().unwrap_or_default().as_bytes()),
    };
    local_answer(&answer, to, out)
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::BreakHeader;

    use super::*;
    use crate::exchange::answer::ResponseFormat;
    use crate::wire::head::{Method, Version};

    fn written(own: &BreakResponse, method: Method, keep_alive: bool) -> (String, usize) {
        let to = AnswerTo {
            method,
            version: Version::Http11,
            keep_alive,
            details: "",
            http_date: "now",
            server_tokens: true,
            format: ResponseFormat::default(),
        };
        let mut out = Vec::new();
        let body = answer(own, &to, &mut out);
        (String::from_utf8(out).unwrap(), body)
    }

    fn header(name: &str, value: &str) -> BreakHeader {
        BreakHeader { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn it_says_what_the_operator_says() {
        let plain = BreakResponse { status: 502, body: Some("later".to_owned()), headers: vec![] };
        let wanted = "HTTP/1.1 502 Bad Gateway\r\nDate: now\r\nServer: ferrule\r\n\
                      Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\
                      Cache-Control: no-store\r\n\r\n";
        assert_eq!(written(&plain, Method::Get, true), (format!("{wanted}later"), 5));
        assert_eq!(written(&plain, Method::Head, true), (wanted.to_owned(), 0));
        let headers = vec![
            header("content-type", "application/json"),
            header("Retry-After", "2"),
            header("Server", "mine"),
            header("Cache-Control", "max-age=1"),
        ];
        let json = BreakResponse { status: 200, body: Some("{}".to_owned()), headers };
        let wanted = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\
                      content-type: application/json\r\nRetry-After: 2\r\nServer: mine\r\n\
                      Cache-Control: max-age=1\r\nConnection: close\r\n\r\n{}";
        assert_eq!(written(&json, Method::Get, false), (wanted.to_owned(), 2));
    }

    #[test]
    fn some_statuses_have_neither_body_nor_length() {
        for (status, length) in [(204, false), (205, true), (304, false), (200, true)] {
            let own = BreakResponse { status, body: None, headers: vec![] };
            let (text, body) = written(&own, Method::Get, true);
            assert!(text.ends_with("\r\n\r\n") && body == 0, "{text}");
            assert_eq!(text.contains("Content-Length: 0"), length, "{text}");
        }
    }
}
