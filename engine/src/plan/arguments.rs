//! Query parameters and cookies: the first of a name.
//!
//! In a header a parameter is what came, escapes and all, as in nginx. A condition reads it as
//! applications do, unescaped, so that `%61` is no way around an `a`.

use super::facts::Facts;
use super::values::Sink;
use crate::wire::fields::eq_ignore_case;

/// Puts the first query parameter of this name.
pub(super) fn put_argument(name: &[u8], unescape: bool, facts: &Facts<'_>, sink: &mut Sink<'_>) {
    let Some(request) = facts.request else { return };
    let query = request.target.map(|target| target.query.of(request.buf)).unwrap_or_default();
    for pair in query.split(|byte| *byte == b'&') {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (found, value) = pair.split_at(equals);
        let same = if unescape {
            Unescaped(found).eq(name.iter().copied())
        } else {
            found.eq_ignore_ascii_case(name)
        };
        if same {
            let value = value.get(1..).unwrap_or_default();
            if unescape {
                Unescaped(value).for_each(|byte| sink.put(&[byte]));
            } else {
                sink.put(value);
            }
            return;
        }
    }
}

/// Puts the first cookie of this name.
pub(super) fn put_cookie(name: &[u8], facts: &Facts<'_>, sink: &mut Sink<'_>) {
    let Some(request) = facts.request else { return };
    let fields = request.head.fields.as_slice().iter();
    for field in fields.filter(|field| eq_ignore_case(field.name.of(request.buf), b"cookie")) {
        for pair in field.value.of(request.buf).split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let Some(equals) = memchr::memchr(b'=', pair) else { continue };
            let (found, value) = pair.split_at(equals);
            if found == name {
                sink.put(value.get(1..).unwrap_or_default());
                return;
            }
        }
    }
}

/// The bytes that escapes stand for; `+` is a space, and a broken escape stands for itself.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (byte, rest) = match self.0 {
            [] => return None,
            [b'+', rest @ ..] => (b' ', rest),
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let value = digit(*high)? * 16 + digit(*low)?;
                (u8::try_from(value).ok()?, rest)
            }
            [byte, rest @ ..] => (*byte, rest),
        };
        self.0 = rest;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        for (text, wanted) in [
            ("a+b", "a b"),
            ("%61%2562", "a%62"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("", ""),
        ] {
            let bytes: Vec<u8> = Unescaped(text.as_bytes()).collect();
            assert_eq!(bytes, wanted.as_bytes(), "{text}");
        }
    }
}
