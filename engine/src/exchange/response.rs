//! What to do with a response head.
//!
//! In: a head that `wire` accepted, and the request it answers. Out: a [`Delivery`], after which the
//! head is written by [`response_head`](super::response_head). What the client's connection and the
//! upstream's may be used for afterwards is decided here as far as heads tell;
//! [`reuse`](super::reuse) has the last word.

use super::flow::Framing;
use super::hop::Nominations;
use super::keep_alive::KeepAliveHint;
use super::response_fault::ResponseFault;
use super::trailers::TrailerRules;
use super::{binding, upgrade};
use crate::plan::request_ids::RequestIdField;
use crate::wire::error::WireError;
use crate::wire::framing::{self, BodyLength};
use crate::wire::head::{Method, Version};
use crate::wire::view::ResponseView;

/// Interim responses to one request; hints come once or twice, an endless stream of them is a way
/// to hold a connection without ever answering.
pub const INTERIMS_MAX: u32 = 8;

/// The request that is being answered.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PendingRequest<'a> {
    /// Its method.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// May the client connection live on, as far as the client and we are concerned?
    pub keep_alive: bool,
    /// Did it ask for a WebSocket?
    pub upgrade: bool,
    /// Was it sent over a connection from the pool, and may it be sent once more?
    pub repeatable: bool,
    /// Interim responses to this request so far, this one not included.
    pub interims: u32,
    /// For the `Date` field.
    pub http_date: &'a str,
    /// Was its expectation passed on, so that a 100 is the client's?
    pub continue_wanted: bool,
    /// The client takes trailers, but for those that never pass.
    pub trailers: Option<TrailerRules<'a>>,
    /// Our name in `Via`.
    pub via: Option<&'a str>,
    /// The field that holds the request's id.
    pub request_id: Option<RequestIdField<'a>>,
}

/// What to do with a response head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseStep {
    /// An interim response; the final one is still to come.
    Interim {
        /// Does the client get it ([`interim_head`](super::response_head::interim_head))? A 100 only if its expectation was passed on:
        /// else we have answered it ourselves. HTTP/1.0 clients get none at all (RFC 9110, section
        /// 15.2).
        forward: bool,
    },
    /// The upgrade is granted ([`granted_head`](super::response_head::granted_head)): from here on, bytes go both ways.
    Switch,
    /// The upstream has given the connection up before the request came (408 and `close`, RFC 9110,
    /// section 15.5.9): no answer to this request, which may be sent once more.
    GivenUp,
    /// The response.
    Final(Delivery),
}

/// How a response is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Its status.
    pub status: u16,
    /// Where its body ends on the upstream connection.
    pub body: BodyLength,
    /// How its body is framed to the client.
    pub to_client: Framing,
    /// Do its trailers pass?
    pub trailers: bool,
    /// May the upstream connection be used again, as far as the head tells?
    pub upstream_reusable: bool,
    /// For how long, and how often, as far as the upstream says.
    pub keep_alive: KeepAliveHint,
    /// May the client connection live on after it?
    pub client_keep_alive: bool,
}

/// Decides about a response head.
///
/// # Errors
/// Ambiguous framing, an unasked 101, too many interim responses or nominations.
pub fn admit_response(
    response: ResponseView<'_>,
    pending: &PendingRequest<'_>,
) -> Result<ResponseStep, ResponseFault> {
    let status = response.status();
    let body = framing::response_body(response, pending.method).map_err(ResponseFault::Wire)?;
    let nominations = Nominations::of(response.fields())
        .ok_or(ResponseFault::Wire(WireError::TooManyNominations))?;
    if status < 200 {
        if pending.upgrade && upgrade::grants(response) {
            return Ok(ResponseStep::Switch);
        }
        // Unasked, or not what was asked for.
        if status == 101 {
            return Err(ResponseFault::UnaskedUpgrade);
        }
        if pending.interims >= INTERIMS_MAX {
            return Err(ResponseFault::TooManyInterims);
        }
        let wanted = status != 100 || pending.continue_wanted;
        return Ok(ResponseStep::Interim { forward: wanted && pending.version == Version::Http11 });
    }
    let keeps = nominations.keep_connection(response.version());
    if status == 408 && !keeps && pending.repeatable && pending.interims == 0 {
        return Ok(ResponseStep::GivenUp);
    }
    let (read, to_client) = framings(status, body, pending.version);
    // A `Connection` option names trailers as well (RFC 9110, section 7.6.1); rather than keep the
    // names until the trailers come, such a response loses its trailers.
    let trailers = pending.trailers.is_some()
        && (read, to_client) == (BodyLength::Chunked, Framing::Chunked)
        && !nominations.any();
    Ok(ResponseStep::Final(Delivery {
        status,
        body: read,
        to_client,
        trailers,
        upstream_reusable: read == body
            && body != BodyLength::UntilClose
            && keeps
            && !binding::by_response(response.fields()),
        keep_alive: KeepAliveHint::of(response.fields()),
        client_keep_alive: pending.keep_alive && to_client != Framing::Raw,
    }))
}

/// How a body is read, and how it goes out.
const fn framings(status: u16, body: BodyLength, client: Version) -> (BodyLength, Framing) {
    match (body, client) {
        // It has no content (RFC 9110, section 15.3.6): where no length is given, none is read, and
        // the upstream's connection ends.
        (BodyLength::UntilClose, _) if status == 205 => (BodyLength::None, Framing::Length(0)),
        (BodyLength::None, _) => (body, Framing::None),
        (BodyLength::Length(len), _) => (body, Framing::Length(len)),
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => (body, Framing::Chunked),
        // Chunks mean nothing to it (RFC 9112, section 6.1).
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => (body, Framing::Raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::response_head::{client_head, interim_head};
    use crate::plan::Plan;
    use crate::plan::fixture::config;
    use crate::wire::head::{ResponseHead, parse_response};
    use crate::wire::limits::HeadLimits;

    const PENDING: PendingRequest<'_> = PendingRequest {
        method: Method::Get,
        version: Version::Http11,
        keep_alive: true,
        upgrade: false,
        repeatable: false,
        interims: 0,
        http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
        continue_wanted: false,
        trailers: None,
        via: None,
        request_id: None,
    };

    fn parsed(text: &str) -> ResponseHead {
        let mut head = ResponseHead::default();
        let limits = HeadLimits { head_bytes_max: 65536, fields_max: 100 };
        parse_response(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        head
    }

    fn step(text: &str, pending: &PendingRequest<'_>) -> Result<ResponseStep, ResponseFault> {
        admit_response(parsed(text).view(text.as_bytes()), pending)
    }

    /// The delivery, and the head the client gets, without the date.
    fn delivered(text: &str, pending: &PendingRequest<'_>) -> (Delivery, String) {
        let Ok(ResponseStep::Final(delivery)) = step(text, pending) else { panic!("{text}") };
        let mut out = Vec::new();
        client_head(parsed(text).view(text.as_bytes()), &delivery, pending, &mut out);
        let head = String::from_utf8(out).unwrap();
        (delivery, head.replace("Date: Sat, 21 Nov 2026 22:55:28 GMT\r\n", ""))
    }

    #[test]
    fn the_head_is_made_anew() {
        let text = "HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: X-Hop, content-type\r\n\
                    X-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Type: text/plain\r\n\
                    Transfer-Encoding: chunked\r\nTrailer: x\r\nUpgrade: h2c\r\nSet-Cookie: a\r\n\
                    Set-Cookie: b\r\n\r\n";
        let (delivery, head) = delivered(text, &PENDING);
        assert_eq!(delivery.to_client, Framing::Chunked);
        assert!(delivery.upstream_reusable && delivery.client_keep_alive);
        let wanted = "HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Type: text/plain\r\nSet-Cookie: a\r\n\
                      Set-Cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(head, wanted);
    }

    #[test]
    fn a_date_is_added_only_where_there_is_none() {
        let head = |fields: &str| {
            let text = format!("HTTP/1.1 204 No Content\r\n{fields}\r\n");
            let pending = PendingRequest { http_date: "now", ..PENDING };
            delivered(&text, &pending).1
        };
        assert_eq!(head(""), "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n");
        assert_eq!(head("Date: then\r\n"), "HTTP/1.1 204 No Content\r\nDate: then\r\n\r\n");
    }

    #[test]
    fn the_requests_id_is_sent_once() {
        let text = "HTTP/1.1 204 No Content\r\nx-request-ID: theirs\r\nX-Other: 1\r\n\r\n";
        let id = RequestIdField { name: "X-Request-Id", id: b"ours" };
        let pending = PendingRequest { request_id: Some(id), ..PENDING };
        let wanted = "HTTP/1.1 204 No Content\r\nX-Other: 1\r\nX-Request-Id: ours\r\n\r\n";
        assert_eq!(delivered(text, &pending).1, wanted);
        assert!(delivered(text, &PENDING).1.contains("theirs"));
    }

    #[test]
    fn every_body_reaches_every_client_in_its_framing() {
        let length = "Content-Length: 5\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n";
        let close = "Connection: close\r\n";
        let keep = "Connection: keep-alive\r\n";
        let old = PendingRequest { version: Version::Http10, ..PENDING };
        let head_of = PendingRequest { method: Method::Head, ..PENDING };
        let last = PendingRequest { keep_alive: false, ..PENDING };
        for (status, fields, pending, framing, wanted) in [
            (200, length, PENDING, Framing::Length(5), length.to_owned()),
            (200, chunked, PENDING, Framing::Chunked, chunked.to_owned()),
            (200, "", PENDING, Framing::Chunked, chunked.to_owned()),
            (200, length, last, Framing::Length(5), format!("{length}{close}")),
            (200, length, old, Framing::Length(5), format!("{length}{keep}")),
            (200, chunked, old, Framing::Raw, close.to_owned()),
            (200, "", old, Framing::Raw, close.to_owned()),
            (
                200,
                "Content-Length: 0\r\n",
                PENDING,
                Framing::Length(0),
                "Content-Length: 0\r\n".into(),
            ),
            (200, length, head_of, Framing::None, length.to_owned()),
            (200, chunked, head_of, Framing::None, String::new()),
            (304, length, PENDING, Framing::None, length.to_owned()),
            (304, "", PENDING, Framing::None, String::new()),
            (204, "Content-Length: 0\r\n", PENDING, Framing::None, String::new()),
        ] {
            let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
            let (delivery, head) = delivered(&text, &pending);
            assert_eq!(delivery.to_client, framing, "{text}");
            assert_eq!(head, format!("HTTP/1.1 {status} X\r\n{wanted}\r\n"), "{text}");
        }
    }

    #[test]
    fn the_upstream_connection_is_kept_only_if_the_head_lets_it() {
        for (text, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n", false),
            // HTTP/1.0 only if it says so (RFC 9112, section 9.3).
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: Basic\r\n\r\n", true),
            (
                "HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: Basic, ntlm\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 401 No\r\nContent-Length: 0\r\nwww-authenticate: Negotiate a=\r\n\r\n",
                false,
            ),
            ("HTTP/1.1 407 No\r\nContent-Length: 0\r\nProxy-Authenticate: NTLM\r\n\r\n", false),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nWWW-Authenticate: Negotiate a=\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(delivered(text, &PENDING).0.upstream_reusable, wanted, "{text}");
        }
    }

    /// A connection that was idle for too long is told so, and that may meet a request.
    #[test]
    fn a_408_on_a_connection_from_the_pool_is_no_answer_to_what_may_be_repeated() {
        let closes = "HTTP/1.1 408 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let repeatable = PendingRequest { repeatable: true, ..PENDING };
        assert_eq!(step(closes, &repeatable), Ok(ResponseStep::GivenUp));
        let old = closes.replace("1.1 408", "1.0 408").replace("Connection: close\r\n", "");
        assert_eq!(step(&old, &repeatable), Ok(ResponseStep::GivenUp));
        for (text, pending) in [
            (closes, PENDING),
            (closes, PendingRequest { interims: 1, ..repeatable }),
            (&closes.replace("Connection: close\r\n", ""), repeatable),
            (&closes.replace("408", "503"), repeatable),
        ] {
            assert!(matches!(step(text, &pending), Ok(ResponseStep::Final(_))), "{text}");
        }
    }

    #[test]
    fn interim_responses_are_forwarded_to_whom_they_mean_something() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\n\r\n";
        let old = PendingRequest { version: Version::Http10, ..PENDING };
        let many = PendingRequest { interims: INTERIMS_MAX, ..PENDING };
        let awaits = PendingRequest { continue_wanted: true, ..PENDING };
        let old_awaits = PendingRequest { continue_wanted: true, ..old };
        let interim = |forward| Ok(ResponseStep::Interim { forward });
        let continued = "HTTP/1.1 100 Continue\r\n\r\n";
        let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let granted = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let asking = PendingRequest { upgrade: true, ..PENDING };
        for (text, pending, wanted) in [
            (hints, PENDING, interim(true)),
            (hints, old, interim(false)),
            (hints, many, Err(ResponseFault::TooManyInterims)),
            (continued, PENDING, interim(false)),
            (switched, PENDING, Err(ResponseFault::UnaskedUpgrade)),
            (switched, asking, Err(ResponseFault::UnaskedUpgrade)),
            (granted, PENDING, Err(ResponseFault::UnaskedUpgrade)),
            (granted, asking, Ok(ResponseStep::Switch)),
            (continued, awaits, interim(true)),
            (continued, old_awaits, interim(false)),
        ] {
            assert_eq!(step(text, &pending), wanted, "{text}");
        }
        let mut out = Vec::new();
        interim_head(parsed(hints).view(hints.as_bytes()), &PENDING, &mut out);
        assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }

    #[test]
    fn an_ambiguous_response_is_none() {
        for (fields, error) in [
            ("Content-Length: 1\r\nContent-Length: 2\r\n", WireError::SeveralContentLengths),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", WireError::AmbiguousLength),
            ("Transfer-Encoding: gzip\r\n", WireError::ChunkedNotLast),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(step(&text, &PENDING), Err(ResponseFault::Wire(error)), "{text}");
        }
        let many = format!("HTTP/1.1 200 OK\r\nConnection: {}\r\n\r\n", "a,".repeat(65));
        assert_eq!(step(&many, &PENDING), Err(ResponseFault::Wire(WireError::TooManyNominations)));
    }

    /// RFC 9110, section 15.3.6: whatever comes, the client gets none of it.
    #[test]
    fn a_205_has_no_content() {
        let unexpected = Err(ResponseFault::Wire(WireError::UnexpectedBody));
        let with = |fields: &str| format!("HTTP/1.1 205 Reset Content\r\n{fields}\r\n");
        assert_eq!(step(&with("Content-Length: 1\r\n"), &PENDING), unexpected);
        assert_eq!(step(&with("Transfer-Encoding: chunked\r\n"), &PENDING), unexpected);
        for (fields, reusable) in [("Content-Length: 0\r\n", true), ("", false)] {
            let (delivery, head) = delivered(&with(fields), &PENDING);
            assert_eq!(head, with("Content-Length: 0\r\n"));
            assert_eq!(delivery.upstream_reusable, reusable, "{fields}");
            assert!(matches!(delivery.body, BodyLength::None | BodyLength::Length(0)));
        }
    }

    #[test]
    fn of_two_dates_one_is_sent_on() {
        let two = "HTTP/1.1 204 No Content\r\nDate: a\r\nX: 1\r\ndate: b\r\nServer: s\r\n\r\n";
        let wanted = "HTTP/1.1 204 No Content\r\nDate: a\r\nX: 1\r\nServer: s\r\n\r\n";
        assert_eq!(delivered(two, &PENDING).1, wanted);
    }

    #[test]
    fn our_name_stands_behind_those_of_the_hops_before() {
        let pending = PendingRequest { via: Some("edge"), ..PENDING };
        let old = "HTTP/1.0 204 No Content\r\nVia: 1.1 a\r\n\r\n";
        let wanted =
            "HTTP/1.1 204 No Content\r\nVia: 1.1 a\r\nVia: 1.0 edge\r\nConnection: close\r\n\r\n";
        let asked_once = PendingRequest { keep_alive: false, ..pending };
        assert_eq!(delivered(old, &asked_once).1, wanted);
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
        let mut out = Vec::new();
        interim_head(parsed(hints).view(hints.as_bytes()), &pending, &mut out);
        assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nVia: 1.1 edge\r\n\r\n");
    }

    #[test]
    fn trailers_are_announced_and_pass_only_to_who_asked() {
        let identity = Plan::build(&config()).identity;
        let rules = TrailerRules { identity: &identity, block: None };
        let pending = PendingRequest { trailers: Some(rules), ..PENDING };
        let text = |connection: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Host,, content_length\r\nTrailer: b@d, Digest\r\n\
                 {connection}Transfer-Encoding: chunked\r\n\r\n"
            )
        };
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        let (delivery, head) = delivered(&text(""), &pending);
        assert!(delivery.trailers);
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\nTrailer: X-Sum, Digest\r\n{chunked}"));
        let old = PendingRequest { version: Version::Http10, ..pending };
        let named = text("Connection: x-sum\r\n");
        for (text, pending) in [(text(""), PENDING), (named, pending), (text(""), old)] {
            let (delivery, head) = delivered(&text, &pending);
            assert!(!delivery.trailers && !head.contains("Trailer"), "{head}");
        }
        let length = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 1\r\n\r\n";
        assert!(!delivered(length, &pending).0.trailers);
    }
}
