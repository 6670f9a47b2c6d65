//! Does a request ask for a WebSocket, and does a response grant it?
//!
//! In: heads that `wire` accepted. Out: yes or no. Only
//! `websocket` is ever forwarded (RFC 6455), in the one form that every server reads in the same way:
//! HTTP/1.1, GET, no body, one `Upgrade` of one token that `Connection` nominates (RFC 9110, section
//! 7.8). Whatever asks in another form is an ordinary request: `Upgrade` ends at this hop. What the
//! client sends behind its head waits until a 101 is there (Pingora, CVE-2026-2833).

use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::framing::BodyLength;
use crate::wire::head::{Method, Version};
use crate::wire::view::{FieldView, FieldsView, RequestView, ResponseView};

/// The only protocol that is switched to.
const WEBSOCKET: &[u8] = b"websocket";

/// What asks, and what grants: the same two fields.
pub const FIELDS: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Does the request ask for it in the form that is forwarded?
#[must_use]
pub fn asks(request: RequestView<'_>, body: BodyLength) -> bool {
    request.version() == Version::Http11
        && request.method() == Method::Get
        && body == BodyLength::None
        && !request.fields().contains(Known::ContentLength)
        && names_websocket(request.fields())
}

/// Does the response grant what was asked? A 101 that does not is no answer at all.
#[must_use]
pub fn grants(response: ResponseView<'_>) -> bool {
    response.status() == 101
        && response.version() == Version::Http11
        && names_websocket(response.fields())
}

fn names_websocket(fields: FieldsView<'_>) -> bool {
    let mut values = fields.all(Known::Upgrade).map(FieldView::value);
    let named = values.next().is_some_and(|value| eq_ignore_case(value, WEBSOCKET));
    named && values.next().is_none() && fields.has_item(Known::Connection, b"upgrade")
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
    fn only_one_form_of_asking_is_forwarded() {
        for (line, fields, wanted) in [
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("GET / HTTP/1.1", "connection: keep-alive, upGRADE\r\nUPGRADE: WebSocket\r\n", true),
            (
                "GET / HTTP/1.1",
                "Connection: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
                true,
            ),
            // Not nominated, or not there.
            ("GET / HTTP/1.1", "Upgrade: websocket\r\n", false),
            ("GET / HTTP/1.1", "Connection: close\r\nUpgrade: websocket\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\n", false),
            ("GET / HTTP/1.1", "Connection: upgrades\r\nUpgrade: websocket\r\n", false),
            // Another protocol, or a choice of them.
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket/13\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket,\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade:\r\n", false),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
                false,
            ),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
                false,
            ),
            // Another version, another method, a body.
            ("GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("HEAD / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            (
                "GET / HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
                false,
            ),
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
            ("HTTP/1.1 101 S", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
            ("HTTP/1.0 101 S", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("HTTP/1.1 200 OK", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
        ] {
            let text = format!("{line}\r\n{fields}\r\n");
            assert_eq!(grants(parsed(&text).view(text.as_bytes())), wanted, "{text}");
        }
    }
}
