//! Where does a body end?
//!
//! In: a parsed head. Out: a [`BodyLength`], or a [`WireError`].
//! Afterwards nobody has to ask again: a head with two answers never gets past here, because the
//! next hop might pick the other one (RFC 9112, sections 6.1 and 6.3). The fields are checked even
//! where they cannot matter (HEAD, 304), so a Content-Length that is forwarded is always one number.

use super::error::WireError;
use super::fields::{Known, eq_ignore_case, is_token, trim};
use super::head::{Method, Version};
use super::limits::BODY_BYTES_MAX;
use super::view::{FieldsView, RequestView, ResponseView};

// A view is three words, so a call passes it in memory: what is short is inlined instead
// (`framing/request length`: 368 instructions without, 352 with).

/// Where a body ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyLength {
    /// With the head: no field says anything about a body, or the message cannot have one.
    #[default]
    None,
    /// After this many bytes. `Length(0)` means that the head says `Content-Length: 0`: as little
    /// body as `None`, but the next hop is told so as well.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// When the connection ends; responses only.
    UntilClose,
}

impl BodyLength {
    /// Is there no body, whether a field says so or none does? A field about the length of a body is no body.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// The body of a request.
///
/// # Errors
/// Whatever could be read in two ways.
#[inline]
pub fn request_body(request: RequestView<'_>) -> Result<BodyLength, WireError> {
    declared(request.fields(), request.version())
}

/// The body of a response to a request with `method`.
///
/// A response to HEAD and a 304 may describe the body that they do not have; a 1xx and a 204 may not
/// (RFC 9112, section 6.1; RFC 9110, section 8.6). The field's `Content-Length: 0` in a 204 passes,
/// anything else there is refused: recipients disagree about whether a body follows. A 205 has no
/// content either (RFC 9110, section 15.3.6), so one that announces some is refused as well, and so
/// is one in chunks: whether there is any would show only after its head has been passed on.
///
/// # Errors
/// Whatever could be read in two ways.
#[inline]
pub fn response_body(response: ResponseView<'_>, method: Method) -> Result<BodyLength, WireError> {
    let declared = declared(response.fields(), response.version())?;
    match (response.status(), declared) {
        (100..=199 | 204, BodyLength::None | BodyLength::Length(0)) => Ok(BodyLength::None),
        (100..=199 | 204, _) => Err(WireError::UnexpectedBody),
        (304, _) => Ok(BodyLength::None),
        (205, BodyLength::Length(1..) | BodyLength::Chunked) if method != Method::Head => {
            Err(WireError::UnexpectedBody)
        }
        _ if method == Method::Head => Ok(BodyLength::None),
        // A tunnel, not a body (RFC 9112, section 6.3, rule 2).
        (200..=299, _) if method == Method::Connect => Ok(BodyLength::None),
        (_, BodyLength::None) => Ok(BodyLength::UntilClose),
        (_, declared) => Ok(declared),
    }
}

/// The one Content-Length of a head.
///
/// # Errors
/// Several lines even if they agree, anything but digits, or more than [`BODY_BYTES_MAX`].
#[inline]
pub fn content_length(fields: FieldsView<'_>) -> Result<Option<u64>, WireError> {
    let mut lines = fields.all(Known::ContentLength);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(WireError::SeveralContentLengths);
    }
    length(line.value()).map(Some)
}

/// What the fields say, whatever the message may have.
#[inline]
fn declared(fields: FieldsView<'_>, version: Version) -> Result<BodyLength, WireError> {
    let length = content_length(fields)?;
    if !fields.contains(Known::TransferEncoding) {
        return Ok(length.map_or(BodyLength::None, BodyLength::Length));
    }
    if length.is_some() {
        return Err(WireError::AmbiguousLength);
    }
    if version == Version::Http10 {
        return Err(WireError::TransferEncodingInHttp10);
    }
    only_chunked(fields)?;
    Ok(BodyLength::Chunked)
}

/// Digits alone: no sign, no space, no base, no list (RFC 9110, section 8.6).
fn length(value: &[u8]) -> Result<u64, WireError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(WireError::InvalidContentLength);
    }
    value
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|&length| length <= BODY_BYTES_MAX)
        .ok_or(WireError::ContentLengthTooLarge)
}

/// Passes when the transfer codings of all lines together are `chunked` and nothing else. Empty
/// list elements and parameters, which lists and codings allow elsewhere, are refused: parsers that
/// differ in them are how `Transfer-Encoding` gets hidden from one of two hops.
fn only_chunked(fields: FieldsView<'_>) -> Result<(), WireError> {
    let mut chunked = 0_u32;
    let mut chunked_last = false;
    let mut other = false;
    let mut unknown = false;
    for line in fields.all(Known::TransferEncoding) {
        for coding in line.value().split(|&byte| byte == b',').map(trim) {
            if !is_token(coding) {
                return Err(WireError::InvalidTransferEncoding);
            }
            chunked_last = eq_ignore_case(coding, b"chunked");
            chunked = chunked.saturating_add(u32::from(chunked_last));
            other |= !chunked_last;
            unknown |= !chunked_last && !is_registered(coding);
        }
    }
    if chunked > 1 || (chunked == 1 && !chunked_last) {
        return Err(WireError::ChunkedNotLast);
    }
    if unknown || (other && chunked_last) {
        return Err(WireError::UnknownTransferCoding);
    }
    if chunked_last { Ok(()) } else { Err(WireError::ChunkedNotLast) }
}

/// The compression codings of RFC 9112, section 7.2: known by name, though we decode none.
fn is_registered(coding: &[u8]) -> bool {
    [&b"compress"[..], b"deflate", b"gzip", b"x-compress", b"x-gzip"]
        .iter()
        .any(|name| eq_ignore_case(coding, name))
}
