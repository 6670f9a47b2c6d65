//! Bases of constraints that have no one reading, and names that some take for an excluded one.

use ferrule_engine::identity::{ClientPolicy, Verdict, VerifyFailure, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{attribute, common_name, name};

use crate::certificates::forge::{
    ForgeKey, NOW, Party, alt_names, authority, certificate, client, constraints,
};
use crate::certificates::judges::{DEPTH, Docket};

type One = (u8, &'static [u8]);

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

struct Realm {
    keys: [ForgeKey; 3],
    anchor: Vec<u8>,
    policy: ClientPolicy,
}

impl Realm {
    fn new() -> Self {
        let keys = [ForgeKey::new(), ForgeKey::new(), ForgeKey::new()];
        let root_name = common_name("root");
        let root = Party { name: &root_name, key: &keys[0] };
        let anchor = certificate(root, root, &authority(&[]));
        let policy = ClientPolicy::new(std::slice::from_ref(&anchor), DEPTH, false);
        Self { keys, anchor, policy: policy.expect("an anchor") }
    }

    fn chain(&self, subject: &[u8], names: &[One], held: Vec<u8>) -> Vec<Vec<u8>> {
        let own = [common_name("root"), common_name("sub")];
        let root = Party { name: &own[0], key: &self.keys[0] };
        let sub = Party { name: &own[1], key: &self.keys[1] };
        let leaf = Party { name: subject, key: &self.keys[2] };
        let names = if names.is_empty() { Vec::new() } else { vec![alt_names(names)] };
        vec![certificate(leaf, sub, &client(&names)), certificate(sub, root, &authority(&[held]))]
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Verdict {
        let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        verify_client(&ders, &self.policy, NOW)
    }
}

/// Nothing is within a base that is no name, so to exclude it would exclude nothing.
#[test]
fn a_base_that_is_no_name_excludes_everybody_of_its_type() {
    let realm = Realm::new();
    let names: [One; 3] = [(EMAIL, b"x@a.b"), (DNS, b"a.b"), (URI, b"x://a.b/")];
    let bad: [&[u8]; 16] = [
        b".", b"b.", b"a.b.", b"..b", b"a..b", b" b", b"b ", b"a b", b"b\0", b"b\0.c", b"*.b",
        b"*", b"b/", b"b:1", b"[::1]", b"a@b@c@.",
    ];
    let of_one_type: [One; 9] = [
        (EMAIL, b""),
        (URI, b""),
        (EMAIL, b"@"),
        (EMAIL, b"x@"),
        (EMAIL, b"x@."),
        (EMAIL, b"x@.b"),
        (EMAIL, b"\"x\"@a.b"),
        (EMAIL, b"x y@a.b"),
        (URI, b"x://a.b"),
    ];
    let all = bad.iter().flat_map(|base| [EMAIL, DNS, URI].map(|tag| (tag, *base)));
    for base in all.chain(of_one_type) {
        for held in [constraints(&[], &[base]), constraints(&[base], &[])] {
            let name = names.iter().filter(|(tag, _)| *tag == base.0).copied();
            let chain = realm.chain(&common_name("me"), &name.collect::<Vec<_>>(), held.clone());
            assert_ne!(realm.judge(&chain), Verdict::Success, "{base:02x?}");
            // Of another type nobody is concerned.
            let others = names.iter().filter(|(tag, _)| *tag != base.0).copied();
            let chain = realm.chain(&common_name("me"), &others.collect::<Vec<_>>(), held);
            assert_eq!(realm.judge(&chain), Verdict::Success, "{base:02x?}");
        }
    }
}

#[test]
fn what_some_take_for_an_excluded_name_is_excluded() {
    const MAPPED: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3];
    const TEN: &[u8] = &[10, 0, 0, 0, 255, 0, 0, 0];
    let realm = Realm::new();
    let table: [(One, One); 9] = [
        ((EMAIL, b"ADMIN@evil.example"), (EMAIL, b"admin@evil.example")),
        ((EMAIL, b"\"admin\"@evil.example"), (EMAIL, b"admin@evil.example")),
        ((EMAIL, b"adm\\in@evil.example"), (EMAIL, b"admin@evil.example")),
        ((EMAIL, b"@evil.example"), (EMAIL, b"evil.example")),
        ((DNS, b"x.evil.example."), (DNS, b"evil.example")),
        ((DNS, b"*.example"), (DNS, b"evil.example")),
        ((DNS, b"*.evil.example"), (DNS, b"x.evil.example")),
        ((URI, b"x://evil.example./"), (URI, b"evil.example")),
        ((IP, MAPPED), (IP, TEN)),
    ];
    for (name, base) in table {
        let chain = realm.chain(&common_name("me"), &[name], constraints(&[], &[base]));
        assert_ne!(realm.judge(&chain), Verdict::Success, "{name:02x?} in {base:02x?}");
    }
    // Who excludes all of IPv6 permits IPv4 (as the Baseline Requirements have it).
    let held = constraints(&[(IP, TEN)], &[(IP, &[0; 32])]);
    let chain = realm.chain(&common_name("me"), &[(IP, &[10, 1, 2, 3])], held);
    assert_eq!(realm.judge(&chain), Verdict::Success);
}

/// Without a host among the alternative names the common name is one, in each form that
/// somebody takes for a host.
#[test]
fn a_common_name_is_held_to_constraints_of_hosts() {
    let realm = Realm::new();
    let excluded = constraints(&[], &[(DNS, b"evil.example")]);
    let permitted = constraints(&[(DNS, b"good.example")], &[]);
    for (text, outcome) in [
        ("x.evil.example", false),
        ("X.EVIL.example", false),
        ("x_y.evil.example", false),
        ("x.evil.example.", false),
        ("*.evil.example", false),
        ("*.example", false),
        ("evil.example\0", false),
        ("evil.example\0.good.example", false),
        ("somebody", true),
        ("Some Body", true),
    ] {
        for (tag, wide) in [(12, 1), (19, 1), (20, 1), (22, 1), (28, 4), (30, 2)] {
            let content: Vec<u8> =
                text.bytes().flat_map(|byte| [vec![0; wide - 1], vec![byte]].concat()).collect();
            let subject = name(&[&[attribute("2.5.4.3", tag, &content)]]);
            for held in [&excluded, &permitted] {
                let chain = realm.chain(&subject, &[(URI, b"x://a.b")], held.clone());
                let taken = realm.judge(&chain) == Verdict::Success;
                assert_eq!(taken, outcome, "{text:?} as {tag}");
            }
        }
    }
}

/// Every name under every base, permitted and excluded: what we take OpenSSL takes.
#[test]
fn names_under_bases_are_taken_as_openssl_takes_them() {
    const TEXTS: [&[u8]; 27] = [
        b"",
        b".",
        b"b",
        b".b",
        b"b.",
        b"a.b",
        b"A.B",
        b".a.b",
        b"a.b.",
        b"*.b",
        b"*.a.b",
        b"x.a.b",
        b"a_b.b",
        b"a-.b",
        b"xn--a.b",
        b"a b",
        b"a\0b",
        b"x@a.b",
        b"X@a.b",
        b"\"x\"@a.b",
        b"@a.b",
        b"x@y@a.b",
        b"x@.a.b",
        b"x://a.b/",
        b"x://a.b:1?q",
        b"x://u@a.b",
        b"urn:x",
    ];
    let realm = Realm::new();
    let mut chains = Vec::new();
    for tag in [EMAIL, DNS, URI] {
        for name in TEXTS {
            for base in TEXTS {
                for held in [constraints(&[(tag, base)], &[]), constraints(&[], &[(tag, base)])] {
                    chains.push(realm.chain(&common_name("me"), &[(tag, name)], held));
                }
            }
        }
    }
    let scratch = scratch();
    let docket = Docket::write(scratch.path(), std::slice::from_ref(&realm.anchor), &chains);
    let (mut both, mut refused) = (0, 0);
    for (chain, said) in chains.iter().zip(docket.openssl(scratch.path(), false)) {
        let verdict = realm.judge(chain);
        if verdict == Verdict::Success {
            assert!(said.accepted, "OpenSSL: {}: {:02x?}", said.words, chain[0]);
            both += 1;
        } else {
            assert_ne!(verdict, Verdict::Failed(VerifyFailure::Signature));
            refused += 1;
        }
    }
    assert!(both > 100 && refused > 2000, "{both} {refused}");
}
