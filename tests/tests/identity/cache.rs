//! Identities are shared for as long as they are true.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::rc::Rc;

use ferrule_engine::identity::{
    ClientIdentity, ClientPolicy, ClientValue, IdentityCache, IdentityPlan, Verdict, VerifyFailure,
};
use ferrule_tests::zoo::asn1::{
    attribute, basic_constraints, common_name, element, extension, name,
};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind};

const START: i64 = 1_577_836_800;
const END: i64 = 1_893_456_000;

fn draft(subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![1],
        subject,
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x17, b"300101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

/// A root, and a leaf under it.
fn certificates() -> (tempfile::TempDir, Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = Issuer { name: common_name("root"), key: Key::new(dir.path(), "root", Kind::P256) };
    let key = Key::new(dir.path(), "leaf", Kind::P256);
    let root_der =
        draft(root.name.clone(), vec![basic_constraints(true, None)]).sign(&root.key, &root);
    let subject = name(&[
        &[attribute("2.5.4.11", 12, b"ops")],
        &[attribute("2.5.4.10", 12, b"a\0b")],
        &[attribute("2.5.4.3", 12, "J\u{f6}rg, \"Ops\"".as_bytes())],
    ]);
    let names =
        element(0x30, b"\x86\x0cspiffe://b/c\x82\x09a.example\x81\x03x@y\x87\x04\x7f\0\0\x01");
    let leaf = draft(subject, vec![extension("2.5.29.17", false, &names)]).sign(&key, &root);
    (dir, root_der, leaf)
}

#[test]
fn an_identity_is_shared_until_a_date_passes() {
    let (_dir, root, leaf) = certificates();
    let policy = ClientPolicy::new(&[root], 1, true).expect("a policy");
    let other = ClientPolicy::new(&[], 1, true).expect("a policy");
    let mut wanted = IdentityPlan::default();
    wanted.add(ClientValue::Verify);
    let mut cache = IdentityCache::new();
    let chain: [&[u8]; 1] = [&leaf];
    let mut at = |server: u32, policy: &ClientPolicy, now: i64| {
        cache.get_or_make(server, &chain, Some(policy), &wanted, now)
    };
    let first = at(0, &policy, START);
    assert_eq!(first.verdict, Verdict::Success);
    assert!(Rc::ptr_eq(&first, &at(0, &policy, END - 1)));
    assert_eq!(at(0, &policy, END).verdict, Verdict::Failed(VerifyFailure::Expired));
    assert_eq!(at(0, &policy, START - 1).verdict, Verdict::Failed(VerifyFailure::NotYetValid));
    assert_eq!(at(0, &policy, START).verdict, Verdict::Success);
    let elsewhere = at(1, &other, START);
    assert_eq!(
        elsewhere.values.get(ClientValue::Verify),
        b"FAILED:unable to verify the first certificate"
    );
    let nobody = cache.get_or_make(0, &[], Some(&policy), &wanted, START);
    assert_eq!(nobody.values.get(ClientValue::Verify), b"NONE");
    let not_asked = cache.get_or_make(0, &chain, None, &wanted, START);
    assert_eq!(not_asked.verdict, Verdict::None);
    let broken: [&[u8]; 1] = [b"\x30\x00"];
    let broken = cache.get_or_make(0, &broken, Some(&policy), &wanted, START);
    assert_eq!(broken.verdict, Verdict::Failed(VerifyFailure::Unspecified));
}

#[test]
fn our_own_values_are_clean_and_proven() {
    let (_dir, root, leaf) = certificates();
    let policy = ClientPolicy::new(std::slice::from_ref(&root), 1, true).expect("a policy");
    let nobody = ClientPolicy::new(&[], 1, true).expect("a policy");
    let mut wanted = IdentityPlan::default();
    ClientValue::ALL.into_iter().for_each(|value| wanted.add(value));
    let cn = wanted.attribute("cn").expect("a short name");
    let o = wanted.attribute("o").expect("a short name");
    let ou = wanted.attribute("ou").expect("a short name");
    let chain: [&[u8]; 3] = [&leaf, &leaf, &root];
    let mut cache = IdentityCache::new();
    let known = cache.get_or_make(0, &chain, Some(&policy), &wanted, START);
    let text = |value| String::from_utf8_lossy(known.values.get(value)).into_owned();
    assert_eq!(text(cn), "J\u{f6}rg, \"Ops\"");
    assert_eq!(text(o), "", "a NUL has no safe form");
    assert_eq!(text(ou), "ops");
    assert_eq!(text(ClientValue::San), "URI:spiffe://b/c,DNS:a.example,email:x@y,IP:127.0.0.1");
    assert_eq!(text(ClientValue::SpiffeId), "spiffe://b/c");
    assert_eq!(text(ClientValue::SpkiSha256).len(), 44);
    let hash = text(ClientValue::FingerprintSha256);
    let subject = text(ClientValue::SDn);
    let expected = format!("Hash={hash};Subject=\"{subject}\";URI=spiffe://b/c;DNS=a.example");
    assert_eq!(text(ClientValue::Xfcc), expected);
    let alone = ClientIdentity::of(&[&root], Verdict::Success, &wanted);
    let root = String::from_utf8_lossy(alone.values.get(ClientValue::CertRfc9440));
    assert_eq!(text(ClientValue::ChainRfc9440), root, "the second leaf is on no path");
    for value in ClientValue::ALL {
        let bytes = known.values.get(value);
        let for_logs = matches!(value, ClientValue::Cert | ClientValue::RawCert);
        assert!(!bytes.is_empty(), "{value:?}");
        assert!(for_logs || bytes.iter().all(|byte| (0x20..0x7f).contains(byte)), "{value:?}");
    }
    let unknown = cache.get_or_make(1, &chain, Some(&nobody), &wanted, START);
    for value in [
        ClientValue::SpiffeId,
        ClientValue::Xfcc,
        ClientValue::CertRfc9440,
        ClientValue::ChainRfc9440,
    ] {
        assert_eq!(unknown.values.get(value), b"", "{value:?} is given with proof only");
    }
}
