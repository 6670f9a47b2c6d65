//! Distinguished names as directories compare them: without case, surplus white space and compatibility
//! forms, whatever the string types and the order within a relative name.
//!
//! In: a name by RFC 2253. Out: its folded relative names. They decide for `deny` alone.

use super::name;
use crate::identity::der::Reader;
use crate::identity::unicode::folded;

/// A name of more bytes is in doubt as a whole: a character may stand for eighteen others, and nobody's
/// name is as long.
const NAME_BYTES_MAX: usize = 4_096;

/// Is this name (its DER) too long to be compared in all its readings, or of too many attributes?
pub(crate) fn is_overlong(name: &[u8]) -> bool {
    name.len() > NAME_BYTES_MAX || name::is_overlong(name)
}

/// A whole name by RFC 2253, as these readers compare it: relative names, of attributes in one order, of
/// values as text whatever their types.
pub(crate) fn folded_name(text: &[u8]) -> Vec<Vec<String>> {
    let mut relative_names = vec![Vec::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let (attribute, end) = attribute(&mut rest);
        if let Some(last) = relative_names.last_mut() {
            last.push(attribute);
        }
        if end == Some(b',') {
            relative_names.push(Vec::new());
        }
    }
    relative_names.iter_mut().for_each(|attributes| attributes.sort_unstable());
    relative_names
}

/// The next attribute, folded, and what ends it.
fn attribute(rest: &mut &[u8]) -> (String, Option<u8>) {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let pair = |text: &[u8]| {
        let (high, low) = (digit(text.first())?, digit(text.get(1))?);
        u8::try_from(high * 16 + low).ok()
    };
    let (mut out, mut end) = (Vec::new(), None);
    let mut dumped = None;
    while let Some((byte, behind)) = rest.split_first() {
        *rest = behind;
        match byte {
            b',' | b'+' => {
                end = Some(*byte);
                break;
            }
            b'\\' => match (pair(behind), behind.split_first()) {
                (Some(byte), _) => {
                    out.push(byte);
                    *rest = behind.get(2..).unwrap_or_default();
                }
                (None, Some((byte, behind))) => {
                    out.push(*byte);
                    *rest = behind;
                }
                (None, None) => {}
            },
            b'#' if dumped.is_none() && out.last() == Some(&b'=') => {
                dumped = Some(out.len());
                out.push(*byte);
            }
            _ => out.push(*byte),
        }
    }
    if let Some(value) = dumped.and_then(|at| dumped_text(out.get(at + 1..)?, pair)) {
        out.truncate(dumped.unwrap_or_default());
        out.extend(value);
    }
    let text = String::from_utf8_lossy(&out);
    let (kind, value) = text.split_once('=').unwrap_or((&text, ""));
    (format!("{}={}", folded(kind), folded(value)), end)
}

/// The text in a value that is dumped in hexadecimal, if it is one.
fn dumped_text(digits: &[u8], pair: impl Fn(&[u8]) -> Option<u8>) -> Option<Vec<u8>> {
    let der: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    name::text(Reader::new(&der?).any()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_folded_by_their_parts() {
        for (one, other, same) in [
            ("CN=a,O=b", "cn=A,o= B ", true),
            ("CN=a+OU=c,O=b", "OU=c+CN=a,O=b", true),
            ("CN=\\C3\\84x", "CN=\\C3\\A4X", true),
            ("1.2.3=#0C0161", "1.2.3=#130141", true),
            ("1.2.3=#1E020061", "1.2.3=#130141", true),
            ("CN=a\\, b", "CN=A\\,  B", true),
            ("CN=\\#0C0161", "CN=a", false),
            ("CN=a,O=b", "O=b,CN=a", false),
            ("CN=a\\,O=b", "CN=a,O=b", false),
            ("CN=a+O=b", "CN=a,O=b", false),
            ("1.2.3=#0C0161", "1.2.3=#0C0162", false),
            ("1.2.3=#030161", "1.2.3=#040161", false),
        ] {
            let folded = |text: &str| folded_name(text.as_bytes());
            assert_eq!(folded(one) == folded(other), same, "{one} {other}");
        }
    }
}
