//! One direction's secret as the RFC has it (RFC 8446, sections 5.2, 7.1 and 7.2): seals what nobody
//! should send, opens what was sent, and moves on with key updates. Shares no code with the engine.

use ferrule_engine::tls::record::cipher::Protection;
use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use ring::hkdf::{self, HKDF_SHA256, HKDF_SHA384, KeyType, Prk};

pub(crate) use ferrule_engine::tls::record::cipher::Aead;

pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

const fn algorithms(aead: Aead) -> (&'static Algorithm, hkdf::Algorithm) {
    match aead {
        Aead::Aes128Gcm => (&AES_128_GCM, HKDF_SHA256),
        Aead::Aes256Gcm => (&AES_256_GCM, HKDF_SHA384),
        Aead::ChaCha20Poly1305 => (&CHACHA20_POLY1305, HKDF_SHA256),
    }
}

/// A traffic secret, and the number of the next record under it.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    aead: Aead,
    bytes: Vec<u8>,
    sequence: u64,
}

impl Secret {
    pub(crate) const fn new(aead: Aead, bytes: Vec<u8>, sequence: u64) -> Self {
        Self { aead, bytes, sequence }
    }

    /// The same keys, as if nothing had been sent.
    pub(crate) fn unused(&self) -> Self {
        Self { sequence: 0, ..self.clone() }
    }

    fn expand(&self, label: &str, len: usize) -> Vec<u8> {
        let label = format!("tls13 {label}");
        let short = |len: usize| u8::try_from(len).expect("a short label");
        let info = [&[0, short(len), short(label.len())], label.as_bytes(), &[0]];
        let prk = Prk::new_less_safe(algorithms(self.aead).1, &self.bytes);
        let mut out = vec![0; len];
        let okm = prk.expand(&info, Length(len)).expect("a legal length");
        okm.fill(&mut out).expect("that length");
        out
    }

    fn key(&self) -> LessSafeKey {
        let algorithm = algorithms(self.aead).0;
        let key = self.expand("key", algorithm.key_len());
        LessSafeKey::new(UnboundKey::new(algorithm, &key).expect("that length"))
    }

    fn nonce(&self) -> Nonce {
        let mut nonce: [u8; 12] = self.expand("iv", 12).try_into().expect("that length");
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// The engine's own view of these keys.
    pub(crate) fn protection(&self) -> Protection {
        let key = self.expand("key", algorithms(self.aead).0.key_len());
        Protection::new(self.sequence, self.aead, &key, &self.expand("iv", 12))
            .expect("right lengths")
    }

    /// The next generation of keys.
    pub(crate) fn update(&mut self) {
        self.bytes = self.expand("traffic upd", self.bytes.len());
        self.sequence = 0;
    }

    /// A record with this inner plaintext, type and padding included.
    pub(crate) fn seal_inner(&mut self, inner: &[u8]) -> Vec<u8> {
        let length = u16::try_from(inner.len() + 16).expect("a length that fits").to_be_bytes();
        let header = [23, 3, 3, length[0], length[1]];
        let mut body = inner.to_vec();
        let sealed =
            self.key().seal_in_place_append_tag(self.nonce(), Aad::from(header), &mut body);
        sealed.expect("memory");
        self.sequence += 1;
        [&header[..], &body].concat()
    }

    /// Everything in these records, which must be whole and good: types and contents. Follows key
    /// updates.
    pub(crate) fn open_all(&mut self, mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some((header, rest)) = wire.split_first_chunk::<5>() {
            let (body, rest) =
                rest.split_at(usize::from(u16::from_be_bytes([header[3], header[4]])));
            wire = rest;
            let mut body = body.to_vec();
            let inner = self.key().open_in_place(self.nonce(), Aad::from(*header), &mut body);
            let (kind, content) = inner.expect("a good record").split_last().expect("a type");
            self.sequence += 1;
            found.push((*kind, content.to_vec()));
            if *kind == HANDSHAKE && content.first() == Some(&24) {
                self.update();
            }
        }
        assert!(wire.is_empty(), "half a record");
        found
    }
}
