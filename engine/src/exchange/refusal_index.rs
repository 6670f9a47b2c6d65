//! Every refusal by number, so that each can be counted in a slot of its own.
//!
//! No number is written by hand: the slots follow the variants of [`Refusal`] in their order, and the compiler
//! names what a new variant lacks.

use ferrule_config::model::{LimitKind, QueueStatus};
use strum::{EnumCount, VariantArray};

use super::refusal::{Refusal, RefusalKind};
use super::response_fault::ResponseFault;
use crate::identity::failure::VerifyFailure;
use crate::plan::{Forbidden, ForbiddenKind, MethodSet, OwnWords};
use crate::wire::error::WireError;

/// Where the slots of each kind start; behind them, how many there are.
const STARTS: [usize; RefusalKind::COUNT + 1] = {
    let mut starts = [0; RefusalKind::COUNT + 1];
    let mut at = 0;
    while at < RefusalKind::COUNT {
        starts[at + 1] = starts[at] + RefusalKind::VARIANTS[at].slots();
        at += 1;
    }
    starts
};

impl Refusal {
    /// How many there are, each [`WireError`], [`ResponseFault`] and [`Forbidden`] counted; all certificates
    /// that do not verify are one, wherever that is asked.
    pub const COUNT: usize = STARTS[RefusalKind::COUNT];

    /// All of them, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        RefusalKind::VARIANTS.iter().flat_map(|kind| kind.each())
    }

    /// The word of each, by [`Self::index`].
    pub fn words() -> impl Iterator<Item = &'static str> {
        Self::all().map(Self::word)
    }

    /// Its place among [`Self::COUNT`], for tables and counters.
    #[must_use]
    pub fn index(self) -> usize {
        let within = match self {
            Self::Malformed(error) => error.index(),
            Self::Forbidden(forbidden) => ForbiddenKind::from(forbidden) as usize,
            Self::BadResponse(fault) => fault.index(),
            Self::Limited(kind, _) => kind as usize,
            _ => 0,
        };
        STARTS[RefusalKind::from(self) as usize] + within
    }
}

impl RefusalKind {
    /// How many refusals are of this kind.
    const fn slots(self) -> usize {
        match self {
            Self::Malformed => WireError::COUNT,
            Self::Forbidden => ForbiddenKind::COUNT,
            Self::BadResponse => ResponseFault::COUNT,
            Self::Limited => LimitKind::COUNT,
            _ => 1,
        }
    }

    /// The refusals of this kind, each once.
    fn each(self) -> Vec<Refusal> {
        let only = match self {
            Self::Malformed => {
                return WireError::VARIANTS.iter().copied().map(Refusal::Malformed).collect();
            }
            Self::Forbidden => {
                let each = ForbiddenKind::VARIANTS.iter().copied().map(forbidden);
                return each.map(Refusal::Forbidden).collect();
            }
            Self::Limited => {
                let each = LimitKind::VARIANTS.iter().map(|kind| Refusal::Limited(*kind, 503));
                return each.collect();
            }
            Self::BadResponse => return ResponseFault::all().map(Refusal::BadResponse).collect(),
            Self::HeadTimeout => Refusal::HeadTimeout,
            Self::IncompleteRequest => Refusal::IncompleteRequest,
            Self::PlainHttpOnTls => Refusal::PlainHttpOnTls,
            Self::NoCertificate => Refusal::NoCertificate,
            Self::BadCertificate => Refusal::BadCertificate(VerifyFailure::Expired),
            Self::CertificateExpired => Refusal::CertificateExpired,
            Self::MisdirectedRequest => Refusal::MisdirectedRequest,
            Self::RedirectToHttps => Refusal::RedirectToHttps(301, 443),
            Self::RequestLoop => Refusal::RequestLoop,
            Self::InvalidMaxForwards => Refusal::InvalidMaxForwards,
            Self::Options => Refusal::Options(MethodSet::ALL),
            Self::RouteNotFound => Refusal::RouteNotFound,
            Self::MethodNotAllowed => Refusal::MethodNotAllowed(MethodSet::ALL),
            Self::ExpectationFailed => Refusal::ExpectationFailed,
            Self::BodyTooLarge => Refusal::BodyTooLarge,
            Self::LimitNumber => Refusal::LimitNumber,
            Self::LimitStoreAway => Refusal::LimitStoreAway,
            Self::HeadOverflow => Refusal::HeadOverflow,
            Self::UnusableUri => Refusal::UnusableUri,
            Self::Overloaded => Refusal::Overloaded,
            Self::NoLiveNode => Refusal::NoLiveNode,
            Self::CircuitBroken => Refusal::CircuitBroken(503),
            Self::UpstreamQueueFull => Refusal::UpstreamQueueFull(QueueStatus::Unavailable),
            Self::UpstreamQueueTimeout => Refusal::UpstreamQueueTimeout(QueueStatus::Unavailable),
            Self::UpstreamConnect => Refusal::UpstreamConnect,
            Self::UpstreamTls => Refusal::UpstreamTls,
            Self::UpstreamLost => Refusal::UpstreamLost,
            Self::UpstreamTimeout => Refusal::UpstreamTimeout,
            Self::TotalTimeout => Refusal::TotalTimeout,
            Self::BodyTimeout => Refusal::BodyTimeout,
            Self::Internal => Refusal::Internal,
        };
        vec![only]
    }
}

/// In whatever words.
const REFUSED: OwnWords = OwnWords { status: 403, answer: 0 };

const fn forbidden(kind: ForbiddenKind) -> Forbidden {
    match kind {
        ForbiddenKind::CertificateRequired => Forbidden::CertificateRequired,
        ForbiddenKind::NotVerified => Forbidden::NotVerified(VerifyFailure::Expired),
        ForbiddenKind::NotAllowed => Forbidden::NotAllowed,
        ForbiddenKind::Denied => Forbidden::Denied,
        ForbiddenKind::TokenNotBound => Forbidden::TokenNotBound,
        ForbiddenKind::Address => Forbidden::Address(REFUSED),
        ForbiddenKind::Condition => Forbidden::Condition(REFUSED),
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

    /// None is forgotten, and none stands in for another.
    #[test]
    fn every_kind_has_its_slots() {
        for kind in RefusalKind::VARIANTS.iter().copied() {
            let each = kind.each();
            assert_eq!(each.len(), kind.slots(), "{kind:?}");
            assert!(each.into_iter().all(|refusal| RefusalKind::from(refusal) == kind), "{kind:?}");
        }
        for kind in ForbiddenKind::VARIANTS.iter().copied() {
            assert_eq!(ForbiddenKind::from(forbidden(kind)), kind);
        }
    }
}
