//! What ML-KEM-768 must answer: Wycheproof's vectors, and a second implementation asked the same.

use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey};
use ml_kem::{Decapsulate as _, KeyExport as _, MlKem768};
use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

/// All tests of a file: whether they must hold, and what they hold.
fn each(name: TestName, mut check: impl FnMut(bool, &wycheproof::mlkem::Test)) -> usize {
    let set = TestSet::load(name).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    tests.map(|test| check(test.result == TestResult::Valid, test)).count()
}

#[test]
fn keys_are_made_of_their_seeds() {
    let count = each(TestName::MlKem768KeyGenSeed, |valid, test| {
        let seed = test.seed.as_ref().unwrap().as_slice().try_into().unwrap();
        let pair = mlkem768::generate_key_pair(seed);
        let same = pair.pk().as_slice() == test.encaps_key.as_ref().unwrap().as_slice()
            && pair.sk().as_slice() == test.decaps_key.as_ref().unwrap().as_slice();
        assert_eq!(same, valid, "{}", test.tc_id);
    });
    assert!(count > 50, "{count}");
}

#[test]
fn encapsulation_keys_are_checked_and_used() {
    let mut refused = 0;
    let count = each(TestName::MlKem768Encaps, |valid, test| {
        let key = MlKem768PublicKey::try_from(test.encaps_key.as_ref().unwrap().as_slice());
        let key = key.ok().filter(mlkem768::validate_public_key);
        assert_eq!(key.is_some(), valid, "{}", test.tc_id);
        let Some(key) = key else {
            refused += 1;
            return;
        };
        let message = test.msg.as_ref().unwrap().as_slice().try_into().unwrap();
        let (ciphertext, secret) = mlkem768::encapsulate(&key, message);
        assert_eq!(ciphertext.as_slice(), test.ct.as_ref().unwrap().as_slice(), "{}", test.tc_id);
        assert_eq!(secret.as_slice(), test.shared_secret.as_ref().unwrap().as_slice());
    });
    assert!(count > 50 && refused > 10, "{count}, {refused} refused");
}

/// Tampered ciphertexts among them: implicit rejection has an answer of its own.
#[test]
fn ciphertexts_open_to_the_secret_or_to_another() {
    let count = each(TestName::MlKem768, |valid, test| {
        let seed = <[u8; 64]>::try_from(test.seed.as_ref().unwrap().as_slice());
        let ciphertext = MlKem768Ciphertext::try_from(test.ct.as_ref().unwrap().as_slice());
        let (Ok(seed), Ok(ciphertext)) = (seed, ciphertext) else {
            assert!(!valid, "{}", test.tc_id);
            return;
        };
        let pair = mlkem768::generate_key_pair(seed);
        let secret = mlkem768::decapsulate(pair.private_key(), &ciphertext);
        let known = test.shared_secret.as_ref().unwrap();
        assert_eq!(secret.as_slice() == known.as_slice(), valid, "{}", test.tc_id);
    });
    assert!(count > 10, "{count}");
}

#[test]
fn another_implementation_says_the_same() {
    let mut bytes = 0_u8;
    let mut next = || {
        bytes = bytes.wrapping_mul(157).wrapping_add(71);
        bytes
    };
    for _ in 0..100 {
        let (mut seed, mut message) = ([0; 64], [0; 32]);
        seed.fill_with(&mut next);
        message.fill_with(&mut next);
        let ours = mlkem768::generate_key_pair(seed);
        let theirs = ml_kem::DecapsulationKey::<MlKem768>::from_seed(seed.into());
        assert_eq!(ours.pk().as_slice(), theirs.encapsulation_key().to_bytes().as_slice());
        let (ciphertext, secret) = mlkem768::encapsulate(ours.public_key(), message);
        let (other, other_secret) =
            theirs.encapsulation_key().encapsulate_deterministic(&message.into());
        assert_eq!(ciphertext.as_slice()[..], other[..]);
        assert_eq!(secret.as_slice(), &other_secret[..]);
        let mut tampered = *ciphertext.as_slice();
        for at in [0, usize::from(seed[0]) * 4, tampered.len() - 1] {
            tampered[at] ^= 1 << (seed[1] & 7);
            let secret = decapsulate(ours.private_key(), &tampered);
            assert_eq!(secret.as_slice(), &theirs.decapsulate(&tampered.into())[..]);
        }
    }
}

fn decapsulate(key: &MlKem768PrivateKey, ciphertext: &[u8; 1_088]) -> [u8; 32] {
    mlkem768::decapsulate(key, &MlKem768Ciphertext::from(ciphertext))
}
