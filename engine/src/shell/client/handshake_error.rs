//! Why a client connection did not come about.

use crate::identity::VerifyFailure;
use crate::plan::Forbidden;
use crate::report::HandshakeFault;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::SessionError;
use crate::tls::handshake::hello::HelloError;

/// A TLS handshake that failed.
pub(crate) struct HandshakeError {
    /// The server name that the client asked for, as far as it is known.
    pub(crate) server_name: Option<Box<str>>,
    /// What was wrong.
    pub(crate) cause: HandshakeCause,
}

/// Why a TLS handshake failed.
pub(crate) enum HandshakeCause {
    /// The first bytes are no hello that we take.
    Hello(HelloError),
    /// Nothing is configured for the server name.
    UnknownName,
    /// The certificate is not good.
    Certificate {
        /// OpenSSL's reason.
        failure: VerifyFailure,
        /// The chain that the client showed.
        chain: Vec<Vec<u8>>,
    },
    /// The client is on no allow list, or on a deny list.
    Forbidden {
        /// Which of these.
        forbidden: Forbidden,
        /// The chain that the client showed.
        chain: Vec<Vec<u8>>,
    },
    /// rustls read another server name than we did.
    NameDiffers,
    /// The connection ended, or rustls refused what the client sent.
    Stream(StreamError),
}

impl HandshakeCause {
    /// The error of a handshake for this server name.
    #[must_use]
    pub(crate) fn for_name(self, server_name: Option<String>) -> HandshakeError {
        HandshakeError { server_name: server_name.map(String::into_boxed_str), cause: self }
    }
}

impl HandshakeError {
    /// What the handshake counts as.
    #[must_use]
    pub(crate) fn fault(&self) -> HandshakeFault {
        match &self.cause {
            HandshakeCause::Hello(HelloError::PlainHttp) => HandshakeFault::PlainHttp,
            HandshakeCause::Hello(HelloError::NotTls) => HandshakeFault::NotTls,
            HandshakeCause::Hello(HelloError::Unexpected) => HandshakeFault::UnexpectedMessage,
            HandshakeCause::Hello(HelloError::Malformed | HelloError::RecordTooLong) => {
                HandshakeFault::MalformedHello
            }
            HandshakeCause::Hello(HelloError::BadServerName) => HandshakeFault::BadServerName,
            HandshakeCause::Hello(HelloError::TooLarge) => HandshakeFault::HelloTooLarge,
            HandshakeCause::Hello(HelloError::TooOld | HelloError::MissingExtension) => {
                HandshakeFault::NothingInCommon
            }
            HandshakeCause::UnknownName => HandshakeFault::UnknownName,
            HandshakeCause::NameDiffers => HandshakeFault::AmbiguousName,
            HandshakeCause::Certificate { failure, .. } => HandshakeFault::Certificate(*failure),
            HandshakeCause::Forbidden { forbidden: Forbidden::Denied, .. } => {
                HandshakeFault::Denied
            }
            HandshakeCause::Forbidden { .. } => HandshakeFault::NotAllowed,
            HandshakeCause::Stream(cut) => match cut {
                StreamError::Ended | StreamError::Tls(SessionError::Closed) => {
                    HandshakeFault::ClientLeft
                }
                StreamError::Failed(_) => HandshakeFault::ConnectionFailed,
                StreamError::TimedOut => HandshakeFault::TimedOut,
                StreamError::Tls(SessionError::Exhausted) => HandshakeFault::Internal,
                StreamError::Tls(SessionError::Record(_)) => HandshakeFault::Protocol,
                StreamError::Tls(SessionError::Tls(error)) => match &**error {
                    rustls::Error::NoCertificatesPresented => HandshakeFault::NoCertificate,
                    rustls::Error::PeerIncompatible(_) => HandshakeFault::NothingInCommon,
                    rustls::Error::AlertReceived(_) => HandshakeFault::ClientAlert,
                    _ => HandshakeFault::Protocol,
                },
            },
        }
    }

    /// The reason in words, for the log.
    #[must_use]
    pub(crate) fn detail(&self) -> String {
        match &self.cause {
            HandshakeCause::Hello(error) => error.text().to_owned(),
            HandshakeCause::UnknownName => "unknown server name".to_owned(),
            HandshakeCause::Certificate { failure, .. } => {
                format!("client certificate: {}", failure.text())
            }
            HandshakeCause::Forbidden { forbidden, .. } => forbidden.word().to_owned(),
            HandshakeCause::NameDiffers => "its server name is ambiguous".to_owned(),
            HandshakeCause::Stream(cut) => cut_reason(cut),
        }
    }
}

fn cut_reason(cut: &StreamError) -> String {
    match cut {
        StreamError::Ended => "the client left".to_owned(),
        StreamError::Failed(kind) => kind.to_string(),
        StreamError::TimedOut => "it took too long".to_owned(),
        StreamError::Tls(SessionError::Tls(error)) => tls_reason(error),
        StreamError::Tls(SessionError::Record(fault)) => fault.text().to_owned(),
        StreamError::Tls(SessionError::Closed) => "the client ended the session".to_owned(),
        StreamError::Tls(SessionError::Exhausted) => "no room".to_owned(),
    }
}

/// rustls's reason, in words where its own are names of its code.
fn tls_reason(error: &rustls::Error) -> String {
    use rustls::PeerIncompatible;
    let rustls::Error::PeerIncompatible(missing) = error else { return error.to_string() };
    let words = match missing {
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite in common",
        PeerIncompatible::NoSignatureSchemesInCommon => "no signature scheme in common",
        PeerIncompatible::NoKxGroupsInCommon => "no key exchange group in common",
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature scheme in common for the client's certificate"
        }
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "no protocol version in common"
        }
        PeerIncompatible::UncompressedEcPointsRequired => "it does not take uncompressed points",
        _ => return error.to_string(),
    };
    words.to_owned()
}
