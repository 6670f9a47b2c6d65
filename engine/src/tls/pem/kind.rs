//! What PEM blocks are, by their labels, and which of them a place takes.
//!
//! In: a label. Out: its [`BlockKind`], in OpenSSL's reading. Labels are compared whole and as they are.

/// What a label says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockKind {
    /// `CERTIFICATE`, and `X509 CERTIFICATE`, which is the same
    Certificate,
    /// `TRUSTED CERTIFICATE`: with OpenSSL's trust settings behind it
    TrustedCertificate,
    /// `X509 CRL`
    RevocationList,
    /// `PRIVATE KEY` (PKCS#8)
    Pkcs8Key,
    /// `ENCRYPTED PRIVATE KEY` (PKCS#8)
    EncryptedKey,
    /// `RSA PRIVATE KEY` (PKCS#1)
    Pkcs1Key,
    /// `EC PRIVATE KEY` (SEC1)
    Sec1Key,
    /// Another private key, as `DSA PRIVATE KEY`
    OtherKey,
    /// `EC PARAMETERS`, `DH PARAMETERS`: which tools write beside keys
    Parameters,
    /// Anything else.
    Other,
}

/// What a place takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contents {
    /// A certificate and its issuers. Keys and parameters may stand beside them, as in the files that
    /// HAProxy takes.
    Chain,
    /// Authorities, and nothing else.
    Authorities,
    /// A private key. Its certificates and parameters may stand beside it.
    Key,
    /// Revocation lists, and nothing else.
    Lists,
}

impl BlockKind {
    pub(super) fn of(label: &str) -> Self {
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => Self::Certificate,
            "TRUSTED CERTIFICATE" => Self::TrustedCertificate,
            "X509 CRL" => Self::RevocationList,
            "PRIVATE KEY" => Self::Pkcs8Key,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            "RSA PRIVATE KEY" => Self::Pkcs1Key,
            "EC PRIVATE KEY" => Self::Sec1Key,
            "EC PARAMETERS" | "DH PARAMETERS" | "X9.42 DH PARAMETERS" => Self::Parameters,
            _ if label.ends_with(" PRIVATE KEY") => Self::OtherKey,
            _ => Self::Other,
        }
    }

    /// Is it a private key?
    #[must_use]
    pub const fn is_key(self) -> bool {
        matches!(
            self,
            Self::Pkcs8Key | Self::EncryptedKey | Self::Pkcs1Key | Self::Sec1Key | Self::OtherKey
        )
    }
}

impl Contents {
    pub(super) fn takes(self, kind: BlockKind) -> bool {
        match self {
            Self::Chain | Self::Authorities => kind == BlockKind::Certificate,
            Self::Key => kind.is_key(),
            Self::Lists => kind == BlockKind::RevocationList,
        }
    }

    pub(super) fn passes(self, kind: BlockKind) -> bool {
        match self {
            Self::Chain => kind.is_key() || kind == BlockKind::Parameters,
            Self::Key => matches!(kind, BlockKind::Certificate | BlockKind::Parameters),
            Self::Authorities | Self::Lists => false,
        }
    }
}
