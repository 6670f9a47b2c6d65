//! The crypto provider of every TLS connection.

use rustls::crypto::CryptoProvider;

use super::handshake::transcript;
use super::signatures;

/// ring, whatever else verifies signatures of peers, and transcripts as the peer sent them.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        signature_verification_algorithms: signatures::SUPPORTED,
        ..transcript::provider()
    }
}
