//! OPTIONS: how far it may go, and the answer where it goes no further.
//!
//! In: `Max-Forwards` (RFC 9110, section 7.6.2) of an OPTIONS request; with any other method it is
//! ignored, and TRACE is refused before anybody looks. Out: how often the request may still be sent
//! on, or the answer of a final recipient (section 9.3.7): 200 with `Allow` and no content.

use super::answer::{AnswerTo, end_head};
use super::refusal::Refusal;
use crate::plan::MethodSet;
use crate::wire::fields::Known;
use crate::wire::head::{Method, Version};
use crate::wire::target::{Form, Target};
use crate::wire::view::RequestView;
use crate::wire::write;

/// How often it may still be sent on, this time included; `None` if nobody says.
///
/// # Errors
/// More than one value, or one that is not digits alone: another hop could read another number.
pub fn max_forwards(request: RequestView<'_>) -> Result<Option<u64>, Refusal> {
    if request.method() != Method::Options {
        return Ok(None);
    }
    let mut lines = request.fields().all(Known::MaxForwards);
    let Some(line) = lines.next() else { return Ok(None) };
    let digits = line.value();
    if lines.next().is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::InvalidMaxForwards);
    }
    // Larger than we count is our own largest: the lesser of the two is sent on.
    Ok(Some(
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        }),
    ))
}

/// Does the request ask about the server rather than a resource: `*`, or an absolute form without a
/// path, which means the same (RFC 9112, section 3.2.4)?
#[must_use]
pub fn asks_the_server(request: RequestView<'_>, target: &Target) -> bool {
    request.method() == Method::Options
        && match target.form {
            Form::Asterisk => true,
            Form::Absolute => target.authority.end == request.target_span().end,
            Form::Origin | Form::Authority => false,
        }
}

/// Appends the answer of a final recipient. It has no content.
pub fn answer(methods: MethodSet, to: &AnswerTo<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    write::status_line(200, out);
    write::date(to.http_date.as_bytes(), out);
    if to.server_tokens {
        out.extend_from_slice(write::SERVER);
    }
    out.extend_from_slice(b"Allow: ");
    methods.render(out);
    out.extend_from_slice(write::CRLF);
    write::content_length(0, out);
    if !to.keep_alive {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    } else if to.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    end_head(start, to, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::answer::ResponseFormat;
    use crate::exchange::refusal_response;

    #[test]
    fn options_that_goes_no_further_is_told_what_may_be_asked_for() {
        let to = AnswerTo {
            method: Method::Options,
            version: Version::Http11,
            keep_alive: true,
            details: "",
            http_date: "now",
            server_tokens: true,
            format: ResponseFormat::default(),
        };
        let mut out = Vec::new();
        assert_eq!(refusal_response::answer(Refusal::Options(MethodSet::ALL), &to, &mut out), 0);
        let wanted = "HTTP/1.1 200 OK\r\nDate: now\r\nServer: ferrule\r\n\
                      Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, PURGE\r\n\
                      Content-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
