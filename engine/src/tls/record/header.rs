//! A record's five bytes of header, after the handshake (RFC 8446, section 5.2).
//!
//! Everything but the length is fixed there, and everything is authenticated; what is wrong is
//! refused as soon as it is there.

use super::error::RecordError;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// The longest content of one record (RFC 8446, section 5.1).
pub const CONTENT_BYTES_MAX: usize = 1 << 14;

/// Type, version, length.
pub(super) const HEADER_BYTES: usize = 5;

/// The longest body of a record (section 5.2).
const BODY_BYTES_MAX: usize = CONTENT_BYTES_MAX + 256;

/// How long the body of the record at the front is; `None` if the header is not whole.
pub(super) fn read(input: &[u8]) -> Result<Option<usize>, RecordError> {
    // Section 5: after the handshake nothing comes in the clear, no change_cipher_spec either.
    if input.first().is_some_and(|kind| *kind != APPLICATION_DATA) {
        return Err(RecordError::UnexpectedRecord);
    }
    // No other version would authenticate.
    if input.iter().skip(1).take(2).any(|version| *version != 3) {
        return Err(RecordError::Forged);
    }
    let Some([_, _, _, high, low]) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let body_bytes = usize::from(u16::from_be_bytes([*high, *low]));
    if body_bytes > BODY_BYTES_MAX {
        return Err(RecordError::Oversized);
    }
    Ok(Some(body_bytes))
}
