//! Kinds of certificates that public suites hold against path validation, each with the outcome that
//! docs/identity.md tells. OpenSSL judges the same chains: what it refuses is not taken.

use ferrule_engine::identity::{ClientPolicy, Verdict, VerifyFailure, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{
    attribute, basic_constraints, common_name, element, extended, extension, key_usage, name, oid,
    sequence,
};

use crate::certificates::forge::{
    CLIENT_AUTH, ForgeKey, NOW, Party, alt_names, authority, certificate, client, constraints,
};
use crate::certificates::judges::{DEPTH, Docket};

/// A certificate of a chain: its name and its extensions. The key and its identifier are those of its
/// place.
struct Rung {
    name: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

/// A kind: the root's extensions, and what is below it, the leaf last.
struct Kind {
    what: &'static str,
    root: Vec<Vec<u8>>,
    below: Vec<Rung>,
    expected: Result<(), VerifyFailure>,
}

const ROOT: &str = "root";

fn rung(name: &str, extensions: Vec<Vec<u8>>) -> Rung {
    Rung { name: common_name(name), extensions }
}

fn ca(path_len: Option<u8>) -> Vec<Vec<u8>> {
    vec![basic_constraints(true, path_len), key_usage(0x06)]
}

/// The chain, leaf first, and its root.
fn forge(kind: &Kind, keys: &[ForgeKey]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let id = |at: usize| u8::try_from(at).expect("few");
    let key_ids = |at: usize| {
        let own = extension("2.5.29.14", false, &element(4, &[id(at)]));
        let issuer = element(0x80, &[id(at.saturating_sub(1))]);
        vec![own, extension("2.5.29.35", false, &sequence(&[&issuer]))]
    };
    // An extension of its own stands for the usual one.
    let with = |own: &[Vec<u8>], at: usize| {
        let kind = |one: &Vec<u8>| one[2..7].to_vec();
        let more =
            key_ids(at).into_iter().filter(|more| own.iter().all(|one| kind(one) != kind(more)));
        own.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let root_name = common_name(ROOT);
    let root = Party { name: &root_name, key: &keys[0] };
    let anchor = certificate(root, root, &with(&kind.root, 0));
    let mut chain = Vec::new();
    let mut issuer = root;
    for (at, rung) in kind.below.iter().enumerate() {
        let of = Party { name: &rung.name, key: &keys[at + 1] };
        chain.insert(0, certificate(of, issuer, &with(&rung.extensions, at + 1)));
        issuer = of;
    }
    (chain, anchor)
}

/// Each kind gets its outcome, and OpenSSL takes whatever we take.
fn hold(kinds: &[Kind]) {
    let keys: Vec<ForgeKey> = (0..6).map(|_| ForgeKey::new()).collect();
    let scratch = scratch();
    for kind in kinds {
        let (chain, anchor) = forge(kind, &keys);
        let anchors = [anchor];
        let policy = ClientPolicy::new(&anchors, DEPTH, false).expect("an anchor");
        let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let expected = match kind.expected {
            Ok(()) => Verdict::Success,
            Err(failure) => Verdict::Failed(failure),
        };
        assert_eq!(verify_client(&ders, &policy, NOW), expected, "{}", kind.what);
        let docket = Docket::write(scratch.path(), &anchors, std::slice::from_ref(&chain));
        let said = docket.openssl(scratch.path(), false).remove(0);
        assert!(said.accepted || kind.expected.is_err(), "{}: OpenSSL: {}", kind.what, said.words);
    }
}

fn leaf() -> Rung {
    rung("me", client(&[]))
}

#[test]
fn self_issued_intermediates_use_up_no_path_length() {
    let long = Err(VerifyFailure::PathLength);
    let kind = |what, root, below, expected| Kind { what, root, below, expected };
    hold(&[
        kind(
            "length 0, a new key of the root",
            ca(Some(0)),
            vec![rung(ROOT, ca(None)), leaf()],
            Ok(()),
        ),
        kind(
            "length 0, another CA",
            ca(None),
            vec![rung("a", ca(Some(0))), rung("b", ca(None)), leaf()],
            long,
        ),
        kind(
            "length 0, a new key of its own",
            ca(None),
            vec![rung("a", ca(Some(0))), rung("a", ca(None)), leaf()],
            Ok(()),
        ),
        kind(
            "length 0, a new key and another CA",
            ca(None),
            vec![rung("a", ca(Some(0))), rung("a", ca(None)), rung("b", ca(None)), leaf()],
            long,
        ),
        kind(
            "length 1, a new key and another CA",
            ca(None),
            vec![rung("a", ca(Some(1))), rung("a", ca(None)), rung("b", ca(None)), leaf()],
            Ok(()),
        ),
        kind(
            "length 1, then length 0 of the new key",
            ca(None),
            vec![rung("a", ca(Some(1))), rung("a", ca(Some(0))), rung("b", ca(None)), leaf()],
            long,
        ),
        kind(
            "length 127",
            ca(None),
            vec![rung("a", ca(Some(0x7f))), rung("b", ca(None)), leaf()],
            Ok(()),
        ),
    ]);
}

#[test]
fn the_subject_of_a_self_issued_intermediate_is_not_constrained() {
    let acme = |last: &str| {
        name(&[&[attribute("2.5.4.10", 12, b"Acme")], &[attribute("2.5.4.3", 12, last.as_bytes())]])
    };
    let base = name(&[&[attribute("2.5.4.10", 19, b"ACME")]]);
    let held = |side: &str| match side {
        "permitted" => constraints(&[(0xa4, &base)], &[]),
        _ => constraints(&[], &[(0xa4, &base)]),
    };
    let of_ca = |side: &str| [&ca(None)[..], &[held(side)]].concat();
    let outside = Err(VerifyFailure::Subtree);
    hold(&[
        Kind {
            what: "a new key under its own name, which is not permitted",
            root: ca(None),
            below: vec![
                rung("a", of_ca("permitted")),
                rung("a", ca(None)),
                Rung { name: acme("me"), extensions: client(&[]) },
            ],
            expected: Ok(()),
        },
        Kind {
            what: "another CA whose name is not permitted",
            root: ca(None),
            below: vec![
                rung("a", of_ca("permitted")),
                rung("b", ca(None)),
                Rung { name: acme("me"), extensions: client(&[]) },
            ],
            expected: outside,
        },
        Kind {
            what: "a leaf below a new key, not permitted",
            root: ca(None),
            below: vec![rung("a", of_ca("permitted")), rung("a", ca(None)), leaf()],
            expected: outside,
        },
        Kind {
            what: "a self-issued leaf is held to its issuer's constraints",
            root: ca(None),
            below: vec![rung("a", of_ca("permitted")), rung("a", client(&[]))],
            expected: outside,
        },
        Kind {
            what: "an excluded name of its own, and a leaf elsewhere",
            root: ca(None),
            below: vec![
                Rung { name: acme("ca"), extensions: of_ca("excluded") },
                Rung { name: acme("ca"), extensions: ca(None) },
                leaf(),
            ],
            expected: Ok(()),
        },
    ]);
}

#[test]
fn alternative_names_of_a_self_issued_intermediate_are_not_constrained() {
    let host = |bases: &[(u8, &[u8])]| [&ca(None)[..], &[constraints(bases, &[])]].concat();
    let named = |text: &[u8]| client(&[alt_names(&[(0x82, text)])]);
    let bad_host = [&ca(None)[..], &[alt_names(&[(0x82, b"bad.example")])]].concat();
    let outside = Err(VerifyFailure::Subtree);
    hold(&[
        Kind {
            what: "a host of a self-issued CA",
            root: ca(None),
            below: vec![
                rung("a", host(&[(0x82, b"good.example")])),
                rung("a", bad_host.clone()),
                rung("me", named(b"x.good.example")),
            ],
            expected: Ok(()),
        },
        Kind {
            what: "a host of another CA",
            root: ca(None),
            below: vec![
                rung("a", host(&[(0x82, b"good.example")])),
                rung("b", bad_host),
                rung("me", named(b"x.good.example")),
            ],
            expected: outside,
        },
        Kind {
            what: "constraints of the new key hold",
            root: ca(None),
            below: vec![
                rung("a", ca(None)),
                rung("a", host(&[(0x82, b"good.example")])),
                rung("me", named(b"bad.example")),
            ],
            expected: outside,
        },
        Kind {
            what: "constraints of the new key hold, of URIs too",
            root: ca(None),
            below: vec![
                rung("a", ca(None)),
                rung("a", host(&[(0x86, b"good.example"), (0x82, b"good.example")])),
                rung("me", named(b"bad.example")),
            ],
            expected: outside,
        },
    ]);
}

#[test]
fn critical_extensions_are_those_that_openssl_processes() {
    let critical = |kind: &str, value: &[u8]| extension(kind, true, value);
    let any_policy = sequence(&[&sequence(&[&oid("2.5.29.32.0")])]);
    let unhandled = Err(VerifyFailure::CriticalExtension);
    let table: Vec<(&'static str, Vec<u8>, Result<(), VerifyFailure>)> = vec![
        ("certificatePolicies", critical("2.5.29.32", &any_policy), Ok(())),
        ("inhibitAnyPolicy", critical("2.5.29.54", &[2, 1, 0]), Ok(())),
        ("policyConstraints", critical("2.5.29.36", &sequence(&[&element(0x81, &[0])])), Ok(())),
        (
            "policyMappings",
            critical("2.5.29.33", &sequence(&[&sequence(&[&oid("1.2.3"), &oid("1.2.4")])])),
            Ok(()),
        ),
        ("nsCertType", critical("2.16.840.1.113730.1.1", &[3, 2, 0, 0x84]), Ok(())),
        ("noCheck", critical("1.3.6.1.5.5.7.48.1.5", &[5, 0]), Ok(())),
        ("authorityKeyIdentifier", critical("2.5.29.35", &sequence(&[])), unhandled),
        ("issuerAltName", critical("2.5.29.18", &sequence(&[&element(0x82, b"a.b")])), unhandled),
        ("freshestCRL", critical("2.5.29.46", &sequence(&[])), unhandled),
        ("authorityInfoAccess", critical("1.3.6.1.5.5.7.1.1", &sequence(&[])), unhandled),
        ("unknown", critical("1.2.3.4", &[5, 0]), unhandled),
    ];
    for (what, extension, expected) in table {
        // On the leaf and on its CA.
        let one = std::slice::from_ref(&extension);
        let on_leaf = vec![rung("a", ca(None)), rung("me", client(one))];
        let on_ca = vec![rung("a", authority(one)), leaf()];
        for below in [on_leaf, on_ca] {
            hold(&[Kind { what, root: ca(None), below, expected }]);
        }
        // A root is listed by hand: its extensions still count.
        let root = authority(one);
        hold(&[Kind { what, root, below: vec![rung("a", ca(None)), leaf()], expected }]);
    }
    let of_ca = authority(&[critical("2.5.29.14", &element(4, &[1]))]);
    let what = "subjectKeyIdentifier";
    hold(&[Kind {
        what,
        root: ca(None),
        below: vec![rung("a", of_ca), leaf()],
        expected: unhandled,
    }]);
}

#[test]
fn oddities_have_their_documented_outcome() {
    let empty = extension("2.5.29.30", true, &sequence(&[]));
    let none_permitted = extension("2.5.29.30", true, &sequence(&[&element(0xa0, &[])]));
    let held = constraints(&[(0x82, b"good.example")], &[]);
    let any = "2.5.29.37.0";
    let failed = Err(VerifyFailure::Unspecified);
    let of_ca = |more: Vec<u8>| vec![rung("a", authority(&[more])), leaf()];
    let of_leaf = |extensions| vec![rung("a", ca(None)), rung("me", extensions)];
    let with = |what, below, expected| Kind { what, root: ca(None), below, expected };
    hold(&[
        with("empty name constraints", of_ca(empty), Ok(())),
        with("an empty list of permitted names", of_ca(none_permitted), Ok(())),
        with("name constraints in a leaf", of_leaf(client(std::slice::from_ref(&held))), Ok(())),
        with(
            "a leaf is not below its own constraints",
            of_leaf(client(&[held, alt_names(&[(0x82, b"bad.example")])])),
            Ok(()),
        ),
        with("keyCertSign on a leaf", of_leaf(client(&[key_usage(0x84)])), Ok(())),
        with(
            "only keyCertSign on a leaf",
            of_leaf(client(&[key_usage(0x04)])),
            Err(VerifyFailure::Purpose),
        ),
        with(
            "a key usage of nothing",
            of_leaf(client(&[extension("2.5.29.15", true, &[3, 2, 7, 0])])),
            failed,
        ),
        with(
            "a path length on a leaf",
            of_leaf(client(&[basic_constraints(false, Some(0))])),
            Ok(()),
        ),
        with(
            "FALSE written out",
            of_leaf(client(&[extension("2.5.29.19", true, &sequence(&[&[1, 1, 0]]))])),
            Ok(()),
        ),
        with(
            "TRUE that is not ff",
            of_leaf(client(&[extension("2.5.29.19", true, &sequence(&[&[1, 1, 1]]))])),
            failed,
        ),
        with("a purpose of any", of_leaf(vec![extended(&[any])]), Err(VerifyFailure::Purpose)),
        with("a purpose of any, and clients", of_leaf(vec![extended(&[any, CLIENT_AUTH])]), Ok(())),
        with("an empty list of alternative names", of_leaf(client(&[alt_names(&[])])), Ok(())),
    ]);
}
