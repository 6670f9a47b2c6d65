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
    any: bool,
    close: bool,
    keep_alive: bool,
}

impl<'a> Nominations<'a> {
    /// Reads them; `None` if there are more than anyone needs.
    #[must_use]
    pub fn of(fields: FieldsView<'a>) -> Option<Self> {
        let mut count = 0_usize;
        let mut found = Self { fields, any: false, close: false, keep_alive: false };
        // Two loops, where `FieldsView::items` would remember where it is, and one reading for every
        // question (`exchange/response`: -8 %).
        for field in fields.all(Known::Connection) {
            for item in list_items(field.value()) {
                count = count.checked_add(1).filter(|count| *count <= NOMINATIONS_MAX)?;
                if eq_ignore_case(item, b"keep-alive") {
                    found.keep_alive = true;
                } else if eq_ignore_case(item, b"close") {
                    found.close = true;
                } else if !eq_ignore_case(item, b"te") && !eq_ignore_case(item, b"upgrade") {
                    found.any = true;
                }
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
        self.any
    }

    /// Is the field with this name to be dropped?
    #[must_use]
    pub fn contain(&self, name: &[u8], known: Known) -> bool {
        self.any && !is_end_to_end(name, known) && self.fields.has_item(Known::Connection, name)
    }
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
