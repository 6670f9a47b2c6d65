//! From an upstream's response head to the head the client gets.
//!
//! In: a head that `wire` accepted, and the request it answers. Out: a [`Delivery`], then the head:
//! HTTP/1.1, the upstream's end-to-end fields in their order, framing re-made, a `Date` if there was
//! none. What the client's connection and the upstream's may be used for afterwards is decided here
//! as far as heads tell; [`reuse`](super::reuse) has the last word.

use super::flow::Framing;
use super::hop::{self, Nominations};
use super::refusal::Refusal;
use super::upgrade;
use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::framing::{self, BodyLength};
use crate::wire::head::{Method, ResponseHead, Version};
use crate::wire::write;

/// Interim responses to one request; hints come once or twice, an endless stream of them is a way
/// to hold a connection without ever answering.
pub const INTERIMS_MAX: u32 = 8;

/// The request that is being answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// May the client connection live on, as far as the client and we are concerned?
    pub keep_alive: bool,
    /// Did it ask for a WebSocket?
    pub upgrade: bool,
    /// Interim responses to this request so far, this one not included.
    pub interims: u32,
    /// For the `Date` field.
    pub http_date: &'a str,
}

/// What to do with a response head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseStep {
    /// An interim response; the final one is still to come.
    Interim {
        /// Does the client get it ([`interim_head`])? A 100 never: we answer `Expect` ourselves and
        /// do not forward it. HTTP/1.0 clients get none at all.
        forward: bool,
    },
    /// The upgrade is granted ([`upgrade::granted_head`]): from here on, bytes go both ways.
    Switch,
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
    /// May the upstream connection be used again, as far as the head tells?
    pub upstream_reusable: bool,
    /// May the client connection live on after it?
    pub client_keep_alive: bool,
}

/// Decides about a response head.
///
/// # Errors
/// [`Refusal::BadResponse`]: ambiguous framing, an unasked 101, too many interim responses.
pub fn admit_response(
    buf: &[u8],
    head: &ResponseHead,
    asked: &Asked<'_>,
) -> Result<ResponseStep, Refusal> {
    let body = framing::response_body(buf, head, asked.method).map_err(|_| Refusal::BadResponse)?;
    if Nominations::of(buf, &head.fields).is_none() {
        return Err(Refusal::BadResponse);
    }
    if head.status < 200 {
        if asked.upgrade && upgrade::grants(buf, head) {
            return Ok(ResponseStep::Switch);
        }
        // Unasked, or not what was asked for.
        if head.status == 101 || asked.interims >= INTERIMS_MAX {
            return Err(Refusal::BadResponse);
        }
        let forward = head.status != 100 && asked.version == Version::Http11;
        return Ok(ResponseStep::Interim { forward });
    }
    let to_client = match (body, asked.version) {
        (BodyLength::None, _) => Framing::None,
        (BodyLength::Length(len), _) => Framing::Length(len),
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => Framing::Chunked,
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => Framing::Raw,
    };
    Ok(ResponseStep::Final(Delivery {
        status: head.status,
        body,
        to_client,
        upstream_reusable: head.version == Version::Http11
            && body != BodyLength::UntilClose
            && hop::keeps_alive(buf, &head.fields, head.version)
            && !binds_connection(buf, head),
        client_keep_alive: asked.keep_alive && to_client != Framing::Raw,
    }))
}

/// Does it ask for NTLM or Negotiate? They authenticate a connection, not a request: whoever got it
/// from the pool next would be somebody else's user.
fn binds_connection(buf: &[u8], head: &ResponseHead) -> bool {
    let name: &[u8] = match head.status {
        401 => b"www-authenticate",
        407 => b"proxy-authenticate",
        _ => return false,
    };
    head.fields.all_named(buf, name).any(|field| {
        let value = field.value.of(buf);
        value
            .split(|byte| matches!(byte, b',' | b' ' | b'\t'))
            .any(|word| eq_ignore_case(word, b"ntlm") || eq_ignore_case(word, b"negotiate"))
    })
}

/// Appends the response head for the client.
pub fn client_head(
    buf: &[u8],
    head: &ResponseHead,
    delivery: &Delivery,
    asked: &Asked<'_>,
    out: &mut Vec<u8>,
) {
    write::status_line_with(head.status, head.reason.of(buf), out);
    fields(buf, head, out);
    if head.fields.find(Known::Date).is_none() {
        write::date(asked.http_date.as_bytes(), out);
    }
    match delivery.to_client {
        Framing::Length(len) => write::content_length(len, out),
        Framing::Chunked => out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED),
        Framing::Raw => {}
        // What HEAD would have got, and what a 304 stands for; `wire` has made sure it is a number.
        Framing::None if head.status != 204 => {
            if let Ok(Some(len)) = framing::content_length(buf, &head.fields) {
                write::content_length(len, out);
            }
        }
        Framing::None => {}
    }
    if !delivery.client_keep_alive {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    } else if asked.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(write::CRLF);
}

/// Appends an interim response head for the client.
pub fn interim_head(buf: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
    write::status_line_with(head.status, head.reason.of(buf), out);
    fields(buf, head, out);
    out.extend_from_slice(write::CRLF);
}

/// The upstream's fields, minus those that end here.
fn fields(buf: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
    let nominations = Nominations::of(buf, &head.fields);
    for field in head.fields.as_slice() {
        let name = field.name.of(buf);
        let dropped = hop::ends_here(field.known)
            || nominations.is_none_or(|named| named.contain(name, field.known));
        if !dropped {
            write::field(name, field.value.of(buf), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_response;
    use crate::wire::limits::HeadLimits;

    const ASKED: Asked<'_> = Asked {
        method: Method::Get,
        version: Version::Http11,
        keep_alive: true,
        upgrade: false,
        interims: 0,
        http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
    };

    fn parsed(text: &str) -> ResponseHead {
        let mut head = ResponseHead::default();
        let limits = HeadLimits { head_bytes_max: 65536, fields_max: 100 };
        parse_response(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        head
    }

    fn step(text: &str, asked: &Asked<'_>) -> Result<ResponseStep, Refusal> {
        admit_response(text.as_bytes(), &parsed(text), asked)
    }

    /// The delivery, and the head the client gets, without the date.
    fn delivered(text: &str, asked: &Asked<'_>) -> (Delivery, String) {
        let Ok(ResponseStep::Final(delivery)) = step(text, asked) else { panic!("{text}") };
        let mut out = Vec::new();
        client_head(text.as_bytes(), &parsed(text), &delivery, asked, &mut out);
        let head = String::from_utf8(out).unwrap();
        (delivery, head.replace("Date: Sat, 21 Nov 2026 22:55:28 GMT\r\n", ""))
    }

    #[test]
    fn the_head_is_made_anew() {
        let text = "HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: X-Hop, content-type\r\n\
                    X-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Type: text/plain\r\n\
                    Transfer-Encoding: chunked\r\nTrailer: x\r\nUpgrade: h2c\r\nSet-Cookie: a\r\n\
                    Set-Cookie: b\r\n\r\n";
        let (delivery, head) = delivered(text, &ASKED);
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
            let asked = Asked { http_date: "now", ..ASKED };
            delivered(&text, &asked).1
        };
        assert_eq!(head(""), "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n");
        assert_eq!(head("Date: then\r\n"), "HTTP/1.1 204 No Content\r\nDate: then\r\n\r\n");
    }

    #[test]
    fn every_body_reaches_every_client_in_its_framing() {
        let length = "Content-Length: 5\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n";
        let close = "Connection: close\r\n";
        let keep = "Connection: keep-alive\r\n";
        let old = Asked { version: Version::Http10, ..ASKED };
        let head_of = Asked { method: Method::Head, ..ASKED };
        let last = Asked { keep_alive: false, ..ASKED };
        for (status, fields, asked, framing, wanted) in [
            (200, length, ASKED, Framing::Length(5), length.to_owned()),
            (200, chunked, ASKED, Framing::Chunked, chunked.to_owned()),
            (200, "", ASKED, Framing::Chunked, chunked.to_owned()),
            (200, length, last, Framing::Length(5), format!("{length}{close}")),
            (200, length, old, Framing::Length(5), format!("{length}{keep}")),
            (200, chunked, old, Framing::Raw, close.to_owned()),
            (200, "", old, Framing::Raw, close.to_owned()),
            (
                200,
                "Content-Length: 0\r\n",
                ASKED,
                Framing::Length(0),
                "Content-Length: 0\r\n".into(),
            ),
            (200, length, head_of, Framing::None, length.to_owned()),
            (200, chunked, head_of, Framing::None, String::new()),
            (304, length, ASKED, Framing::None, length.to_owned()),
            (304, "", ASKED, Framing::None, String::new()),
            (204, "Content-Length: 0\r\n", ASKED, Framing::None, String::new()),
        ] {
            let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
            let (delivery, head) = delivered(&text, &asked);
            assert_eq!(delivery.to_client, framing, "{text}");
            assert_eq!(head, format!("HTTP/1.1 {status} X\r\n{wanted}\r\n"), "{text}");
        }
    }

    #[test]
    fn the_upstream_connection_is_kept_only_if_the_head_lets_it() {
        for (text, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", false),
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
        ] {
            assert_eq!(delivered(text, &ASKED).0.upstream_reusable, wanted, "{text}");
        }
    }

    #[test]
    fn interim_responses_are_forwarded_to_whom_they_mean_something() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\n\r\n";
        let old = Asked { version: Version::Http10, ..ASKED };
        let many = Asked { interims: INTERIMS_MAX, ..ASKED };
        let interim = |forward| Ok(ResponseStep::Interim { forward });
        let continued = "HTTP/1.1 100 Continue\r\n\r\n";
        let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let granted = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let asking = Asked { upgrade: true, ..ASKED };
        for (text, asked, wanted) in [
            (hints, ASKED, interim(true)),
            (hints, old, interim(false)),
            (hints, many, Err(Refusal::BadResponse)),
            (continued, ASKED, interim(false)),
            (switched, ASKED, Err(Refusal::BadResponse)),
            (switched, asking, Err(Refusal::BadResponse)),
            (granted, ASKED, Err(Refusal::BadResponse)),
            (granted, asking, Ok(ResponseStep::Switch)),
        ] {
            assert_eq!(step(text, &asked), wanted, "{text}");
        }
        let mut out = Vec::new();
        interim_head(hints.as_bytes(), &parsed(hints), &mut out);
        assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }

    #[test]
    fn an_ambiguous_response_is_none() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(step(&text, &ASKED), Err(Refusal::BadResponse), "{text}");
        }
    }
}
