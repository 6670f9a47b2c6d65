//! From an upstream's response head to the head the client gets.
//!
//! In: a head that `wire` accepted, and the request it answers. Out: a [`Delivery`], then the head:
//! HTTP/1.1, the upstream's end-to-end fields in their order, framing re-made, a `Date` if there was
//! none. What the client's connection and the upstream's may be used for afterwards is decided here
//! as far as heads tell; [`reuse`](super::reuse) has the last word.

use super::flow::Framing;
use super::hop::{self, Nominations};
use super::refusal::Refusal;
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
        // We never ask for an upgrade.
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
