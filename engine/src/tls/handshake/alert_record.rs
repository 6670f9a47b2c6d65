//! What makes rustls say the alert that we want, where it has another or none.
//!
//! Only rustls can protect an alert, and it says one when a record cannot be opened. So its decrypters
//! are wrapped: a record made by `stand_in` names the alert, and it is said whatever state the connection
//! is in. Records that open to a type that does not belong there, or to an alert or a handshake message
//! without content, are unexpected messages (RFC 8446, sections 5 and 5.4); rustls has other words for them.

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion,
};

use crate::tls::record::error::{BAD_RECORD_MAC, DECODE_ERROR, RECORD_OVERFLOW};

const APPLICATION_DATA: u8 = 23;

/// In the version of a record, with the alert in its lower bits. No version is as high.
const MARK: u8 = 0x80;

/// rustls says `unexpected_message` at this one, and at no other of a decrypter's.
const UNEXPECTED: Error = Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec);

/// A record that is answered with this alert once what rustls reads is protected, and with
/// `unexpected_message` before.
#[must_use]
pub const fn alert_record(alert: u8) -> [u8; 6] {
    [APPLICATION_DATA, 3, MARK | alert, 0, 1, 0]
}

/// Why a stand-in is not opened; `None` for records of peers.
fn named(version: ProtocolVersion) -> Option<Error> {
    let [3, minor] = u16::from(version).to_be_bytes() else { return None };
    (minor & MARK != 0).then(|| match minor ^ MARK {
        BAD_RECORD_MAC => Error::DecryptError,
        RECORD_OVERFLOW => Error::PeerSentOversizedRecord,
        DECODE_ERROR => Error::InvalidMessage(InvalidMessage::MessageTooLarge),
        _ => UNEXPECTED,
    })
}

/// Decrypters that know stand-ins.
pub(crate) struct AlertingAead<A: ?Sized + 'static>(pub(crate) &'static A);

impl Tls13AeadAlgorithm for AlertingAead<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(AlertingDecrypter(self.0.decrypter(key, iv)))
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }
}

impl Tls12AeadAlgorithm for AlertingAead<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(AlertingDecrypter(self.0.decrypter(key, iv)))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }
}

struct AlertingDecrypter(Box<dyn MessageDecrypter>);

impl MessageDecrypter for AlertingDecrypter {
    fn decrypt<'a>(
        &mut self,
        record: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        if let Some(error) = named(record.version) {
            return Err(error);
        }
        match self.0.decrypt(record, sequence) {
            Ok(plain) => match plain.typ {
                ContentType::ApplicationData => Ok(plain),
                ContentType::Handshake | ContentType::Alert if !plain.payload.is_empty() => {
                    Ok(plain)
                }
                _ => Err(UNEXPECTED),
            },
            // Nothing but padding: its type is zero.
            Err(Error::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext)) => Err(UNEXPECTED),
            Err(error) => Err(error),
        }
    }
}
