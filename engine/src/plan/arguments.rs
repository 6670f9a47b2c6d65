//! Query parameters and cookies: the first of a name.
//!
//! In a header a parameter is what came, escapes and all, as in nginx. A condition reads it as
//! applications do, unescaped, so that `%61` is no way around an `a`.

use super::facts::{Facts, RequestFacts};
use super::value_writer::ValueWriter;

/// Puts the first query parameter of this name.
pub(super) fn put_argument(
    name: &[u8],
    unescaped: bool,
    facts: &Facts<'_>,
    sink: &mut ValueWriter<'_>,
) {
    let Some(request) = facts.request else { return };
    let query = request.target.map(|target| request.head.text(target.query)).unwrap_or_default();
    let same = |found: &[u8]| {
        if unescaped {
            Unescaped(found).eq(name.iter().copied())
        } else {
            found.eq_ignore_ascii_case(name)
        }
    };
    let mut parameters = parameters(query, b"&");
    if let Some((_, value)) = parameters.find(|(found, _)| same(found)) {
        if unescaped {
            Unescaped(value).for_each(|byte| sink.put(&[byte]));
        } else {
            sink.put(value);
        }
    }
}

/// Puts the first cookie of this name.
pub(super) fn put_cookie(name: &[u8], facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let Some(request) = &facts.request else { return };
    if let Some((_, value)) = cookies(request).find(|(found, _)| *found == name) {
        sink.put(value);
    }
}

/// Names and values of a query that is cut at these bytes.
pub fn parameters<'a>(
    query: &'a [u8],
    cut: &'a [u8],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    query.split(|byte| cut.contains(byte)).map(|pair| {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (pair.get(..equals).unwrap_or_default(), pair.get(equals + 1..).unwrap_or_default())
    })
}

/// Names and values of all cookies, in their order.
pub(super) fn cookies<'a>(
    request: &RequestFacts<'a>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let lines = request.head.fields().all_named(b"cookie");
    let pairs = lines.flat_map(|field| field.value().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = memchr::memchr(b'=', pair)?;
        Some((pair.get(..equals)?, pair.get(equals + 1..)?))
    })
}

/// Appends what a text stands for.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.extend(Unescaped(text));
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
