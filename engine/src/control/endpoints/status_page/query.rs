//! The values of a query, as a browser's form writes them.

/// The value of the first parameter of this name; `None` without one, or if it is not text.
pub(super) fn value(query: &[u8], name: &[u8]) -> Option<String> {
    let mut pairs = query.split(|byte| *byte == b'&').filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (found, value) = pair.split_at(at);
        (found == name).then_some(value)
    });
    decode(pairs.next()?.get(1..)?)
}

/// `application/x-www-form-urlencoded`, decoded once; `None` for broken escapes and what is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let query = b"method=GET&url=https%3A%2F%2Fa%2F%2562+x&url=other&bad=%4&worse=%ff";
        assert_eq!(value(query, b"method").as_deref(), Some("GET"));
        assert_eq!(value(query, b"url").as_deref(), Some("https://a/%62 x"));
        for name in [&b"bad"[..], b"worse", b"none", b"ur"] {
            assert_eq!(value(query, name), None);
        }
        assert_eq!(value(b"", b"url"), None);
        assert_eq!(value(b"url", b"url"), None);
    }
}
