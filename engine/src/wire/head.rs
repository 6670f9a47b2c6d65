//! Heads as spans: the only caller of httparse, and what we refuse that it accepts.

use super::error::WireError;
use super::fields::Fields;
use super::limits::HeadLimits;
use super::span::Span;

/// The versions we speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// Request methods that decide something; the text is in [`RequestHead::method_text`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Method {
    /// CONNECT
    Connect,
    /// DELETE
    Delete,
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// POST
    Post,
    /// PURGE
    Purge,
    /// PUT
    Put,
    /// TRACE
    Trace,
    /// Any other token.
    Other,
}

/// A request head as spans of the buffer it was parsed from. Reused from request to request.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// What the method means to us.
    pub method: Method,
    /// The method as it came.
    pub method_text: Span,
    /// The request target as it came.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Bytes of the head, its empty line included.
    pub len: usize,
}

/// A response head as spans of the buffer it was parsed from. Reused from response to response.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// 100..=999
    pub status: u16,
    /// The reason phrase as it came; may be empty.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Bytes of the head, its empty line included.
    pub len: usize,
}

/// Looks for the end of a head across reads, each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    scanned: usize,
}

impl HeadScan {
    /// The length of the head that `buf` starts with, once it is all there.
    ///
    /// # Errors
    /// [`WireError::HeadTooLarge`] (or `TargetTooLong` while still in the first line) when the
    /// limit is passed without an end.
    pub fn advance(&mut self, buf: &[u8], limits: HeadLimits) -> Result<Option<usize>, WireError> {
        let _ = (&mut self.scanned, buf, limits);
        unimplemented!("room wire")
    }
}

/// Parses the request head in `buf[..len]`, `len` being what [`HeadScan::advance`] found.
///
/// # Errors
/// The first rule that the head breaks.
pub fn parse_request(
    buf: &[u8],
    len: usize,
    limits: HeadLimits,
    head: &mut RequestHead,
) -> Result<(), WireError> {
    let _ = (buf, len, limits, head);
    unimplemented!("room wire")
}

/// Parses the response head in `buf[..len]`.
///
/// # Errors
/// The first rule that the head breaks.
pub fn parse_response(
    buf: &[u8],
    len: usize,
    limits: HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), WireError> {
    let _ = (buf, len, limits, head);
    unimplemented!("room wire")
}
