//! Hexadecimal digits, one byte at a time, on a request's way.
//!
//! Whole values (digests, serial numbers) are written by `data-encoding`. Within a scan or in a buffer
//! of fixed length a table of sixteen bytes is less work than any library's entry.

/// The digits in lower case.
pub const LOWER: &[u8; 16] = b"0123456789abcdef";
/// The digits in upper case.
pub const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// A byte's two digits.
#[inline]
#[must_use]
pub const fn pair(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    [digits[(byte >> 4) as usize], digits[(byte & 15) as usize]]
}
