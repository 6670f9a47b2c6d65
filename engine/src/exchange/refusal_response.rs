//! The whole response that answers a refused request.
//!
//! In: a refusal, and what its answer depends on. Out: head and body, appended. The body is APISIX's,
//! `{"error_msg":"404 Route Not Found"}`, or says the same as text or HTML where the client prefers
//! that ([`answer`](super::answer)).

use super::answer::{AnswerTo, ErrorBody, ErrorText, digits, end_head};
use super::break_response;
use super::options;
use super::refusal::Refusal;
use crate::wire::head::{Method, Version};
use crate::wire::write;

/// Appends the whole answer. Returns how many bytes of it are body (0 for HEAD).
pub fn answer(refusal: Refusal, to: &AnswerTo<'_>, out: &mut Vec<u8>) -> usize {
    if let Refusal::Options(methods) = refusal {
        options::answer(methods, to, out);
        return 0;
    }
    if let Some(own) = to.format.broken.filter(|own| break_response::is_worded(own)) {
        return break_response::answer(own, to, out);
    }
    let start = out.len();
    let status = refusal.status();
    let digits = digits(status);
    let text = ErrorText {
        page_status: refusal.page_status(),
        digits: &digits,
        title: refusal.title(),
        reason: refusal.reason(),
        details: to.details,
    };
    let body = match to.format.limited {
        Some(body) => ErrorBody::Given(body),
        None => ErrorBody::choose(&text, &to.format),
    };
    let body_len = body.len();
    write::status_line(status, out);
    write::date(to.http_date.as_bytes(), out);
    if to.server_tokens {
        out.extend_from_slice(write::SERVER);
    }
    write::field(b"Content-Type", body.content_type(), out);
    write::content_length(body_len as u64, out);
    // Some of these statuses may be cached by default (RFC 9110, section 15.1); what is wrong now
    // may be right in a moment, and an id is of one request.
    out.extend_from_slice(b"Cache-Control: no-store\r\n");
    if body.is_own_html() {
        out.extend_from_slice(b"Content-Security-Policy: default-src 'none'\r\n");
    }
    if let Some(field) = to.format.request_id.filter(|field| !field.id.is_empty()) {
        write::field(field.name.as_bytes(), field.id, out);
    }
    if let Refusal::MethodNotAllowed(methods) = refusal {
        out.extend_from_slice(b"Allow: ");
        methods.render(out);
        out.extend_from_slice(write::CRLF);
    }
    if refusal.closes() || !to.keep_alive {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    } else if to.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    end_head(start, to, out);
    if to.method == Method::Head {
        return 0;
    }
    let start = out.len();
    body.render(out);
    debug_assert_eq!(out.len() - start, body_len);
    body_len
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::{PageMedia, PageStatuses};

    use super::*;
    use crate::exchange::answer::ResponseFormat;
    use crate::exchange::negotiate::Accepted;
    use crate::identity::failure::VerifyFailure;
    use crate::plan::MethodSet;
    use crate::plan::error_pages::{ErrorPages, Page};
    use crate::plan::request_ids::RequestIdField;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    fn text(refusal: Refusal, method: Method, version: Version, keep_alive: bool) -> String {
        let format = ResponseFormat::default();
        let to = AnswerTo {
            method,
            version,
            keep_alive,
            details: "",
            http_date: "now",
            server_tokens: false,
            format,
        };
        let mut out = Vec::new();
        let body_len = answer(refusal, &to, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), body_len);
        if method == Method::Get {
            assert!(text.contains(&format!("\r\nContent-Length: {body_len}\r\n")), "{head}");
        }
        text
    }

    #[test]
    fn every_answer_is_whole_and_closes_where_it_must() {
        for refusal in Refusal::all() {
            for keep_alive in [false, true] {
                let text = text(refusal, Method::Get, Version::Http11, keep_alive);
                assert!(text.starts_with(&format!("HTTP/1.1 {} ", refusal.status())));
                let closes = text.contains("\r\nConnection: close\r\n");
                assert_eq!(closes, refusal.closes() || !keep_alive, "{text}");
                assert!(!refusal.word().is_empty());
            }
        }
    }

    #[test]
    fn bodies_are_as_documented() {
        for (refusal, wanted) in [
            (Refusal::RouteNotFound, r#"{"error_msg":"404 Route Not Found"}"#),
            (Refusal::NoCertificate, r#"{"error_msg":"400 No required SSL certificate was sent"}"#),
            (
                Refusal::BadCertificate(VerifyFailure::NoLocalIssuer),
                r#"{"error_msg":"400 The SSL certificate error","reason":"unable to get local issuer certificate"}"#,
            ),
            (Refusal::UpstreamTimeout, r#"{"error_msg":"504 Gateway Timeout"}"#),
        ] {
            let text = text(refusal, Method::Get, Version::Http11, true);
            assert_eq!(text.split_once("\r\n\r\n").unwrap().1, wanted);
        }
    }

    #[test]
    fn a_405_says_what_is_allowed_and_head_gets_no_body() {
        let refusal = Refusal::MethodNotAllowed(MethodSet::ALL);
        let answer = text(refusal, Method::Head, Version::Http10, true);
        let wanted = "HTTP/1.1 405 Method Not Allowed\r\nDate: now\r\n\
                      Content-Type: application/json\r\nContent-Length: 38\r\n\
                      Cache-Control: no-store\r\n\
                      Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, PURGE\r\n\
                      Connection: keep-alive\r\n\r\n";
        assert_eq!(answer, wanted);
    }

    fn with(refusal: Refusal, format: ResponseFormat<'_>) -> (String, String) {
        let to = AnswerTo {
            method: Method::Get,
            version: Version::Http11,
            keep_alive: true,
            details: "",
            http_date: "now",
            server_tokens: false,
            format,
        };
        let mut out = Vec::new();
        let len = answer(refusal, &to, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {len}\r\n")), "{head}");
        assert_eq!(body.len(), len);
        (head.to_owned(), body.to_owned())
    }

    fn accepting(accept: &str) -> Accepted {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n");
        let mut head = RequestHead::default();
        let limits = HeadLimits { head_bytes_max: 65_536, fields_max: 100 };
        parse_request(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        Accepted::of(head.view(text.as_bytes()).fields())
    }

    #[test]
    fn the_client_chooses_the_form() {
        let bad = Refusal::BadCertificate(VerifyFailure::Expired);
        let id = Some(RequestIdField { name: "X-Id", id: b"id-1" });
        for (refusal, accept, request_id, media, wanted) in [
            (
                bad,
                "text/plain",
                None,
                "text/plain; charset=utf-8",
                "400 The SSL certificate error\nReason: certificate has expired\n",
            ),
            (
                Refusal::RouteNotFound,
                "text/plain",
                id,
                "text/plain; charset=utf-8",
                "404 Route Not Found\nRequest id: id-1\n",
            ),
            (
                Refusal::RouteNotFound,
                "image/png",
                id,
                "application/json",
                "{\"error_msg\":\"404 Route Not Found\",\"request_id\":\"id-1\"}",
            ),
            (
                bad,
                "application/json",
                id,
                "application/json",
                "{\"error_msg\":\"400 The SSL certificate error\",\"reason\":\"certificate has expired\",\"request_id\":\"id-1\"}",
            ),
            (
                bad,
                "text/html",
                id,
                "text/html; charset=utf-8",
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Error</title>\n<h1>400 The SSL certificate error</h1>\n<p>Reason: certificate has expired</p>\n<p>Request id: <code>id-1</code></p>\n",
            ),
        ] {
            let format = ResponseFormat {
                accepted: accepting(accept),
                request_id,
                ..ResponseFormat::default()
            };
            let (head, body) = with(refusal, format);
            assert!(head.contains(&format!("\r\nContent-Type: {media}\r\n")), "{head}");
            assert_eq!(head.contains("\r\nX-Id: id-1"), request_id.is_some(), "{head}");
            assert_eq!(body, wanted);
        }
    }

    #[test]
    fn the_operators_pages_stand_in_front() {
        let page = |media, text: &str| Page::new(media, text).unwrap();
        let pages = ErrorPages::new([
            (PageStatuses::One(404), page(PageMedia::Html, "<h1>gone</h1> $request_id")),
            (PageStatuses::One(404), page(PageMedia::Json, "{}")),
            (PageStatuses::Class(4), page(PageMedia::Plain, "no")),
            (PageStatuses::One(496), page(PageMedia::Plain, "show a certificate")),
        ]);
        for (refusal, accept, wanted) in [
            (Refusal::RouteNotFound, "*/*", "{}"),
            (Refusal::RouteNotFound, "text/html", "<h1>gone</h1> id-1"),
            // The first one is for who likes none.
            (Refusal::RouteNotFound, "text/plain", "<h1>gone</h1> id-1"),
            (Refusal::BodyTooLarge, "text/html", "no"),
            (Refusal::NoCertificate, "text/html", "show a certificate"),
        ] {
            let format = ResponseFormat {
                accepted: accepting(accept),
                pages: Some(&pages),
                request_id: Some(RequestIdField { name: "X-Id", id: b"id-1" }),
                ..ResponseFormat::default()
            };
            assert_eq!(with(refusal, format).1, wanted);
        }
        let format = ResponseFormat { pages: Some(&pages), ..ResponseFormat::default() };
        let (head, body) = with(Refusal::BadCertificate(VerifyFailure::Expired), format);
        assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("certificate has expired"));
        assert!(with(Refusal::UpstreamTimeout, format).1.contains("504 Gateway Timeout"));
    }

    /// Nothing of ours would need escaping, in JSON or in HTML.
    #[test]
    fn our_words_are_plain() {
        let plain = |text: &str| {
            text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"<>&\\".contains(&byte))
        };
        for refusal in Refusal::all() {
            assert!(plain(refusal.title()) && refusal.reason().is_none_or(plain), "{refusal:?}");
        }
    }
}
