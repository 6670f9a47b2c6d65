//! Revocation lists that the right CA has signed and that say anything: whom we take by one of them
//! OpenSSL takes, too.
//!
//! `FERRULE_CERTIFICATES=100000` judges so many; the usual run has a fixed seed and takes seconds.
#![expect(clippy::print_stdout, reason = "the table is for the reader")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use ferrule_engine::identity::verify::revocation::{Revocation, RevocationRules};
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_engine::identity::x509::raw_certificate::RawCertificate;
use ferrule_engine::identity::{ClientPolicy, Verdict, verify_client};
use ferrule_tests::scratch;
use ferrule_tests::zoo::asn1::{common_name, element, explicit, extension, integer, sequence, utc};

use crate::certificates::forge::{
    ForgeKey, NOW, Party, Seed, algorithm, alt_names, authority, certificate, client,
};
use crate::certificates::judges::{DEPTH, Docket};
use crate::certificates::mutate::{Node, mutate, written};
use crate::certificates::resigned::algorithm_of;

/// Lists of the usual run, each asked about two clients.
const USUAL: usize = 3000;

struct Mint {
    key: ForgeKey,
    anchor: Vec<u8>,
    /// One that is on every list before it is changed, and one that is on none.
    leaves: [Vec<u8>; 2],
    /// Signed parts of lists.
    lists: Vec<Vec<Node>>,
    pool: Vec<Node>,
}

/// Extensions of lists.
fn of_lists() -> Vec<Vec<Vec<u8>>> {
    let number = extension("2.5.29.20", false, &integer(&[7]));
    let key = extension("2.5.29.35", false, &sequence(&[&element(0x80, &[7; 20])]));
    let scope = |parts: &[&[u8]]| extension("2.5.29.28", true, &sequence(parts));
    let url = element(0xa0, &element(0xa0, &element(0x86, b"http://a.example/crl")));
    vec![
        vec![],
        vec![number.clone()],
        vec![key, number.clone()],
        vec![scope(&[]), number.clone()],
        vec![scope(&[&url]), number.clone()],
        vec![scope(&[&element(0x81, &[0xff])])],
        vec![scope(&[&element(0x82, &[0xff])])],
        vec![scope(&[&element(0x83, &[1, 6])])],
        vec![scope(&[&element(0x84, &[0xff])]), number.clone()],
        vec![number, extension("2.5.29.27", true, &integer(&[1]))],
        vec![extension("1.2.3.4", false, &[5, 0])],
    ]
}

/// Extensions of entries.
fn of_entries() -> Vec<Vec<Vec<u8>>> {
    let reason = |reason: u8| extension("2.5.29.21", false, &element(10, &[reason]));
    let issuer = sequence(&[&element(0xa4, &common_name("other"))]);
    vec![
        vec![],
        vec![reason(1)],
        vec![reason(8)],
        vec![reason(6), extension("2.5.29.23", false, &element(6, &[0x2a, 3]))],
        vec![extension("2.5.29.24", false, &element(0x18, b"20260101000000Z"))],
        vec![extension("2.5.29.29", true, &issuer)],
    ]
}

fn listed(extensions: &[Vec<u8>]) -> Vec<u8> {
    let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    if parts.is_empty() { Vec::new() } else { sequence(&parts) }
}

impl Mint {
    fn new() -> Self {
        let [key, leaf] = [ForgeKey::new(), ForgeKey::new()];
        let names = [common_name("root"), common_name("me")];
        let root = Party { name: &names[0], key: &key };
        let me = Party { name: &names[1], key: &leaf };
        let anchor = certificate(root, root, &authority(&[]));
        let leaves = [&b"revoked"[..], b"good"]
            .map(|name| certificate(me, root, &client(&[alt_names(&[(0x82, name)])])));
        let revoked = RawCertificate::read(&leaves[0]).expect("a certificate").serial.to_vec();
        let mut lists = Vec::new();
        for extensions in of_lists() {
            for of_entry in of_entries() {
                let entry = |serial: &[u8], more: &[u8]| {
                    sequence(&[&integer(serial), &utc("260101000000Z"), more])
                };
                let entries = [entry(&[5], &[]), entry(&revoked, &listed(&of_entry))];
                let outer = listed(&extensions);
                let outer = if outer.is_empty() { outer } else { explicit(0, &outer) };
                let part = sequence(&[
                    &integer(&[1]),
                    &algorithm(),
                    &names[0],
                    &utc("260501000000Z"),
                    &utc("270101000000Z"),
                    &sequence(&[&entries[0], &entries[1]]),
                    &outer,
                ]);
                lists.push(Node::read(&part).expect("DER"));
            }
        }
        let all = of_lists().into_iter().chain(of_entries()).flatten();
        let mut pool: Vec<Node> = all.filter_map(|one| Node::read(&one)).flatten().collect();
        let small: [&[u8]; 8] = [
            &[5, 0],
            &[1, 1, 0],
            &[1, 1, 0xff],
            &[1, 1, 1],
            &[2, 1, 1],
            &[2, 2, 0, 5],
            &[10, 1, 8],
            &[0x30, 0],
        ];
        pool.extend(small.into_iter().filter_map(Node::read).flatten());
        Self { key, anchor, leaves, lists, pool }
    }

    /// One list, changed once or twice, or not at all, and signed again.
    fn strike(&self, seed: &mut Seed) -> Vec<u8> {
        let mut list = self.lists[seed.below(self.lists.len())].clone();
        for _ in 0..seed.below(12).div_ceil(6) {
            mutate(&mut list, &self.pool, seed);
        }
        let signed = written(&list);
        self.key.wrap(&signed, &algorithm_of(&signed).unwrap_or_else(algorithm))
    }

    /// Our word on a leaf, by this list alone.
    fn judge(&self, leaf: &[u8], list: &[u8]) -> Result<(), String> {
        let list = Crl::parse(list.to_vec()).map_err(|error| format!("list: {}", error.text()))?;
        let rules = RevocationRules { expired_refuses: true, missing_refuses: true };
        let policy = ClientPolicy::new(std::slice::from_ref(&self.anchor), DEPTH, false);
        let lists = Some(Revocation::new(vec![list], rules));
        match verify_client(&[leaf], &policy.expect("an anchor").with_revocation(lists), NOW) {
            Verdict::Success => Ok(()),
            Verdict::Failed(failure) => Err(failure.text().to_owned()),
            Verdict::None => Err("nothing".to_owned()),
        }
    }
}

/// Does it hold a serial number in more octets than it takes? OpenSSL does not read such a list. To read
/// it revokes whom it names, and lets nobody in who is not named.
fn has_long_number(list: &[u8]) -> bool {
    let crl = Node::read(list).expect("DER that was read");
    let signed = crl[0].parts().and_then(|parts| parts[0].parts()).expect("a signed part");
    // Behind the name of the issuer, which is the second sequence.
    let revoked = signed.iter().filter(|part| part.is_sequence()).nth(2);
    let entries = revoked.and_then(Node::parts).unwrap_or_default();
    entries.iter().filter_map(Node::parts).any(|entry| {
        let serial = written(&entry[..1]);
        matches!(serial.get(2..), Some([0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..]))
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a longer run is asked for")]
fn by_whatever_list_whom_we_take_openssl_takes() {
    let wanted = std::env::var("FERRULE_CERTIFICATES").ok().and_then(|count| count.parse().ok());
    let mint = Mint::new();
    let mut seed = Seed::new(4);
    let mut cases = Vec::new();
    // Every list as it is made, and then changed ones.
    for list in &mint.lists {
        cases.push(mint.key.wrap(&written(list), &algorithm()));
    }
    cases.extend((0..wanted.unwrap_or(USUAL)).map(|_| mint.strike(&mut seed)));
    let chains: Vec<Vec<Vec<u8>>> = cases
        .iter()
        .flat_map(|list| mint.leaves.iter().map(|leaf| vec![leaf.clone(), list.clone()]))
        .collect();
    let scratch = scratch();
    let docket = Docket::write(scratch.path(), std::slice::from_ref(&mint.anchor), &chains);
    let said = docket.openssl_by_list(scratch.path());
    assert_eq!(said.len(), chains.len());
    let mut table: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for (chain, said) in chains.iter().zip(&said) {
        let ours = mint.judge(&chain[0], &chain[1]);
        if ours.is_ok() && !said.accepted && !has_long_number(&chain[1]) {
            let list = HEXLOWER.encode(&chain[1]);
            differences.push(format!("{}: {list}", said.words));
        }
        let ours = ours.err().unwrap_or_else(|| "taken".to_owned());
        *table.entry((ours, said.words.clone())).or_default() += 1;
    }
    for ((ours, theirs), count) in &table {
        println!("| {ours} | {theirs} | {count} |");
    }
    let both = table.get(&("taken".to_owned(), "ok".to_owned())).copied().unwrap_or_default();
    assert!(both > 100, "an idle test: {table:?}");
    assert!(differences.is_empty(), "{} times: {}", differences.len(), differences.join("\n"));
}
