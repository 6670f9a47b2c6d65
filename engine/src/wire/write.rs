//! Append-only writers for heads, chunks and canned answers. They never fail and allocate only if
//! the buffer has to grow.
//!
//! In: pieces that were checked where they came from (a parsed head, the config). Out: one spelling
//! of everything: HTTP/1.1, single spaces, CRLF, decimal lengths. A line break in a piece would
//! split the message, so debug builds look for one.

use super::fields::{is_reason, is_token, is_value};
use super::hex;

/// Ends a line, and a head.
pub const CRLF: &[u8] = b"\r\n";

/// What follows a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The field line that goes with chunks.
pub const TRANSFER_ENCODING_CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// The field line that announces the connection's end.
pub const CONNECTION_CLOSE: &[u8] = b"Connection: close\r\n";

/// The field line by which our own answers name us, where that is wanted.
pub const SERVER: &[u8] = b"Server: ferrule\r\n";

/// Appends a request line. The version is always our own, HTTP/1.1 (RFC 9112, section 2.3).
pub fn request_line(method: &[u8], target: &[u8], out: &mut Vec<u8>) {
    debug_assert!(is_token(method));
    debug_assert!(target.iter().all(u8::is_ascii_graphic));
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends a status line with the usual reason phrase.
pub fn status_line(status: u16, out: &mut Vec<u8>) {
    status_line_with(status, reason(status).as_bytes(), out);
}

/// Appends a status line with a given reason phrase, which may be empty (RFC 9112, section 4).
pub fn status_line_with(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    debug_assert!((100..=599).contains(&status));
    debug_assert!(is_reason(reason));
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(CRLF);
}

/// Appends a field line.
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    debug_assert!(is_token(name));
    debug_assert!(is_value(value));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

/// Appends a Content-Length field line.
pub fn content_length(len: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(len, out);
    out.extend_from_slice(CRLF);
}

/// Appends a Date field line; `text` is an IMF-fixdate (RFC 9110, section 5.6.7).
pub fn date(text: &[u8], out: &mut Vec<u8>) {
    field(b"Date", text, out);
}

/// Appends a number in decimal digits.
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a chunk's size line for `len` bytes of data (never 0: that is [`LAST_CHUNK`]).
pub fn chunk_head(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0);
    let mut text = [0; 16];
    let mut rest = len;
    let mut count = 0;
    for place in text.iter_mut().rev() {
        *place = hex::LOWER[rest & 0xf];
        rest >>= 4;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(text.len() - count..).unwrap_or_default());
    out.extend_from_slice(CRLF);
}

/// The usual reason phrase of a status (RFC 9110, section 15), empty for one we have no word for.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        _ => error_reason(status),
    }
}

/// The 4xx and 5xx half of [`reason`].
const fn error_reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
