//! Host names and mail addresses that can be written in one way only.
//!
//! In: the text of an alternative name. Out: whether every reader takes it for the same name. A reader after
//! us may drop white space, stop at a NUL, or take quotation marks, a port or a comment for something else.

/// May this alternative name be handed out? It is visible ASCII from its first byte to its last: there is
/// no white space that a header would lose, and no character that ends it for some readers.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// Labels of letters, digits, `-` and `_`, perhaps with the root's dot behind them.
pub(crate) fn is_host(name: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(legal))
}

/// `local@host` without quotation.
pub(crate) fn is_mailbox(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'@');
    let (local, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    is_dot_atom(local) && is_host(host) && parts.next().is_none()
}

/// What is in front of an `@`, without quotation (RFC 5322's `dot-atom`), which has other ways to write the same.
pub(crate) fn is_dot_atom(local: &[u8]) -> bool {
    let atom = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(byte);
    !local.is_empty() && local.iter().all(atom)
}
