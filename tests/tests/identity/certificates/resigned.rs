//! Certificates that the right CA has signed and that say anything: what we take OpenSSL takes, and
//! every value that we send is the one that OpenSSL reads. Go's word is told beside it.
//!
//! `FERRULE_CERTIFICATES=100000` judges so many; the usual run has fixed seeds and takes seconds.
#![expect(clippy::print_stdout, reason = "the table is for the reader")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::HEXLOWER;
use ferrule_engine::identity::{
    ClientIdentity, ClientPolicy, ClientValue, IdentityPlan, Verdict, verify_client,
};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{
    attribute, common_name, element, extended, extension, integer, name, oid, sequence,
};

use crate::certificates::forge::{
    CLIENT_AUTH, ForgeKey, NOW, Party, Seed, algorithm, alt_names, authority, certificate, client,
    constraints, signed_part,
};
use crate::certificates::judges::{DEPTH, Docket, Said};
use crate::certificates::mutate::{CONTENTS, Node, mutate, written};

/// Certificates of the usual run.
const USUAL: usize = 4000;
/// Chains that the judges are given at once.
const BATCH: usize = 5000;

/// What we take although OpenSSL refuses it, by its words.
const TAKEN_ALONE: [(&str, &str); 1] = [(
    "unreadable key",
    "whoever presents it has to sign with that key, and no signature is good under one that cannot \
     be read",
)];

/// The values that are compared, in the order in which OpenSSL's judge tells them.
const VALUES: [ClientValue; 5] = [
    ClientValue::Serial,
    ClientValue::SDn,
    ClientValue::IDn,
    ClientValue::VStart,
    ClientValue::VEnd,
];

/// A root, its CAs, and the signed parts that are changed.
struct Mint {
    root: ForgeKey,
    sub: ForgeKey,
    anchor: Vec<u8>,
    /// Signed parts of CAs.
    subs: Vec<Vec<Node>>,
    /// Signed parts of clients.
    leaves: Vec<Vec<Node>>,
    /// What may be put anywhere.
    pool: Vec<Node>,
}

#[derive(Default)]
struct Counts {
    both: usize,
    neither: usize,
    ours_only: BTreeMap<String, usize>,
    openssl_only: BTreeMap<String, usize>,
    differences: Vec<String>,
}

fn of_sub() -> Vec<Vec<Vec<u8>>> {
    let directory = name(&[&[attribute("2.5.4.10", 12, b"Acme")]]);
    let bases: [(u8, &[u8]); 5] = [
        (0x81, b"good.example"),
        (0x82, b"good.example"),
        (0x86, b".good.example"),
        (0x87, &[10, 1, 0, 0, 255, 255, 0, 0]),
        (0xa4, &directory),
    ];
    let policy = extension("2.5.29.32", true, &sequence(&[&sequence(&[&oid("1.2.3.1")])]));
    let explicit = extension("2.5.29.36", true, &sequence(&[&element(0x80, &[0])]));
    let any = extension("2.5.29.54", true, &integer(&[0]));
    vec![
        authority(&[]),
        authority(&[constraints(&bases, &[])]),
        authority(&[constraints(&[], &bases)]),
        authority(&[constraints(&bases[..1], &bases[1..])]),
        authority(&[policy, explicit, any]),
        authority(&[
            extended(&[CLIENT_AUTH]),
            extension("2.16.840.1.113730.1.1", false, &[3, 2, 0, 0x84]),
        ]),
    ]
}

fn of_leaf() -> Vec<Vec<Vec<u8>>> {
    let directory =
        name(&[&[attribute("2.5.4.10", 19, b"ACME")], &[attribute("2.5.4.3", 12, b"x")]]);
    let other = [oid("1.3.6.1.4.1.311.20.2.3"), element(0xa0, &element(12, b"x@y"))].concat();
    let good = alt_names(&[
        (0x82, b"a.good.example"),
        (0x86, b"spiffe://a.good.example/x"),
        (0x81, b"a@good.example"),
        (0x87, &[10, 1, 2, 3]),
    ]);
    let evil = alt_names(&[(0x86, b"spiffe://prod.example/admin"), (0x82, b"prod.example")]);
    let odd = alt_names(&[(0xa4, &directory), (0xa0, &other), (0x88, &[0x2a, 3])]);
    let key_ids = [
        extension("2.5.29.14", false, &element(4, &[7; 20])),
        extension("2.5.29.15", true, &[3, 2, 7, 0x80]),
        extension("2.5.29.19", true, &sequence(&[])),
    ];
    let points = element(0xa0, &element(0xa0, &element(0x86, b"http://a.example/crl")));
    let points = extension("2.5.29.31", false, &sequence(&[&sequence(&[&points])]));
    let policy = extension("2.5.29.32", true, &sequence(&[&sequence(&[&oid("1.2.3.1")])]));
    vec![
        client(&[]),
        client(std::slice::from_ref(&good)),
        client(&[evil]),
        client(&[odd, points]),
        client(&[&key_ids[..], &[good, policy]].concat()),
    ]
}

impl Mint {
    fn new() -> Self {
        let [root, sub, leaf] = [ForgeKey::new(), ForgeKey::new(), ForgeKey::new()];
        let names = [common_name("root"), common_name("sub"), common_name("me")];
        let acme = name(&[
            &[attribute("2.5.4.10", 12, b"Acme")],
            &[attribute("2.5.4.3", 19, b"a.good.example"), attribute("2.5.4.11", 20, b"u\xfc")],
            &[attribute("1.2.840.113549.1.9.1", 22, b"a@good.example")],
        ]);
        let of_root = Party { name: &names[0], key: &root };
        let by_sub = Party { name: &names[1], key: &sub };
        let anchor = root.wrap(&signed_part(of_root, of_root, &authority(&[])), &algorithm());
        let read = |part: Vec<u8>| Node::read(&part).expect("DER");
        let subs: Vec<_> =
            of_sub().iter().map(|of| read(signed_part(by_sub, of_root, of))).collect();
        let mut leaves = Vec::new();
        for extensions in of_leaf() {
            for subject in [&names[2], &acme] {
                let of = Party { name: subject, key: &leaf };
                leaves.push(read(signed_part(of, by_sub, &extensions)));
            }
        }
        let all = of_sub().into_iter().chain(of_leaf()).flatten();
        let mut pool: Vec<Node> = all.filter_map(|one| Node::read(&one)).flatten().collect();
        let small: [&[u8]; 8] = [
            &[5, 0],
            &[1, 1, 0],
            &[1, 1, 0xff],
            &[1, 1, 1],
            &[2, 1, 1],
            &[0x86, 3, b'x', b':', b'y'],
            &[0xa6, 3, b'x', b':', b'y'],
            &[0x30, 0],
        ];
        pool.extend(small.into_iter().filter_map(Node::read).flatten());
        Self { root, sub, anchor, subs, leaves, pool }
    }

    /// One chain of well-formed certificates: any names under any constraints.
    fn constrain(&self, seed: &mut Seed) -> Vec<Vec<u8>> {
        const TAGS: [u8; 5] = [0x81, 0x82, 0x86, 0x87, 0xa4];
        let directory = name(&[&[attribute("2.5.4.10", 12, b"Acme")]]);
        let some = |seed: &mut Seed| {
            let tag = TAGS[seed.below(TAGS.len())];
            let content = CONTENTS[seed.below(CONTENTS.len())];
            (tag, if tag == 0xa4 { &directory } else { content })
        };
        let list = |seed: &mut Seed, count: usize| -> Vec<(u8, &[u8])> {
            (0..seed.below(count)).map(|_| some(seed)).collect()
        };
        let names = [common_name("root"), common_name("sub"), common_name("a.good.example")];
        let subject = if seed.below(3) == 0 { &directory } else { &names[2] };
        let leaf = ForgeKey::new();
        let [of_root, by_sub, me] = [
            Party { name: &names[0], key: &self.root },
            Party { name: &names[1], key: &self.sub },
            Party { name: subject, key: &leaf },
        ];
        let (permitted, excluded) = (list(seed, 4), list(seed, 3));
        let of_sub = authority(&[constraints(&permitted, &excluded)]);
        let of_leaf = client(&[alt_names(&list(seed, 4))]);
        vec![certificate(me, by_sub, &of_leaf), certificate(by_sub, of_root, &of_sub)]
    }

    /// One chain: the leaf or its CA is changed, once or twice, and signed again.
    fn strike(&self, seed: &mut Seed) -> Vec<Vec<u8>> {
        if seed.below(4) == 0 {
            return self.constrain(seed);
        }
        let mut sub = self.subs[seed.below(self.subs.len())].clone();
        let mut leaf = self.leaves[seed.below(self.leaves.len())].clone();
        let changed = if seed.below(3) == 0 { &mut sub } else { &mut leaf };
        for _ in 0..=seed.below(10) / 7 {
            mutate(changed, &self.pool, seed);
        }
        let wrap = |key: &ForgeKey, part: &[Node]| {
            let signed = written(part);
            key.wrap(&signed, &algorithm_of(&signed).unwrap_or_else(algorithm))
        };
        vec![wrap(&self.sub, &leaf), wrap(&self.root, &sub)]
    }
}

/// The algorithm that the signed part names, so that what is outside says the same.
pub(crate) fn algorithm_of(signed: &[u8]) -> Option<Vec<u8>> {
    let nodes = Node::read(signed)?;
    let [only] = nodes.as_slice() else { return None };
    let parts = only.parts()?;
    parts
        .iter()
        .take(3)
        .find(|part| part.is_sequence())
        .map(|part| written(std::slice::from_ref(part)))
}

/// The alternative names as we would send them, from what OpenSSL reads.
fn sans(said: &Said) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, bytes) in &said.alt_names {
        let (prefix, text) = match kind.as_str() {
            "ip" => match <[u8; 4]>::try_from(bytes.as_slice()) {
                Ok(four) => ("IP:", Ipv4Addr::from(four).to_string().into_bytes()),
                Err(_) => {
                    let long = <[u8; 16]>::try_from(bytes.as_slice()).unwrap_or_default();
                    ("IP:", Ipv6Addr::from(long).to_string().into_bytes())
                }
            },
            "dns" => ("DNS:", bytes.clone()),
            "uri" => ("URI:", bytes.clone()),
            _ => ("email:", bytes.clone()),
        };
        // Control characters and white space leave in no header.
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(prefix.as_bytes());
        for byte in text {
            if matches!(byte, b',' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }
    out
}

/// Values of ours that OpenSSL reads otherwise. What we do not send is no difference, unless the
/// client is good.
fn misread(chain: &[&[u8]], verdict: Verdict, said: &Said) -> Vec<String> {
    let mut wanted = IdentityPlan::default();
    VALUES.into_iter().chain([ClientValue::San]).for_each(|value| wanted.add(value));
    let identity = ClientIdentity::of(chain, verdict, &wanted);
    let theirs = said.values.iter().cloned().chain([sans(said)]);
    let all = VALUES.into_iter().chain([ClientValue::San]).zip(theirs);
    let mut found = Vec::new();
    for (value, theirs) in all {
        // OpenSSL breaks long serial numbers into lines.
        let theirs = String::from_utf8_lossy(&theirs).replace("\\\n", "");
        let ours = String::from_utf8_lossy(identity.values.get(value)).into_owned();
        if ours != theirs
            && (verdict == Verdict::Success || !ours.is_empty())
            && !is_numbered(&ours, &theirs)
        {
            found.push(format!("{value:?}: ours {ours:?}, OpenSSL {theirs:?}"));
        }
    }
    found
}

/// OpenSSL has short names for identifiers that are no types of attributes; we write these in
/// numbers, and dump their values, as it does for types that it does not know.
fn is_numbered(ours: &str, theirs: &str) -> bool {
    let numbered = |name: &str| {
        let types = name.split([',', '+']).filter_map(|one| one.split_once("=#"));
        types.filter(|(kind, _)| kind.bytes().all(|byte| b"0123456789.".contains(&byte))).count()
    };
    numbered(ours) > numbered(theirs)
}

impl Counts {
    fn take(&mut self, chain: &[Vec<u8>], verdict: Verdict, (said, go): (&Said, Option<bool>)) {
        let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let word = match verdict {
            Verdict::Failed(failure) => failure.text(),
            Verdict::Success | Verdict::None => "ok",
        };
        match (verdict == Verdict::Success, said.accepted) {
            (true, true) => self.both += 1,
            (false, false) => self.neither += 1,
            (false, true) => *self.openssl_only.entry(word.to_owned()).or_default() += 1,
            (true, false) => {
                let listed = TAKEN_ALONE.iter().any(|(words, _)| *words == said.words);
                *self.ours_only.entry(format!("{}, Go: {go:?}", said.words)).or_default() += 1;
                if !listed {
                    self.differences.push(format!("taken: {}: {}", said.words, hex(chain)));
                }
            }
        }
        // What OpenSSL cannot read it prints nothing of.
        if !said.values.is_empty() {
            let misread = misread(&ders, verdict, said);
            self.differences
                .extend(misread.into_iter().map(|text| format!("{text}: {}", hex(chain))));
        }
    }

    fn print(&self) {
        println!("| ours | OpenSSL | count |\n|---|---|---:|");
        println!("| taken | taken | {} |\n| refused | refused | {} |", self.both, self.neither);
        for (word, count) in &self.openssl_only {
            println!("| {word} | taken | {count} |");
        }
        for (word, count) in &self.ours_only {
            println!("| taken | {word} | {count} |");
        }
    }
}

fn hex(chain: &[Vec<u8>]) -> String {
    chain.iter().map(|der| HEXLOWER.encode(der)).collect::<Vec<_>>().join(" ")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a longer run is asked for")]
fn what_is_taken_others_take_and_read_alike() {
    let wanted = std::env::var("FERRULE_CERTIFICATES").ok().and_then(|count| count.parse().ok());
    let wanted = wanted.unwrap_or(USUAL);
    let scratch = scratch();
    let mint = Mint::new();
    let anchors = std::slice::from_ref(&mint.anchor);
    let policy = ClientPolicy::new(anchors, DEPTH, false).expect("an anchor");
    let mut seed = Seed::new(10);
    let mut counts = Counts::default();
    let mut left = wanted;
    while left > 0 {
        let batch: Vec<_> = (0..left.min(BATCH)).map(|_| mint.strike(&mut seed)).collect();
        left -= batch.len();
        let docket = Docket::write(scratch.path(), anchors, &batch);
        let openssl = docket.openssl(scratch.path(), false);
        let go = docket.go(scratch.path());
        assert_eq!(openssl.len(), batch.len());
        for (at, (chain, said)) in batch.iter().zip(&openssl).enumerate() {
            let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
            let verdict = verify_client(&ders, &policy, NOW);
            let go = go.as_ref().and_then(|go| go.get(at).copied());
            counts.take(chain, verdict, (said, go));
        }
    }
    counts.print();
    let count = counts.differences.len();
    let first: Vec<&String> = counts.differences.iter().take(20).collect();
    assert!(count == 0, "{count} differences:\n{first:#?}");
    assert!(counts.both > wanted / 20, "only {} of {wanted} are taken", counts.both);
}
