//! Every reason to answer a request ourselves: its status, its log word, and the whole answer.
//!
//! The body is APISIX's, `{"error_msg":"404 Route Not Found"}`; for refused certificates it has
//! nginx's titles, and OpenSSL's reason beside them.

use crate::identity::chain::VerifyFailure;
use crate::plan::{Forbidden, MethodSet};
use crate::wire::error::WireError;
use crate::wire::head::{Method, Version};
use crate::wire::write;

/// Why we answer a request ourselves, in the order of a request's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The client did not send its head in time.
    HeadTimeout,
    /// The bytes are wrong; the connection is closed after the answer.
    Malformed(WireError),
    /// Plain HTTP on a TLS listener.
    PlainHttpOnTls,
    /// A client certificate is required, and none was sent.
    NoCertificate,
    /// The client's certificate does not verify.
    BadCertificate(VerifyFailure),
    /// The client's certificate expired while it was connected.
    CertificateExpired,
    /// The client may not do this.
    Forbidden(Forbidden),
    /// The `Host` is not one that this connection's server name may ask for.
    MisdirectedRequest,
    /// Nothing here has this host and path.
    RouteNotFound,
    /// Host and path are known, but with these methods only.
    MethodNotAllowed(MethodSet),
    /// An `Expect` that we do not know.
    ExpectationFailed,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The head outgrew its bound by what was added to it.
    HeadOverflow,
    /// The process or this core has no room for another exchange.
    Overloaded,
    /// No node of the upstream may be asked.
    NoLiveNode,
    /// No connection to the upstream.
    UpstreamConnect,
    /// The TLS handshake with the upstream failed.
    UpstreamTls,
    /// The upstream connection ended before a response head arrived.
    UpstreamLost,
    /// The upstream's answer is not one.
    BadResponse,
    /// The upstream did not connect, take or answer in time.
    UpstreamTimeout,
    /// The client did not send its body in time.
    BodyTimeout,
    /// A fault of our own.
    Internal,
}

/// What an answer depends on beside its reason.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTo<'a> {
    /// The request's method; HEAD gets no body.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// May the connection live on, as far as the client and we are concerned? What
    /// [`Refusal::closes`] says comes on top.
    pub keep_alive: bool,
    /// For the `Date` field.
    pub http_date: &'a str,
}

impl Refusal {
    /// The status the client sees.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(error) => error.status(),
            Self::PlainHttpOnTls
            | Self::NoCertificate
            | Self::BadCertificate(_)
            | Self::CertificateExpired => 400,
            Self::Forbidden(_) => 403,
            Self::RouteNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::ExpectationFailed => 417,
            Self::MisdirectedRequest => 421,
            Self::HeadOverflow => 431,
            Self::Internal => 500,
            Self::UpstreamConnect | Self::UpstreamTls | Self::UpstreamLost | Self::BadResponse => {
                502
            }
            Self::Overloaded | Self::NoLiveNode => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// One word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::HeadTimeout => "head-timeout",
            Self::Malformed(error) => error.word(),
            Self::PlainHttpOnTls => "plain-http-on-tls",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate(_) => "bad-certificate",
            Self::CertificateExpired => "certificate-expired",
            Self::Forbidden(forbidden) => forbidden.word(),
            Self::MisdirectedRequest => "misdirected-request",
            Self::RouteNotFound => "route-not-found",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::ExpectationFailed => "expectation-failed",
            Self::BodyTooLarge => "body-too-large",
            Self::HeadOverflow => "head-overflow",
            Self::Overloaded => "overloaded",
            Self::NoLiveNode => "no-live-node",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTls => "upstream-tls",
            Self::UpstreamLost => "upstream-lost",
            Self::BadResponse => "bad-response",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::BodyTimeout => "body-timeout",
            Self::Internal => "internal",
        }
    }

    /// Must the client connection end after the answer? Wherever we cannot be sure where the next
    /// request starts, or whether this client may ask at all.
    #[must_use]
    pub const fn closes(self) -> bool {
        match self {
            Self::HeadTimeout
            | Self::Malformed(_)
            | Self::PlainHttpOnTls
            | Self::NoCertificate
            | Self::BadCertificate(_)
            | Self::CertificateExpired
            | Self::MisdirectedRequest
            | Self::BodyTooLarge
            | Self::Overloaded
            | Self::BodyTimeout
            | Self::Internal => true,
            Self::Forbidden(_)
            | Self::RouteNotFound
            | Self::MethodNotAllowed(_)
            | Self::ExpectationFailed
            | Self::HeadOverflow
            | Self::NoLiveNode
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamLost
            | Self::BadResponse
            | Self::UpstreamTimeout => false,
        }
    }

    /// What follows the status in `error_msg`.
    const fn title(self) -> &'static str {
        match self {
            Self::PlainHttpOnTls => "The plain HTTP request was sent to HTTPS port",
            Self::NoCertificate => "No required SSL certificate was sent",
            Self::BadCertificate(_) | Self::CertificateExpired => "The SSL certificate error",
            Self::RouteNotFound => "Route Not Found",
            Self::HeadTimeout
            | Self::Malformed(_)
            | Self::Forbidden(_)
            | Self::MisdirectedRequest
            | Self::MethodNotAllowed(_)
            | Self::ExpectationFailed
            | Self::BodyTooLarge
            | Self::HeadOverflow
            | Self::Overloaded
            | Self::NoLiveNode
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamLost
            | Self::BadResponse
            | Self::UpstreamTimeout
            | Self::BodyTimeout
            | Self::Internal => write::reason(self.status()),
        }
    }

    /// OpenSSL's reason, where a certificate was refused; ours, where its owner was.
    const fn reason(self) -> Option<&'static str> {
        match self {
            Self::BadCertificate(failure) => Some(failure.text()),
            Self::CertificateExpired => Some("certificate has expired"),
            Self::Forbidden(forbidden) => Some(forbidden.word()),
            _ => None,
        }
    }
}

/// Appends the whole answer. Returns how many bytes of it are body (0 for HEAD).
pub fn answer(refusal: Refusal, to: &AnswerTo<'_>, out: &mut Vec<u8>) -> usize {
    let status = refusal.status();
    let (title, reason) = (refusal.title(), refusal.reason());
    // {"error_msg":"400 title","reason":"reason"}
    let body_len = 20 + title.len() + reason.map_or(0, |reason| 12 + reason.len());
    write::status_line(status, out);
    write::date(to.http_date.as_bytes(), out);
    write::field(b"Content-Type", b"application/json", out);
    write::content_length(body_len as u64, out);
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
    out.extend_from_slice(write::CRLF);
    if to.method == Method::Head {
        return 0;
    }
    let start = out.len();
    out.extend_from_slice(b"{\"error_msg\":\"");
    write::decimal(status.into(), out);
    out.push(b' ');
    out.extend_from_slice(title.as_bytes());
    if let Some(reason) = reason {
        out.extend_from_slice(b"\",\"reason\":\"");
        out.extend_from_slice(reason.as_bytes());
    }
    out.extend_from_slice(b"\"}");
    debug_assert_eq!(out.len() - start, body_len);
    body_len
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Refusal; 22] = [
        Refusal::HeadTimeout,
        Refusal::Malformed(WireError::BareLf),
        Refusal::PlainHttpOnTls,
        Refusal::NoCertificate,
        Refusal::BadCertificate(VerifyFailure::Expired),
        Refusal::CertificateExpired,
        Refusal::Forbidden(Forbidden::Denied),
        Refusal::MisdirectedRequest,
        Refusal::RouteNotFound,
        Refusal::MethodNotAllowed(MethodSet::ALL),
        Refusal::ExpectationFailed,
        Refusal::BodyTooLarge,
        Refusal::HeadOverflow,
        Refusal::Overloaded,
        Refusal::NoLiveNode,
        Refusal::UpstreamConnect,
        Refusal::UpstreamTls,
        Refusal::UpstreamLost,
        Refusal::BadResponse,
        Refusal::UpstreamTimeout,
        Refusal::BodyTimeout,
        Refusal::Internal,
    ];

    fn text(refusal: Refusal, method: Method, version: Version, keep_alive: bool) -> String {
        let to = AnswerTo { method, version, keep_alive, http_date: "now" };
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
        for refusal in ALL {
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
                      Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, PURGE\r\n\
                      Connection: keep-alive\r\n\r\n";
        assert_eq!(answer, wanted);
    }
}
