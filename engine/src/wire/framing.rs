//! Where does a body end?
//!
//! In: a parsed head. Out: a [`BodyLength`], or a [`WireError`].
//! Afterwards nobody has to ask again: a head with two answers never gets past here, because the
//! next hop might pick the other one (RFC 9112, sections 6.1 and 6.3).

use super::error::WireError;
use super::head::{Method, RequestHead, ResponseHead};

/// Where a body ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// After this many bytes; never 0 (that is `None` with a length field, see the callers).
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// When the connection ends; responses only.
    UntilClose,
}

/// The body of a request.
///
/// # Errors
/// Whatever could be read in two ways.
pub fn request_body(buf: &[u8], head: &RequestHead) -> Result<BodyLength, WireError> {
    let _ = (buf, head);
    unimplemented!("room wire")
}

/// The body of a response to a request with `method`.
///
/// # Errors
/// Whatever could be read in two ways.
pub fn response_body(
    buf: &[u8],
    head: &ResponseHead,
    method: Method,
) -> Result<BodyLength, WireError> {
    let _ = (buf, head, method);
    unimplemented!("room wire")
}
