//! What was wrong with an upstream's answer.
//!
//! An upstream is as untrusted as a client: what two readers could take in two ways is no answer.
//! Before the response head went out the client gets a 502; after it the client's connection is
//! reset, because what it has is not the whole. The upstream's connection ends either way.

use strum::{EnumCount, EnumDiscriminants, VariantArray};

use crate::wire::error::WireError;

/// Why an answer of an upstream is none, or is not whole.
#[derive(Clone, Copy, Debug, EnumDiscriminants, Eq, Hash, PartialEq)]
#[strum_discriminants(derive(EnumCount, VariantArray), name(ResponseFaultKind), vis(pub(self)))]
pub enum ResponseFault {
    /// It spoke before it was asked: whatever it says is no answer to this request.
    SpokeFirst,
    /// The connection ended within a head.
    HeadCutOff,
    /// A 101 that nobody asked for, or that grants something else (RFC 9110, section 7.8).
    UnaskedUpgrade,
    /// More interim responses than anyone needs.
    TooManyInterims,
    /// The connection ended within a body (RFC 9112, section 8), or broke within a tunnel.
    BodyCutOff,
    /// Its body is to be searched, and is encoded, a part, or never ends.
    Unfilterable,
    /// Its body is to be searched, and is larger than that is done for.
    FilterTooLarge,
    /// Its body is to be searched, and that takes too long.
    FilterTooSlow,
    /// Its body is to be searched, and the core has no memory to hold it.
    FilterNoMemory,
    /// Its bytes break a rule. Stands last, because its members are numbered after all others.
    Wire(WireError),
}

const _: () = assert!(ResponseFaultKind::Wire as usize + 1 == ResponseFaultKind::COUNT);

impl ResponseFault {
    /// How many there are.
    pub const COUNT: usize = ResponseFaultKind::Wire as usize + WireError::COUNT;

    /// All of them, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = |kind: &ResponseFaultKind| match kind {
            ResponseFaultKind::SpokeFirst => Some(Self::SpokeFirst),
            ResponseFaultKind::HeadCutOff => Some(Self::HeadCutOff),
            ResponseFaultKind::UnaskedUpgrade => Some(Self::UnaskedUpgrade),
            ResponseFaultKind::TooManyInterims => Some(Self::TooManyInterims),
            ResponseFaultKind::BodyCutOff => Some(Self::BodyCutOff),
            ResponseFaultKind::Unfilterable => Some(Self::Unfilterable),
            ResponseFaultKind::FilterTooLarge => Some(Self::FilterTooLarge),
            ResponseFaultKind::FilterTooSlow => Some(Self::FilterTooSlow),
            ResponseFaultKind::FilterNoMemory => Some(Self::FilterNoMemory),
            ResponseFaultKind::Wire => None,
        };
        let wire = WireError::VARIANTS.iter().copied().map(Self::Wire);
        ResponseFaultKind::VARIANTS.iter().filter_map(plain).chain(wire)
    }

    /// Its place among [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Wire(error) => ResponseFaultKind::Wire as usize + error.index(),
            _ => ResponseFaultKind::from(self) as usize,
        }
    }

    /// The key that bounds what there was too much of.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Wire(error) => error.upstream_key(),
            Self::FilterTooLarge => Some("response.filter_max_body_size"),
            Self::Unfilterable | Self::FilterTooSlow => Some("response.filters"),
            _ => None,
        }
    }

    /// Is it our own policy that has no use for the answer? The node has done nothing wrong, and another one would
    /// answer the same.
    #[must_use]
    pub const fn is_of_policy(self) -> bool {
        matches!(
            self,
            Self::Unfilterable | Self::FilterTooLarge | Self::FilterTooSlow | Self::FilterNoMemory
        )
    }

    /// One word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SpokeFirst => "upstream-spoke-first",
            Self::HeadCutOff => "upstream-head-cut-off",
            Self::UnaskedUpgrade => "upstream-unasked-upgrade",
            Self::TooManyInterims => "upstream-too-many-interims",
            Self::BodyCutOff => "upstream-body-cut-off",
            Self::Unfilterable => "upstream-unfilterable",
            Self::FilterTooLarge => "upstream-filter-too-large",
            Self::FilterTooSlow => "upstream-filter-too-slow",
            Self::FilterNoMemory => "upstream-filter-no-memory",
            Self::Wire(error) => error.upstream_word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_place_and_word() {
        let mut words = Vec::new();
        for (at, fault) in ResponseFault::all().enumerate() {
            assert_eq!(fault.index(), at);
            assert!(fault.word().starts_with("upstream-") && !words.contains(&fault.word()));
            words.push(fault.word());
        }
        assert_eq!(words.len(), ResponseFault::COUNT);
    }
}
