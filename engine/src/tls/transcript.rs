//! The transcript of a handshake whose `ClientHello` rustls was shown with one extension hidden.
//!
//! rustls ends every handshake whose server name is none (`test.com:443`, `*.x`, UTF-8); where a fallback
//! serves unknown names, such a name is one. So rustls is shown the extension under a type that nobody
//! knows ([`super::hello::UnusableName::hide`]), and the hash functions that it is given put the
//! client's own bytes back: both ends hash the same messages, and nothing else of the handshake changes.
//! The second hello, after a `HelloRetryRequest`, is shown in the same way ([`SecondHello`]).

use std::borrow::Cow;
use std::sync::OnceLock;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::handshake;
use super::hello::{HelloError, HelloReader, UnusableName};
use super::stand_in::Wrapped;

/// A record that carries nothing: clients may send it before their second flight, for the sake of
/// boxes on the way (RFC 8446, appendix D.4).
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
const HANDSHAKE: u8 = 22;

/// The server name that rustls does not see, and the hellos that had it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hidden {
    name: Vec<u8>,
    hellos: Vec<Shown>,
}

/// A hello as rustls is shown it, and where the two bytes are that are zero in the client's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Shown {
    message: Vec<u8>,
    at: usize,
}

impl Shown {
    fn new(name: &UnusableName, records: &mut [u8]) -> Self {
        let (message, at) = name.hide(records);
        Self { message, at }
    }

    /// Is this the message, its beginning, or a transcript that begins with it?
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.at + 2
            && (bytes.starts_with(&self.message) || self.message.starts_with(bytes))
    }
}

impl Hidden {
    /// Hides the name in these records.
    #[must_use]
    pub fn new(name: &UnusableName, records: &mut [u8]) -> Self {
        Self { name: name.bytes.clone(), hellos: vec![Shown::new(name, records)] }
    }

    /// The same as the client has sent it.
    pub(super) fn restored(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let hello = self.hellos.iter().find(|hello| hello.begins(bytes))?;
        let mut restored = bytes.to_vec();
        restored.get_mut(hello.at..hello.at + 2)?.fill(0);
        Some(restored)
    }
}

/// The hello that answers a `HelloRetryRequest`, where the first had a name that is none.
#[derive(Debug, Default)]
pub struct SecondHello {
    reader: HelloReader,
}

impl SecondHello {
    /// Given all that was received after the first hello: may rustls be shown it? The name is hidden
    /// then. Anything but a hello is rustls's to refuse.
    ///
    /// # Errors
    /// It can never become a hello, or not one with the same name (RFC 8446, section 4.1.2).
    pub fn read(&mut self, hidden: &mut Hidden, received: &mut [u8]) -> Result<bool, HelloError> {
        if received.len() < CHANGE_CIPHER_SPEC.len() {
            return Ok(
                !CHANGE_CIPHER_SPEC.starts_with(received) && received.first() != Some(&HANDSHAKE)
            );
        }
        let start =
            if received.starts_with(&CHANGE_CIPHER_SPEC) { CHANGE_CIPHER_SPEC.len() } else { 0 };
        let records = received.get_mut(start..).unwrap_or_default();
        if records.first().is_some_and(|kind| *kind != HANDSHAKE) {
            return Ok(true);
        }
        match self.reader.read(records) {
            Ok(None) => Ok(false),
            Ok(Some(_)) => Err(HelloError::BadServerName),
            Err(error) => {
                let name = self.reader.unusable_name().ok_or(error)?;
                if name.bytes != hidden.name {
                    return Err(HelloError::BadServerName);
                }
                hidden.hellos.push(Shown::new(&name, records));
                Ok(true)
            }
        }
    }
}

/// ring's, with hash functions that hash what the client has sent, and decrypters that know stand-ins.
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
                aead_alg: Box::leak(Box::new(Wrapped(suite.aead_alg))),
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(Wrapped(suite.aead_alg))),
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
