//! Why a chain does not verify, in OpenSSL's words.

use strum::{EnumCount, VariantArray};

/// `OpenSSL`'s reasons (`X509_verify_cert_error_string`).
#[derive(Clone, Copy, Debug, EnumCount, Eq, Hash, PartialEq, VariantArray)]
pub enum VerifyFailure {
    /// The chain ends below the trust anchors, at a certificate of theirs that is not self-signed.
    NoIssuer,
    /// There is no revocation list of a CA, or none that speaks of this certificate.
    NoCrl,
    /// A signature is wrong.
    Signature,
    /// A revocation list is not signed by its CA.
    CrlSignature,
    /// `notBefore` is in the future.
    NotYetValid,
    /// `notAfter` is in the past.
    Expired,
    /// `thisUpdate` of a revocation list is in the future.
    CrlNotYetValid,
    /// `nextUpdate` of a revocation list is in the past.
    CrlExpired,
    /// `notBefore` cannot be read.
    BadNotBefore,
    /// `notAfter` cannot be read.
    BadNotAfter,
    /// The leaf is self-signed, and no anchor.
    SelfSignedLeaf,
    /// The chain ends in a self-signed certificate that is no anchor.
    SelfSignedInChain,
    /// The issuer of the last certificate is not known.
    NoLocalIssuer,
    /// The leaf alone, and its issuer is not known.
    FirstCertificate,
    /// More intermediates than `depth` allows.
    ChainTooLong,
    /// A revocation list says so.
    Revoked,
    /// A certificate issued another one, but is no CA.
    InvalidCa,
    /// More intermediates than a CA allows below itself.
    PathLength,
    /// A certificate may not be used for TLS clients (or servers, upstream).
    Purpose,
    /// A CA's key usage does not include signing certificates.
    NoCertSign,
    /// A CA's key usage does not include signing revocation lists.
    NoCrlSign,
    /// A critical extension is not known.
    CriticalExtension,
    /// A name is outside a CA's permitted names.
    Subtree,
    /// A name is among a CA's excluded names.
    ExcludedSubtree,
    /// A name constraint has a minimum or a maximum.
    SubtreeBounds,
    /// A name constraint is of a type that is not known.
    ConstraintType,
    /// A name constraint cannot be read.
    ConstraintSyntax,
    /// A name cannot be held against a name constraint.
    NameSyntax,
    /// What a certificate says of policies cannot be read, or is forbidden.
    PolicyExtension,
    /// A CA demands a policy that holds along the whole path, and there is none.
    NoExplicitPolicy,
    /// Refused by a rule of ours that `OpenSSL` does not have: an X.509 v1 leaf where these are not
    /// allowed, signatures that would cost too much, or what webpki refuses on top.
    Application,
    /// The leaf's key is too small.
    LeafKeyTooSmall,
    /// A CA's key is too small.
    CaKeyTooSmall,
    /// A signature uses a digest that is too weak.
    WeakDigest,
    /// A key or a signature is of a kind that is not verified. The words are ours: OpenSSL knows more
    /// kinds, and calls the others by many names.
    Unsupported,
    /// The leaf is not a certificate, or the chain is too large to look at.
    Unspecified,
}

impl VerifyFailure {
    /// Is it so because of the time?
    #[must_use]
    pub const fn is_of_time(self) -> bool {
        matches!(self, Self::NotYetValid | Self::Expired | Self::CrlNotYetValid | Self::CrlExpired)
    }

    /// Its place in [`Self::VARIANTS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `OpenSSL`'s words, as they follow `FAILED:`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoIssuer => "unable to get issuer certificate",
            Self::NoCrl => "unable to get certificate CRL",
            Self::Signature => "certificate signature failure",
            Self::CrlSignature => "CRL signature failure",
            Self::NotYetValid => "certificate is not yet valid",
            Self::Expired => "certificate has expired",
            Self::CrlNotYetValid => "CRL is not yet valid",
            Self::CrlExpired => "CRL has expired",
            Self::BadNotBefore => "format error in certificate's notBefore field",
            Self::BadNotAfter => "format error in certificate's notAfter field",
            Self::SelfSignedLeaf => "self-signed certificate",
            Self::SelfSignedInChain => "self-signed certificate in certificate chain",
            Self::NoLocalIssuer => "unable to get local issuer certificate",
            Self::FirstCertificate => "unable to verify the first certificate",
            Self::ChainTooLong => "certificate chain too long",
            Self::Revoked => "certificate revoked",
            Self::InvalidCa => "invalid CA certificate",
            Self::PathLength => "path length constraint exceeded",
            Self::Purpose => "unsuitable certificate purpose",
            Self::NoCertSign => "key usage does not include certificate signing",
            Self::NoCrlSign => "key usage does not include CRL signing",
            Self::CriticalExtension => "unhandled critical extension",
            Self::Subtree => "permitted subtree violation",
            Self::ExcludedSubtree => "excluded subtree violation",
            Self::SubtreeBounds => "name constraints minimum and maximum not supported",
            Self::ConstraintType => "unsupported name constraint type",
            Self::ConstraintSyntax => "unsupported or invalid name constraint syntax",
            Self::NameSyntax => "unsupported or invalid name syntax",
            Self::PolicyExtension => "invalid or inconsistent certificate policy extension",
            Self::NoExplicitPolicy => "no explicit policy",
            Self::Application => "application verification failure",
            Self::LeafKeyTooSmall => "EE certificate key too weak",
            Self::CaKeyTooSmall => "CA certificate key too weak",
            Self::WeakDigest => "CA signature digest algorithm too weak",
            Self::Unsupported => "unsupported algorithm",
            Self::Unspecified => "unspecified certificate verification error",
        }
    }

    /// Does `optional_no_ca` let it pass? As nginx: only what an unknown issuer explains.
    #[must_use]
    pub const fn is_unknown_issuer(self) -> bool {
        matches!(
            self,
            Self::SelfSignedLeaf
                | Self::SelfSignedInChain
                | Self::NoLocalIssuer
                | Self::FirstCertificate
        )
    }
}
