//! Names of every type under every constraint: what a list or a header is told of was constrained.

use ferrule_engine::identity::client::access_lists::{
    AccessEntry, AccessLists, AccessTerm, PatternRest, UriPattern,
};
use ferrule_engine::identity::{Access, ClientPolicy, Verdict, VerifyFailure, verify_client};
use ferrule_tests::zoo::asn1::{attribute, common_name, element, extension, name, sequence};

use crate::certificates::forge::{
    ForgeKey, NOW, Party, alt_names, authority, certificate, client, constraints,
};

/// A root, a CA that it holds to some names, and a client.
struct Realm {
    root: ForgeKey,
    sub: ForgeKey,
    leaf: ForgeKey,
    policy: ClientPolicy,
}

const ROOT: &str = "root";

impl Realm {
    fn new() -> Self {
        let root = ForgeKey::new();
        let name = common_name(ROOT);
        let party = Party { name: &name, key: &root };
        let der = certificate(party, party, &authority(&[]));
        let policy = ClientPolicy::new(&[der], 4, false).expect("an anchor");
        Self { root, sub: ForgeKey::new(), leaf: ForgeKey::new(), policy }
    }

    /// Leaf and CA, of these extensions.
    fn chain(&self, of_sub: &[Vec<u8>], of_leaf: &[Vec<u8>]) -> [Vec<u8>; 2] {
        let names = [common_name(ROOT), common_name("sub"), common_name("me")];
        let [root, sub, leaf] = [
            Party { name: &names[0], key: &self.root },
            Party { name: &names[1], key: &self.sub },
            Party { name: &names[2], key: &self.leaf },
        ];
        let sub_der = certificate(sub, root, &authority(of_sub));
        [certificate(leaf, sub, &client(of_leaf)), sub_der]
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Verdict {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        verify_client(&chain, &self.policy, NOW)
    }
}

fn allow(term: AccessTerm) -> AccessLists {
    let entry: AccessEntry = vec![term];
    AccessLists { allow: vec![entry], deny: Vec::new() }
}

/// Of each type that a list may ask for: the tag, a name that is not permitted, its base, and a
/// list that allows it.
fn types() -> [(u8, &'static [u8], &'static [u8], AccessLists); 4] {
    let uri = UriPattern {
        origin: b"spiffe://prod.example".as_slice().into(),
        rest: PatternRest::Exact(b"/admin".as_slice().into()),
    };
    [
        (0x86, b"spiffe://prod.example/admin", b".partner.example", allow(AccessTerm::Uri(uri))),
        (
            0x82,
            b"admin.prod.example",
            b"partner.example",
            allow(AccessTerm::Dns(b"admin.prod.example".as_slice().into(), false)),
        ),
        (
            0x81,
            b"admin@prod.example",
            b"partner.example",
            allow(AccessTerm::Email(b"admin".as_slice().into(), b"prod.example".as_slice().into())),
        ),
        (
            0x87,
            &[10, 9, 9, 9],
            &[10, 1, 0, 0, 255, 255, 0, 0],
            allow(AccessTerm::Ip([10, 9, 9, 9].as_slice().into(), 32)),
        ),
    ]
}

/// A constraint of any type on the path must not open the others, so each type of name meets each
/// type of constraint, in every spelling of its tag.
#[test]
fn no_spelling_of_a_tag_passes_a_constraint() {
    let realm = Realm::new();
    let bases = types().map(|(tag, _, base, _)| (tag, base));
    let mut passed = Vec::new();
    for (tag, name, ..) in types() {
        for spelling in 0..=255_u8 {
            if spelling & 0x1f == 0x1f {
                continue;
            }
            let names = alt_names(&[(spelling, name)]);
            let chain = realm.chain(&[constraints(&bases, &[])], &[names]);
            let verdict = realm.judge(&chain);
            for (_, _, _, lists) in types() {
                if lists.check(&chain[0], verdict) == Access::Allowed {
                    passed.push(format!("{tag:02x} as {spelling:02x}"));
                }
            }
        }
    }
    assert!(passed.is_empty(), "allowed: {passed:?}");
}

/// What is not one of the nine identifier octets is no `GeneralName`, constrained or not.
#[test]
fn only_the_nine_tags_are_names() {
    let realm = Realm::new();
    let other = [element(6, &[0x2a, 3]), element(0xa0, &element(12, b"x"))].concat();
    let directory = common_name("x");
    let good: [(u8, &[u8]); 9] = [
        (0xa0, &other),
        (0x81, b"a@b.c"),
        (0x82, b"a.b"),
        (0xa3, b""),
        (0xa4, &directory),
        (0xa5, &element(0xa1, &element(12, b"x"))),
        (0x86, b"x://a.b/c"),
        (0x87, &[1, 2, 3, 4]),
        (0x88, &[0x2a, 3]),
    ];
    for (tag, content) in good {
        let chain = realm.chain(&[], &[alt_names(&[(tag, content)])]);
        assert_eq!(realm.judge(&chain), Verdict::Success, "{tag:02x}");
    }
    let contents: Vec<&[u8]> = good.iter().map(|(_, content)| *content).collect();
    for tag in (0..=255_u8).filter(|tag| !good.iter().any(|(known, _)| known == tag)) {
        for content in &contents {
            let chain = realm.chain(&[], &[alt_names(&[(tag, content)])]);
            assert_ne!(realm.judge(&chain), Verdict::Success, "{tag:02x} {content:02x?}");
        }
    }
}

/// A URI counts as of the host that whoever reads it by RFC 3986 goes to; where there is none, or
/// another reader goes elsewhere, it is refused under a constraint of URIs, permitted or excluded.
#[test]
fn the_host_of_a_uri_is_its_authority() {
    let realm = Realm::new();
    let permitted = constraints(&[(0x86, b".partner.example")], &[]);
    let excluded = constraints(&[], &[(0x86, b".prod.example")]);
    let whole = constraints(&[(0x86, b"a.partner.example")], &[]);
    let inside = ["", "/", "/x:y", "?", "?q=://b.prod.example/", "#f", ":443", ":443/x", ":"];
    for tail in inside {
        let uri = format!("https://A.partner.example{tail}");
        let names = [alt_names(&[(0x86, uri.as_bytes())])];
        for constraints in [&permitted, &excluded, &whole] {
            let chain = realm.chain(std::slice::from_ref(constraints), &names);
            assert_eq!(realm.judge(&chain), Verdict::Success, "{uri}");
        }
        let uri = format!("https://a.prod.example{tail}");
        let names = [alt_names(&[(0x86, uri.as_bytes())])];
        let verdicts = [&permitted, &excluded, &whole].map(|constraints| {
            realm.judge(&realm.chain(std::slice::from_ref(constraints), &names))
        });
        let outside = Verdict::Failed(VerifyFailure::Subtree);
        let within = Verdict::Failed(VerifyFailure::ExcludedSubtree);
        assert_eq!(verdicts, [outside, within, outside], "{uri}");
    }
    for uri in [
        "https://a.partner.example@a.prod.example/",
        "https://a.partner.example:80@a.prod.example/",
        "https://user:word@a.partner.example/",
        "https://@a.partner.example/",
        "https://a.partner.example%2f.prod.example/",
        "https://a.partner.example\\.prod.example/",
        "https://a.partner.example:8x/",
        "https://a.partner.example:80:80/",
        "https://a.partner.example./",
        "https://.partner.example/",
        "https://[::1]/",
        "https://[::1].partner.example/",
        "https://10.1.2.3/",
        "https:///a.partner.example",
        "https:a.partner.example",
        "urn:a.partner.example",
        "a.partner.example",
        "",
    ] {
        let names = [alt_names(&[(0x86, uri.as_bytes())])];
        for constraints in [&permitted, &excluded, &whole] {
            let chain = realm.chain(std::slice::from_ref(constraints), &names);
            let expected = Verdict::Failed(VerifyFailure::NameSyntax);
            assert_eq!(realm.judge(&chain), expected, "{uri}");
        }
        assert_eq!(realm.judge(&realm.chain(&[], &names)), Verdict::Success, "{uri}");
    }
}

/// One name in every string type, case and spacing, wherever two names are held against each other.
#[test]
fn a_name_is_the_same_in_every_spelling() {
    let spelled = |tag: u8, text: &str| {
        let wide = |width: usize| -> Vec<u8> {
            text.bytes().flat_map(|byte| [vec![0; width - 1], vec![byte]].concat()).collect()
        };
        let content = match tag {
            30 => wide(2),
            28 => wide(4),
            _ => text.as_bytes().to_vec(),
        };
        name(&[&[attribute("2.5.4.3", tag, &content)]])
    };
    let spellings: Vec<Vec<u8>> = [12, 19, 20, 22, 28, 30]
        .into_iter()
        .flat_map(|tag| ["The Root", "the root", "  the   ROOT "].map(|text| spelled(tag, text)))
        .collect();
    let keys = [ForgeKey::new(), ForgeKey::new(), ForgeKey::new()];
    let me = common_name("me");
    for subject in &spellings {
        let root = Party { name: subject, key: &keys[0] };
        let anchor = certificate(root, root, &authority(&[]));
        let policy = ClientPolicy::new(&[anchor], 4, false).expect("an anchor");
        for issuer in &spellings {
            let as_spelled = Party { name: issuer, key: &keys[0] };
            let sub_name = spelled(12, "Sub");
            let sub = Party { name: &sub_name, key: &keys[1] };
            let other_sub = spelled(30, "sub");
            let by_sub = Party { name: &other_sub, key: &keys[1] };
            let leaf = Party { name: &me, key: &keys[2] };
            // Directly, and below a CA that points to its issuer by name in yet another spelling.
            let direct = certificate(leaf, as_spelled, &client(&[]));
            assert_eq!(verify_client(&[&direct], &policy, NOW), Verdict::Success);
            let pointer = sequence(&[
                &element(0xa1, &element(0xa4, issuer)),
                &element(0x82, serial_of(policy.anchors().ders().first().expect("one"))),
            ]);
            let pointer = extension("2.5.29.35", false, &pointer);
            let between = certificate(sub, as_spelled, &authority(&[pointer]));
            let below = certificate(leaf, by_sub, &client(&[]));
            assert_eq!(verify_client(&[&below, &between], &policy, NOW), Verdict::Success);
        }
        let other = spelled(12, "The Roots");
        let stranger = Party { name: &other, key: &keys[0] };
        let leaf = certificate(Party { name: &me, key: &keys[2] }, stranger, &client(&[]));
        assert_ne!(verify_client(&[&leaf], &policy, NOW), Verdict::Success);
    }
}

fn serial_of(der: &[u8]) -> &[u8] {
    ferrule_engine::identity::x509::raw_certificate::RawCertificate::read(der)
        .expect("a certificate")
        .serial
}

/// A name that ends for some readers before it does for others is allowed nothing, and denied.
#[test]
fn a_name_with_a_nul_is_in_doubt() {
    let realm = Realm::new();
    let doubtful: [(u8, &[u8]); 4] = [
        (0x82, b"admin.prod.example\0.partner.example"),
        (0x86, b"spiffe://prod.example/admin\0"),
        (0x81, b"admin@prod.example\n"),
        (0x82, b"\x7f"),
    ];
    for (tag, text) in doubtful {
        let names = alt_names(&[(tag, text), (0x82, b"admin.prod.example")]);
        let chain = realm.chain(&[], &[names]);
        let verdict = realm.judge(&chain);
        for (_, _, _, lists) in types() {
            let deny = AccessLists { allow: Vec::new(), deny: lists.allow.clone() };
            assert_eq!(deny.check(&chain[0], verdict), Access::Denied, "{text:02x?}");
            assert_eq!(lists.check(&chain[0], verdict), Access::NotAllowed, "{text:02x?}");
        }
    }
    // Beyond ASCII is no name.
    for tag in [0x81, 0x82, 0x86] {
        let chain = realm.chain(&[], &[alt_names(&[(tag, "x://\u{e9}@a".as_bytes())])]);
        assert_eq!(realm.judge(&chain), Verdict::Failed(VerifyFailure::Unspecified));
    }
}
