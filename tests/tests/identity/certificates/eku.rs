//! What certificates are for (`extKeyUsage`, `keyUsage`), with `eku = "client"` and with "any": every combination of
//! root, intermediate and leaf, beside OpenSSL with its purposes `sslclient` and `any`.

use ferrule_engine::identity::verify::purpose::Purpose;
use ferrule_engine::identity::{ClientPolicy, Verdict, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{
    basic_constraints, common_name, extended, extension, key_usage, sequence,
};

use crate::certificates::forge::{CLIENT_AUTH, ForgeKey, NOW, Party, certificate};
use crate::certificates::judges::{DEPTH, Docket};

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const EMAIL: &str = "1.3.6.1.5.5.7.3.4";
const ANY: &str = "2.5.29.37.0";

/// What `extKeyUsage` may be: not there, of these purposes, or without one.
const USAGES: [Option<&[&str]>; 7] = [
    None,
    Some(&[CLIENT_AUTH]),
    Some(&[SERVER_AUTH]),
    Some(&[EMAIL]),
    Some(&[ANY]),
    Some(&[SERVER_AUTH, CLIENT_AUTH]),
    Some(&[]),
];

/// `keyUsage` of a leaf: not there, digitalSignature, keyAgreement, keyEncipherment, nonRepudiation.
const KEY_USAGES: [Option<u8>; 5] = [None, Some(0x80), Some(0x08), Some(0x20), Some(0x40)];

/// Of them those whose key may not be used in a handshake (RFC 8446, section 4.4.2.2).
const SIGN_NOTHING: [Option<u8>; 2] = [Some(0x20), Some(0x40)];

fn eku(usage: Option<&[&str]>) -> Option<Vec<u8>> {
    usage.map(|usage| match usage {
        [] => extension("2.5.29.37", false, &sequence(&[])),
        usage => extended(usage),
    })
}

#[test]
fn openssl_sees_the_same_purposes() {
    let scratch = scratch();
    let keys: Vec<ForgeKey> = (0..3).map(|_| ForgeKey::new()).collect();
    let (root_name, ca_name, leaf_name) =
        (common_name("root"), common_name("ca"), common_name("me"));
    let party = |name, at: usize| Party { name, key: &keys[at] };
    let ca = |usage| {
        let all = [Some(basic_constraints(true, None)), Some(key_usage(0x06)), eku(usage)];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    let (mut taken, mut taken_by_any) = (0, 0);
    for of_root in [None, Some(&[SERVER_AUTH][..])] {
        let root = party(&root_name, 0);
        let anchors = [certificate(root, root, &ca(of_root))];
        let mut cases = Vec::new();
        for (of_ca, of_leaf) in USAGES.iter().flat_map(|ca| USAGES.map(|leaf| (*ca, leaf))) {
            let issuer = certificate(party(&ca_name, 1), root, &ca(of_ca));
            for key_use in KEY_USAGES {
                let own: Vec<_> =
                    [key_use.map(key_usage), eku(of_leaf)].into_iter().flatten().collect();
                let leaf = certificate(party(&leaf_name, 2), party(&ca_name, 1), &own);
                let what = format!("root {of_root:?}, CA {of_ca:?}, leaf {of_leaf:?} {key_use:?}");
                // OpenSSL's `any` takes what may not be used in a handshake, and a list of purposes without one.
                let is_empty = [of_ca, of_leaf].contains(&Some(&[]));
                let ours_alone = is_empty || SIGN_NOTHING.contains(&key_use);
                cases.push((what, ours_alone, vec![leaf, issuer.clone()]));
            }
        }
        let chains: Vec<_> = cases.iter().map(|(_, _, chain)| chain.clone()).collect();
        let docket = Docket::write(scratch.path(), &anchors, &chains);
        let client = docket.openssl(scratch.path(), false);
        let any = docket.openssl_for_any_purpose(scratch.path());
        let policy = |purpose| {
            let policy = ClientPolicy::new(&anchors, DEPTH, false).expect("an anchor");
            policy.with_purpose(purpose)
        };
        let (strict, open) = (policy(Purpose::Client), policy(Purpose::AnyClient));
        assert_ne!(
            strict.scope(),
            open.scope(),
            "a verdict or session of one is none of the other"
        );
        for (at, (what, ours_alone, chain)) in cases.iter().enumerate() {
            let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
            let good = |policy| verify_client(&ders, policy, NOW) == Verdict::Success;
            assert_eq!(good(&strict), client[at].accepted, "client: {what}: {}", client[at].words);
            let expected = any[at].accepted && !ours_alone;
            assert_eq!(good(&open), expected, "any: {what}: {}", any[at].words);
            taken += usize::from(good(&strict));
            taken_by_any += usize::from(good(&open));
        }
    }
    assert!(taken > 10 && taken_by_any > 100, "{taken} {taken_by_any}");
}
