//! Handshake transcripts as the client sent them, where rustls was shown a changed `ClientHello`.
//!
//! In: the hash functions of rustls's cipher suites. Out: the same, but what they hash has the client's own
//! bytes again where a server name was hidden ([`super::hidden_name`]). So both ends hash the same
//! messages, and nothing else of the handshake changes.

use std::borrow::Cow;
use std::sync::OnceLock;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::alert_record::AlertingAead;
use super::notes;

/// ring's, with hash functions that hash what the client has sent, and decrypters that know stand-ins.
pub(crate) fn provider() -> CryptoProvider {
    static SUITES: OnceLock<Vec<SupportedCipherSuite>> = OnceLock::new();
    let mut provider = rustls::crypto::ring::default_provider();
    let suites = SUITES.get_or_init(|| provider.cipher_suites.iter().map(restoring).collect());
    provider.cipher_suites.clone_from(suites);
    provider
}

/// Made once for each suite of the process, which keeps it for ever.
fn restoring(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let common = |common: &CipherSuiteCommon| CipherSuiteCommon {
        suite: common.suite,
        hash_provider: Box::leak(Box::new(Restoring(common.hash_provider))),
        confidentiality_limit: common.confidentiality_limit,
    };
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(AlertingAead(suite.aead_alg))),
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(AlertingAead(suite.aead_alg))),
                quic: None,
            })))
        }
    }
}

/// A hash function over what the client has sent.
struct Restoring(&'static dyn Hash);

impl Hash for Restoring {
    fn start(&self) -> Box<dyn Context> {
        Box::new(RestoringContext(self.0.start()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        self.0.hash(&as_sent(data))
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }
}

struct RestoringContext(Box<dyn Context>);

impl Context for RestoringContext {
    fn fork_finish(&self) -> Output {
        self.0.fork_finish()
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.fork()))
    }

    fn finish(self: Box<Self>) -> Output {
        self.0.finish()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(&as_sent(data));
    }
}

/// What rustls says of a handshake, as it was sent.
pub(crate) fn as_sent(bytes: &[u8]) -> Cow<'_, [u8]> {
    notes::restored(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}
