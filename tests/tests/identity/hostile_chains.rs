//! What a stranger's chain makes us compute before anybody knows who it is, against an honest one.
//!
//! In: chains of every kind that a peer can make up. Out: their cost in counted units, and once in time.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use ferrule_engine::identity::ClientPolicy;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::path_search::STEPS_MAX;
use ferrule_engine::identity::verify::signature_budget::{
    COST_MAX, SignatureBudget, UNANCHORED_MAX, WASTED_MAX,
};
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::identity::verify::verdict_cache::VerdictCache;
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind};
use ferrule_tools::clock;

/// 2025-01-01
const NOW: i64 = 1_735_689_600;
/// Of an honest chain: a leaf and an intermediate, on P-256.
const HONEST: u32 = 100;

struct Keys {
    dir: tempfile::TempDir,
    made: HashMap<String, Key>,
}

impl Keys {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), made: HashMap::new() }
    }

    /// The same key for the same name.
    fn of(&mut self, name: &str, kind: Kind) -> Key {
        let dir = self.dir.path().to_owned();
        self.made.entry(name.to_owned()).or_insert_with(|| Key::new(&dir, name, kind)).clone()
    }
}

fn draft(subject: &str, serial: u8, ca: bool) -> Draft {
    Draft {
        version: 3,
        serial: vec![serial],
        subject: common_name(subject),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x17, b"300101000000Z"),
        extensions: if ca { vec![basic_constraints(true, None)] } else { Vec::new() },
        digest: Digest::Sha256,
    }
}

fn issuer(name: &str, key: &Key) -> Issuer {
    Issuer { name: common_name(name), key: key.clone() }
}

/// Who is trusted: one root of this kind.
fn policy(keys: &mut Keys, kind: Kind) -> (Issuer, ClientPolicy) {
    let root = issuer("root", &keys.of("root", kind));
    let der = draft("root", 1, true).sign(&root.key, &root);
    (root, ClientPolicy::new(&[der], 9, true).expect("a policy"))
}

fn slices(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

/// The verdict, what it cost, and how many signatures that were.
fn spent(chain: &[Vec<u8>], policy: &ClientPolicy) -> (Result<(), VerifyFailure>, u32, u32) {
    let mut work = SignatureBudget::default();
    let chain = slices(chain);
    let verdict = policy.anchors().verify_within(&chain, policy.rules(NOW), &mut work, &mut |_| {});
    (verdict, work.cost(), work.signatures())
}

fn honest(keys: &mut Keys, root: &Issuer) -> Vec<Vec<u8>> {
    let sub = issuer("sub", &keys.of("sub", Kind::P256));
    let leaf = keys.of("leaf", Kind::P256);
    vec![draft("leaf", 2, false).sign(&leaf, &sub), draft("sub", 3, true).sign(&sub.key, root)]
}

/// Ten certificates: the leaf, and nine of `names` in turn, each signed with `key` by the name after it.
/// The last one's issuer is `top`.
fn ladder(key: &Key, names: &[&str], top: &str) -> Vec<Vec<u8>> {
    let name = |at: usize| names[at % names.len()];
    let mut chain = vec![draft("leaf", 1, false).sign(key, &issuer(name(0), key))];
    for at in 0..9 {
        let above = if at == 8 { top } else { name(at + 1) };
        let serial = u8::try_from(at + 10).expect("small");
        chain.push(draft(name(at), serial, true).sign(key, &issuer(above, key)));
    }
    chain
}

/// Every kind of hostile chain, by name, with keys of this kind.
fn hostile(keys: &mut Keys, kind: Kind) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let key = keys.of(&format!("{kind:?}"), kind);
    let mut loops = ladder(&key, &["a", "b"], "a");
    let mut reversed = ladder(&key, &["a", "b", "c", "d", "e", "f", "g", "h", "i"], "root");
    reversed[1..].reverse();
    let mut rooted = ladder(&key, &["a", "b", "c"], "root");
    // Nine of one name, all of them "issued" by the root.
    let mut crowd = vec![draft("leaf", 1, false).sign(&key, &issuer("sub", &key))];
    for serial in 10..19 {
        crowd.push(draft("sub", serial, true).sign(&key, &issuer("root", &key)));
    }
    // Cross-signed: everybody by everybody, and a way to the root that is none.
    let mut crossed = vec![draft("leaf", 1, false).sign(&key, &issuer("a", &key))];
    for (serial, (of, by)) in
        [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b"), ("c", "root")]
            .into_iter()
            .enumerate()
    {
        let serial = u8::try_from(serial + 10).expect("small");
        crossed.push(draft(of, serial, true).sign(&key, &issuer(by, &key)));
    }
    let own_root = draft("root", 9, true).sign(&key, &issuer("root", &key));
    let mut forged_root = crossed.clone();
    forged_root.push(own_root.clone());
    loops.truncate(10);
    rooted.truncate(10);
    vec![
        ("alternating", loops),
        ("alternating to the root", rooted),
        ("deep, in reverse", reversed),
        ("self-issued", ladder(&key, &["a"], "a")),
        ("self-issued to the root", ladder(&key, &["root"], "root")),
        ("a crowd of one name", crowd),
        ("cross-signed", crossed),
        ("cross-signed, and a root of its own", forged_root),
        ("the root's name alone", vec![draft("leaf", 1, false).sign(&key, &issuer("root", &key))]),
        ("a self-signed leaf", vec![own_root]),
    ]
}

/// Whatever its size, a key for which nobody stands computes next to nothing.
#[test]
fn a_strangers_chain_costs_about_as_much_as_an_honest_one() {
    let mut keys = Keys::new();
    let (root, policy) = policy(&mut keys, Kind::P256);
    let good = honest(&mut keys, &root);
    assert_eq!(spent(&good, &policy), (Ok(()), HONEST, 2));
    for kind in [Kind::Rsa8192, Kind::Rsa4096BigExponent, Kind::P384] {
        for (name, chain) in hostile(&mut keys, kind) {
            let (verdict, cost, signatures) = spent(&chain, &policy);
            assert!(verdict.is_err(), "{kind:?}, {name}");
            // The anchor's key is cheap, and looks at each of them once at most.
            let most = UNANCHORED_MAX + 9 * HONEST / 2;
            assert!(cost <= most, "{kind:?}, {name}: {cost} for {signatures} signatures");
            assert!(signatures <= STEPS_MAX, "{kind:?}, {name}: {signatures}");
        }
    }
}

/// Dear anchors make every chain dear; a hostile one is still bounded by a few honest ones.
#[test]
fn wrong_signatures_of_an_anchor_are_few() {
    for (kind, each) in [(Kind::P384, 500), (Kind::P521, 500), (Kind::Rsa8192, 320)] {
        let mut keys = Keys::new();
        let (root, policy) = policy(&mut keys, kind);
        let good = honest(&mut keys, &root);
        assert_eq!(spent(&good, &policy), (Ok(()), each + HONEST / 2, 2), "{kind:?}");
        for (name, chain) in hostile(&mut keys, Kind::P256) {
            let (verdict, cost, _) = spent(&chain, &policy);
            assert!(verdict.is_err(), "{kind:?}, {name}");
            assert!(cost <= WASTED_MAX, "{kind:?}, {name}: {cost}");
        }
    }
}

/// Below an anchor somebody may issue what he likes: he is bounded, too, and refused by name.
#[test]
fn a_good_chain_that_costs_too_much_is_refused() {
    let mut keys = Keys::new();
    let (root, policy) = policy(&mut keys, Kind::P384);
    let big = keys.of("big", Kind::P384);
    let certified = |count: u8| -> Vec<Vec<u8>> {
        let name = |at: u8| if at == 0 { "leaf".to_owned() } else { format!("s{at}") };
        let above = |at: u8| {
            if at == count { root.clone() } else { issuer(&name(at), &big) }
        };
        (0..count).map(|at| draft(&name(at), at + 1, at > 0).sign(&big, &above(at + 1))).collect()
    };
    // webpki takes no more.
    assert_eq!(spent(&certified(7), &policy), (Ok(()), 3500, 7));
    let (verdict, cost, signatures) = spent(&certified(9), &policy);
    assert_eq!((verdict, cost, signatures), (Err(VerifyFailure::Application), COST_MAX, 8));
}

/// Honest people with a choice of issuers still find their way.
#[test]
fn every_one_of_several_cas_of_a_name_is_found() {
    for kind in [Kind::P256, Kind::P384, Kind::Rsa2048] {
        let mut keys = Keys::new();
        let roots: Vec<Issuer> =
            (0..3).map(|at| issuer("root", &keys.of(&format!("root{at}"), kind))).collect();
        let ders: Vec<Vec<u8>> =
            roots.iter().map(|root| draft("root", 1, true).sign(&root.key, root)).collect();
        let policy = ClientPolicy::new(&ders, 3, true).expect("a policy");
        for root in &roots {
            let chain = honest(&mut keys, root);
            let (verdict, cost, signatures) = spent(&chain, &policy);
            assert_eq!(verdict, Ok(()), "{kind:?}: {cost} for {signatures}");
        }
    }
}

/// Handshakes run side by side on a core, and refused clients come again.
#[test]
fn refusals_are_remembered_side_by_side_and_forgotten_in_turn() {
    let mut keys = Keys::new();
    let (root, policy) = policy(&mut keys, Kind::P256);
    let key = keys.of("stranger", Kind::P256);
    let strangers: Vec<Vec<u8>> =
        (1..=20).map(|at| draft("leaf", at, false).sign(&key, &issuer("nobody", &key))).collect();
    let mut verdicts = VerdictCache::default();
    for _ in 0..3 {
        for leaf in &strangers {
            let verification = verdicts.get_or_verify(&[leaf], &policy, NOW);
            assert_ne!(verification.verdict, Verdict::Success);
        }
    }
    assert_eq!(verdicts.misses(), 20, "each once");
    let good = honest(&mut keys, &root);
    assert_eq!(verdicts.get_or_verify(&slices(&good), &policy, NOW).verdict, Verdict::Success);
    // Chains that nobody ever sees again drive out refusals, and never who is good.
    for at in 0..2000_u32 {
        let made_up = at.to_be_bytes();
        verdicts.get_or_verify(&[&made_up], &policy, NOW);
    }
    let before = verdicts.misses();
    verdicts.get_or_verify(&slices(&good), &policy, NOW);
    assert_eq!(verdicts.misses(), before);
    verdicts.get_or_verify(&[&strangers[0]], &policy, NOW);
    assert_eq!(verdicts.misses(), before + 1, "the oldest made way");
    // A refusal does not outlive the dates that made it.
    let later = verdicts.get_or_verify(&[&strangers[0]], &policy, 1_893_456_000);
    assert_eq!(later.verdict, Verdict::Failed(VerifyFailure::Expired));
}

/// The least of several measurements: others share the machine.
fn time(chain: &[Vec<u8>], policy: &ClientPolicy) -> Duration {
    let chain = slices(chain);
    let once = || {
        let started = clock::now();
        std::hint::black_box(verify_client(&chain, policy, NOW));
        started.elapsed()
    };
    (0..9).map(|_| once()).min().unwrap_or_default()
}

/// Ten RSA-8192 certificates in alternating order took eighty times as long as an honest chain.
#[test]
fn a_strangers_chain_takes_about_as_long_as_an_honest_one() {
    let mut keys = Keys::new();
    let (root, policy) = policy(&mut keys, Kind::P256);
    let honest = time(&honest(&mut keys, &root), &policy);
    for (name, chain) in hostile(&mut keys, Kind::Rsa8192) {
        let hostile = time(&chain, &policy);
        // Unoptimised parsing of ten large certificates is a part of it.
        assert!(hostile < honest * 12, "{name}: {hostile:?}, an honest chain {honest:?}");
    }
}

#[test]
fn big_exponents_are_paid_for() {
    let mut keys = Keys::new();
    let (usual, big) = (keys.of("usual", Kind::Rsa4096), keys.of("e", Kind::Rsa4096BigExponent));
    let cost = |key: &Key, dir: &Path| {
        assert!(dir.exists());
        let root = issuer("root", key);
        let der = draft("root", 1, true).sign(key, &root);
        let leaf = draft("leaf", 2, false).sign(key, &root);
        spent(&[leaf], &ClientPolicy::new(&[der], 1, true).expect("a policy"))
    };
    let dir = keys.dir.path().to_owned();
    assert_eq!(cost(&usual, &dir), (Ok(()), 80, 1));
    assert_eq!(cost(&big, &dir), (Ok(()), 277, 1));
}
