//! Where a chunk extension is in its grammar (RFC 9112, section 7.1.1), byte by byte.
//!
//! Extensions are dropped, and still have to be what they say: a reader that honours quotes would
//! not end the line in `5;a="` where one that does not ends it, and find other chunks from there on.

use super::fields::{is_token_byte, is_value_byte};

/// What the next byte is part of, behind the `;` that began the extension.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Extension {
    /// White space, then a name.
    #[default]
    BeforeName,
    Name,
    /// White space; only `=` or the next extension may follow it.
    BehindName,
    /// White space, then a value.
    BeforeValue,
    Token,
    Quoted,
    /// The byte behind a backslash.
    Escaped,
    /// The closing quote was the last byte.
    Unquoted,
    /// White space; only the next extension may follow it.
    BehindValue,
}

impl Extension {
    /// The place behind `byte`, if the grammar allows it here.
    pub(super) const fn behind(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::BeforeName | Self::BeforeValue, b' ' | b'\t') => self,
            (Self::Name | Self::BehindName, b' ' | b'\t') => Self::BehindName,
            (Self::Name | Self::BehindName, b'=') => Self::BeforeValue,
            (Self::Token | Self::Unquoted | Self::BehindValue, b' ' | b'\t') => Self::BehindValue,
            (
                Self::Name | Self::BehindName | Self::Token | Self::Unquoted | Self::BehindValue,
                b';',
            ) => Self::BeforeName,
            (Self::BeforeName | Self::Name, _) if is_token_byte(byte) => Self::Name,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::BeforeValue | Self::Token, _) if is_token_byte(byte) => Self::Token,
            (Self::Quoted, b'"') => Self::Unquoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if is_value_byte(byte) => Self::Quoted,
            _ => return None,
        })
    }

    /// May the line end here?
    pub(super) const fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::Unquoted)
    }
}
