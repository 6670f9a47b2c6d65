//! Every byte and count limit of this room, each with its reason.

/// What one head may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadLimits {
    /// Bytes of the whole head, an empty line before it included; a head of exactly so many passes.
    pub head_bytes_max: u32,
    /// Field lines; at most [`FIELDS_MAX`] of a request and [`RESPONSE_FIELDS_MAX`] of a response, whatever it
    /// says.
    pub fields_max: u16,
}

/// The most field lines of a request head. The table httparse fills lives
/// on the stack, 32 bytes a line, so this is 8 KiB; browsers send about 20 lines, nginx's
/// `max_headers` of 1000 bounds memory that we do not spend.
pub const FIELDS_MAX: usize = 256;

/// The most field lines of a response head. nginx bounds the bytes alone (`proxy_buffer_size`), and takes
/// about 1,000 lines by default. Beyond [`FIELDS_MAX`] a larger table is used, of 64 KiB.
pub const RESPONSE_FIELDS_MAX: usize = 2_048;

/// The largest Content-Length and the largest chunk. 2^63 - 1 fits every signed 64-bit counter that
/// a next hop may use; what is larger would be read there as negative, or as something else.
pub const BODY_BYTES_MAX: u64 = (1 << 63) - 1;

/// Digits of a chunk size, leading zeros included: as many as a 64-bit number has. RFC 9112 allows
/// any number of zeros, but nobody pads further, and counters of digits overflow elsewhere.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// Bytes between a chunk's size and its CRLF. Extensions in the field are a signature or a padding
/// of below 100 bytes; we drop them all.
pub const CHUNK_EXTENSION_BYTES_MAX: u16 = 256;

/// Bytes of all the extensions of one body, so that a body of one-byte chunks cannot make us read
/// hundreds of bytes per byte for ever (Go's CVE-2023-39326).
pub const CHUNK_EXTENSIONS_TOTAL_MAX: u32 = 64 * 1024;

/// What the trailer section of a request may cost, without its empty line. It is read and dropped; checksums
/// and the like are a few hundred bytes. That of a response is bounded as its head is.
pub const TRAILER_LIMITS: HeadLimits = HeadLimits { head_bytes_max: 8 * 1024, fields_max: 32 };

/// Bytes of a host: a domain name of 253 (RFC 1035, section 2.3.4) and its root dot.
pub const HOST_BYTES_MAX: usize = 254;

// `HeadLimits::fields_max` can name every allowed count.
const _: () =
    assert!(RESPONSE_FIELDS_MAX <= u16::MAX as usize && FIELDS_MAX <= RESPONSE_FIELDS_MAX);
// All digits together never overflow the accumulator, so only the value has to be checked.
const _: () = assert!(CHUNK_SIZE_DIGITS_MAX as u32 * 4 <= u64::BITS);
// Twice the largest body is still a number, so sums of two lengths need no check.
const _: () = assert!(BODY_BYTES_MAX <= u64::MAX / 2);
// One line can never use up more than the whole body's allowance.
const _: () = assert!((CHUNK_EXTENSION_BYTES_MAX as u32) < CHUNK_EXTENSIONS_TOTAL_MAX);
// A single trailer field can be as long as a usual one.
const _: () = assert!(TRAILER_LIMITS.head_bytes_max >= TRAILER_LIMITS.fields_max as u32 * 64);
