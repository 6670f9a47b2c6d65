//! What is not understood refuses whatever it stands in: unreadable certificates in a chain, extensions
//! of versions that have none, names in extensions that decide nothing.

use ferrule_engine::identity::{ClientPolicy, Verdict, VerifyFailure, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{
    common_name, element, explicit, extension, integer, oid, sequence, utc,
};

use crate::certificates::forge::{
    ForgeKey, NOW, Party, algorithm, alt_names, authority, certificate, client,
};
use crate::certificates::judges::{DEPTH, Docket};

struct Realm {
    root: ForgeKey,
    leaf: ForgeKey,
    anchor: Vec<u8>,
}

impl Realm {
    fn new() -> Self {
        let root = ForgeKey::new();
        let name = common_name("root");
        let party = Party { name: &name, key: &root };
        let anchor = certificate(party, party, &authority(&[]));
        Self { root, leaf: ForgeKey::new(), anchor }
    }

    fn leaf(&self, more: &[Vec<u8>]) -> Vec<u8> {
        let names = [common_name("root"), common_name("me")];
        let root = Party { name: &names[0], key: &self.root };
        certificate(Party { name: &names[1], key: &self.leaf }, root, &client(more))
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Verdict {
        let policy = ClientPolicy::new(std::slice::from_ref(&self.anchor), DEPTH, true);
        let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        verify_client(&ders, &policy.expect("an anchor"), NOW)
    }
}

/// A TLS stack reads all of a message or none, so nobody behind us is shown what nobody has read.
#[test]
fn an_unreadable_certificate_in_a_chain_refuses_it() {
    let realm = Realm::new();
    let leaf = realm.leaf(&[]);
    let surplus = [&leaf[..], &[0]].concat();
    let mut long = leaf.clone();
    long.splice(1..4, [0x83, 0, leaf[2], leaf[3]]);
    let junk: [&[u8]; 8] = [
        b"",
        b"x",
        &[0x30, 0],
        &leaf[..leaf.len() - 1],
        &surplus,
        &long,
        b"-----BEGIN CERTIFICATE-----",
        &common_name("root"),
    ];
    let mut chains = Vec::new();
    for junk in junk {
        chains.push(vec![leaf.clone(), junk.to_vec()]);
        chains.push(vec![leaf.clone(), realm.anchor.clone(), junk.to_vec()]);
        chains.push(vec![leaf.clone(), junk.to_vec(), realm.anchor.clone()]);
    }
    let scratch = scratch();
    let anchors = std::slice::from_ref(&realm.anchor);
    let said = Docket::write(scratch.path(), anchors, &chains).openssl(scratch.path(), false);
    for (chain, said) in chains.iter().zip(said) {
        assert_eq!(realm.judge(chain), Verdict::Failed(VerifyFailure::Unspecified), "{chain:02x?}");
        // It reads some lengths that are no DER.
        assert!(!said.accepted || chain.contains(&long), "{chain:02x?}");
    }
    // What can be read and leads nowhere may stand there.
    let chain = [leaf.clone(), realm.anchor.clone(), leaf];
    assert_eq!(realm.judge(&chain), Verdict::Success);
}

/// Some readers see extensions of a version 1 certificate, and some do not.
#[test]
fn only_version_3_has_extensions() {
    let realm = Realm::new();
    let names = alt_names(&[(0x82, b"admin.example")]);
    for (version, more, expected) in [
        (1, Vec::new(), Verdict::Success),
        (2, Vec::new(), Verdict::Success),
        (3, vec![names.clone()], Verdict::Success),
        (1, vec![names.clone()], Verdict::Failed(VerifyFailure::Unspecified)),
        (2, vec![names], Verdict::Failed(VerifyFailure::Unspecified)),
    ] {
        let list: Vec<&[u8]> = more.iter().map(Vec::as_slice).collect();
        let version_field =
            if version == 1 { Vec::new() } else { explicit(0, &integer(&[version - 1])) };
        let extensions = if list.is_empty() { Vec::new() } else { explicit(3, &sequence(&list)) };
        let signed = sequence(&[
            &version_field,
            &integer(&[7]),
            &algorithm(),
            &common_name("root"),
            &sequence(&[&utc("250101000000Z"), &utc("350101000000Z")]),
            &common_name("me"),
            &realm.leaf.spki(),
            &extensions,
        ]);
        let leaf = realm.root.wrap(&signed, &algorithm());
        assert_eq!(realm.judge(&[leaf]), expected, "version {version}, {more:02x?}");
    }
}

/// Of the nine tags, wherever a certificate holds a `GeneralName`.
#[test]
fn only_the_nine_tags_are_names_in_any_extension() {
    type Wrap = fn(&[u8]) -> Vec<u8>;
    let places: [(&str, Wrap); 8] = [
        ("2.5.29.17", |name| sequence(&[name])),
        ("2.5.29.18", |name| sequence(&[name])),
        ("2.5.29.31", |name| sequence(&[&sequence(&[&element(0xa0, &element(0xa0, name))])])),
        ("2.5.29.31", |name| sequence(&[&sequence(&[&element(0xa2, name)])])),
        ("2.5.29.46", |name| sequence(&[&sequence(&[&element(0xa0, &element(0xa0, name))])])),
        ("2.5.29.35", |name| sequence(&[&element(0xa1, name)])),
        ("1.3.6.1.5.5.7.1.1", |name| sequence(&[&sequence(&[&oid("1.3.6.1.5.5.7.48.1"), name])])),
        ("1.3.6.1.5.5.7.1.11", |name| sequence(&[&sequence(&[&oid("1.3.6.1.5.5.7.48.5"), name])])),
    ];
    let other = [oid("1.2.3"), element(0xa0, &element(12, b"x"))].concat();
    let root = common_name("root");
    let contents: [(u8, &[u8]); 9] = [
        (0xa0, &other),
        (0x81, b"a@b.c"),
        (0x82, b"a.b"),
        (0xa3, b""),
        (0xa4, &root),
        (0xa5, &element(0xa1, &element(12, b"x"))),
        (0x86, b"x://a.b/c"),
        (0x87, &[1, 2, 3, 4]),
        (0x88, &[0x2a, 3]),
    ];
    let realm = Realm::new();
    for (kind, wrap) in places {
        for (right, content) in contents {
            let tags = (0..=255_u8).filter(|tag| tag & 0x1f <= 9 && tag & 0x1f == right & 0x1f);
            for tag in tags.chain([right | 0x1f, 0x89, 0xa9]) {
                let value = wrap(&element(tag, content));
                let verdict = realm.judge(&[realm.leaf(&[extension(kind, false, &value)])]);
                let good = tag == right;
                assert_eq!(verdict == Verdict::Success, good, "{kind}: {tag:02x} {content:02x?}");
            }
        }
    }
}
