//! Where two ways of judging could differ, or a comparison could be had for nothing: names, keys and
//! CAs that are not what they seem.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use ferrule_engine::identity::ClientPolicy;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::revocation::{Revocation, RevocationRules};
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_tests::now;
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element, extension, sequence};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft};

/// 2025-01-01
const NOW: i64 = 1_735_689_600;

fn draft(subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![0x11],
        subject,
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x17, b"300101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

fn ca(of: &Issuer, by: &Issuer, more: &[Vec<u8>]) -> Vec<u8> {
    let extensions = [&[basic_constraints(true, None)], more].concat();
    draft(of.name.clone(), extensions).sign(&of.key, by)
}

fn policy(anchors: &[Vec<u8>]) -> ClientPolicy {
    ClientPolicy::new(anchors, 2, true).expect("a policy")
}

fn keys<const N: usize>(kinds: [Kind; N]) -> (tempfile::TempDir, [Key; N]) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut at = 0;
    let keys = kinds.map(|kind| {
        at += 1;
        Key::new(dir.path(), &format!("key{at}"), kind)
    });
    (dir, keys)
}

/// `excluded` subtrees of this kind.
fn excluding(bases: &[u8]) -> Vec<u8> {
    extension("2.5.29.30", true, &sequence(&[&element(0xa1, bases)]))
}

fn no_such_directory() -> Vec<u8> {
    excluding(&sequence(&[&element(0xa4, &common_name("nobody"))]))
}

#[test]
fn a_list_counts_however_its_issuer_is_spelt() {
    let (_dir, [key]) = keys([Kind::P256]);
    let root = Issuer { name: common_name("Root CA"), key: key.clone() };
    let anchor = ca(&root, &root, &[]);
    let leaf = draft(common_name("leaf"), Vec::new()).sign(&key, &root);
    let printable = |text: &str| {
        let value = element(0x13, text.as_bytes());
        let cn = element(6, &[0x55, 4, 3]);
        sequence(&[&element(0x31, &sequence(&[&cn, &value]))])
    };
    let at = |name: Vec<u8>, key: &Key| {
        let list = ListDraft {
            version: 2,
            this_update: element(0x17, b"240101000000Z"),
            next_update: element(0x17, b"260101000000Z"),
            revoked: vec![(vec![0x11], Vec::new())],
            extensions: Vec::new(),
        };
        let list = Crl::parse(list.sign(&Issuer { name, key: key.clone() })).expect("a list");
        let rules = RevocationRules { expired_refuses: true, missing_refuses: false };
        let lists = Revocation::new(vec![list], rules);
        verify_client(
            &[&leaf],
            &policy(std::slice::from_ref(&anchor)).with_revocation(Some(lists)),
            NOW,
        )
    };
    let revoked = Verdict::Failed(VerifyFailure::Revoked);
    for name in ["Root CA", "ROOT  ca", " Root CA "] {
        assert_eq!(at(printable(name), &key), revoked, "{name}");
    }
    assert_eq!(at(printable("Root CB"), &key), Verdict::Success);
}

#[test]
fn a_ca_is_no_client_whatever_names_are_constrained() {
    let (_dir, [key, other]) = keys([Kind::P256, Kind::P256]);
    let root = Issuer { name: common_name("root"), key };
    let leaf_is_ca = |anchor: &[u8]| {
        let extensions = vec![basic_constraints(true, None)];
        let leaf = draft(common_name("leaf"), extensions).sign(&other, &root);
        verify_client(&[&leaf], &policy(&[anchor.to_vec()]), NOW)
    };
    let refused = Verdict::Failed(VerifyFailure::Application);
    assert_eq!(leaf_is_ca(&ca(&root, &root, &[])), refused);
    assert_eq!(leaf_is_ca(&ca(&root, &root, &[no_such_directory()])), refused);
    let plain = draft(common_name("leaf"), Vec::new()).sign(&other, &root);
    let anchor = ca(&root, &root, &[no_such_directory()]);
    assert_eq!(verify_client(&[&plain], &policy(&[anchor]), NOW), Verdict::Success);
}

#[test]
fn a_weak_key_is_weak_on_every_way() {
    let (_dir, [one, two, weak]) = keys([Kind::P256, Kind::P256, Kind::Rsa1024]);
    let first = Issuer { name: common_name("root"), key: one };
    let second = Issuer { name: common_name("root"), key: two };
    let anchors = [ca(&first, &first, &[]), ca(&second, &second, &[])];
    let leaf = |by: &Issuer| draft(common_name("leaf"), Vec::new()).sign(&weak, by);
    let refused = Verdict::Failed(VerifyFailure::LeafKeyTooSmall);
    assert_eq!(verify_client(&[&leaf(&first)], &policy(&anchors), NOW), refused);
    // The first of that name has not signed it; its word stays, as no other way is good.
    let other = verify_client(&[&leaf(&second)], &policy(&anchors), NOW);
    assert!(matches!(other, Verdict::Failed(_)), "{other:?}");
}

#[test]
fn of_two_listed_clients_of_one_name_both_are_taken() {
    let (_dir, [one, two]) = keys([Kind::P256, Kind::P256]);
    let own = |key: &Key| {
        let issuer = Issuer { name: common_name("me"), key: key.clone() };
        draft(common_name("me"), Vec::new()).sign(key, &issuer)
    };
    let listed = [own(&one), own(&two)];
    for der in &listed {
        assert_eq!(verify_client(&[der], &policy(&listed), NOW), Verdict::Success);
    }
    let stranger = verify_client(&[&own(&two)], &policy(&listed[..1]), NOW);
    assert_eq!(stranger, Verdict::Failed(VerifyFailure::SelfSignedLeaf));
}

#[test]
fn a_client_of_countless_names_is_refused_unheard() {
    let (_dir, [key]) = keys([Kind::P256]);
    let root = Issuer { name: common_name("root"), key: key.clone() };
    let anchor = ca(&root, &root, &[]);
    let attribute = sequence(&[&element(6, &[0x55, 4, 3]), &element(12, b"x")]);
    let called = |count: usize| {
        let subject = sequence(&[&element(0x31, &attribute.repeat(count))]);
        let leaf = draft(subject, Vec::new()).sign(&key, &root);
        verify_client(&[&leaf], &policy(std::slice::from_ref(&anchor)), NOW)
    };
    assert_eq!(called(128), Verdict::Success);
    assert_eq!(called(129), Verdict::Failed(VerifyFailure::Unspecified));
}

/// Nobody has signed it, so it must cost next to nothing: this took seconds once.
#[test]
fn constraints_of_strangers_cost_little() {
    let (_dir, [key]) = keys([Kind::P256]);
    let root = Issuer { name: common_name("root"), key: key.clone() };
    let anchor = ca(&root, &root, &[]);
    let stranger = Issuer { name: common_name("stranger"), key: key.clone() };
    let attribute = |kind: u8| sequence(&[&element(6, &[kind]), &element(12, b"")]);
    let crowd = sequence(&[&element(0x31, &attribute(0x2a).repeat(133))]);
    let alt_names = sequence(&[&element(0xa4, &crowd).repeat(30)]);
    let base = sequence(&[&element(0x31, &attribute(0x2b))]);
    let bases = sequence(&[&element(0xa4, &base)]).repeat(1950);
    let by = Issuer { name: common_name("nobody"), key: key.clone() };
    let own = ca(&stranger, &by, &[excluding(&bases)]);
    let extensions = vec![extension("2.5.29.17", false, &alt_names)];
    let leaf = draft(common_name("leaf"), extensions).sign(&key, &stranger);
    let started = now();
    let verdict = verify_client(&[&leaf, &own], &policy(&[anchor]), NOW);
    let time = started.elapsed();
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    assert!(time < Duration::from_secs(1), "{time:?}");
}
