//! `X25519MLKEM768`: ML-KEM-768 (FIPS 203) beside X25519, so that a key is secret as long as either holds
//! (draft-ietf-tls-ecdhe-mlkem, section 4).
//!
//! | | bytes | content |
//! | --- | --: | --- |
//! | share of the client | 1,216 | encapsulation key of ML-KEM, then the public key of X25519 |
//! | share of the server | 1,120 | ciphertext of ML-KEM, then the public key of X25519 |
//! | secret | 64 | secret of ML-KEM, then that of X25519 |
//!
//! X25519 and every random byte are ring's. Keys and secrets are used for one handshake.

use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768KeyPair, MlKem768PublicKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// Of an encapsulation key (FIPS 203, table 3).
const ENCAPSULATION_KEY: usize = 1_184;
/// Of a ciphertext (FIPS 203, table 3).
const CIPHERTEXT: usize = 1_088;
/// Of a public key of X25519 (RFC 7748).
const X25519_KEY: usize = 32;
/// Of the seed of a key pair: `d` and `z` (FIPS 203, algorithm 16).
const SEED: usize = 64;
/// Of the message of an encapsulation: `m` (FIPS 203, algorithm 17).
const MESSAGE: usize = 32;

/// A share of a wrong length, or one that is no key: `illegal_parameter` (the draft, section 4.2).
const INVALID_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// The group.
#[derive(Debug)]
pub(super) struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let x25519 = X25519.start()?;
        let ml_kem = mlkem768::generate_key_pair(random::<SEED>()?);
        let share = [ml_kem.pk().as_slice(), x25519.pub_key()].concat();
        Ok(Box::new(ClientExchange { x25519, ml_kem, share }))
    }

    /// As a server: what the client has sent decides what is sent back.
    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, x25519_key) = split::<ENCAPSULATION_KEY>(client_share).ok_or(INVALID_SHARE)?;
        let key = MlKem768PublicKey::from(key);
        if !mlkem768::validate_public_key(&key) {
            return Err(INVALID_SHARE);
        }
        // Before the dearer half: a point of small order ends it here.
        let x25519 = X25519.start_and_complete(x25519_key)?;
        let (ciphertext, secret) = mlkem768::encapsulate(&key, random::<MESSAGE>()?);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), x25519.pub_key.as_slice()].concat(),
            secret: both(&secret, &x25519.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    /// TLS 1.2 has no way to carry it.
    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// As a client: what was sent, and what opens the answer.
struct ClientExchange {
    x25519: Box<dyn ActiveKeyExchange>,
    ml_kem: MlKem768KeyPair,
    share: Vec<u8>,
}

impl ActiveKeyExchange for ClientExchange {
    /// A ciphertext that was tampered with opens to another secret, and the handshake fails at its `Finished`
    /// (implicit rejection, FIPS 203, algorithm 18).
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, x25519_key) = split::<CIPHERTEXT>(server_share).ok_or(INVALID_SHARE)?;
        let x25519 = self.x25519.complete(x25519_key)?;
        let ciphertext = MlKem768Ciphertext::from(ciphertext);
        let secret = mlkem768::decapsulate(self.ml_kem.private_key(), &ciphertext);
        Ok(both(&secret, &x25519))
    }

    /// A server that knows X25519 alone needs no second `ClientHello`.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.x25519.group(), self.x25519.pub_key()))
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        server_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        self.x25519.complete(server_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// The part of ML-KEM and the part of X25519 of a share; none if its length is any other.
fn split<const ML_KEM: usize>(share: &[u8]) -> Option<(&[u8; ML_KEM], &[u8])> {
    share.split_first_chunk::<ML_KEM>().filter(|(_, x25519)| x25519.len() == X25519_KEY)
}

fn both(ml_kem: &[u8], x25519: &SharedSecret) -> SharedSecret {
    SharedSecret::from([ml_kem, x25519.secret_bytes()].concat())
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], GetRandomFailed> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| GetRandomFailed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: X25519MlKem768 = X25519MlKem768;
    const SHARE_OF_CLIENT: usize = ENCAPSULATION_KEY + X25519_KEY;
    const SHARE_OF_SERVER: usize = CIPHERTEXT + X25519_KEY;

    fn is_refused<T>(result: &Result<T, Error>) -> bool {
        matches!(result, Err(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare)))
    }

    #[test]
    fn both_ends_have_one_secret_and_no_other_has_it() {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for _ in 0..20 {
            let client = GROUP.start().unwrap();
            assert_eq!(client.pub_key().len(), SHARE_OF_CLIENT);
            let server = GROUP.start_and_complete(client.pub_key()).unwrap();
            assert_eq!(server.group, NamedGroup::X25519MLKEM768);
            assert_eq!(server.pub_key.len(), SHARE_OF_SERVER);
            let secret = client.complete(&server.pub_key).unwrap();
            assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
            assert_eq!(secret.secret_bytes().len(), 64);
            secrets.push(secret.secret_bytes().to_vec());
        }
        secrets.sort();
        secrets.dedup();
        assert_eq!(secrets.len(), 20);
    }

    #[test]
    fn a_server_that_knows_x25519_alone_answers_the_same_hello() {
        let client = GROUP.start().unwrap();
        let (group, share) = client.hybrid_component().unwrap();
        assert_eq!((group, share), (NamedGroup::X25519, &client.pub_key()[ENCAPSULATION_KEY..]));
        let server = X25519.start_and_complete(share).unwrap();
        let secret = client.complete_hybrid_component(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
    }

    #[test]
    fn a_share_of_any_other_length_is_refused() {
        for length in (0..SHARE_OF_CLIENT + 70).filter(|length| *length != SHARE_OF_CLIENT) {
            assert!(is_refused(&GROUP.start_and_complete(&vec![9; length])), "{length}");
        }
        for length in [0, 31, 32, 1_087, 1_088, 1_119, 1_121, 1_216, 65_535] {
            let client = GROUP.start().unwrap();
            assert!(is_refused(&client.complete(&vec![9; length])), "{length}");
        }
    }

    /// Three bytes hold two coefficients; one of the modulus, 3,329, or more has another spelling.
    #[test]
    fn a_coefficient_that_is_not_reduced_is_refused() {
        let client = GROUP.start().unwrap();
        for pair in [0, 1, 191, 383] {
            for half in [0, 1] {
                let mut share = client.pub_key().to_vec();
                let bytes = &mut share[pair * 3..pair * 3 + 3];
                if half == 0 {
                    bytes[0] = 0x01;
                    bytes[1] = bytes[1] & 0xf0 | 0x0d;
                } else {
                    bytes[1] = bytes[1] & 0x0f | 0x10;
                    bytes[2] = 0xd0;
                }
                assert!(is_refused(&GROUP.start_and_complete(&share)), "{pair} {half}");
            }
        }
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        for low in [0, 1] {
            let client = GROUP.start().unwrap();
            let mut share = client.pub_key().to_vec();
            share[ENCAPSULATION_KEY..].fill(0);
            share[ENCAPSULATION_KEY] = low;
            assert!(is_refused(&GROUP.start_and_complete(&share)), "{low}");
            let mut answer = GROUP.start_and_complete(client.pub_key()).unwrap().pub_key;
            answer[CIPHERTEXT..].fill(0);
            answer[CIPHERTEXT] = low;
            assert!(is_refused(&client.complete(&answer)), "{low}");
        }
    }

    #[test]
    fn each_changed_byte_changes_the_secret() {
        for at in [0, 500, CIPHERTEXT - 1, CIPHERTEXT, SHARE_OF_SERVER - 2] {
            let client = GROUP.start().unwrap();
            let server = GROUP.start_and_complete(client.pub_key()).unwrap();
            let mut answer = server.pub_key;
            answer[at] ^= 4;
            let secret = client.complete(&answer).unwrap();
            assert_ne!(secret.secret_bytes(), server.secret.secret_bytes(), "{at}");
        }
    }
}
