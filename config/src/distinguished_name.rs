//! A whole distinguished name as text, by RFC 2253 as OpenSSL writes it.
//!
//! In: text as people write names: with spaces, in the old form with slashes, in any case. Out: the
//! one spelling that a certificate's name has, if the text means a name. Text in another spelling
//! equals the name of no certificate.

use crate::attributes::{self, is_dotted};
use crate::values::{Wrong, nearest};

/// One attribute: its type in its spelling, and its value.
struct Attribute {
    kind: String,
    value: AttributeValue,
}

/// An attribute's value.
enum AttributeValue {
    /// Text as UTF-8.
    Text(Vec<u8>),
    /// The whole encoding in hexadecimal, of what is no text.
    Encoded(String),
}

/// The name as certificates have it.
pub(crate) fn normal(text: &str) -> Result<String, Wrong> {
    let sets = match text.strip_prefix('/') {
        // The old form begins where the encoding does.
        Some(old) => old.split('/').rev().map(|one| vec![one.to_owned()]).collect(),
        None => relative_names(text),
    };
    let mut out = String::with_capacity(text.len());
    for (at, set) in sets.iter().enumerate() {
        for (inner, pair) in set.iter().enumerate() {
            if at + inner > 0 {
                out.push(if inner > 0 { '+' } else { ',' });
            }
            attribute(pair)?.write(&mut out);
        }
    }
    Ok(out)
}

/// The attributes as text, by relative names: at commas (or semicolons) and plus signs outside of
/// escapes.
fn relative_names(text: &str) -> Vec<Vec<String>> {
    let (mut sets, mut pair, mut escaped) = (vec![Vec::new()], String::new(), false);
    let mut end = |pair: &mut String, last: char| {
        if let Some(set) = sets.last_mut() {
            set.push(std::mem::take(pair));
        }
        if last != '+' {
            sets.push(Vec::new());
        }
    };
    for letter in text.chars() {
        match letter {
            ',' | ';' | '+' if !escaped => end(&mut pair, letter),
            _ => pair.push(letter),
        }
        escaped = letter == '\\' && !escaped;
    }
    end(&mut pair, '+');
    sets
}

fn attribute(pair: &str) -> Result<Attribute, Wrong> {
    let Some((kind, value)) = pair.split_once('=') else {
        return Err(Wrong::new(format!("`{pair}` is no attribute of a name"))
            .help("each is `CN=value`; a comma within a value is written `\\,`"));
    };
    let kind = kind.trim();
    let kind = if is_dotted(kind) {
        kind.to_owned()
    } else if let Some(known) = attributes::spelling(kind) {
        known.to_owned()
    } else {
        let wrong = Wrong::new(format!("there is no attribute `{kind}` of a name"));
        let near = nearest(kind, attributes::SUBJECT_ATTRIBUTES.iter().copied());
        return Err(wrong.help(near.map_or_else(
            || "OpenSSL's short names (`CN`, `O`, `OU`, ...), or dotted numbers".to_owned(),
            |near| format!("did you mean `{near}`?"),
        )));
    };
    let value = trimmed(value);
    if let Some(digits) = value.strip_prefix('#') {
        let legal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if legal && digits.len() >= 4 && digits.len().is_multiple_of(2) {
            return Ok(Attribute {
                kind,
                value: AttributeValue::Encoded(digits.to_ascii_uppercase()),
            });
        }
    }
    if is_dotted(&kind) {
        return Err(Wrong::new(format!("`{kind}={value}` is a number with plain text")).help(
            "what has no short name is written as `#` and its whole encoding in hexadecimal",
        ));
    }
    let text = unescaped(value)?;
    let shown = String::from_utf8(text.clone());
    let never = |what: &str| {
        Wrong::new(format!("`{kind}={value}` {what}")).help("a name with one in it never matches")
    };
    match shown {
        Err(_) => Err(never("holds an escape that is no UTF-8")),
        Ok(shown) if shown.chars().any(char::is_control) => Err(never("holds a control character")),
        Ok(shown) if shown.trim() != shown => Err(never("has white space at its ends")),
        Ok(_) => Ok(Attribute { kind, value: AttributeValue::Text(text) }),
    }
}

/// Without the white space around a value, unless it is escaped.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start();
    let bare = value.trim_end();
    let escapes = bare.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let escaped = escapes % 2 == 1 && bare.len() < value.len();
    value.get(..bare.len() + usize::from(escaped)).unwrap_or(bare)
}

fn unescaped(value: &str) -> Result<Vec<u8>, Wrong> {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let digits = behind.get(..2).and_then(|two| str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let hex = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        let (byte, taken) = match (hex, behind.first()) {
            (Some(byte), _) => (byte, 2),
            (None, Some(byte)) => (*byte, 1),
            (None, None) => {
                return Err(Wrong::new(format!("`{value}` ends with a `\\`"))
                    .help("a backslash within a value is written `\\\\`"));
            }
        };
        out.push(byte);
        rest = behind.get(taken..).unwrap_or_default();
    }
    Ok(out)
}

/// An escape of two digits.
fn hex(byte: u8) -> [char; 3] {
    let digit = |bits: u8| char::from(b"0123456789ABCDEF"[usize::from(bits)]);
    ['\\', digit(byte >> 4), digit(byte & 15)]
}

impl Attribute {
    /// As OpenSSL does with `XN_FLAG_RFC2253`.
    fn write(&self, out: &mut String) {
        out.push_str(&self.kind);
        out.push('=');
        let text = match &self.value {
            AttributeValue::Text(text) => text,
            AttributeValue::Encoded(digits) => {
                out.push('#');
                out.push_str(digits);
                return;
            }
        };
        for (at, byte) in text.iter().enumerate() {
            match byte {
                0..=0x1f | 0x7f.. => out.extend(hex(*byte)),
                b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                    out.push('\\');
                    out.push(char::from(*byte));
                }
                b'#' if at == 0 && text.len() > 1 => out.push_str("\\#"),
                _ => out.push(char::from(*byte)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for (text, spelt) in [
            ("CN=a,O=b", "CN=a,O=b"),
            ("CN = a, O = b", "CN=a,O=b"),
            ("cn=a;o=b", "CN=a,O=b"),
            ("/C=DE/O=Acme/CN=mallory", "CN=mallory,O=Acme,C=DE"),
            ("emailaddress=a@b+CN=c", "emailAddress=a@b+CN=c"),
            ("CN=x\\, y", "CN=x\\, y"),
            ("CN=x\\2C y", "CN=x\\, y"),
            ("CN=M\\C3\\BCller", "CN=M\\C3\\BCller"),
            ("CN=M\u{fc}ller", "CN=M\\C3\\BCller"),
            ("CN=M\\c3\\bcller", "CN=M\\C3\\BCller"),
            ("CN=a<b", "CN=a\\<b"),
            ("CN=\\#a", "CN=\\#a"),
            ("CN=#a", "CN=\\#a"),
            ("CN=", "CN="),
            ("1.2.3=#0c0161", "1.2.3=#0C0161"),
        ] {
            assert_eq!(normal(text), Ok(spelt.to_owned()), "{text}");
            assert_eq!(normal(spelt), Ok(spelt.to_owned()), "{text}");
        }
        for text in [
            "",
            "==",
            "=a",
            "CN",
            "FOO=bar",
            "CN=a,b",
            "CN=a,",
            "CN=a\\",
            "CN=a\\00",
            "CN=a\\FC",
            "CN=a\\ ",
            "CN=\\ a",
            "1.2.3=a",
            "CN=a,,O=b",
            "1.2.3=#0",
        ] {
            assert!(normal(text).is_err(), "{text}");
        }
    }
}
