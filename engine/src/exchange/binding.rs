//! Does an exchange make its upstream connection somebody's own?
//!
//! NTLM and Negotiate authenticate a connection, not a request: whoever got it from the pool next
//! would act as somebody else. Whether the upstream took the credentials shows in no field that it
//! has to send, so either side's word is enough.

use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::view::{FieldView, FieldsView};

/// Does the request bring credentials that hold for its connection?
#[must_use]
pub fn by_request(fields: FieldsView<'_>) -> bool {
    any(fields, |name| match name.len() {
        13 => eq_ignore_case(name, b"authorization"),
        19 => eq_ignore_case(name, b"proxy-authorization"),
        _ => false,
    })
}

/// Does the response, of whatever status, ask for such credentials, or speak of them?
#[must_use]
pub fn by_response(fields: FieldsView<'_>) -> bool {
    any(fields, |name| match name.len() {
        16 => eq_ignore_case(name, b"www-authenticate"),
        18 => eq_ignore_case(name, b"proxy-authenticate"),
        19 => eq_ignore_case(name, b"authentication-info"),
        25 => eq_ignore_case(name, b"proxy-authentication-info"),
        _ => false,
    }) || fields.iter().any(is_persistent)
}

/// What IIS says when it will not ask again on this connection.
fn is_persistent(field: FieldView<'_>) -> bool {
    eq_ignore_case(field.name(), b"persistent-auth") && !eq_ignore_case(field.value(), b"false")
}

fn any(fields: FieldsView<'_>, is_meant: impl Fn(&[u8]) -> bool) -> bool {
    fields.iter().any(|field| {
        field.known() == Known::Other && is_meant(field.name()) && names_scheme(field.value())
    })
}

/// Is one of the schemes named anywhere in it? Several may stand in one field.
fn names_scheme(value: &[u8]) -> bool {
    value
        .split(|byte| matches!(byte, b',' | b' ' | b'\t'))
        .any(|word| eq_ignore_case(word, b"ntlm") || eq_ignore_case(word, b"negotiate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    #[test]
    fn either_side_may_say_so() {
        for (field, request, response) in [
            ("Authorization: Negotiate YII=", true, false),
            ("AUTHORIZATION:ntlm", true, false),
            ("Proxy-Authorization:\tNTLM TlRM", true, false),
            ("Authorization: Basic YTpi", false, false),
            ("Authorization: Bearer negotiate.ntlm", false, false),
            ("WWW-Authenticate: Basic realm=\"a\",negotiate", false, true),
            ("Proxy-Authenticate: NTLM", false, true),
            ("Authentication-Info: Negotiate oRQ=", false, true),
            ("Proxy-Authentication-Info: Negotiate oRQ=", false, true),
            ("Authentication-Info: nextnonce=\"ntlm\"", false, false),
            ("Persistent-Auth: true", false, true),
            ("Persistent-Auth: False", false, false),
            ("X-Authorization: NTLM", false, false),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n");
            let mut head = RequestHead::default();
            let limits = HeadLimits { head_bytes_max: 1000, fields_max: 9 };
            parse_request(text.as_bytes(), text.len(), limits, &mut head).unwrap();
            let fields = head.view(text.as_bytes()).fields();
            let found = (by_request(fields), by_response(fields));
            assert_eq!(found, (request, response), "{field}");
        }
    }
}
