//! Where the bytes of a variable's value go, escaped for what they become part of.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::wire::hex;

/// How the values (not the text between them) are escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Escape {
    /// Not at all.
    None,
    /// As the inside of a JSON string.
    Json,
    /// As nginx does in logs: `\xHH` for quotes, backslashes and whatever is not printable ASCII;
    /// `-` for nothing.
    Log,
}

/// Takes the bytes of one value.
pub(super) struct ValueWriter<'a> {
    out: &'a mut Vec<u8>,
    escape: Escape,
    empty: bool,
}

impl<'a> ValueWriter<'a> {
    pub(super) const fn new(escape: Escape, out: &'a mut Vec<u8>) -> Self {
        Self { out, escape, empty: true }
    }

    /// Text of the configuration: never escaped.
    pub(super) fn put_text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Bytes of a value.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.empty &= bytes.is_empty();
        match self.escape {
            Escape::None => self.out.extend_from_slice(bytes),
            // Almost every value.
            _ if needs_no_escaping(bytes) => self.out.extend_from_slice(bytes),
            Escape::Json => escape_json(bytes, self.out),
            Escape::Log => escape_log(bytes, self.out),
        }
    }

    /// Bytes of ours, of which none needs escaping anywhere.
    pub(super) fn put_plain(&mut self, bytes: &[u8]) {
        debug_assert!(needs_no_escaping(bytes), "{}", bytes.escape_ascii());
        self.empty &= bytes.is_empty();
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn put_number(&mut self, number: u64) {
        self.put_plain(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Milliseconds as seconds with three decimals.
    pub(super) fn put_millis(&mut self, millis: u64) {
        match millis / 1000 {
            // Almost every time, and a line of the log has several.
            0 => {
                let [point, hundreds, tens, ones] = decimals(millis);
                self.put_plain(&[b'0', point, hundreds, tens, ones]);
            }
            seconds => {
                self.put_number(seconds);
                self.put_decimals(millis % 1000);
            }
        }
    }

    /// An address with its port; needs no escaping.
    pub(super) fn put_address(&mut self, address: SocketAddr) {
        self.empty = false;
        // Writing into a vector does not fail.
        let _ = write!(self.out, "{address}");
    }

    pub(super) fn put_decimals(&mut self, thousandths: u64) {
        self.put_plain(&decimals(thousandths));
    }

    /// The value is complete.
    pub(super) fn end_value(self) {
        if self.empty && self.escape == Escape::Log {
            self.out.push(b'-');
        }
    }
}

/// A point and three digits.
fn decimals(thousandths: u64) -> [u8; 4] {
    const DIGITS: &[u8; 10] = b"0123456789";
    let digit = |unit: u64| DIGITS[(thousandths / unit % 10) as usize];
    [b'.', digit(100), digit(10), digit(1)]
}

/// Nothing but printable ASCII that stands for itself in either kind of log. Looks at every byte, without
/// an early end and without a branch, so that sixteen are looked at together.
fn needs_no_escaping(bytes: &[u8]) -> bool {
    let special = |found: u8, byte: &u8| {
        let outside = byte.wrapping_sub(b' ') > b'~' - b' ';
        found | u8::from(outside) | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
    };
    bytes.iter().fold(0, special) == 0
}

/// nginx's `escape=default`.
fn escape_log(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    escape(bytes, plain, out, |byte, out| {
        let [high, low] = hex::pair(byte, hex::UPPER);
        out.extend_from_slice(&[b'\\', b'x', high, low]);
    });
}

/// The inside of a JSON string (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
fn escape_json(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte| matches!(byte, b' '..=b'~' | 0x80..) && !matches!(byte, b'"' | b'\\');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().as_bytes(), plain, out, |byte, out| match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex::pair(byte, hex::UPPER));
            }
        });
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Copies runs of plain bytes at once, because almost everything is one.
fn escape(
    bytes: &[u8],
    is_plain: impl Fn(u8) -> bool,
    out: &mut Vec<u8>,
    write: impl Fn(u8, &mut Vec<u8>),
) {
    let mut rest = bytes;
    while let Some(len) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (run, behind) = rest.split_at(len);
        out.extend_from_slice(run);
        let Some((byte, behind)) = behind.split_first() else { break };
        write(*byte, out);
        rest = behind;
    }
    out.extend_from_slice(rest);
}
