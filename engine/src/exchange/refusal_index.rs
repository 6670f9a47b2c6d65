//! Every refusal by number, so that each can be counted in a slot of its own.

use super::refusal::Refusal;
use crate::identity::chain::VerifyFailure;
use crate::plan::MethodSet;
use crate::wire::error::WireError;

/// Every refusal but the malformed ones, which come first and have their own order.
const OTHERS: [Refusal; 20] = [
    Refusal::HeadTimeout,
    Refusal::PlainHttpOnTls,
    Refusal::NoCertificate,
    Refusal::BadCertificate(VerifyFailure::Unspecified),
    Refusal::CertificateExpired,
    Refusal::MisdirectedRequest,
    Refusal::RouteNotFound,
    Refusal::MethodNotAllowed(MethodSet::ALL),
    Refusal::ExpectationFailed,
    Refusal::BodyTooLarge,
    Refusal::HeadOverflow,
    Refusal::Overloaded,
    Refusal::NoLiveNode,
    Refusal::UpstreamConnect,
    Refusal::UpstreamTls,
    Refusal::UpstreamLost,
    Refusal::BadResponse,
    Refusal::UpstreamTimeout,
    Refusal::BodyTimeout,
    Refusal::Internal,
];

impl Refusal {
    /// How many kinds there are; what a variant holds beside a [`WireError`] makes no kind of its own.
    pub const COUNT: usize = WireError::COUNT + OTHERS.len();

    /// The place of its kind, below [`Self::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        let other = match self {
            Self::Malformed(error) => return error.index(),
            Self::HeadTimeout => 0,
            Self::PlainHttpOnTls => 1,
            Self::NoCertificate => 2,
            Self::BadCertificate(_) => 3,
            Self::CertificateExpired => 4,
            Self::MisdirectedRequest => 5,
            Self::RouteNotFound => 6,
            Self::MethodNotAllowed(_) => 7,
            Self::ExpectationFailed => 8,
            Self::BodyTooLarge => 9,
            Self::HeadOverflow => 10,
            Self::Overloaded => 11,
            Self::NoLiveNode => 12,
            Self::UpstreamConnect => 13,
            Self::UpstreamTls => 14,
            Self::UpstreamLost => 15,
            Self::BadResponse => 16,
            Self::UpstreamTimeout => 17,
            Self::BodyTimeout => 18,
            Self::Internal => 19,
        };
        WireError::COUNT + other
    }

    /// The word of every kind, by [`Self::index`].
    pub fn words() -> impl Iterator<Item = &'static str> {
        let malformed = WireError::ALL.into_iter().map(WireError::word);
        malformed.chain(OTHERS.into_iter().map(Self::word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place() {
        for (at, other) in OTHERS.into_iter().enumerate() {
            assert_eq!(other.index(), WireError::COUNT + at, "{other:?}");
        }
        for (at, error) in WireError::ALL.into_iter().enumerate() {
            assert_eq!(Refusal::Malformed(error).index(), at, "{error:?}");
        }
        let mut words: Vec<&str> = Refusal::words().collect();
        assert_eq!(words.len(), Refusal::COUNT);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Refusal::COUNT, "no two share a word");
    }
}
