//! Every refusal by number, so that each can be counted in a slot of its own.

use strum::{EnumCount, VariantArray};

use super::refusal::Refusal;
use super::response_fault::ResponseFault;
use crate::identity::failure::VerifyFailure;
use crate::plan::{Forbidden, MethodSet};
use crate::wire::error::WireError;

impl Refusal {
    /// How many there are, each [`WireError`] and each [`ResponseFault`] counted; all certificates that do
    /// not verify are one, wherever that is asked.
    pub const COUNT: usize = 26 + WireError::COUNT + ResponseFault::COUNT;

    /// All of them, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::HeadTimeout,
            Self::PlainHttpOnTls,
            Self::NoCertificate,
            Self::BadCertificate(VerifyFailure::Expired),
            Self::CertificateExpired,
            Self::MisdirectedRequest,
            Self::RequestLoop,
            Self::InvalidMaxForwards,
            Self::Options(MethodSet::ALL),
            Self::RouteNotFound,
            Self::MethodNotAllowed(MethodSet::ALL),
            Self::ExpectationFailed,
            Self::BodyTooLarge,
            Self::HeadOverflow,
            Self::Overloaded,
            Self::NoLiveNode,
            Self::UpstreamConnect,
            Self::UpstreamTls,
            Self::UpstreamLost,
            Self::UpstreamTimeout,
            Self::BodyTimeout,
            Self::Internal,
            Self::Forbidden(Forbidden::CertificateRequired),
            Self::Forbidden(Forbidden::NotVerified(VerifyFailure::Expired)),
            Self::Forbidden(Forbidden::NotAllowed),
            Self::Forbidden(Forbidden::Denied),
        ];
        let malformed = WireError::VARIANTS.iter().copied().map(Self::Malformed);
        plain.into_iter().chain(malformed).chain(ResponseFault::all().map(Self::BadResponse))
    }

    /// The word of each, by [`Self::index`].
    pub fn words() -> impl Iterator<Item = &'static str> {
        Self::all().map(Self::word)
    }

    /// Its place among [`Self::COUNT`], for tables and counters.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::HeadTimeout => 0,
            Self::PlainHttpOnTls => 1,
            Self::NoCertificate => 2,
            Self::BadCertificate(_) => 3,
            Self::CertificateExpired => 4,
            Self::MisdirectedRequest => 5,
            Self::RequestLoop => 6,
            Self::InvalidMaxForwards => 7,
            Self::Options(_) => 8,
            Self::RouteNotFound => 9,
            Self::MethodNotAllowed(_) => 10,
            Self::ExpectationFailed => 11,
            Self::BodyTooLarge => 12,
            Self::HeadOverflow => 13,
            Self::Overloaded => 14,
            Self::NoLiveNode => 15,
            Self::UpstreamConnect => 16,
            Self::UpstreamTls => 17,
            Self::UpstreamLost => 18,
            Self::UpstreamTimeout => 19,
            Self::BodyTimeout => 20,
            Self::Internal => 21,
            Self::Forbidden(Forbidden::CertificateRequired) => 22,
            Self::Forbidden(Forbidden::NotVerified(_)) => 23,
            Self::Forbidden(Forbidden::NotAllowed) => 24,
            Self::Forbidden(Forbidden::Denied) => 25,
            Self::Malformed(error) => 26 + error.index(),
            Self::BadResponse(fault) => 26 + WireError::COUNT + fault.index(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_place_and_word() {
        let mut words = Vec::new();
        for (at, refusal) in Refusal::all().enumerate() {
            assert_eq!(refusal.index(), at);
            assert!(!words.contains(&refusal.word()), "{}", refusal.word());
            words.push(refusal.word());
        }
        assert_eq!(words.len(), Refusal::COUNT);
        assert!(Refusal::words().eq(words));
    }
}
