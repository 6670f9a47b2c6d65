//! One direction's keys: a record opened or sealed where it lies (RFC 8446, section 5.2).
//!
//! The nonce is the sequence number, made unique by never running backwards and never wrapping
//! (section 5.3); the additional data is the record's header as it is on the wire.

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use rustls::ConnectionTrafficSecrets;

use super::error::{RecordError, SealError};
use super::header::{APPLICATION_DATA, HEADER_BYTES};

/// The tag of every AEAD of TLS 1.3 that we take.
pub const TAG_BYTES: usize = 16;
/// What sealing adds to its content: header, content type, tag.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + 1 + TAG_BYTES;

/// Records that may be sealed under one AES-GCM key. Section 5.5 allows 2^24.5 full ones; rustls
/// stops at the same number as we do.
const AES_GCM_RECORDS_MAX: u64 = 1 << 24;
/// ChaCha20-Poly1305 has no limit of its own below the sequence number's (section 5.5). Far enough
/// from its end that a `KeyUpdate` and an alert always fit.
const SEQUENCE_MAX: u64 = u64::MAX - (1 << 16);

/// How records are protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aead {
    /// `TLS_AES_128_GCM_SHA256`
    Aes128Gcm,
    /// `TLS_AES_256_GCM_SHA384`
    Aes256Gcm,
    /// `TLS_CHACHA20_POLY1305_SHA256`
    ChaCha20Poly1305,
}

/// Keys, and how often they were used.
pub struct Protection {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// Of the next record; each number is used once.
    sequence: u64,
    records_max: u64,
}

impl Protection {
    /// A key and an IV that go on at this sequence number; `None` if their lengths are wrong.
    #[must_use]
    pub fn new(sequence: u64, aead: Aead, key: &[u8], iv: &[u8]) -> Option<Self> {
        let (algorithm, records_max) = match aead {
            Aead::Aes128Gcm => (&AES_128_GCM, AES_GCM_RECORDS_MAX),
            Aead::Aes256Gcm => (&AES_256_GCM, AES_GCM_RECORDS_MAX),
            Aead::ChaCha20Poly1305 => (&CHACHA20_POLY1305, SEQUENCE_MAX),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        Some(Self { key, iv: iv.try_into().ok()?, sequence, records_max })
    }

    /// What rustls agreed on; `None` if it is for no AEAD of TLS 1.3.
    #[must_use]
    pub fn of(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        let (aead, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Aead::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Aead::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (Aead::ChaCha20Poly1305, key, iv)
            }
            _ => return None,
        };
        Self::new(sequence, aead, key.as_ref(), iv.as_ref())
    }

    /// Must the next record be a `KeyUpdate`? It takes the last number that the keys may be used with.
    #[must_use]
    pub const fn is_nearly_used_up(&self) -> bool {
        self.sequence >= self.records_max - 1
    }

    /// Section 5.3: the number, padded to the left, over the IV.
    fn nonce(&self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Opens a record's body in place: its inner plaintext, padding and all.
    ///
    /// # Errors
    /// It is not what the peer sealed, or not in its turn.
    pub fn open<'b>(
        &mut self,
        header: [u8; HEADER_BYTES],
        body: &'b mut [u8],
    ) -> Result<&'b [u8], RecordError> {
        if self.sequence >= SEQUENCE_MAX {
            return Err(RecordError::NoKeys);
        }
        let opened = self.key.open_in_place(self.nonce(), Aad::from(header), body);
        let inner = opened.map_err(|_| RecordError::Forged)?;
        self.sequence += 1;
        Ok(inner)
    }

    /// Seals one record at the front of `output`; how long it is.
    ///
    /// # Errors
    /// Without room for it, or without a sequence number left.
    pub fn seal(
        &mut self,
        content_type: u8,
        content: &[u8],
        output: &mut [u8],
    ) -> Result<usize, SealError> {
        let record = output.get_mut(..OVERHEAD_BYTES + content.len()).ok_or(SealError::NoRoom)?;
        if let Some(text) = record.get_mut(HEADER_BYTES..HEADER_BYTES + content.len()) {
            text.copy_from_slice(content);
        }
        self.seal_in_place(content_type, record)?;
        Ok(OVERHEAD_BYTES + content.len())
    }

    /// Seals the whole of `record`, whose content lies where it will be: behind room for a header, in
    /// front of room for the content's type and [`TAG_BYTES`].
    ///
    /// # Errors
    /// It is no record's size, or there is no sequence number left.
    pub fn seal_in_place(&mut self, content_type: u8, record: &mut [u8]) -> Result<(), SealError> {
        if self.sequence == u64::MAX {
            return Err(SealError::Ended);
        }
        let (front, body) =
            record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(SealError::NoRoom)?;
        let length = u16::try_from(body.len()).map_err(|_| SealError::NoRoom)?.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, length[0], length[1]];
        *front = header;
        let (inner, tag) = body.split_last_chunk_mut::<TAG_BYTES>().ok_or(SealError::NoRoom)?;
        *inner.last_mut().ok_or(SealError::NoRoom)? = content_type;
        let sealed = self.key.seal_in_place_separate_tag(self.nonce(), Aad::from(header), inner);
        // Used, whatever came of it.
        self.sequence += 1;
        tag.copy_from_slice(sealed.map_err(|_| SealError::Ended)?.as_ref());
        Ok(())
    }
}
