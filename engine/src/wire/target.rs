//! The request target and the authority: the four forms (RFC 9112, section 3.2), what is a legal
//! host, and the path that routing looks at.

use super::error::WireError;
use super::head::Method;
use super::span::Span;

/// A request target, taken apart. Spans are of the buffer that holds the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// Which of the four forms.
    pub form: Form,
    /// Host and port of the absolute form; empty otherwise.
    pub authority: Span,
    /// The path as it came, starting with `/`; `*` for the asterisk form.
    pub path: Span,
    /// The query without its `?`; empty if there is none.
    pub query: Span,
    /// Path, `?` and query as they came: what is sent upstream.
    pub path_and_query: Span,
}

/// RFC 9112, section 3.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, CONNECT only
    Authority,
    /// `*`, OPTIONS only
    Asterisk,
}

/// Takes a target apart.
///
/// # Errors
/// Control or non-ASCII bytes, a fragment, userinfo, an illegal host, `%00`, an encoded CR or LF,
/// a broken percent escape, or a form that the method does not allow.
pub fn parse_target(buf: &[u8], method: Method, target: Span) -> Result<Target, WireError> {
    let _ = (buf, method, target);
    unimplemented!("room wire")
}

/// Checks a Host value or authority and splits it: host without port (as it came), and the port.
///
/// # Errors
/// Anything RFC 3986 does not allow as `host [":" port]`, and userinfo.
pub fn parse_authority(authority: &[u8]) -> Result<(&[u8], Option<u16>), WireError> {
    let _ = authority;
    unimplemented!("room wire")
}

/// Appends the path that routing looks at: percent-decoded once where that is unambiguous,
/// dot segments removed, slashes merged as documented.
///
/// # Errors
/// A path that climbs above its root.
pub fn normalise_path(path: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let _ = (path, out);
    unimplemented!("room wire")
}
