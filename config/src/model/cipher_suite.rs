//! The cipher suites that connections may have.

use strum::{IntoStaticStr, VariantArray, VariantNames};

/// A cipher suite, by OpenSSL's name.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub enum CipherSuite {
    /// TLS 1.3 (RFC 8446, appendix B.4).
    #[strum(serialize = "TLS_AES_256_GCM_SHA384")]
    Aes256Gcm,
    /// TLS 1.3.
    #[strum(serialize = "TLS_AES_128_GCM_SHA256")]
    Aes128Gcm,
    /// TLS 1.3.
    #[strum(serialize = "TLS_CHACHA20_POLY1305_SHA256")]
    ChaCha20Poly1305,
    /// TLS 1.2 (RFC 5289), for ECDSA and Ed25519 certificates.
    #[strum(serialize = "ECDHE-ECDSA-AES256-GCM-SHA384")]
    EcdsaAes256Gcm,
    /// TLS 1.2.
    #[strum(serialize = "ECDHE-ECDSA-AES128-GCM-SHA256")]
    EcdsaAes128Gcm,
    /// TLS 1.2 (RFC 7905).
    #[strum(serialize = "ECDHE-ECDSA-CHACHA20-POLY1305")]
    EcdsaChaCha20Poly1305,
    /// TLS 1.2 (RFC 5289), for RSA certificates.
    #[strum(serialize = "ECDHE-RSA-AES256-GCM-SHA384")]
    RsaAes256Gcm,
    /// TLS 1.2.
    #[strum(serialize = "ECDHE-RSA-AES128-GCM-SHA256")]
    RsaAes128Gcm,
    /// TLS 1.2 (RFC 7905).
    #[strum(serialize = "ECDHE-RSA-CHACHA20-POLY1305")]
    RsaChaCha20Poly1305,
}

impl CipherSuite {
    /// All of them, in the order in which they are preferred where the file names none.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// OpenSSL's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Is it one of TLS 1.3?
    #[must_use]
    pub const fn is_for_tls13(self) -> bool {
        matches!(self, Self::Aes256Gcm | Self::Aes128Gcm | Self::ChaCha20Poly1305)
    }

    /// The name that TLS gives it (IANA).
    pub(crate) const fn standard_name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "TLS_AES_256_GCM_SHA384",
            Self::Aes128Gcm => "TLS_AES_128_GCM_SHA256",
            Self::ChaCha20Poly1305 => "TLS_CHACHA20_POLY1305_SHA256",
            Self::EcdsaAes256Gcm => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Self::EcdsaAes128Gcm => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdsaChaCha20Poly1305 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Self::RsaAes256Gcm => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Self::RsaAes128Gcm => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Self::RsaChaCha20Poly1305 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        }
    }
}
