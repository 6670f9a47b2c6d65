//! Conditions on alternative names, and headers that hold them, for certificates that say hostile things.
//!
//! In: generated sets of names, dressed so that some reader takes one for another. Afterwards a test holds
//! only for a name that is there, its opposite only if no name may be taken for it, and what a header
//! says of a set reads back as that set.

use std::path::Path;

use ferrule_engine::identity::{ClientIdentity, ClientValue, IdentityPlan, Verdict};
use ferrule_engine::plan::facts::{ConnectionFacts, Now};
use ferrule_engine::plan::{Facts, Plan, RouteId};
use ferrule_tests::zoo::asn1::common_name;
use proptest::prelude::{ProptestConfig, prop, proptest};

use crate::certificates::forge::{ForgeKey, Party, Seed, alt_names, certificate, client};

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// A name: its tag and its content.
type Name = (u8, Vec<u8>);

const NOW: Now<'static> = Now {
    unix_seconds: 1_795_301_728,
    millis: 0,
    http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
    local: "21/Nov/2026:22:55:28 +0000",
    iso8601: "2026-11-21T22:55:28+00:00",
};

/// What a variable is compared with: its kind, the name as it is written in conditions, the network of
/// it (addresses only), and the content in a certificate.
struct Kind {
    variable: &'static str,
    tag: u8,
    text: &'static str,
    content: &'static [u8],
}

const KINDS: [Kind; 6] = [
    Kind {
        variable: "ssl_client_san_dns",
        tag: DNS,
        text: "banned.example",
        content: b"banned.example",
    },
    Kind {
        variable: "ssl_client_san_email",
        tag: EMAIL,
        text: "a@banned.example",
        content: b"a@banned.example",
    },
    Kind {
        variable: "ssl_client_san_uri",
        tag: URI,
        text: "spiffe://a/banned",
        content: b"spiffe://a/banned",
    },
    Kind { variable: "ssl_client_san_ip", tag: IP, text: "10.0.0.1", content: &[10, 0, 0, 1] },
    Kind {
        variable: "ssl_client_san",
        tag: URI,
        text: "URI:spiffe://a/banned",
        content: b"spiffe://a/banned",
    },
    Kind {
        variable: "ssl_client_spiffe_id",
        tag: URI,
        text: "spiffe://a/banned",
        content: b"spiffe://a/banned",
    },
];

/// A plan with a route for each condition.
fn plan(conditions: &[String]) -> Plan {
    let routes: Vec<String> = conditions
        .iter()
        .enumerate()
        .map(|(at, condition)| {
            format!(
                "[[routes]]\nuri = '/{at}'\nvars = [{condition}]\n\
                 upstream.nodes = {{ '127.0.0.1:1' = 1 }}\n"
            )
        })
        .collect();
    let text = format!("listen = [{{ address = '127.0.0.1:8080' }}]\n{}", routes.concat());
    let read = ferrule_config::read_text(Path::new("/ferrule.toml"), text, &|_| None);
    Plan::build(&read.expect("a good configuration").config)
}

/// Which of the conditions hold for this leaf.
fn held(plan: &Plan, leaf: &[u8]) -> Vec<bool> {
    let client = ClientIdentity::of(&[leaf], Verdict::Success, &plan.wanted);
    let facts = Facts {
        connection: &ConnectionFacts::default(),
        session: None,
        client: Some(&client),
        request: None,
        now: NOW,
        log: None,
        request_ids: None,
    };
    let ids = (0..).map(RouteId).take(plan.routes().len());
    ids.map(|id| plan.route(id).when.as_ref().expect("a condition").holds(&facts, &mut Vec::new()))
        .collect()
}

struct Forge(ForgeKey);

impl Forge {
    fn leaf(&self, names: &[Name]) -> Vec<u8> {
        let name = common_name("me");
        let me = Party { name: &name, key: &self.0 };
        let names: Vec<(u8, &[u8])> = names.iter().map(|(tag, name)| (*tag, &**name)).collect();
        certificate(me, me, &client(&[alt_names(&names)]))
    }
}

/// A name in dresses in which somebody may take it for the bare one.
fn dressed(bare: &[u8], tag: u8) -> Vec<Vec<u8>> {
    if tag == IP {
        let mapped = [&[0; 10][..], &[0xff; 2], bare].concat();
        return vec![mapped];
    }
    let mut all: Vec<Vec<u8>> = [&b" "[..], b"\t", b"\0", b"\r\n", b"\x0b", b"\x7f"]
        .into_iter()
        .flat_map(|dress| {
            [[bare, dress].concat(), [dress, bare].concat(), [bare, dress, b"x"].concat()]
        })
        .collect();
    match tag {
        DNS => all.extend([
            bare.to_ascii_uppercase(),
            [bare, b"."].concat(),
            [b"x,", bare].concat(),
            [bare, b",x"].concat(),
            [bare, b":1"].concat(),
            b"*.example".to_vec(),
        ]),
        EMAIL => all.extend([
            bare.to_ascii_uppercase(),
            [b"\"", bare, b"\""].concat(),
            [b"x,", bare].concat(),
            [bare, b",x"].concat(),
        ]),
        _ => all.extend(
            [
                &b"SPIFFE://a/banned"[..],
                b"spiffe://A/banned",
                b"spiffe://a/b%61nned",
                b"spiffe://a/b%2561nned",
                b"spiffe://a//banned",
                b"spiffe://a/./banned",
                b"spiffe://a/x/../banned",
                b"spiffe://a/banned?x",
                b"spiffe://a/banned#x",
                b"spiffe://u@a/banned",
                b"spiffe://a:1/banned",
            ]
            .map(<[u8]>::to_vec),
        ),
    }
    all
}

/// Names that nobody takes for a banned one.
fn innocent(tag: u8) -> Vec<Vec<u8>> {
    match tag {
        DNS => vec![b"good.example".to_vec(), b"a_b.example".to_vec()],
        EMAIL => vec![b"a@good.example".to_vec(), b"b+c@banned.example".to_vec()],
        IP => vec![vec![10, 0, 0, 2], vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
        _ => vec![b"https://good.example/a,b".to_vec(), b"urn:a".to_vec()],
    }
}

/// The tests on one kind, each with its opposite behind it.
fn tests(kind: &Kind) -> Vec<String> {
    let Kind { variable, text, tag, .. } = kind;
    let mut tests = vec![
        format!("'==', '{text}'"),
        format!("'has', '{text}'"),
        format!("'in', ['{text}', '{text}']"),
        format!("'~~', '^{}$'", text.replace('.', "[.]")),
    ];
    if *tag == IP {
        tests.push("'ipmatch', ['10.0.0.1/32']".to_owned());
        tests.retain(|test| !test.contains("has"));
    }
    if *variable == "ssl_client_spiffe_id" {
        tests.retain(|test| !test.contains("has"));
    }
    tests
        .iter()
        .flat_map(|test| {
            [format!("['{variable}', {test}]"), format!("['{variable}', '!', {test}]")]
        })
        .collect()
}

/// For each test: does it hold, and its opposite?
fn outcomes(kind: &Kind, plan: &Plan, leaf: &[u8]) -> Vec<(String, bool, bool)> {
    let held = held(plan, leaf);
    let pairs = held.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    tests(kind).into_iter().step_by(2).zip(pairs).map(|(test, (is, not))| (test, is, not)).collect()
}

#[test]
fn a_name_in_doubt_satisfies_no_test_and_the_opposite_of_none() {
    let forge = Forge(ForgeKey::new());
    for kind in &KINDS {
        let plan = plan(&tests(kind));
        let innocent = innocent(kind.tag);
        for dress in dressed(kind.content, kind.tag) {
            let lone = vec![(kind.tag, dress.clone())];
            let behind = vec![(kind.tag, innocent[0].clone()), lone[0].clone()];
            let in_front = vec![lone[0].clone(), (kind.tag, innocent[0].clone())];
            for names in [lone, behind, in_front] {
                for (test, is, not) in outcomes(kind, &plan, &forge.leaf(&names)) {
                    let shown = dress.escape_ascii();
                    assert!(!is, "{test} holds for {shown} among {}", names.len());
                    assert!(!not, "the opposite of {test} holds for {shown} among {}", names.len());
                }
            }
        }
    }
}

/// Case, white space, compatibility forms and accents that stand by themselves, on either side.
#[test]
fn a_common_name_in_another_form_satisfies_no_test_and_the_opposite_of_none() {
    let key = ForgeKey::new();
    for forms in [
        &["mallory", "Mallory", "\u{ff4d}allory", "\u{1d426}allory", "mal\u{200b}lory"][..],
        &["\u{c4}rger", "\u{e4}rger", "A\u{308}rger", "a\u{308}RGER"],
        &["office two", "o\u{fb03}ce  two", "office\u{3000}two", "OFFICE TWO"],
        &["stra\u{df}e", "STRASSE", "stra\u{1e9e}e", "\u{17f}trasse"],
    ] {
        for wanted in forms {
            let pattern = format!("'~~', '^{wanted}'");
            let tests = [
                format!("'==', '{wanted}'"),
                format!("'in', ['{wanted}', 'nobody']"),
                format!("'has', '{wanted}'"),
            ];
            let variable = "ssl_client_s_dn_cn";
            let routes = tests.iter().chain([&pattern]).flat_map(|test| {
                [format!("['{variable}', {test}]"), format!("['{variable}', '!', {test}]")]
            });
            let plan = plan(&routes.collect::<Vec<_>>());
            for shown in forms {
                let name = common_name(shown);
                let me = Party { name: &name, key: &key };
                let held = held(&plan, &certificate(me, me, &client(&[])));
                let same = wanted == shown;
                for (test, pair) in tests.iter().zip(held.chunks_exact(2)) {
                    assert_eq!(pair, [same, false], "{test}: {shown:?}");
                }
                // An expression is of the letters that it has, in each form of the name.
                if same {
                    assert_eq!(held.last_chunk(), Some(&[true, false]), "{pattern}: {shown:?}");
                }
            }
        }
    }
}

#[test]
fn a_second_name_hides_no_first() {
    let forge = Forge(ForgeKey::new());
    for kind in &KINDS {
        let plan = plan(&tests(kind));
        let banned = (kind.tag, kind.content.to_vec());
        let innocent: Vec<Name> = innocent(kind.tag).into_iter().map(|n| (kind.tag, n)).collect();
        let one_alone = kind.variable == "ssl_client_spiffe_id";
        for (names, there) in [
            (vec![], false),
            (innocent.clone(), false),
            (vec![banned.clone()], true),
            (vec![banned.clone(), innocent[0].clone()], true),
            (vec![innocent[1].clone(), banned.clone(), innocent[0].clone()], true),
        ] {
            let several = one_alone && names.len() > 1 && there;
            for (test, is, not) in outcomes(kind, &plan, &forge.leaf(&names)) {
                // Of two identities none is told, and none is denied.
                let wanted = if several { (false, false) } else { (there, !there) };
                assert_eq!((is, not), wanted, "{test} of {names:?}");
            }
        }
    }
}

#[test]
fn in_random_company_a_test_and_its_opposite_keep_to_the_names() {
    let forge = Forge(ForgeKey::new());
    let mut seed = Seed::new(10);
    let (mut is_held, mut not_held) = (0, 0);
    for kind in KINDS.iter().filter(|kind| kind.variable != "ssl_client_spiffe_id") {
        let plan = plan(&tests(kind));
        let tags = [EMAIL, DNS, URI, IP];
        for _ in 0..300 {
            let names: Vec<Name> = (0..seed.below(4))
                .map(|_| {
                    let tag = if seed.below(3) == 0 { tags[seed.below(4)] } else { kind.tag };
                    let bare = KINDS.iter().find(|kind| kind.tag == tag).expect("a kind").content;
                    let pool = match seed.below(4) {
                        0 => vec![bare.to_vec()],
                        1 => dressed(bare, tag),
                        _ => innocent(tag),
                    };
                    (tag, pool[seed.below(pool.len())].clone())
                })
                .collect();
            let is_there = names.contains(&(kind.tag, kind.content.to_vec()));
            let dressed = dressed(kind.content, kind.tag);
            let may_be = names.iter().any(|(tag, name)| {
                *tag == kind.tag && (name == kind.content || dressed.contains(name))
            });
            for (test, is, not) in outcomes(kind, &plan, &forge.leaf(&names)) {
                assert!(!is || is_there, "{test} of {names:?}");
                assert!(!not || !may_be, "the opposite of {test} of {names:?}");
                is_held += usize::from(is);
                not_held += usize::from(not);
            }
        }
    }
    assert!(is_held > 100 && not_held > 100, "an idle test: {is_held}, {not_held}");
}

/// Takes a joined list apart as docs/access.md says: a comma ends a name unless a backslash is in front.
fn apart(joined: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut bytes = joined.iter();
    while let Some(byte) = bytes.next() {
        let last = all.len() - 1;
        match byte {
            b',' => all.push(Vec::new()),
            b'\\' => all[last].extend(bytes.next()),
            byte => all[last].push(*byte),
        }
    }
    if joined.is_empty() { Vec::new() } else { all }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever names a certificate holds, a header's value is those that are visible ASCII, and no others.
    #[test]
    fn what_a_header_says_of_names_reads_back(
        names in prop::collection::vec(
            (0..3_usize, "([a-c,.\\\\:@%\"=;]{0,6}|DNS:a,|URI:|[ -~\\x00-\\x1f]{0,5})"), 0..6)
    ) {
        let tags = [EMAIL, DNS, URI];
        let marks = ["email:", "DNS:", "URI:"];
        let values = [ClientValue::SanEmail, ClientValue::SanDns, ClientValue::SanUri];
        let set: Vec<Name> =
            names.iter().map(|(at, name)| (tags[*at], name.as_bytes().to_vec())).collect();
        let mut wanted = IdentityPlan::default();
        values.into_iter().chain([ClientValue::San]).for_each(|value| wanted.add(value));
        let leaf = Forge(ForgeKey::new()).leaf(&set);
        let identity = ClientIdentity::of(&[&leaf], Verdict::Success, &wanted);
        let plain = || names.iter().filter(|(_, name)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
        });
        for (at, value) in values.into_iter().enumerate() {
            let expected: Vec<Vec<u8>> = plain()
                .filter(|(kind, _)| *kind == at)
                .map(|(_, name)| name.clone().into_bytes())
                .collect();
            assert_eq!(apart(identity.values.get(value)), expected, "{set:?}");
        }
        let expected: Vec<Vec<u8>> =
            plain().map(|(kind, name)| format!("{}{name}", marks[*kind]).into_bytes()).collect();
        assert_eq!(apart(identity.values.get(ClientValue::San)), expected, "{set:?}");
    }
}
