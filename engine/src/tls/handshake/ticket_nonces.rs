//! Tickets of TLS 1.3 with nonces of eight bytes, as OpenSSL writes them.
//!
//! rustls makes nonces of 32, and small stacks (wolfSSL as it is usually built) have no room for more
//! than eight and give up. A nonce stands in two places: in the derivation of a ticket's secret, and in
//! the `NewSessionTicket` message (RFC 8446, section 4.6.1). Both are cut to the same first eight bytes:
//! the first in the key derivation that rustls is given, the second in the records that it seals. They
//! have to differ between the tickets of one connection, and are random.

use std::sync::OnceLock;

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage,
    OutboundPlainMessage, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite,
    Tls13CipherSuite,
};

/// What rustls writes.
const LONG: u8 = 32;
/// What we do.
const SHORT: u8 = 8;
/// So much less of a message.
const CUT: usize = (LONG - SHORT) as usize;

const NEW_SESSION_TICKET: u8 = 4;
/// Type and length of a handshake message.
const HEADER: usize = 4;
/// Those of a ticket, its lifetime and its `age_add`.
const BEFORE_NONCE: usize = HEADER + 4 + 4;

/// The same for servers whose tickets have short nonces. All calls are with the same suites.
pub(crate) fn shortened(provider: &CryptoProvider) -> CryptoProvider {
    static SUITES: OnceLock<Vec<SupportedCipherSuite>> = OnceLock::new();
    let suites = SUITES.get_or_init(|| provider.cipher_suites.iter().map(with_short).collect());
    CryptoProvider { cipher_suites: suites.clone(), ..provider.clone() }
}

/// Made once for each suite of the process, which keeps it for ever.
fn with_short(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let SupportedCipherSuite::Tls13(suite) = suite else { return *suite };
    let CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit } = suite.common;
    SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit },
        hkdf_provider: Box::leak(Box::new(ShortHkdf(suite.hkdf_provider))),
        aead_alg: Box::leak(Box::new(ShortAead(suite.aead_alg))),
        quic: None,
    })))
}

/// Derives tickets' secrets from short nonces.
struct ShortHkdf(&'static dyn Hkdf);

impl Hkdf for ShortHkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.0.extract_from_zero_ikm(salt)
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.0.extract_from_secret(salt, secret)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(ShortExpander(self.0.expander_for_okm(okm)))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        self.0.hmac_sign(key, message)
    }
}

struct ShortExpander(Box<dyn HkdfExpander>);

impl HkdfExpander for ShortExpander {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        self.0.expand_slice(info, output)
    }

    /// `info` is section 7.1's `HkdfLabel`, in the pieces that rustls makes of it.
    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        match *info {
            [len, label_len, prefix, label @ b"resumption", [LONG], nonce] => {
                let nonce = nonce.get(..usize::from(SHORT)).unwrap_or(nonce);
                self.0.expand_block(&[len, label_len, prefix, label, &[SHORT], nonce])
            }
            _ => self.0.expand_block(info),
        }
    }

    fn hash_len(&self) -> usize {
        self.0.hash_len()
    }
}

/// Seals tickets with short nonces.
struct ShortAead(&'static dyn Tls13AeadAlgorithm);

impl Tls13AeadAlgorithm for ShortAead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(ShortEncrypter { inner: self.0.encrypter(key, iv), cut: Shortener::default() })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
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

struct ShortEncrypter {
    inner: Box<dyn MessageEncrypter>,
    cut: Shortener,
}

impl MessageEncrypter for ShortEncrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        if message.typ != ContentType::Handshake {
            return self.inner.encrypt(message, sequence);
        }
        let shorter = self.cut.pass(&message.payload.to_vec());
        let payload = OutboundChunks::Single(&shorter);
        self.inner.encrypt(OutboundPlainMessage { payload, ..message }, sequence)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

/// Follows the handshake messages of one direction, in any fragmentation, and shortens tickets' nonces.
#[derive(Debug, Default)]
struct Shortener {
    /// Bytes of the current message that pass as they are.
    left: usize,
    /// The beginning of a message that is not long enough yet to be told: it goes with the next piece.
    kept: Vec<u8>,
}

impl Shortener {
    fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let joined = [&std::mem::take(&mut self.kept), piece].concat();
        let (mut rest, mut out) = (&joined[..], Vec::with_capacity(joined.len()));
        loop {
            let (passed, behind) = rest.split_at(self.left.min(rest.len()));
            out.extend_from_slice(passed);
            self.left -= passed.len();
            rest = behind;
            if rest.is_empty() {
                return out;
            }
            let Some((header, body)) = rest.split_first_chunk::<HEADER>() else { break };
            let [kind, high, middle, low] = *header;
            let len = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if kind != NEW_SESSION_TICKET {
                self.left = HEADER + len;
                continue;
            }
            // The nonce, too: it is not cut in two.
            let Some((times, nonce)) = body.split_at_checked(BEFORE_NONCE - HEADER) else { break };
            let Some((nonce_len, nonce)) = nonce.split_first() else { break };
            let Some(len) = len.checked_sub(CUT).filter(|_| *nonce_len == LONG) else {
                self.left = HEADER + len;
                continue;
            };
            let Some(nonce) = nonce.get(..usize::from(LONG)) else { break };
            let [_, high, middle, low] = u32::try_from(len).unwrap_or(0).to_be_bytes();
            out.extend_from_slice(&[kind, high, middle, low]);
            out.extend_from_slice(times);
            out.push(SHORT);
            out.extend_from_slice(nonce.get(..usize::from(SHORT)).unwrap_or_default());
            rest = rest.get(BEFORE_NONCE + 1 + usize::from(LONG)..).unwrap_or_default();
            self.left = len.saturating_sub(BEFORE_NONCE - HEADER + 1 + usize::from(SHORT));
        }
        self.kept = rest.to_vec();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0, len[0], len[1]], body].concat()
    }

    fn ticket(nonce: &[u8], len: usize) -> Vec<u8> {
        let nonce_len = u8::try_from(nonce.len()).unwrap();
        let body = [&[9; 8][..], &[nonce_len], nonce, &vec![7; len]].concat();
        message(NEW_SESSION_TICKET, &body)
    }

    /// However the flight is cut, it comes out whole, with short nonces and right lengths.
    #[test]
    fn nonces_are_cut_in_every_fragmentation() {
        let long: Vec<u8> = (0..32).collect();
        // What looks like a ticket within another message is none.
        let other = message(11, &ticket(&long, 3));
        let flight = [
            other.clone(),
            ticket(&long, 300),
            message(24, &[0]),
            ticket(&long, 0),
            ticket(&[1; 8], 9),
        ];
        let expected = [
            other,
            ticket(&long[..8], 300),
            message(24, &[0]),
            ticket(&long[..8], 0),
            ticket(&[1; 8], 9),
        ];
        for size in 1..=flight.concat().len() {
            let mut cut = Shortener::default();
            let out: Vec<u8> =
                flight.concat().chunks(size).flat_map(|piece| cut.pass(piece)).collect();
            assert_eq!(out, expected.concat(), "in pieces of {size}");
            assert!(cut.kept.is_empty());
        }
    }
}
