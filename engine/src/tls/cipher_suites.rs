//! The cipher suites that a configuration chooses.
//!
//! In: `ssl_ciphers`, and the groups. Out: a provider that has these suites and groups alone, in their order. As a client rustls offers them in
//! this order; as a server it takes the client's first, or the first of these (`ssl_prefer_server_ciphers`).

use std::sync::Arc;

use ferrule_config::model::{self, KeyExchangeGroup};
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;

use super::key_exchange;

/// The same provider, with these suites and groups, each in this order.
pub(super) fn chosen(
    provider: &CryptoProvider,
    ciphers: &[model::CipherSuite],
    groups: &[KeyExchangeGroup],
) -> Arc<CryptoProvider> {
    Arc::new(key_exchange::with_groups(&with_suites(provider, ciphers), groups))
}

fn with_suites(provider: &CryptoProvider, ciphers: &[model::CipherSuite]) -> CryptoProvider {
    let implementation = |suite: &model::CipherSuite| {
        let name = number(*suite);
        provider.cipher_suites.iter().find(|known| known.suite() == name).copied()
    };
    let cipher_suites = ciphers.iter().filter_map(implementation).collect();
    CryptoProvider { cipher_suites, ..provider.clone() }
}

/// What TLS calls it.
pub(super) const fn number(suite: model::CipherSuite) -> CipherSuite {
    match suite {
        model::CipherSuite::Aes256Gcm => CipherSuite::TLS13_AES_256_GCM_SHA384,
        model::CipherSuite::Aes128Gcm => CipherSuite::TLS13_AES_128_GCM_SHA256,
        model::CipherSuite::ChaCha20Poly1305 => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        model::CipherSuite::EcdsaAes256Gcm => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        model::CipherSuite::EcdsaAes128Gcm => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        model::CipherSuite::EcdsaChaCha20Poly1305 => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        model::CipherSuite::RsaAes256Gcm => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        model::CipherSuite::RsaAes128Gcm => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        model::CipherSuite::RsaChaCha20Poly1305 => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::openssl_ciphers;

    use super::*;
    use crate::tls::provider::provider;

    /// Nothing that a file may name is missing, and names and numbers are the same suites.
    #[test]
    fn every_suite_has_an_implementation() {
        let all = model::CipherSuite::ALL;
        let provider = with_suites(&provider(), all);
        assert_eq!(provider.cipher_suites.len(), all.len());
        for (given, made) in all.iter().zip(&provider.cipher_suites) {
            assert_eq!(openssl_ciphers::name(made.suite().into()), Some(given.name()));
            assert_eq!(made.tls13().is_some(), given.is_for_tls13(), "{given:?}");
        }
    }
}
