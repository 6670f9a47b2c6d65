//! Where the bytes of a variable's value go, escaped for what they become part of.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::wire::hex;

/// How the values (not the text between them) are escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Escape {
    /// Not at all.
    None,
    /// Control characters alone, as `\xHH`: no value ends a line. nginx's `escape=none` lets them through.
    Controls,
    /// As the inside of a JSON string.
    Json,
    /// As a JSON value of its own: a number if it is one, `null` for nothing, else a string.
    JsonNumber,
    /// As a JSON value of its own: a string in quotes, or `null` for nothing.
    JsonString,
    /// As nginx does in logs: `\xHH` for quotes, backslashes and whatever is not printable ASCII;
    /// `-` for nothing.
    Log,
}

/// Takes the bytes of one value.
pub(super) struct ValueWriter<'a> {
    out: &'a mut Vec<u8>,
    escape: Escape,
    /// Where the value begins.
    start: usize,
    /// It is one number of ours so far, and so a number of JSON.
    is_number: bool,
}

impl<'a> ValueWriter<'a> {
    pub(super) const fn new(escape: Escape, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, escape, start, is_number: false }
    }

    /// Bytes of a value.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.is_number = false;
        match self.escape {
            Escape::None => self.out.extend_from_slice(bytes),
            // Almost every value.
            _ if needs_no_escaping(bytes) => self.out.extend_from_slice(bytes),
            Escape::Json | Escape::JsonNumber | Escape::JsonString => escape_json(bytes, self.out),
            Escape::Log => escape_bytes(bytes, is_plain, self.out),
            Escape::Controls => escape_bytes(bytes, |byte| !byte.is_ascii_control(), self.out),
        }
    }

    /// Bytes of ours, of which none needs escaping anywhere.
    pub(super) fn put_plain(&mut self, bytes: &[u8]) {
        debug_assert!(needs_no_escaping(bytes), "{}", bytes.escape_ascii());
        self.is_number = false;
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn put_number(&mut self, number: u64) {
        self.is_number = self.out.len() == self.start;
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Milliseconds as seconds with three decimals.
    pub(super) fn put_millis(&mut self, millis: u64) {
        match millis / 1000 {
            // Almost every time, and a line of the log has several.
            0 => {
                let [point, hundreds, tens, ones] = decimals(millis);
                self.is_number = self.out.len() == self.start;
                self.out.extend_from_slice(&[b'0', point, hundreds, tens, ones]);
            }
            seconds => {
                self.put_number(seconds);
                self.put_decimals(millis % 1000);
            }
        }
    }

    /// An address with its port; needs no escaping.
    pub(super) fn put_address(&mut self, address: SocketAddr) {
        self.is_number = false;
        // Writing into a vector does not fail.
        let _ = write!(self.out, "{address}");
    }

    /// Behind a number: what makes thousandths of it.
    pub(super) fn put_decimals(&mut self, thousandths: u64) {
        self.out.extend_from_slice(&decimals(thousandths));
    }

    /// The value is complete.
    pub(super) fn end_value(self) {
        let Self { out, escape, start, is_number } = self;
        let is_empty = out.len() == start;
        match escape {
            Escape::None | Escape::Controls | Escape::Json => {}
            Escape::Log if is_empty => out.push(b'-'),
            Escape::Log => {}
            Escape::JsonNumber | Escape::JsonString if is_empty => out.extend_from_slice(b"null"),
            // Nearly every one; the text of a port, for example, is looked at.
            Escape::JsonNumber if is_number || out.get(start..).is_some_and(is_json_number) => {}
            Escape::JsonNumber | Escape::JsonString => {
                out.insert(start, b'"');
                out.push(b'"');
            }
        }
    }
}

/// A point and three digits.
fn decimals(thousandths: u64) -> [u8; 4] {
    const DIGITS: &[u8; 10] = b"0123456789";
    let digit = |unit: u64| DIGITS[(thousandths / unit % 10) as usize];
    [b'.', digit(100), digit(10), digit(1)]
}

/// A number that begins with a digit and has no exponent (RFC 8259, section 6).
fn is_json_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let (whole, decimals) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (text.get(..dot), text.get(dot + 1..)),
        None => (Some(text), None),
    };
    let whole = whole.unwrap_or_default();
    digits(whole) && (whole.len() == 1 || !whole.starts_with(b"0")) && decimals.is_none_or(digits)
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

/// What nginx's `escape=default` lets through.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// `\xHH` for every byte that is not plain.
fn escape_bytes(bytes: &[u8], is_plain: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    escape(bytes, is_plain, out, |byte, out| {
        let [high, low] = hex::pair(byte, hex::UPPER);
        out.extend_from_slice(&[b'\\', b'x', high, low]);
    });
}

/// The inside of a JSON string (RFC 8259, section 7), in nginx's spelling (`ngx_escape_json`). Bytes that
/// are not UTF-8, which nginx lets through, become U+FFFD: the line would not be JSON.
pub(super) fn escape_json(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte| matches!(byte, b' '..) && !matches!(byte, b'"' | b'\\');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().as_bytes(), plain, out, |byte, out| match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escape: Escape, pieces: &[&[u8]]) -> String {
        let mut out = b"<".to_vec();
        let mut value = ValueWriter::new(escape, &mut out);
        pieces.iter().for_each(|piece| value.put(piece));
        value.end_value();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_json_value_is_a_number_a_string_or_null() {
        for (value, wanted) in [
            ("0", "<0"),
            ("7", "<7"),
            ("0.000", "<0.000"),
            ("1795301728.007", "<1795301728.007"),
            ("", "<null"),
            ("-", "<\"-\""),
            ("007", "<\"007\""),
            (".5", "<\".5\""),
            ("5.", "<\"5.\""),
            ("1.2.3", "<\"1.2.3\""),
            ("0.001, 0.002", "<\"0.001, 0.002\""),
            ("1\"", "<\"1\\\"\""),
        ] {
            assert_eq!(written(Escape::JsonNumber, &[value.as_bytes()]), wanted);
        }
        assert_eq!(written(Escape::JsonString, &[b"7"]), "<\"7\"");
        assert_eq!(written(Escape::JsonString, &[b"", b"a\"", b"\xff"]), "<\"a\\\"\u{fffd}\"");
        assert_eq!(written(Escape::JsonString, &[b""]), "<null");
    }

    #[test]
    fn control_characters_never_stand_for_themselves() {
        let controls: Vec<u8> = (0..32).chain([127]).collect();
        for escape in [Escape::Controls, Escape::Log] {
            let text = written(escape, &[&controls]);
            assert!(!text.contains(|one: char| one.is_ascii_control()), "{text}");
            assert!(text.contains("\\x0A") && text.contains("\\x7F"), "{text}");
        }
        assert_eq!(written(Escape::Controls, &["a\"\\\u{e9}\t".as_bytes()]), "<a\"\\\u{e9}\\x09");
        assert_eq!(written(Escape::Controls, &[b""]), "<");
        assert_eq!(written(Escape::Json, &[b"\x08\x0c\x01\x7f"]), "<\\b\\f\\u0001\x7f");
    }
}
