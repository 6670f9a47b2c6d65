//! Revocation lists, other ways to an anchor, and hostile chains: what is judged, and at what price.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod sets;

use ferrule_engine::identity::ClientPolicy;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::{VerificationStep, verify_client};
use ferrule_engine::identity::verify::path_search::STEPS_MAX;
use ferrule_engine::identity::verify::purpose::Purpose;
use ferrule_engine::identity::verify::revocation::{Revocation, RevocationRules};
use ferrule_engine::identity::verify::rules::VerificationRules;
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::identity::x509::certificate::Certificate;
use ferrule_engine::identity::x509::crl::{Crl, CrlError};
use ferrule_engine::identity::x509::time::Clock;
use ferrule_tests::zoo::asn1::{
    basic_constraints, common_name, element, extension, integer, sequence,
};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

const START: i64 = 1_577_836_800;
const END: i64 = 1_893_456_000;
/// 2025-01-01, between the two dates of every list here.
const NOW: i64 = 1_735_689_600;

struct World {
    _dir: tempfile::TempDir,
    key: Key,
    other: Key,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = Key::new(dir.path(), "key", Kind::P256);
        let other = Key::new(dir.path(), "other", Kind::P256);
        Self { _dir: dir, key, other }
    }

    fn issuer(&self, name: &str) -> Issuer {
        Issuer { name: common_name(name), key: self.key.clone() }
    }

    fn other(&self, name: &str) -> Issuer {
        Issuer { name: common_name(name), key: self.other.clone() }
    }

    fn leaf(&self, by: &Issuer) -> Vec<u8> {
        draft("leaf", Vec::new()).sign(&self.key, by)
    }
}

fn draft(subject: &str, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![0x11],
        subject: common_name(subject),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x17, b"300101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

fn authority(of: &Issuer, by: &Issuer, name: &str) -> Vec<u8> {
    draft(name, vec![basic_constraints(true, None)]).sign(&of.key, by)
}

fn list(revoked: &[&[u8]]) -> ListDraft {
    ListDraft {
        version: 2,
        this_update: element(0x17, b"240101000000Z"),
        next_update: element(0x17, b"260101000000Z"),
        revoked: revoked.iter().map(|serial| (serial.to_vec(), Vec::new())).collect(),
        extensions: Vec::new(),
    }
}

fn lists(ders: Vec<Vec<u8>>, (expired_refuses, missing_refuses): (bool, bool)) -> Revocation {
    let lists = ders.into_iter().map(|der| Crl::parse(der).expect("a list")).collect();
    Revocation::new(lists, RevocationRules { expired_refuses, missing_refuses })
}

#[test]
fn lists_that_say_less_than_they_seem_are_refused_by_name() {
    let world = World::new();
    let ca = world.issuer("ca");
    let with = |extensions: Vec<Vec<u8>>| ListDraft { extensions, ..list(&[&[1]]) }.sign(&ca);
    let point = |inner: &[u8]| with(vec![extension("2.5.29.28", true, &sequence(&[inner]))]);
    let entry = |extension: Vec<u8>| {
        ListDraft { revoked: vec![(vec![1], vec![extension])], ..list(&[]) }.sign(&ca)
    };
    let flag = &[0xff];
    let mut surplus = with(Vec::new());
    surplus.push(0);
    let number = extension("2.5.29.20", false, &integer(&[1]));
    let table: Vec<(Vec<u8>, Option<CrlError>)> = vec![
        (with(Vec::new()), None),
        (with(vec![number.clone()]), None),
        (point(&element(0x81, flag)), None),
        (entry(extension("2.5.29.21", false, &element(10, &[1]))), None),
        (with(vec![extension("1.2.3.4", false, &[5, 0])]), None),
        (with(vec![extension("1.2.3.4", true, &[5, 0])]), Some(CrlError::Critical)),
        (with(vec![extension("2.5.29.27", true, &integer(&[1]))]), Some(CrlError::Delta)),
        (point(&element(0x84, flag)), Some(CrlError::Indirect)),
        (point(&element(0x85, flag)), Some(CrlError::Attributes)),
        (point(&element(0x83, &[1, 6])), Some(CrlError::SomeReasons)),
        (point(&[element(0x81, flag), element(0x82, flag)].concat()), Some(CrlError::Broken)),
        (entry(extension("2.5.29.29", true, &sequence(&[]))), Some(CrlError::Indirect)),
        (entry(extension("2.5.29.21", false, &integer(&[1]))), Some(CrlError::Broken)),
        (entry(extension("2.5.29.21", false, &[10, 1])), Some(CrlError::Broken)),
        (entry(extension("1.2.3.4", true, &[5, 0])), Some(CrlError::Critical)),
        (list(&[&[1; 65]]).sign(&ca), Some(CrlError::Serial)),
        (list(&[&[]]).sign(&ca), Some(CrlError::Broken)),
        (with(vec![number.clone(), number.clone()]), Some(CrlError::Broken)),
        (ListDraft { version: 1, ..list(&[&[1]]) }.sign(&ca), None),
        (
            ListDraft { version: 1, extensions: vec![number], ..list(&[]) }.sign(&ca),
            Some(CrlError::Broken),
        ),
        (
            ListDraft { this_update: element(0x17, b"2401010000Z"), ..list(&[]) }.sign(&ca),
            Some(CrlError::Date),
        ),
        (surplus, Some(CrlError::Broken)),
        (world.leaf(&ca), Some(CrlError::Broken)),
        (Vec::new(), Some(CrlError::Broken)),
    ];
    for (at, (der, expected)) in table.into_iter().enumerate() {
        assert_eq!(Crl::parse(der).err(), expected, "case {at}");
    }
    let der = list(&[&[1], &[2]]).sign(&ca);
    for len in 0..der.len() {
        assert!(Crl::parse(der[..len].to_vec()).is_err(), "{len} bytes");
    }
}

#[test]
fn serial_numbers_are_compared_as_numbers() {
    let world = World::new();
    let ca = world.issuer("ca");
    let listed: [&[u8]; 5] = [&[0x7f], &[0, 0x80], &[0, 0, 5], &[0xff, 0xff], &[1; 20]];
    let list = Crl::parse(list(&listed).sign(&ca)).expect("a list");
    assert_eq!(list.count(), 5);
    let yes: [&[u8]; 8] =
        [&[0x7f], &[0, 0x7f], &[0, 0x80], &[5], &[0, 5], &[0xff], &[0xff, 0xff, 0xff], &[1; 20]];
    let no: [&[u8]; 5] = [&[0x80], &[0x7e], &[], &[0, 0xff], &[1; 19]];
    assert!(yes.iter().all(|serial| list.revokes(serial)));
    assert!(no.iter().all(|serial| !list.revokes(serial)));
}

/// The words are compared with nginx's elsewhere; this is what nginx has no switch for.
#[test]
fn what_is_old_or_missing_means_what_the_file_says() {
    let world = World::new();
    let (root, sub) = (world.issuer("root"), world.issuer("sub"));
    let (root_der, sub_der) = (authority(&root, &root, "root"), authority(&sub, &root, "sub"));
    let leaf = world.leaf(&sub);
    let chain: [&[u8]; 2] = [&leaf, &sub_der];
    let at = |ders: Vec<Vec<u8>>, rules: (bool, bool), skew: i64, now: i64| {
        let policy = ClientPolicy::new(std::slice::from_ref(&root_der), 1, true).expect("a policy");
        let policy = policy.with_clock_skew(skew).with_revocation(Some(lists(ders, rules)));
        verify_client(&chain, &policy, now)
    };
    let clean = || vec![list(&[]).sign(&root), list(&[&[1]]).sign(&sub)];
    let bad = || vec![list(&[]).sign(&root), list(&[&[0x11]]).sign(&sub)];
    let of_root = || vec![list(&[]).sign(&root)];
    let forged = || vec![list(&[]).sign(&root), list(&[]).sign(&world.other("sub"))];
    let next_update = 1_767_225_600;
    let failed = Verdict::Failed;
    assert_eq!(at(clean(), (true, true), 0, NOW), Verdict::Success);
    assert_eq!(at(bad(), (true, true), 0, NOW), failed(VerifyFailure::Revoked));
    assert_eq!(at(clean(), (true, true), 0, next_update), failed(VerifyFailure::CrlExpired));
    assert_eq!(at(clean(), (true, true), 1, next_update), Verdict::Success);
    assert_eq!(at(clean(), (false, true), 0, next_update), Verdict::Success);
    assert_eq!(at(bad(), (false, true), 0, next_update), failed(VerifyFailure::Revoked));
    assert_eq!(at(clean(), (false, false), 0, START), failed(VerifyFailure::CrlNotYetValid));
    assert_eq!(at(of_root(), (true, true), 0, NOW), failed(VerifyFailure::NoCrl));
    assert_eq!(at(of_root(), (true, false), 0, NOW), Verdict::Success);
    assert_eq!(at(forged(), (true, true), 0, NOW), failed(VerifyFailure::CrlSignature));
    // There are lists of this CA, so it is not one without.
    assert_eq!(at(forged(), (false, false), 0, NOW), failed(VerifyFailure::CrlSignature));
    let users = extension("2.5.29.28", true, &sequence(&[&element(0x82, &[0xff])]));
    let of_cas = ListDraft { extensions: vec![users], ..list(&[]) }.sign(&sub);
    let scoped = vec![list(&[]).sign(&root), of_cas];
    assert_eq!(at(scoped, (true, false), 0, NOW), failed(VerifyFailure::NoCrl));
}

#[test]
fn a_policy_knows_its_lists() {
    let world = World::new();
    let root = world.issuer("root");
    let der = authority(&root, &root, "root");
    let policy = |ders: Vec<Vec<u8>>, rules| {
        let policy = ClientPolicy::new(std::slice::from_ref(&der), 1, true).expect("a policy");
        policy.with_revocation(Some(lists(ders, rules)))
    };
    let (one, two) = (list(&[&[1]]).sign(&root), list(&[&[2]]).sign(&root));
    let strict = (true, true);
    let scope = |ders, rules| policy(ders, rules).scope();
    let first = scope(vec![one.clone(), two.clone()], strict);
    assert_eq!(first, scope(vec![two.clone(), one.clone()], strict), "the order means nothing");
    assert_ne!(first, scope(vec![one.clone()], strict));
    assert_ne!(first, scope(vec![one.clone(), two.clone()], (false, true)));
    assert_ne!(first, scope(vec![one.clone(), two], (true, false)));
    assert_eq!(policy(vec![one.clone()], strict).next_update(NOW), Some(1_767_225_600));
    assert_eq!(policy(vec![one.clone()], (false, true)).next_update(NOW), None);
    // What has ended beside it ends nobody's session.
    let ended = ListDraft { next_update: element(0x17, b"240201000000Z"), ..list(&[]) };
    let both = policy(vec![ended.sign(&root), one], strict);
    assert_eq!(both.next_update(NOW), Some(1_767_225_600));
}

#[test]
fn clocks_may_differ_by_what_the_file_says() {
    let world = World::new();
    let root = world.issuer("root");
    let der = authority(&root, &root, "root");
    let leaf = world.leaf(&root);
    let at = |skew: i64, now: i64| {
        let policy = ClientPolicy::new(std::slice::from_ref(&der), 1, true).expect("a policy");
        verify_client(&[&leaf], &policy.with_clock_skew(skew), now)
    };
    assert_eq!(at(0, START), Verdict::Success);
    assert_eq!(at(0, START - 1), Verdict::Failed(VerifyFailure::NotYetValid));
    assert_eq!(at(60, START - 60), Verdict::Success);
    assert_eq!(at(60, START - 61), Verdict::Failed(VerifyFailure::NotYetValid));
    assert_eq!(at(60, END + 59), Verdict::Success);
    assert_eq!(at(60, END + 60), Verdict::Failed(VerifyFailure::Expired));
}

/// Two CAs of one name, as after a roll-over without key identifiers: OpenSSL takes the first.
#[test]
fn the_other_ca_of_a_name_is_found() {
    let world = World::new();
    let (old, new) = (world.issuer("root"), world.other("root"));
    let anchors = [authority(&old, &old, "root"), authority(&new, &new, "root")];
    let policy = ClientPolicy::new(&anchors, 2, true).expect("a policy");
    for by in [&old, &new] {
        assert_eq!(verify_client(&[&world.leaf(by)], &policy, NOW), Verdict::Success);
    }
    let forged = Issuer { name: common_name("root"), key: world.key.clone() };
    let only_new = ClientPolicy::new(&anchors[1..], 2, true).expect("a policy");
    let refused = verify_client(&[&world.leaf(&forged)], &only_new, NOW);
    assert_eq!(refused, Verdict::Failed(VerifyFailure::Signature));
    // A cross-signed intermediate: the one that is sent first leads to a stranger.
    let (sub, stranger) = (world.issuer("sub"), world.issuer("stranger"));
    let leaf = world.leaf(&sub);
    let lost = authority(&sub, &stranger, "sub");
    let good = authority(&sub, &new, "sub");
    assert_eq!(verify_client(&[&leaf, &lost, &good], &policy, NOW), Verdict::Success);
    // Revoked by one of them is revoked.
    let revoking = lists(vec![list(&[&[0x11]]).sign(&new), list(&[]).sign(&sub)], (true, false));
    let strict = ClientPolicy::new(&anchors, 2, true).expect("a policy");
    let strict = strict.with_revocation(Some(revoking));
    let verdict = verify_client(&[&leaf, &good], &strict, NOW);
    assert_eq!(verdict, Verdict::Failed(VerifyFailure::Revoked));
}

/// A maze of the client's own making: every certificate may have issued every other.
#[test]
fn hostile_chains_cost_a_bounded_number_of_steps() {
    let world = World::new();
    let root = world.issuer("root");
    let root_der = authority(&root, &root, "root");
    let policy = ClientPolicy::new(&[root_der], 9, true).expect("a policy");
    let maze = world.issuer("maze");
    let cyclic: Vec<Vec<u8>> = (1..10)
        .map(|serial| {
            let mut draft = draft("maze", vec![basic_constraints(true, None)]);
            draft.serial = vec![serial];
            // Issued by itself in name, and each of them fits each.
            draft.extensions.push(extension("2.5.29.14", false, &element(4, &[serial])));
            let key_id = sequence(&[&element(0x80, &[serial % 9 + 1])]);
            if serial % 2 == 0 {
                draft.extensions.push(extension("2.5.29.35", false, &key_id));
            }
            draft.sign(&maze.key, &maze)
        })
        .collect();
    let other = world.other("loop");
    let ring = [authority(&maze, &other, "maze"), authority(&other, &maze, "loop")];
    let leaf = world.leaf(&maze);
    let chains: Vec<Vec<&[u8]>> = vec![
        std::iter::once(&leaf).chain(&cyclic).map(Vec::as_slice).collect(),
        vec![&leaf, &ring[0], &ring[1], &ring[0], &ring[1]],
        vec![&leaf; 10],
    ];
    for chain in chains {
        let (mut steps, mut paths) = (0, 0);
        let verdict =
            policy.anchors().verify_traced(&chain, policy.rules(NOW), &mut |step| match step {
                VerificationStep::Path { certificates: path, .. } => {
                    assert!(path.len() <= 11);
                    paths += 1;
                }
                VerificationStep::Searched { signatures: count } => steps += count,
            });
        assert!(verdict.is_err());
        assert!(steps <= STEPS_MAX && paths <= 9, "{steps} steps, {paths} paths");
    }
    let eleven: Vec<&[u8]> = vec![&leaf; 11];
    assert_eq!(verify_client(&eleven, &policy, NOW), Verdict::Failed(VerifyFailure::Unspecified));
}

/// An RSA key with a modulus of 2048 bits and an exponent of as many.
fn huge_exponent() -> Vec<u8> {
    let numbers = sequence(&[&integer(&[0x7f; 256]), &integer(&[0x7f; 256])]);
    sequence(&[
        &sequence(&[&ferrule_tests::zoo::asn1::oid("1.2.840.113549.1.1.1"), &[5, 0]]),
        &ferrule_tests::zoo::asn1::bit_string(0, &numbers),
    ])
}

#[test]
fn hostile_certificates_are_refused_with_a_reason() {
    let world = World::new();
    let root = world.issuer("root");
    let root_der = authority(&root, &root, "root");
    let policy = ClientPolicy::new(&[root_der], 1, true).expect("a policy");
    let with = |extensions: Vec<Vec<u8>>| draft("leaf", extensions).sign(&world.key, &root);
    let names = |count: usize| {
        let name = element(0x82, b"a.b");
        extension("2.5.29.17", false, &element(0x30, &name.repeat(count)))
    };
    let constrained = world.issuer("constrained");
    let subtrees: Vec<u8> = sequence(&[&element(0x82, b"b")]).repeat(2000);
    let constraints = sequence(&[&element(0xa1, &subtrees)]);
    let constrained_der = draft(
        "constrained",
        vec![basic_constraints(true, None), extension("2.5.29.30", true, &constraints)],
    )
    .sign(&constrained.key, &root);
    let many = draft("leaf", vec![names(5_000)]).sign(&world.key, &constrained);
    let extensions: Vec<Vec<u8>> =
        (0..100).map(|arc| extension(&format!("1.2.3.{arc}"), false, &[5, 0])).collect();
    let nested = (0..5_000).fold(vec![5, 0], |inner, _| element(0x30, &inner));
    let mut negative = draft("leaf", Vec::new());
    negative.serial = vec![0x80; 20];
    let mut strange = world.key.clone();
    strange.spki = huge_exponent();
    let rsa_ca = draft("constrained", vec![basic_constraints(true, None)]).sign(&strange, &root);
    let failed = VerifyFailure::Unspecified;
    type Case = (&'static str, Vec<Vec<u8>>, Result<(), VerifyFailure>);
    let table: Vec<Case> = vec![
        ("plain", vec![with(Vec::new())], Ok(())),
        ("4,000 names", vec![with(vec![names(4_000)])], Ok(())),
        ("20,000 names", vec![with(vec![names(20_000)])], Err(failed)),
        ("names times constraints", vec![many, constrained_der], Err(failed)),
        ("100 extensions", vec![with(extensions)], Err(failed)),
        (
            "an extension of 70 KB",
            vec![with(vec![extension("1.2.3", false, &[0; 70_000])])],
            Err(failed),
        ),
        ("deep names", vec![with(vec![extension("2.5.29.17", false, &nested)])], Err(failed)),
        ("deep, not known", vec![with(vec![extension("1.2.3", false, &nested)])], Ok(())),
        ("a negative serial", vec![negative.sign(&world.key, &root)], Ok(())),
        (
            "a huge exponent",
            vec![world.leaf(&constrained), rsa_ca],
            Err(VerifyFailure::FirstCertificate),
        ),
    ];
    for (what, chain, expected) in table {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let verdict = policy.anchors().verify(&chain, policy.rules(NOW));
        assert_eq!(verdict, expected, "{what}");
    }
    // Names hold a NUL, and are what they are: no shorter name.
    let nul = element(0x30, &element(0x82, b"a.example\0.evil"));
    let nul = with(vec![extension("2.5.29.17", false, &nul)]);
    let read = Certificate::parse(&nul).expect("OpenSSL reads it, too");
    assert_eq!(read.extensions.alt_names.expect("names").len(), 1);
    let server = VerificationRules {
        purpose: Purpose::Server,
        clock: Clock { now: NOW, skew: 0 },
        ..policy.rules(NOW)
    };
    assert_eq!(policy.anchors().verify(&[&nul], server), Ok(()), "the name is looked at elsewhere");
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement for the reader; nothing depends on it"
)]
/// A list of a million entries: its memory is its file's and four bytes for each.
#[test]
fn a_large_list_is_held_in_little_more_than_its_file() {
    let world = World::new();
    let ca = world.issuer("ca");
    let count: u32 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut entries = Vec::new();
    for number in 0..count {
        let serial = number.wrapping_mul(2_654_435_761).to_be_bytes();
        let serial = integer(&[&[1][..], &serial].concat());
        let entry = sequence(&[&serial, &element(0x17, b"240101000000Z")]);
        entries.extend(entry);
    }
    let signed = list(&[]).sign_with(&ca, &entries);
    let bytes = signed.len();
    let started = std::time::Instant::now();
    let list = Crl::parse(signed).expect("a list");
    println!("{count} entries, {bytes} bytes, read in {:?}", started.elapsed());
    assert_eq!(list.count(), count as usize);
    let serial =
        |number: u32| [&[1][..], &number.wrapping_mul(2_654_435_761).to_be_bytes()].concat();
    let started = std::time::Instant::now();
    assert!((0..count).step_by(97).all(|number| list.revokes(&serial(number))));
    println!("{} lookups in {:?}", count.div_ceil(97), started.elapsed());
    assert!(!list.revokes(&serial(count)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes come, they are read or refused, and what is read answers.
    #[test]
    fn any_bytes_are_a_list_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(list) = Crl::parse(bytes) {
            let _ = list.revokes(&[1]);
        }
    }

    #[test]
    fn exactly_what_is_listed_is_revoked(
        listed in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..30),
        asked in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let ca = world().issuer("ca");
        let serials: Vec<&[u8]> = listed.iter().map(Vec::as_slice).collect();
        let list = Crl::parse(list(&serials).sign(&ca)).expect("a list");
        assert!(listed.iter().all(|serial| list.revokes(serial)));
        let value = |serial: &[u8]| {
            let fill = if serial[0] >= 0x80 { 0xff } else { 0 };
            let mut whole = vec![fill; 20 - serial.len()];
            whole.extend(serial);
            whole
        };
        let expected = listed.iter().any(|serial| value(serial) == value(&asked));
        assert_eq!(list.revokes(&asked), expected);
    }
}

/// One for tests that need new keys no more than others.
fn world() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(World::new)
}

/// The first look at many connected clients passes over nobody whom a judgement would find.
#[test]
fn who_is_revoked_is_found_without_a_signature() {
    let world = World::new();
    let (root, below, other) = (world.issuer("root"), world.other("below"), world.issuer("other"));
    let mut middle = draft("below", vec![basic_constraints(true, None)]);
    middle.serial = vec![0x22];
    let (anchor, middle) = (authority(&root, &root, "root"), middle.sign(&world.other, &root));
    let (direct, deep) = (world.leaf(&root), world.leaf(&below));
    let nothing = || list(&[]).sign(&below);
    for (number, (found, chain, of_root)) in [
        (true, vec![&direct], list(&[&[0x11]]).sign(&root)),
        (true, vec![&direct], list(&[&[1], &[0, 0x11], &[0x33]]).sign(&root)),
        (false, vec![&direct], list(&[&[0x12]]).sign(&root)),
        (false, vec![&direct], list(&[&[0x11]]).sign(&other)),
        // The CA between is on the list; the client sends it, or it is among the listed ones.
        (true, vec![&deep, &middle], list(&[&[0x22]]).sign(&root)),
        (true, vec![&deep], list(&[&[0x22]]).sign(&root)),
        (false, vec![&deep], list(&[&[0x44]]).sign(&root)),
    ]
    .into_iter()
    .enumerate()
    {
        let policy =
            ClientPolicy::new(&[anchor.clone(), middle.clone()], 3, true).expect("anchors");
        let policy = policy.with_revocation(Some(lists(vec![of_root, nothing()], (true, false))));
        let owned: Vec<Box<[u8]>> = chain.iter().map(|der| der.as_slice().into()).collect();
        let borrowed: Vec<&[u8]> = chain.iter().map(|der| der.as_slice()).collect();
        assert_eq!(policy.may_have_revoked(&owned), found, "case {number}");
        let verdict = verify_client(&borrowed, &policy, NOW);
        assert_eq!(verdict == Verdict::Failed(VerifyFailure::Revoked), found, "case {number}");
    }
}
