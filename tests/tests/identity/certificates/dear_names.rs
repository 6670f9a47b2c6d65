//! What names and constraints may cost: as much as their bytes, whatever stands in them.
//!
//! In: chains of 64 KiB that a stranger makes up, each with names and constraints of one shape. Out: how
//! long a judgement of them takes beside an honest chain.

use std::time::Duration;

use ferrule_engine::identity::{ClientPolicy, Verdict, verify_client};
use ferrule_tests::zoo::asn1::{attribute, common_name, name};
use ferrule_tools::clock;

use crate::certificates::forge::{
    ForgeKey, NOW, Party, alt_names, authority, certificate, client, constraints,
};

/// Bytes that a chain leaves to either side: names, and constraints.
const ROOM: usize = 30_000;

/// So many texts of one kind, each as long as there is room.
#[derive(Debug)]
struct Crowd {
    tag: u8,
    count: usize,
    head: &'static [u8],
    filling: &'static [u8],
    tail: &'static [u8],
}

impl Crowd {
    fn texts(&self) -> Vec<(u8, Vec<u8>)> {
        let room = (ROOM / self.count).saturating_sub(10).max(self.head.len() + self.tail.len());
        let filling = room - self.head.len() - self.tail.len();
        let text: Vec<u8> = self
            .head
            .iter()
            .chain(self.filling.iter().cycle().take(filling))
            .chain(self.tail)
            .copied()
            .collect();
        let wrap = |text: Vec<u8>| match self.tag {
            0xa4 => name(&[&[attribute("2.5.4.10", 12, &text)]]),
            _ => text,
        };
        vec![(self.tag, wrap(text)); self.count]
    }
}

struct Stage {
    keys: [ForgeKey; 3],
    policy: ClientPolicy,
}

impl Stage {
    fn new() -> Self {
        let keys = [ForgeKey::new(), ForgeKey::new(), ForgeKey::new()];
        let root_name = common_name("root");
        let root = Party { name: &root_name, key: &keys[0] };
        let anchor = certificate(root, root, &authority(&[]));
        let policy = ClientPolicy::new(&[anchor], 4, false).expect("an anchor");
        Self { keys, policy }
    }

    /// A leaf of these names below a CA that is held by these constraints, and says that the root
    /// has issued it.
    fn chain(&self, names: &[(u8, Vec<u8>)], excluded: &[(u8, Vec<u8>)]) -> Vec<Vec<u8>> {
        fn borrow(list: &[(u8, Vec<u8>)]) -> Vec<(u8, &[u8])> {
            list.iter().map(|(tag, text)| (*tag, text.as_slice())).collect()
        }
        let own = [common_name("root"), common_name("sub"), common_name("me")];
        let root = Party { name: &own[0], key: &self.keys[1] };
        let sub = Party { name: &own[1], key: &self.keys[1] };
        let leaf = Party { name: &own[2], key: &self.keys[2] };
        let of_sub = authority(&[constraints(&[], &borrow(excluded))]);
        vec![
            certificate(leaf, sub, &client(&[alt_names(&borrow(names))])),
            certificate(sub, root, &of_sub),
        ]
    }

    fn time(&self, chain: &[Vec<u8>]) -> Duration {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let once = || {
            let started = clock::now();
            let verdict = std::hint::black_box(verify_client(&chain, &self.policy, NOW));
            assert_ne!(verdict, Verdict::Success);
            started.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap_or_default()
    }
}

fn crowds(count: usize) -> Vec<Crowd> {
    let crowd = |tag, head: &'static str, filling: &'static str, tail: &'static str| Crowd {
        tag,
        count,
        head: head.as_bytes(),
        filling: filling.as_bytes(),
        tail: tail.as_bytes(),
    };
    vec![
        crowd(0x86, "x://a.", "aa.", "a"),
        crowd(0x86, "x://a", "a", ""),
        crowd(0x86, "x", "x", "://a"),
        crowd(0x86, "x://a:", "1", ""),
        crowd(0x86, "x://a/", ":", ""),
        crowd(0x86, "a.", "aa.", "a"),
        crowd(0x81, "a@a.", "aa.", "a"),
        crowd(0x81, "", "a", "@a"),
        crowd(0x81, "a.", "aa.", "a"),
        crowd(0x82, "a.", "aa.", "a"),
        crowd(0xa4, "a", "a ", "a"),
    ]
}

#[test]
fn names_and_constraints_cost_what_their_bytes_do() {
    let stage = Stage::new();
    let honest = stage.time(&stage.chain(&[(0x82, b"a.b".to_vec())], &[(0x82, b"c".to_vec())]));
    let mut dear = Vec::new();
    for (few, many) in [(1, 2500), (30, 1000), (250, 250), (1000, 60), (2500, 1)] {
        for names in crowds(few) {
            for bases in crowds(many).into_iter().filter(|bases| bases.tag == names.tag) {
                let time = stage.time(&stage.chain(&names.texts(), &bases.texts()));
                // Unoptimised, with others on the machine; alone it is 80. Hosts read anew for each
                // comparison took four thousand times as long as an honest chain, and more.
                if time > honest * 1500 {
                    dear.push(format!("{few} {names:?} under {many} {bases:?}: {time:?}"));
                }
            }
        }
    }
    assert!(dear.is_empty(), "an honest chain takes {honest:?}, but {dear:#?}");
}
