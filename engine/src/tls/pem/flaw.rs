//! What may be wrong with PEM text, in words that name the line and what mends it.

use super::kind::{BlockKind, Contents};
use super::object::Object;

/// What is not understood, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {}{}", flaw.text(), label_text(label))]
pub struct PemError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub flaw: Flaw,
    /// The label of the block, if it has a legal one.
    pub label: String,
}

/// What may be wrong with PEM text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// It is a DER element.
    Der,
    /// It holds a NUL.
    Nul,
    /// Its lines end in CR alone.
    CarriageReturns,
    /// Blanks or a byte-order mark in front of `-----BEGIN` or `-----END`.
    Indented,
    /// Other text in front of it, or behind it on the same line.
    Joined,
    /// A line that is meant to begin or end a block, and is spelt in another way.
    Misspelt,
    /// A `-----BEGIN` within a block.
    Nested,
    /// A block without an end.
    NoEnd,
    /// An end with another label.
    OtherEnd,
    /// An end without a beginning.
    StrayEnd,
    /// DER in base64 outside of a block.
    Bare,
    /// A line of a block that is no base64.
    NotBase64,
    /// Its base64 goes on behind the padding, or stops in between.
    Padding,
    /// Nothing in it.
    Empty,
    /// Headers that are not those of an encrypted key.
    Headers,
    /// A block of this kind, where something else is wanted.
    Unwanted(Contents, BlockKind),
}

impl PemError {
    /// What stands there instead of PEM, or of what was wanted; `None` if the flaw says all.
    #[must_use]
    pub fn object(&self, text: &[u8]) -> Option<Object> {
        match self.flaw {
            Flaw::Der | Flaw::Nul => Object::of(text),
            Flaw::Unwanted(_, BlockKind::Other)
            | Flaw::Unwanted(Contents::Lists, BlockKind::OtherKey) => {
                Object::of_label(self.label.as_bytes())
            }
            _ => None,
        }
    }

    pub(super) const fn at(line: usize, flaw: Flaw) -> Self {
        Self { line, flaw, label: String::new() }
    }
}

impl Flaw {
    /// Words that follow the line.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Der => "this is DER, and PEM is needed",
            Self::Nul => "this is no text (it holds a NUL)",
            Self::CarriageReturns => "the lines end in CR alone",
            Self::Indented => "something invisible stands in front of a block's first or last line",
            Self::Joined => "the first or last line of a block shares its line with other text",
            Self::Misspelt => {
                "this line is neither the first nor the last of a block, nor a comment"
            }
            Self::Nested => "a block begins before the one in front of it has ended",
            Self::NoEnd => "this block has no end",
            Self::OtherEnd => "a block ends under another label than it began with",
            Self::StrayEnd => "a block ends that has not begun",
            Self::Bare => "base64 stands outside of a block",
            Self::NotBase64 => "this line of a block is not base64",
            Self::Padding => "the base64 of this block is cut, or goes on behind its end",
            Self::Empty => "this block is empty",
            Self::Headers => "this block has headers that are not known",
            Self::Unwanted(Contents::Chain, _) => "this block is no certificate of a chain",
            Self::Unwanted(Contents::Authorities, _) => {
                "this block is no certificate of an authority"
            }
            Self::Unwanted(Contents::Key, _) => "this block is no private key",
            Self::Unwanted(Contents::Lists, _) => "this block is no revocation list",
        }
    }

    /// What mends it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Der => {
                "convert it: openssl x509 -inform DER -in FILE -out NEW (a key: openssl pkey, PKCS#12: \
                 openssl pkcs12)"
            }
            Self::Nul => "save it as plain text (from UTF-16: iconv -f UTF-16 -t ASCII FILE)",
            Self::CarriageReturns => "convert it: tr '\\r' '\\n' < FILE > NEW",
            Self::Indented => "take the blanks or the byte-order mark in front of the line away",
            Self::Joined => {
                "begin a new line between two blocks; a block that is not to count has to be deleted"
            }
            Self::Misspelt => {
                "five ASCII dashes, BEGIN or END in capitals, a blank, the label, five dashes, and \
                 nothing else"
            }
            Self::Nested | Self::NoEnd | Self::OtherEnd | Self::StrayEnd | Self::Bare => {
                "every block has a first line `-----BEGIN label-----` and a last line `-----END \
                 label-----` of the same label"
            }
            Self::NotBase64 | Self::Padding | Self::Empty => "copy the block anew",
            Self::Headers => "write it without headers (openssl x509, openssl crl, openssl pkey)",
            Self::Unwanted(wanted, kind) => unwanted(wanted, kind),
        }
    }
}

/// Where a block belongs that does not belong here.
const fn unwanted(wanted: Contents, kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::TrustedCertificate => {
            "OpenSSL's trust settings are not read: openssl x509 -in FILE -out NEW writes it without"
        }
        BlockKind::RevocationList => "revocation lists are named in `crl`",
        BlockKind::Certificate => "authorities are named in `ca`, in a file of their own",
        BlockKind::Pkcs8Key
        | BlockKind::EncryptedKey
        | BlockKind::Pkcs1Key
        | BlockKind::Sec1Key
        | BlockKind::OtherKey => "take the private key out of this file",
        BlockKind::Parameters | BlockKind::Other => match wanted {
            Contents::Chain | Contents::Authorities => {
                "blocks of type CERTIFICATE (from PKCS#7: openssl pkcs7 -print_certs -in FILE)"
            }
            Contents::Key => {
                "a block of type PRIVATE KEY, ENCRYPTED PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY"
            }
            Contents::Lists => "blocks of type X509 CRL",
        },
    }
}

fn label_text(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(" (its label: {label})") }
}
