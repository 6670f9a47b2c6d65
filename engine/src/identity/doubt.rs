//! Which names of a certificate cannot be told from others.
//!
//! In: an alternative name or an attribute's value. Out: may it be handed out, and is there only one
//! way to read it? What is not handed out equals nothing that `allow` names. What has several readings is in
//! doubt whatever `deny` names of its kind: a reader behind us may drop white space, stop at a NUL, or
//! take quotation marks, a port or a comment for what they are elsewhere.

use unicode_normalization::UnicodeNormalization;

use super::alt_names::AltKind;
use super::der::Reader;
use super::name;

/// May this alternative name be handed out? It is visible ASCII from its first byte to its last: there is
/// no white space that a header would lose, and no character that ends it for some readers.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// Can it be read in one way only? The several readings of a URI are known, see [`super::uri`].
pub(super) fn is_clear(kind: AltKind, name: &[u8]) -> bool {
    is_plain(name)
        && match kind {
            AltKind::Dns => is_host(name.strip_prefix(b"*.").unwrap_or(name)),
            AltKind::Email => is_mailbox(name),
            AltKind::Uri | AltKind::Ip => true,
        }
}

/// May an attribute's value be handed out? White space at its ends would be lost in a header.
pub(super) fn is_plain_text(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    !text.chars().any(char::is_control) && !ends.into_iter().flatten().any(char::is_whitespace)
}

/// As readers compare who know no case and no white space (X.520's `caseIgnoreMatch`), nor what has no
/// width, and to whom compatible characters are the same (RFC 4518, sections 2.2 to 2.3).
pub(super) fn folded(text: &str) -> String {
    // ASCII has one form; decomposed before and behind, since a letter's other case may be composed.
    let folded: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // By capitals, which sharp, final and long letters have in common with others; some have those
        // only of their small form.
        let small = decomposed(text).flat_map(char::to_lowercase);
        let cased = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        decomposed(&cased.collect::<String>()).collect()
    };
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ")
}

/// A name of more bytes is in doubt as a whole: a character may stand for eighteen others, and nobody's
/// name is as long.
const NAME_BYTES_MAX: usize = 4_096;

/// Is this name (its DER) too long to be compared in all its readings, or of too many attributes?
pub(super) fn is_overlong(name: &[u8]) -> bool {
    name.len() > NAME_BYTES_MAX || name::is_overlong(name)
}

/// Other texts as which somebody may read this one: without case, white space and compatibility forms, and
/// in its other forms of normalisation for readers who know case.
pub(super) fn readings(text: &str) -> Vec<String> {
    let mut found = vec![folded(text)];
    if !text.is_ascii() {
        let plain: String = decomposed(text).collect();
        found.push(plain.nfc().collect());
        found.push(plain);
    }
    found
}

/// As readers take it who know no compatibility characters and none without width; case is kept.
pub(super) fn decomposed(text: &str) -> impl Iterator<Item = char> {
    // What has no width may come out of a compatibility form, and stand between what is composed.
    text.chars().filter(|letter| !is_unseen(*letter)).nfkd().filter(|letter| !is_unseen(*letter))
}

/// What directories leave out when they compare (RFC 4518, section 2.2), but for control characters,
/// and what Unicode has shown as nothing since (`Default_Ignorable_Code_Point`).
const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{1806}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A whole name by RFC 2253, as these readers compare it: relative names, of attributes in one order, of
/// values as text whatever their types.
pub(super) fn folded_name(text: &[u8]) -> Vec<Vec<String>> {
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

/// Labels of letters, digits, `-` and `_`, perhaps with the root's dot behind them.
fn is_host(name: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(legal))
}

/// `local@host` without quotation.
fn is_mailbox(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'@');
    let (local, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    is_dot_atom(local) && is_host(host) && parts.next().is_none()
}

/// What is in front of an `@`, without quotation (RFC 5322's `dot-atom`), which has other ways to write the same.
pub(super) fn is_dot_atom(local: &[u8]) -> bool {
    let atom = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(byte);
    !local.is_empty() && local.iter().all(atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_two_readings_is_not_clear() {
        for (kind, name, plain, clear) in [
            (AltKind::Dns, "a.example", true, true),
            (AltKind::Dns, "*.a_b.example.", true, true),
            (AltKind::Dns, "a.example..", true, false),
            (AltKind::Dns, "a:1", true, false),
            (AltKind::Dns, "a b", false, false),
            (AltKind::Dns, "", false, false),
            (AltKind::Email, "a.b+c@x.example", true, true),
            (AltKind::Email, "\"a\"@x", true, false),
            (AltKind::Email, "a@b@c", true, false),
            (AltKind::Email, "a", true, false),
            (AltKind::Uri, "x:%00", true, true),
            (AltKind::Uri, "x: ", false, false),
        ] {
            let name = name.as_bytes();
            assert_eq!((is_plain(name), is_clear(kind, name)), (plain, clear), "{name:?}");
        }
        for (text, plain) in [("a b", true), ("", true), (" a", false), ("a\u{a0}", false)] {
            assert_eq!(is_plain_text(text), plain, "{text:?}");
        }
        assert_eq!(folded(" \u{c4}B  c\u{200b} "), "a\u{308}b c");
    }

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
