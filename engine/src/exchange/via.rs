//! `Via` (RFC 9110, section 7.6.3): our name behind those of the hops before us, and loops.
//!
//! In: the pseudonym of `http.via`. A request that bears it has been here before: it is refused
//! rather than sent around once more. Comments are not understood: at worst a name within one is
//! taken for ours, and then the request is refused as well.

use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::head::Version;
use crate::wire::view::FieldsView;

/// Appends our line; `version` is that of the message as it came. Behind lines with the same name
/// it is the last element of their list.
pub fn append(pseudonym: &str, version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(match version {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    });
    out.extend_from_slice(pseudonym.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Has the message been here before?
#[must_use]
pub fn loops(fields: FieldsView<'_>, pseudonym: &str) -> bool {
    fields.items(Known::Via).any(|item| {
        let mut words =
            item.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let received_by = words.nth(1).unwrap_or_default();
        let name = received_by.split(|&byte| byte == b':').next().unwrap_or_default();
        eq_ignore_case(name, pseudonym.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    #[test]
    fn our_name_is_found_wherever_a_hop_puts_it() {
        for (lines, wanted) in [
            ("", false),
            ("Via: 1.1 edge\r\n", true),
            ("Via: 1.1 EDGE\r\n", true),
            ("Via: HTTP/1.1  \tedge (Ferrule)\r\n", true),
            ("Via: 1.0 a, 1.1 edge:8080, 1.1 b\r\n", true),
            ("Via: 1.0 a\r\nX: 1\r\nvia: ,1.1 edge\r\n", true),
            ("Via: 1.1 edge2, edge 1.1, 1.1 a (edge)\r\n", false),
            ("Via: 1.1\r\nVia: edge\r\n", false),
            ("X-Via: 1.1 edge\r\n", false),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
            let limits = HeadLimits { head_bytes_max: 4096, fields_max: 100 };
            let mut head = RequestHead::default();
            parse_request(text.as_bytes(), text.len(), limits, &mut head).unwrap();
            assert_eq!(loops(head.view(text.as_bytes()).fields(), "Edge"), wanted, "{lines}");
        }
    }
}
