//! The transcript of a handshake whose `ClientHello` rustls was shown with one extension hidden.
//!
//! rustls ends every handshake whose server name is none (`test.com:443`, `*.x`, UTF-8); where a fallback
//! serves unknown names, such a name is one. So rustls is shown the extension under a type that nobody
//! knows ([`super::hello::UnusableName::hide`]), and the hash functions that it is given put the
//! client's own bytes back: both ends hash the same messages, and nothing else of the handshake changes.
//! After a `HelloRetryRequest` the second hello is not touched, and rustls refuses it.

use std::borrow::Cow;
use std::sync::OnceLock;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::handshake;

/// The message as rustls is shown it, and where the two bytes are that are zero in the client's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hidden {
    message: Vec<u8>,
    at: usize,
}

impl Hidden {
    /// As [`super::hello::UnusableName::hide`] returns it.
    #[must_use]
    pub fn new((message, at): (Vec<u8>, usize)) -> Self {
        Self { message, at }
    }

    /// Is this the message, its beginning, or a transcript that begins with it?
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.at + 2
            && (bytes.starts_with(&self.message) || self.message.starts_with(bytes))
    }

    /// The same as the client has sent it.
    pub(super) fn restored(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut restored = self.begins(bytes).then(|| bytes.to_vec())?;
        restored.get_mut(self.at..self.at + 2)?.fill(0);
        Some(restored)
    }
}

/// ring's, with hash functions that hash what the client has sent.
pub(super) fn provider() -> CryptoProvider {
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
                aead_alg: suite.aead_alg,
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: suite.aead_alg,
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
pub(super) fn as_sent(bytes: &[u8]) -> Cow<'_, [u8]> {
    handshake::restored(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}
