//! Does a request ask for a WebSocket, and does a response grant it?
//!
//! In: heads that `wire` accepted. Out: yes or no. Only
//! `websocket` is ever forwarded (RFC 6455): asked for by a GET of HTTP/1.1 without a body, as one of
//! the protocols in an `Upgrade` that `Connection` nominates (RFC 9110, section 7.8). It goes upstream
//! as the only one, in a head that is made anew. Whatever asks in another form is an ordinary request:
//! `Upgrade` ends at this hop. What the client sends behind its head waits until a 101 is there
//! (Pingora, CVE-2026-2833).

use crate::wire::fields::{Known, eq_ignore_case, is_token};
use crate::wire::framing::BodyLength;
use crate::wire::head::{Method, Version};
use crate::wire::view::{FieldsView, RequestView, ResponseView};
use crate::wire::write;

/// The only protocol that is switched to.
const WEBSOCKET: &[u8] = b"websocket";

/// What asks, and what grants: the same two fields.
pub const FIELDS: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Does the request ask for it in a form that is forwarded? A body in chunks may be empty as well, but
/// that shows only when it has come; `Content-Length: 0` says so.
#[must_use]
pub fn asks(request: RequestView<'_>, body: BodyLength) -> bool {
    request.version() == Version::Http11
        && request.method() == Method::Get
        && body.is_empty()
        && is_nominated(request.fields())
        && request.fields().items(Known::Upgrade).any(is_websocket)
}

/// Does the response grant what was asked, and nothing else? A 101 that does not is no answer at all.
#[must_use]
pub fn grants(response: ResponseView<'_>) -> bool {
    response.status() == 101
        && response.version() == Version::Http11
        && is_nominated(response.fields())
        && names_only_websocket(response.fields())
}

fn names_only_websocket(fields: FieldsView<'_>) -> bool {
    let mut protocols = fields.items(Known::Upgrade);
    protocols.next().is_some_and(is_websocket) && protocols.all(is_websocket)
}

/// Appends the `Upgrade` of a 426 anew, which has to say what the server wants (RFC 9110, section
/// 15.5.22); false if the upstream's names no protocol. It names more than we forward: that is the
/// upstream's demand, which the client may meet elsewhere.
pub fn announce(fields: FieldsView<'_>, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    for protocol in fields.items(Known::Upgrade).filter(|protocol| is_protocol(protocol)) {
        out.extend_from_slice(if any { b", " } else { b"Upgrade: " });
        out.extend_from_slice(protocol);
        any = true;
    }
    if any {
        out.extend_from_slice(write::CRLF);
    }
    any
}

/// Only with this option is `Upgrade` meant for us (RFC 9110, section 7.8).
fn is_nominated(fields: FieldsView<'_>) -> bool {
    fields.has_item(Known::Connection, b"upgrade")
}

fn is_websocket(protocol: &[u8]) -> bool {
    eq_ignore_case(protocol, WEBSOCKET)
}

/// Is it a name, perhaps with a version?
fn is_protocol(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b'/');
    parts.all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::framing::request_body;
    use crate::wire::head::{RequestHead, ResponseHead, parse_request, parse_response};
    use crate::wire::limits::HeadLimits;

    const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 65536, fields_max: 100 };

    fn asked(text: &str) -> bool {
        let mut head = RequestHead::default();
        parse_request(text.as_bytes(), text.len(), LIMITS, &mut head).unwrap();
        let request = head.view(text.as_bytes());
        asks(request, request_body(request).unwrap())
    }

    fn parsed(text: &str) -> ResponseHead {
        let mut head = ResponseHead::default();
        parse_response(text.as_bytes(), text.len(), LIMITS, &mut head).unwrap();
        head
    }

    #[test]
    fn asking_for_a_websocket_without_a_body_is_forwarded() {
        for (line, fields, wanted) in [
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("GET / HTTP/1.1", "connection: keep-alive, upGRADE\r\nUPGRADE: WebSocket\r\n", true),
            (
                "GET / HTTP/1.1",
                "Connection: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
                true,
            ),
            // One of several: the client takes any of them.
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", true),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", true),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket,\r\n", true),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
                true,
            ),
            ("GET / HTTP/1.1", "Connection: close, upgrade\r\nUpgrade: websocket\r\n", true),
            // An empty body is no body.
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
                true,
            ),
            // Not nominated, or not there.
            ("GET / HTTP/1.1", "Upgrade: websocket\r\n", false),
            ("GET / HTTP/1.1", "Connection: close\r\nUpgrade: websocket\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\n", false),
            ("GET / HTTP/1.1", "Connection: upgrades\r\nUpgrade: websocket\r\n", false),
            // Another protocol.
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket/13\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: web socket\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade:\r\n", false),
            // Another version, another method, a body.
            ("GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("HEAD / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
                false,
            ),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
                false,
            ),
        ] {
            let text = format!("{line}\r\nHost: h\r\n{fields}\r\n");
            assert_eq!(asked(&text), wanted, "{text}");
        }
    }

    #[test]
    fn a_101_must_name_what_was_asked() {
        for (line, fields, wanted) in [
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("HTTP/1.1 101 S", "Upgrade: WebSocket\r\nConnection: x, upgrade\r\n", true),
            ("HTTP/1.1 101 S", "", false),
            ("HTTP/1.1 101 S", "Upgrade: websocket\r\n", false),
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\n", false),
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\nUpgrade:\r\n", false),
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
            ("HTTP/1.0 101 S", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("HTTP/1.1 200 OK", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
        ] {
            let text = format!("{line}\r\n{fields}\r\n");
            assert_eq!(grants(parsed(&text).view(text.as_bytes())), wanted, "{text}");
        }
    }

    #[test]
    fn a_426_names_the_protocols_that_the_upstream_wants() {
        for (fields, wanted) in [
            ("Upgrade: websocket\r\n", "Upgrade: websocket\r\n"),
            ("Upgrade: TLS/1.2,, HTTP/2.0\r\nUpgrade: x\r\n", "Upgrade: TLS/1.2, HTTP/2.0, x\r\n"),
            ("Upgrade: a b, /1, x/, y/1/2, good\r\n", "Upgrade: good\r\n"),
            ("Upgrade:\r\n", ""),
            ("", ""),
        ] {
            let text = format!("HTTP/1.1 426 U\r\n{fields}\r\n");
            let mut out = Vec::new();
            let any = announce(parsed(&text).view(text.as_bytes()).fields(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted, "{fields}");
            assert_eq!(any, !wanted.is_empty(), "{fields}");
        }
    }
}
