//! Values that are one of a few words: the word in the file, and what it stands for.

use strum::{IntoStaticStr, VariantArray, VariantNames};

/// A type whose values each have one word.
pub(crate) trait Word: Copy + Into<&'static str> + VariantArray + VariantNames {
    /// The words, in the order of `VALUES`.
    const WORDS: &'static [&'static str] = <Self as VariantNames>::VARIANTS;
    /// What they stand for.
    const VALUES: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The word of this value.
    fn word(self) -> &'static str {
        self.into()
    }

    /// The value of this word.
    fn of_word(word: &str) -> Option<Self> {
        let at = Self::WORDS.iter().position(|known| *known == word)?;
        Self::VALUES.get(at).copied()
    }
}

impl<T: Copy + Into<&'static str> + VariantArray + VariantNames> Word for T {}

/// `ssls.type`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum SslType {
    /// What we present to clients.
    Server,
    /// What we present to upstreams.
    Client,
}

/// `upstreams.pass_host`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum HostMode {
    /// The client's.
    Pass,
    /// The node's.
    Node,
    /// `upstream_host`.
    Rewrite,
}

/// `upstreams.proxy_protocol`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub(crate) enum Version {
    /// TLS 1.2.
    #[strum(serialize = "TLSv1.2")]
    Tls12,
    /// TLS 1.3.
    #[strum(serialize = "TLSv1.3")]
    Tls13,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientVerify, Order, ProxyTlv, XfccKey};

    /// Words that are derived must stay those of the file's format.
    #[test]
    fn words_are_the_ones_of_the_format() {
        assert_eq!(ClientVerify::WORDS, ["on", "optional", "optional_no_ca", "off"]);
        assert_eq!(ProxyTlv::UniqueId.word(), "unique-id");
        assert_eq!(XfccKey::WORDS, ["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"]);
        assert_eq!(Order::of_word(">="), Some(Order::AtLeast));
        assert_eq!(Version::of_word("TLSv1.3"), Some(Version::Tls13));
        assert_eq!(Version::of_word("Tls13"), None);
    }
}
