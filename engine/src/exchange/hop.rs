//! Which fields end at this hop (RFC 9110, section 7.6.1), and what `Connection` says.
//!
//! A sender may name any field in `Connection` to have the next hop drop it, and has been seen to
//! name those that the next hop or the application behind it relies on (CVE-2024-45410). So such
//! names are not obeyed where the field is meant for every recipient; identity fields are not
//! concerned at all, because they are stripped first and set last.

use crate::wire::fields::{Known, eq_ignore_case, list_items};
use crate::wire::head::Version;
use crate::wire::view::FieldsView;

/// More names than anyone needs; every field is compared with every name, so they have to be few.
const NOMINATIONS_MAX: usize = 64;

/// More lines than anyone spreads them over.
const LINES_MAX: usize = 8;

/// Fields for every recipient that [`Known`] does not know; among them those that a status requires (RFC
/// 9110: `WWW-Authenticate` of a 401, `Allow` of a 405, `Proxy-Authenticate` of a 407).
const END_TO_END: [&[u8]; 17] = [
    b"allow",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-type",
    b"cookie",
    b"etag",
    b"location",
    b"origin",
    b"proxy-authenticate",
    b"range",
    b"set-cookie",
    b"vary",
    b"www-authenticate",
];

/// What one head's `Connection` fields say: names of fields to drop, and whether it is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Nominations<'a> {
    fields: FieldsView<'a>,
    /// Where the lines stand that name fields to drop; the others are not looked at again.
    lines: [u16; LINES_MAX],
    lines_len: u8,
    /// The lengths of those names, one bit each: a field whose length is not among them is not compared with any.
    /// Every name of 63 bytes or more has the last bit.
    lengths: u64,
    close: bool,
    keep_alive: bool,
}

impl<'a> Nominations<'a> {
    /// Reads them; `None` if there are more than anyone needs.
    #[must_use]
    pub fn of(fields: FieldsView<'a>) -> Option<Self> {
        let mut count = 0_usize;
        let lines = [0; LINES_MAX];
        let mut found =
            Self { fields, lines, lines_len: 0, lengths: 0, close: false, keep_alive: false };
        // Two loops, where `FieldsView::items` would remember where it is, and one reading for every
        // question (`exchange/response`: -8 %).
        for (at, field) in fields.iter().enumerate() {
            if field.known() != Known::Connection {
                continue;
            }
            let mut names = false;
            for item in list_items(field.value()) {
                count = count.checked_add(1).filter(|count| *count <= NOMINATIONS_MAX)?;
                if eq_ignore_case(item, b"keep-alive") {
                    found.keep_alive = true;
                } else if eq_ignore_case(item, b"close") {
                    found.close = true;
                } else if !eq_ignore_case(item, b"te") && !eq_ignore_case(item, b"upgrade") {
                    found.lengths |= length_bit(item);
                    names = true;
                }
            }
            if names {
                *found.lines.get_mut(usize::from(found.lines_len))? = u16::try_from(at).ok()?;
                found.lines_len += 1;
            }
        }
        Some(found)
    }

    /// Does the sender mean to keep the connection? HTTP/1.1 unless it says `close`, HTTP/1.0 only if
    /// it says `keep-alive` and not `close` (RFC 9112, section 9.3).
    #[must_use]
    pub const fn keep_connection(&self, version: Version) -> bool {
        !self.close
            && match version {
                Version::Http11 => true,
                Version::Http10 => self.keep_alive,
            }
    }

    /// Is any field named beside those that end here anyway?
    #[must_use]
    pub const fn any(&self) -> bool {
        self.lengths != 0
    }

    /// Is the field with this name to be dropped?
    #[must_use]
    pub fn contain(&self, name: &[u8], known: Known) -> bool {
        self.any()
            && self.lengths & length_bit(name) != 0
            && !is_end_to_end(name, known)
            && self.named().any(|item| eq_ignore_case(item, name))
    }
}

impl<'a> Nominations<'a> {
    /// What the lines say that name fields to drop.
    fn named(&self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.lines.iter().take(usize::from(self.lines_len));
        let fields = self.fields;
        lines.filter_map(move |at| fields.get(*at)).flat_map(|field| list_items(field.value()))
    }
}

/// The bit that stands for the length of this name.
fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

fn is_end_to_end(name: &[u8], known: Known) -> bool {
    match known {
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Te
        | Known::Trailer
        | Known::TransferEncoding
        | Known::Upgrade => false,
        Known::ContentLength
        | Known::Date
        | Known::Expect
        | Known::Forwarded
        | Known::Host
        | Known::MaxForwards
        | Known::Referer
        | Known::Server
        | Known::UserAgent
        | Known::Via
        | Known::XForwardedFor
        | Known::XForwardedHost
        | Known::XForwardedPort
        | Known::XForwardedProto
        | Known::XRealIp => true,
        Known::Other => END_TO_END.iter().any(|other| eq_ignore_case(other, name)),
    }
}

/// Does this field never pass: it is about this connection, or about framing, which is re-made?
#[must_use]
pub const fn ends_here(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::ContentLength
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{ResponseHead, parse_response};
    use crate::wire::limits::HeadLimits;

    fn with_head<T>(fields: &str, look: impl FnOnce(FieldsView<'_>) -> T) -> T {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let limits = HeadLimits { head_bytes_max: 65_536, fields_max: 1_000 };
        let mut head = ResponseHead::default();
        parse_response(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        look(head.view(text.as_bytes()).fields())
    }

    /// Names of every length around the limits of the mask, over one line or several.
    #[test]
    fn a_field_is_dropped_if_and_only_if_it_is_named() {
        let names: Vec<String> = (1..70).chain([127, 128]).map(|len| "n".repeat(len)).collect();
        for seed in 1..200_usize {
            let is_named = |at: usize| (at * 31 + seed * 7).is_multiple_of(5);
            let mut text = String::new();
            for line in 0..=seed % LINES_MAX {
                let named = names
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| is_named(*at) && at % (seed % LINES_MAX + 1) == line);
                let items: Vec<_> = named.map(|(_, name)| name.to_uppercase()).collect();
                let items = items.join(", ");
                text.extend(["Connection: close, ", &items, "\r\nX-Between: 1\r\n"]);
            }
            with_head(&text, |fields| {
                let found = Nominations::of(fields).unwrap();
                for (at, name) in names.iter().enumerate() {
                    let dropped = found.contain(name.as_bytes(), Known::Other);
                    assert_eq!(dropped, is_named(at), "{name} {seed}");
                }
                assert!(found.any());
            });
        }
    }

    #[test]
    fn more_lines_than_anyone_needs_are_too_many() {
        let lines = |count: usize, name: &str| format!("Connection: {name}\r\n").repeat(count);
        let known = |text: String| with_head(&text, |fields| Nominations::of(fields).is_some());
        assert!(known(lines(LINES_MAX, "x")) && !known(lines(LINES_MAX + 1, "x")));
        // Those that name nothing are only too many names.
        assert!(known(lines(NOMINATIONS_MAX, "close")));
        assert!(!known(lines(NOMINATIONS_MAX + 1, "close")));
    }
}
