//! Why a client may not do what it asks for.

use strum::{EnumCount, EnumDiscriminants, VariantArray};

use crate::identity::{Access, VerifyFailure};

/// Why a client may not do what it asks for.
#[derive(Clone, Copy, Debug, EnumDiscriminants, Eq, PartialEq)]
#[strum_discriminants(derive(EnumCount, VariantArray), name(ForbiddenKind), vis(pub(crate)))]
pub enum Forbidden {
    /// A verified certificate is required, and none was shown.
    CertificateRequired,
    /// A verified certificate is required, and this one is not.
    NotVerified(VerifyFailure),
    /// It is on no allow list.
    NotAllowed,
    /// It is on a deny list.
    Denied,
    /// The field that says to which certificate a token is bound does not name this one.
    TokenNotBound,
    /// Its address is not served.
    Address(OwnWords),
    /// A condition of `refuse` holds for the request.
    Condition(OwnWords),
}

/// A refusal in the operator's words.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnWords {
    /// Its status.
    pub status: u16,
    /// Which one of [`Plan::own_answer`](super::Plan::own_answer).
    pub answer: u32,
}

impl Forbidden {
    /// In one word, for machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CertificateRequired => "client-certificate-required",
            Self::NotVerified(_) => "client-not-verified",
            Self::NotAllowed => "client-not-allowed",
            Self::Denied => "client-denied",
            Self::TokenNotBound => "token-not-bound",
            Self::Address(_) => "client-address-refused",
            Self::Condition(_) => "refused-by-condition",
        }
    }

    /// What the operator wants to be said.
    #[must_use]
    pub const fn own_words(self) -> Option<OwnWords> {
        match self {
            Self::Address(words) | Self::Condition(words) => Some(words),
            _ => None,
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self.own_words() {
            Some(words) => words.status,
            None => 403,
        }
    }

    /// What lists say, as a refusal.
    ///
    /// # Errors
    /// Unless the client is allowed.
    pub const fn check(access: Access) -> Result<(), Self> {
        match access {
            Access::Allowed => Ok(()),
            Access::NotAllowed => Err(Self::NotAllowed),
            Access::Denied => Err(Self::Denied),
        }
    }
}
