//! Why a client connection did not come about.

use crate::identity::VerifyFailure;
use crate::plan::Forbidden;
use crate::shell::transport::stream_error::StreamError;
use crate::tls::hello::HelloError;

/// Why a client connection did not come to be.
pub enum HandshakeError {
    /// Its first bytes are not a hello we take.
    Hello(HelloError),
    /// Nothing is configured for its server name.
    UnknownName(Option<String>),
    /// The certificate is not good, for OpenSSL's reason; with what was shown.
    Certificate(Option<String>, VerifyFailure, Vec<Vec<u8>>),
    /// The client is on no allow list, or on a deny list; with what was shown.
    Forbidden(Option<String>, Forbidden, Vec<Vec<u8>>),
    /// rustls read another server name than we did.
    NameDiffers(Option<String>),
    /// The handshake failed.
    Handshake(Option<String>, StreamError),
}
