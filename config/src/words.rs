//! Values that are one of a few words: the word in the file, and what it stands for.

use crate::model::{
    ClientVerify, CrlExpired, CrlMissing, Expect, IoDriver, Level, MtlsRoutes, OnRevoke, ProxyTlv,
    Reject, Scheme, Traceparent, UpstreamVerify, XfccKey, XfccMode,
};

/// A type whose values each have one word.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// The words, in the order of `VALUES`.
    const WORDS: &'static [&'static str];
    /// What they stand for.
    const VALUES: &'static [Self];

    /// The word of this value.
    fn word(self) -> &'static str {
        let index = Self::VALUES.iter().position(|value| *value == self);
        index.and_then(|index| Self::WORDS.get(index)).copied().unwrap_or_default()
    }
}

/// `ssls.type`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SslType {
    /// What we present to clients.
    Server,
    /// What we present to upstreams.
    Client,
}

/// `upstreams.pass_host`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HostMode {
    /// The client's.
    Pass,
    /// The node's.
    Node,
    /// `upstream_host`.
    Rewrite,
}

/// `upstreams.proxy_protocol`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Word for IoDriver {
    const WORDS: &'static [&'static str] = &["auto", "io_uring", "epoll"];
    const VALUES: &'static [Self] = &[Self::Auto, Self::IoUring, Self::Epoll];
}

impl Word for Expect {
    const WORDS: &'static [&'static str] = &["answer", "forward"];
    const VALUES: &'static [Self] = &[Self::Answer, Self::Forward];
}

impl Word for Level {
    const WORDS: &'static [&'static str] = &["error", "warn", "info", "debug"];
    const VALUES: &'static [Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug];
}

impl Word for ClientVerify {
    const WORDS: &'static [&'static str] = &["on", "optional", "optional_no_ca", "off"];
    const VALUES: &'static [Self] = &[Self::On, Self::Optional, Self::OptionalNoCa, Self::Off];
}

impl Word for Reject {
    const WORDS: &'static [&'static str] = &["http", "handshake"];
    const VALUES: &'static [Self] = &[Self::Http, Self::Handshake];
}

impl Word for XfccMode {
    const WORDS: &'static [&'static str] =
        &["sanitize", "sanitize_set", "append_forward", "forward_only", "always_forward_only"];
    const VALUES: &'static [Self] = &[
        Self::Sanitize,
        Self::SanitizeSet,
        Self::AppendForward,
        Self::ForwardOnly,
        Self::AlwaysForwardOnly,
    ];
}

impl Word for XfccKey {
    const WORDS: &'static [&'static str] =
        &["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"];
    const VALUES: &'static [Self] =
        &[Self::By, Self::Hash, Self::Cert, Self::Chain, Self::Subject, Self::Uri, Self::Dns];
}

impl Word for CrlExpired {
    const WORDS: &'static [&'static str] = &["reject", "warn"];
    const VALUES: &'static [Self] = &[Self::Reject, Self::Warn];
}

impl Word for CrlMissing {
    const WORDS: &'static [&'static str] = &["reject", "allow"];
    const VALUES: &'static [Self] = &[Self::Reject, Self::Allow];
}

impl Word for MtlsRoutes {
    const WORDS: &'static [&'static str] = &["reject", "allow"];
    const VALUES: &'static [Self] = &[Self::Reject, Self::Allow];
}

impl Word for OnRevoke {
    const WORDS: &'static [&'static str] = &["close", "cut", "keep"];
    const VALUES: &'static [Self] = &[Self::Close, Self::Cut, Self::Keep];
}

impl Word for Scheme {
    const WORDS: &'static [&'static str] = &["http", "https"];
    const VALUES: &'static [Self] = &[Self::Http, Self::Https];
}

impl Word for UpstreamVerify {
    const WORDS: &'static [&'static str] = &["full", "ca", "off"];
    const VALUES: &'static [Self] = &[Self::Full, Self::Ca, Self::Off];
}

impl Word for Traceparent {
    const WORDS: &'static [&'static str] = &["off", "pass", "begin"];
    const VALUES: &'static [Self] = &[Self::Off, Self::Pass, Self::Begin];
}

impl Word for SslType {
    const WORDS: &'static [&'static str] = &["server", "client"];
    const VALUES: &'static [Self] = &[Self::Server, Self::Client];
}

impl Word for HostMode {
    const WORDS: &'static [&'static str] = &["pass", "node", "rewrite"];
    const VALUES: &'static [Self] = &[Self::Pass, Self::Node, Self::Rewrite];
}

impl Word for ProxyVersion {
    const WORDS: &'static [&'static str] = &["v1", "v2"];
    const VALUES: &'static [Self] = &[Self::V1, Self::V2];
}

// The words are HAProxy's (`proxy-v2-options`).
impl Word for ProxyTlv {
    const WORDS: &'static [&'static str] = &[
        "alpn",
        "authority",
        "crc32c",
        "unique-id",
        "ssl",
        "cert-cn",
        "ssl-cipher",
        "client-cert",
    ];
    const VALUES: &'static [Self] = &[
        Self::Alpn,
        Self::Authority,
        Self::Crc32c,
        Self::UniqueId,
        Self::Ssl,
        Self::CertCn,
        Self::SslCipher,
        Self::ClientCert,
    ];
}

impl Word for Version {
    const WORDS: &'static [&'static str] = &["TLSv1.2", "TLSv1.3"];
    const VALUES: &'static [Self] = &[Self::Tls12, Self::Tls13];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<T: Word>() -> bool {
        T::WORDS.len() == T::VALUES.len()
    }

    #[test]
    fn every_value_has_its_word() {
        assert!(pairs::<IoDriver>() && pairs::<Level>() && pairs::<ClientVerify>());
        assert!(pairs::<XfccMode>() && pairs::<XfccKey>());
        assert!(pairs::<CrlExpired>() && pairs::<CrlMissing>());
        assert!(
            pairs::<Reject>()
                && pairs::<OnRevoke>()
                && pairs::<Scheme>()
                && pairs::<UpstreamVerify>()
        );
        assert!(pairs::<SslType>() && pairs::<HostMode>() && pairs::<Version>());
        assert!(pairs::<ProxyVersion>() && pairs::<ProxyTlv>());
        assert!(pairs::<Expect>());
        assert!(pairs::<Traceparent>());
        assert_eq!(ClientVerify::OptionalNoCa.word(), "optional_no_ca");
    }
}
