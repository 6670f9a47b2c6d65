//! Policies along a path, beside OpenSSL's own policy check and in tables.

use ferrule_engine::identity::{ClientPolicy, Verdict, VerifyFailure, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{common_name, element, extension, integer, oid, sequence};

use crate::certificates::forge::{ForgeKey, NOW, Party, Seed, authority, certificate, client};
use crate::certificates::judges::{DEPTH, Docket};

const ANY: &str = "2.5.29.32.0";

fn policies(list: &[&str]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = list.iter().map(|policy| sequence(&[&oid(policy)])).collect();
    extension("2.5.29.32", true, &element(0x30, &list.concat()))
}

fn mappings(list: &[(&str, &str)]) -> Vec<u8> {
    let list: Vec<Vec<u8>> =
        list.iter().map(|(from, to)| sequence(&[&oid(from), &oid(to)])).collect();
    extension("2.5.29.33", true, &element(0x30, &list.concat()))
}

fn requires(explicit: Option<u8>, inhibit: Option<u8>) -> Vec<u8> {
    let part =
        |tag, count: Option<u8>| count.map(|count| element(tag, &[count])).unwrap_or_default();
    let value = sequence(&[&part(0x80, explicit), &part(0x81, inhibit)]);
    extension("2.5.29.36", true, &value)
}

fn inhibit_any(count: u8) -> Vec<u8> {
    extension("2.5.29.54", true, &integer(&[count]))
}

/// A root, and what issues below it: the name of each is its number, unless it is self-issued.
struct Ladder {
    keys: Vec<ForgeKey>,
    policy: ClientPolicy,
    anchor: Vec<u8>,
}

impl Ladder {
    fn new() -> Self {
        let keys: Vec<ForgeKey> = (0..5).map(|_| ForgeKey::new()).collect();
        let name = common_name("0");
        let root = Party { name: &name, key: &keys[0] };
        let anchor = certificate(
            root,
            root,
            &authority(&[extension("2.5.29.14", false, &element(4, &[0]))]),
        );
        let policy = ClientPolicy::new(std::slice::from_ref(&anchor), DEPTH, false);
        Self { keys, policy: policy.expect("an anchor"), anchor }
    }

    /// The chain of these extensions, the upper ones first, the leaf last. What is marked bears the
    /// name of its issuer.
    fn chain(&self, rungs: &[(bool, Vec<Vec<u8>>)]) -> Vec<Vec<u8>> {
        let mut issuer = common_name("0");
        let mut chain = Vec::new();
        for (at, (self_issued, extensions)) in rungs.iter().enumerate() {
            let name =
                if *self_issued { issuer.clone() } else { common_name(&(at + 1).to_string()) };
            let of = Party { name: &name, key: &self.keys[at + 1] };
            let by = Party { name: &issuer, key: &self.keys[at] };
            let leaf = at + 1 == rungs.len();
            // Certificates of one name are told apart by their keys.
            let key = u8::try_from(at).expect("a few");
            let key_ids = [
                extension("2.5.29.14", false, &element(4, &[key + 1])),
                extension("2.5.29.35", false, &sequence(&[&element(0x80, &[key])])),
            ];
            let extensions = [&extensions[..], &key_ids].concat();
            let extensions = if leaf { client(&extensions) } else { authority(&extensions) };
            chain.insert(0, certificate(of, by, &extensions));
            issuer = name;
        }
        chain
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Verdict {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        verify_client(&chain, &self.policy, NOW)
    }
}

#[test]
fn policies_hold_along_the_whole_path() {
    let (a, b) = ("1.2.3.1", "1.2.3.2");
    let none = VerifyFailure::NoExplicitPolicy;
    let broken = VerifyFailure::PolicyExtension;
    type Case = (&'static str, Vec<Vec<u8>>, Vec<Vec<u8>>, Option<VerifyFailure>);
    let table: Vec<Case> = vec![
        ("critical policies", vec![policies(&[a])], vec![policies(&[a])], None),
        ("on the leaf only", vec![], vec![policies(&[a])], None),
        ("another one", vec![policies(&[a])], vec![policies(&[b])], None),
        ("demanded", vec![policies(&[a]), requires(Some(0), None)], vec![policies(&[a])], None),
        (
            "demanded, and another one",
            vec![policies(&[a]), requires(Some(0), None)],
            vec![policies(&[b])],
            Some(none),
        ),
        ("demanded, and none", vec![policies(&[a]), requires(Some(0), None)], vec![], Some(none)),
        (
            "demanded of those further below",
            vec![policies(&[a]), requires(Some(1), None)],
            vec![],
            Some(none),
        ),
        (
            "demanded of those far below",
            vec![policies(&[a]), requires(Some(2), None)],
            vec![],
            None,
        ),
        ("demanded by the leaf", vec![], vec![requires(Some(0), None)], Some(none)),
        ("any", vec![policies(&[ANY]), requires(Some(0), None)], vec![policies(&[b])], None),
        (
            "any, inhibited",
            vec![policies(&[a]), requires(Some(0), None), inhibit_any(0)],
            vec![policies(&[ANY])],
            Some(none),
        ),
        (
            "mapped",
            vec![policies(&[a]), requires(Some(0), None), mappings(&[(a, b)])],
            vec![policies(&[b])],
            None,
        ),
        (
            "mapped away",
            vec![policies(&[a]), requires(Some(0), None), mappings(&[(a, b)])],
            vec![policies(&[a])],
            Some(none),
        ),
        ("mapped to any", vec![policies(&[a]), mappings(&[(a, ANY)])], vec![], Some(broken)),
        ("mapped from any", vec![policies(&[a]), mappings(&[(ANY, a)])], vec![], Some(broken)),
        ("twice", vec![], vec![policies(&[a, a])], Some(broken)),
        ("empty", vec![], vec![policies(&[])], Some(broken)),
        ("no constraint", vec![requires(None, None)], vec![], Some(broken)),
        ("less than none", vec![inhibit_any(0x80)], vec![], Some(broken)),
        ("no list", vec![], vec![extension("2.5.29.32", false, &integer(&[1]))], Some(broken)),
    ];
    let ladder = Ladder::new();
    for (what, above, leaf, expected) in table {
        let verdict = ladder.judge(&ladder.chain(&[(false, above), (false, leaf)]));
        let expected = expected.map_or(Verdict::Success, Verdict::Failed);
        assert_eq!(verdict, expected, "{what}");
    }
}

/// Random policies, mappings and constraints on paths of random length: the same word as OpenSSL
/// with its policy check.
#[test]
fn openssl_comes_to_the_same_policies() {
    const NAMES: [&str; 4] = [ANY, "1.2.3.1", "1.2.3.2", "1.2.3.3"];
    let ladder = Ladder::new();
    let mut seed = Seed::new(0x5280);
    let mut some = |rungs: usize, at: usize| {
        let mut extensions = Vec::new();
        let mut chosen = Vec::new();
        for name in NAMES {
            if seed.below(2) == 0 {
                chosen.push(name);
            }
        }
        if !chosen.is_empty() && seed.below(8) > 0 {
            extensions.push(policies(&chosen));
        }
        // RFC 5280 does not read them in a leaf; OpenSSL does.
        if at + 1 < rungs && seed.below(3) == 0 {
            let mut pairs = Vec::new();
            for _ in 0..=seed.below(2) {
                pairs.push((NAMES[1 + seed.below(3)], NAMES[1 + seed.below(3)]));
            }
            extensions.push(mappings(&pairs));
        }
        let count = |seed: &mut Seed| u8::try_from(seed.below(rungs + 1)).expect("few");
        if seed.below(2) == 0 {
            let explicit = (seed.below(4) > 0).then(|| count(&mut seed));
            let inhibit = (explicit.is_none() || seed.below(3) == 0).then(|| count(&mut seed));
            extensions.push(requires(explicit, inhibit));
        }
        if seed.below(4) == 0 {
            extensions.push(inhibit_any(count(&mut seed)));
        }
        let self_issued = at + 1 < rungs && seed.below(5) == 0;
        (self_issued, extensions)
    };
    let mut chains = Vec::new();
    for number in 0..1200 {
        let rungs = 1 + number % 4;
        let path: Vec<_> = (0..rungs).map(|at| some(rungs, at)).collect();
        chains.push(ladder.chain(&path));
    }
    let scratch = scratch();
    let docket = Docket::write(scratch.path(), std::slice::from_ref(&ladder.anchor), &chains);
    let theirs = docket.openssl(scratch.path(), true);
    assert_eq!(theirs.len(), chains.len());
    let (mut refused, mut stricter) = (0, 0);
    for (at, (chain, said)) in chains.iter().zip(&theirs).enumerate() {
        let verdict = ladder.judge(chain);
        let words = match verdict {
            Verdict::Failed(failure) => failure.text(),
            Verdict::Success | Verdict::None => "ok",
        };
        // OpenSSL takes a policy that is mapped for one that is named where the same certificate
        // has anyPolicy, even where that is inhibited.
        let strict = said.accepted && verdict == Verdict::Failed(VerifyFailure::NoExplicitPolicy);
        stricter += usize::from(strict);
        assert!(words == said.words || strict, "chain {at} of {}: {words}, {said:?}", chain.len());
        refused += usize::from(!said.accepted);
    }
    assert!(stricter <= 5, "{stricter}");
    assert!((150..1000).contains(&refused), "{refused} of {} are refused", chains.len());
}

/// CVE-2023-0464: mappings that double the tree with each certificate. Bounded by bytes, not by 2 to
/// the power of the depth.
#[test]
fn mappings_do_not_multiply() {
    let ladder = Ladder::new();
    let names: Vec<String> = (0..30).map(|name| format!("1.2.3.{name}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let each: Vec<(&str, &str)> =
        all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to))).collect();
    let rung = vec![policies(&all), mappings(&each), requires(Some(0), None)];
    let path = vec![
        (false, rung.clone()),
        (false, rung.clone()),
        (false, rung),
        (false, vec![policies(&all)]),
    ];
    let chain = ladder.chain(&path);
    // A tree would have 30 times as many leaves with each certificate.
    assert_eq!(ladder.judge(&chain), Verdict::Success);
}
