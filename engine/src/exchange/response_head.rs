//! The head of a response as the client gets it: HTTP/1.1, made anew.
//!
//! In: an upstream's head, the request it answers, and for a final one its [`Delivery`]. Out: the
//! upstream's end-to-end fields in their order, framing of our own, one `Date` (RFC 9110, section
//! 6.6.1), our name in `Via` where it is wanted, and the `Upgrade` of a 426.

use super::flow::Framing;
use super::hop::{self, Nominations};
use super::response::{Delivery, PendingRequest};
use super::{trailers, upgrade, via};
use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::framing;
use crate::wire::head::Version;
use crate::wire::view::ResponseView;
use crate::wire::write;

/// Appends the response head for the client.
pub fn client_head(
    response: ResponseView<'_>,
    delivery: &Delivery,
    pending: &PendingRequest<'_>,
    out: &mut Vec<u8>,
) {
    write::status_line_with(response.status(), response.reason(), out);
    // The upstream may have echoed the id; the client gets it once.
    fields(response, pending.request_id.map(|field| field.name), out);
    if let Some(field) = pending.request_id {
        write::field(field.name.as_bytes(), field.id, out);
    }
    if !response.fields().contains(Known::Date) {
        write::date(pending.http_date.as_bytes(), out);
    }
    if let Some(name) = pending.via {
        via::append(name, response.version(), out);
    }
    if let Some(rules) = pending.trailers.filter(|_| delivery.trailers) {
        trailers::announce(response.fields(), rules, out);
    }
    match delivery.to_client {
        Framing::Length(len) => write::content_length(len, out),
        Framing::Chunked => out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED),
        Framing::Raw => {}
        // What HEAD would have got, and what a 304 stands for; `wire` has made sure it is a number.
        Framing::None if response.status() != 204 => {
            if let Ok(Some(len)) = framing::content_length(response.fields()) {
                write::content_length(len, out);
            }
        }
        Framing::None => {}
    }
    let upgrade = delivery.status == 426 && upgrade::announce(response.fields(), out);
    out.extend_from_slice(match (delivery.client_keep_alive, pending.version, upgrade) {
        (false, _, false) => write::CONNECTION_CLOSE,
        (false, _, true) => b"Connection: close, Upgrade\r\n",
        (true, Version::Http10, false) => b"Connection: keep-alive\r\n",
        (true, Version::Http10, true) => b"Connection: keep-alive, Upgrade\r\n",
        (true, Version::Http11, false) => b"",
        (true, Version::Http11, true) => b"Connection: Upgrade\r\n",
    });
    out.extend_from_slice(write::CRLF);
}

/// Appends an interim response head for the client.
pub fn interim_head(response: ResponseView<'_>, pending: &PendingRequest<'_>, out: &mut Vec<u8>) {
    write::status_line_with(response.status(), response.reason(), out);
    fields(response, None, out);
    if let Some(name) = pending.via {
        via::append(name, response.version(), out);
    }
    out.extend_from_slice(write::CRLF);
}

/// The upstream's fields, minus those that end here and the one that is ours to send. Of several
/// `Date` lines the first counts.
fn fields(response: ResponseView<'_>, ours: Option<&str>, out: &mut Vec<u8>) {
    let nominations = Nominations::of(response.fields());
    let mut dated = false;
    for field in response.fields().iter() {
        let name = field.name();
        let dropped = hop::ends_here(field.known())
            || (dated && field.known() == Known::Date)
            || nominations.is_none_or(|named| named.contain(name, field.known()))
            || ours.is_some_and(|ours| eq_ignore_case(name, ours.as_bytes()));
        if !dropped {
            write::field(name, field.value(), out);
        }
        dated |= field.known() == Known::Date;
    }
}

/// Appends the head of the 101 for the client: the upstream's end-to-end fields (`Sec-WebSocket-*`
/// are such), and the upgrade in our words.
pub fn granted_head(response: ResponseView<'_>, pending: &PendingRequest<'_>, out: &mut Vec<u8>) {
    write::status_line_with(response.status(), response.reason(), out);
    fields(response, pending.request_id.map(|field| field.name), out);
    if let Some(field) = pending.request_id {
        write::field(field.name.as_bytes(), field.id, out);
    }
    if let Some(name) = pending.via {
        via::append(name, response.version(), out);
    }
    out.extend_from_slice(upgrade::FIELDS);
    out.extend_from_slice(write::CRLF);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::request_ids::RequestIdField;
    use crate::wire::head::{Method, ResponseHead, parse_response};
    use crate::wire::limits::HeadLimits;

    #[test]
    fn the_granted_head_keeps_what_is_end_to_end() {
        let text = "HTTP/1.1 101 Go\r\nconnection: upgrade, X-Hop\r\nupgrade: WebSocket\r\nX-Hop: 1\r\nx-request-id: 1\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nContent-Length: 0\r\n\r\n";
        let pending = PendingRequest {
            method: Method::Get,
            version: Version::Http11,
            keep_alive: false,
            upgrade: true,
            repeatable: false,
            interims: 0,
            http_date: "",
            continue_wanted: false,
            trailers: None,
            via: Some("edge"),
            request_id: Some(RequestIdField { name: "X-Request-Id", id: b"7" }),
        };
        let mut head = ResponseHead::default();
        let limits = HeadLimits { head_bytes_max: 4096, fields_max: 100 };
        parse_response(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        let mut out = Vec::new();
        granted_head(head.view(text.as_bytes()), &pending, &mut out);
        let wanted = "HTTP/1.1 101 Go\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                      X-Request-Id: 7\r\nVia: 1.1 edge\r\n\
                      Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
