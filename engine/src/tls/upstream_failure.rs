//! Why an upstream's certificate was refused.

use crate::identity::failure::VerifyFailure;

/// Why an upstream's certificate was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub enum UpstreamFailure {
    /// The chain is not good.
    Chain(VerifyFailure),
    /// The chain is good, but the certificate holds no alternative names to check
    /// (`verify = "ca"` checks the chain only).
    NoNames,
    /// The chain is good, but the certificate is for other names.
    WrongName,
    /// It is not one of those that are pinned.
    NotPinned,
    /// It is no certificate.
    Broken,
    /// It is spoken to in a version that is not wanted any more.
    Version,
    /// It is spoken to without TLS, which is wanted now.
    Plaintext,
    /// The configuration has no settings for it any more.
    NotConfigured,
}

impl UpstreamFailure {
    /// A few words for the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Chain(failure) => failure.text(),
            Self::NoNames => "certificate without alternative names",
            Self::WrongName => "certificate for another name",
            Self::NotPinned => "certificate is none of the pinned ones",
            Self::Broken => "broken certificate",
            Self::Version => "a TLS version that is not configured any more",
            Self::Plaintext => "not over TLS",
            Self::NotConfigured => "not configured any more",
        }
    }
}
