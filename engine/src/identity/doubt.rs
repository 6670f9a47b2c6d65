//! Which names of a certificate cannot be told from others.
//!
//! In: an alternative name or an attribute's value. Out: may it be handed out, and is there only one
//! way to read it? What is not handed out equals nothing that `allow` names. What has several readings is in
//! doubt whatever `deny` names of its kind: a reader behind us may drop white space, stop at a NUL, or
//! take quotation marks, a port or a comment for what they are elsewhere.

use super::alt_names::AltKind;

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

/// As readers compare who know no case and no white space (X.520's `caseIgnoreMatch`).
pub(super) fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
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
        assert_eq!(folded(" \u{c4}B  c "), "\u{e4}b c");
    }
}
