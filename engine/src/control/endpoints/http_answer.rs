//! An answer of the HTTP endpoint: a head, and a body that is sent whole.

use std::sync::Arc;

use super::connection::EndpointConnection;
use crate::wire::write;

/// The media type of words for people.
pub(super) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What a browser may do with the status page: load its own style, script and data, and nothing else.
const PAGE_FIELDS: &[(&[u8], &[u8])] = &[
    (
        b"Content-Security-Policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
          base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Frame-Options", b"DENY"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
];

/// An answer.
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) body: Arc<str>,
    /// Without its body.
    pub(super) head_only: bool,
    /// It belongs to the status page.
    pub(super) is_page: bool,
}

impl HttpAnswer {
    /// A body with this status and type.
    pub(super) fn new(status: u16, media_type: &'static str, body: Arc<str>) -> Self {
        Self { status, media_type, body, head_only: false, is_page: false }
    }

    /// A line of words.
    pub(super) fn words(status: u16, words: &str) -> Self {
        Self::new(status, PLAIN_TEXT, format!("{words}\n").into())
    }

    /// The same as a part of the status page.
    pub(super) fn of_page(self) -> Self {
        Self { is_page: true, ..self }
    }

    /// Sends it. The body is not copied: it may be large, and several may ask for it.
    pub(super) fn send(&self, connection: &mut EndpointConnection) {
        let mut sent = connection.write_all(&self.head(Some(self.body.len() as u64)));
        if sent.is_ok() && !self.head_only {
            sent = connection.write_all(self.body.as_bytes());
        }
        // A client that has left does not need its answer.
        drop(sent);
    }

    /// The head; without a length the body ends with the connection.
    pub(super) fn head(&self, length: Option<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        write::status_line(self.status, &mut out);
        write::field(b"Content-Type", self.media_type.as_bytes(), &mut out);
        if let Some(length) = length {
            write::content_length(length, &mut out);
        }
        if self.status == 405 {
            write::field(b"Allow", b"GET, HEAD", &mut out);
        }
        write::field(b"Cache-Control", b"no-store", &mut out);
        write::field(b"X-Content-Type-Options", b"nosniff", &mut out);
        if self.is_page {
            for (name, value) in PAGE_FIELDS {
                write::field(name, value, &mut out);
            }
        }
        out.extend_from_slice(write::CONNECTION_CLOSE);
        out.extend_from_slice(write::CRLF);
        out
    }
}
