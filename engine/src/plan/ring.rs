//! The ring of consistent hashing: ketama, as nginx and `lua-resty-balancer` (APISIX) build it.
//!
//! In: the nodes and their weights. Out: for a hash, where on the ring to begin, and the nodes from there on.
//! A node has 160 points for each unit of weight. The hash of a point is the CRC-32 of the node's name, a colon
//! in it written as NUL, and of the hash of the point before it. A hash belongs to the first point that is not
//! below it. A node that leaves takes its own points and nobody else's.

use super::ids::NodeIndex;

/// Points for each unit of weight (`CONSISTENT_POINTS` of `resty.chash`).
pub const POINTS_PER_WEIGHT: u32 = 160;

/// Where nodes stand.
///
/// A point takes four bytes: the arcs of the ring are equally long and at least as many as there are nodes, so
/// that the first bits of a hash say in which arc it is, and the bits that are free then say whose it is.
#[derive(Debug, Eq, PartialEq)]
pub struct Ring {
    /// Points, arc by arc: within an arc sorted by hash, and those of one hash by node.
    points: Box<[u32]>,
    /// Where each arc's points begin; one more at the end.
    arcs: Box<[u32]>,
    /// Bits of a point that say whose it is, and bits of a hash that say in which arc it is.
    member_bits: u32,
    /// The nodes, in the order of the members.
    nodes: Box<[NodeIndex]>,
}

/// A name's share of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingMember<'a> {
    /// The node.
    pub node: NodeIndex,
    /// `host:port`
    pub name: &'a str,
    /// Its share.
    pub weight: u32,
}

impl Ring {
    /// The ring of these nodes. Weights are divided by their greatest common divisor first: equal weights mean
    /// the same ring, however large they are.
    #[must_use]
    pub fn build(members: &[RingMember<'_>]) -> Self {
        let last = u32::try_from(members.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let member_bits = u32::BITS - last.leading_zeros();
        let mut ring = Self {
            points: Box::default(),
            arcs: vec![0; (1 << member_bits) + 1].into(),
            member_bits,
            nodes: members.iter().map(|member| member.node).collect(),
        };
        let divisor = members.iter().fold(0, |divisor, member| gcd(divisor, member.weight)).max(1);
        let mut hashes = Vec::new();
        for (at, member) in (0_u32..).zip(members) {
            let name = Crc32::START.over(member.name.bytes().map(colon_as_nul));
            let mut hash = 0_u32;
            for _ in 0..u64::from(member.weight / divisor) * u64::from(POINTS_PER_WEIGHT) {
                hash = name.over(hash.to_le_bytes()).value();
                hashes.push((hash, at));
            }
        }
        ring.lay_out(&hashes);
        ring
    }

    /// Sorts the points by arc, by counting, and within each arc.
    fn lay_out(&mut self, hashes: &[(u32, u32)]) {
        for (hash, _) in hashes {
            if let Some(count) = self.arcs.get_mut(self.arc(*hash) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for count in &mut self.arcs {
            sum += *count;
            *count = sum;
        }
        let mut next = self.arcs.clone();
        let mut points = vec![0; hashes.len()];
        for (hash, member) in hashes {
            let Some(at) = next.get_mut(self.arc(*hash)) else { continue };
            if let Some(point) = points.get_mut(*at as usize) {
                *point = self.within_arc(*hash) | member;
            }
            *at += 1;
        }
        for arc in self.arcs.windows(2) {
            let &[start, end] = arc else { continue };
            // Of two points with one hash, that of the earlier node comes first.
            points.get_mut(start as usize..end as usize).unwrap_or_default().sort_unstable();
        }
        self.points = points.into();
    }

    const fn arc(&self, hash: u32) -> usize {
        hash.unbounded_shr(u32::BITS - self.member_bits) as usize
    }

    /// The bits of a hash that do not say in which arc it is, where a point has them.
    const fn within_arc(&self, hash: u32) -> u32 {
        hash.unbounded_shl(self.member_bits)
    }

    /// The nodes in the order in which a hash asks for them, each as often as it has points: the first is the
    /// one that it belongs to.
    pub fn from_hash(&self, hash: u32) -> impl Iterator<Item = NodeIndex> {
        let arc = self.arc(hash);
        let bound = |at: usize| self.arcs.get(at).map_or(0, |start| *start as usize);
        let (first, end) = (bound(arc), bound(arc + 1));
        let points = self.points.get(first..end).unwrap_or_default();
        let least = self.within_arc(hash);
        let start = first + points.partition_point(|point| *point < least);
        let (front, back) = self.points.split_at_checked(start).unwrap_or_default();
        let mask = (1_u32 << self.member_bits) - 1;
        let node = move |point: &u32| self.nodes.get((point & mask) as usize).copied();
        back.iter().chain(front).filter_map(node)
    }
}

/// The greatest common divisor; that of 0 and a number is the number.
#[must_use]
pub const fn gcd(mut one: u32, mut other: u32) -> u32 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// The hash of a key.
#[must_use]
pub fn hash_of(key: &[u8]) -> u32 {
    Crc32::START.over(key.iter().copied()).value()
}

const fn colon_as_nul(byte: u8) -> u8 {
    if byte == b':' { 0 } else { byte }
}

/// CRC-32 of IEEE 802.3, under way.
#[derive(Clone, Copy)]
struct Crc32(u32);

impl Crc32 {
    const START: Self = Self(u32::MAX);

    fn over(self, bytes: impl IntoIterator<Item = u8>) -> Self {
        Self(bytes.into_iter().fold(self.0, |crc, byte| {
            let low = crc.to_le_bytes()[0];
            TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
        }))
    }

    const fn value(self) -> u32 {
        !self.0
    }
}

/// What each byte does to the sum, polynomial 0x04C11DB7 reflected.
static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at: u32 = 0;
    while at < 256 {
        let (mut crc, mut bit) = (at, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[at as usize] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        let member = |node, name, weight| RingMember { node: NodeIndex(node), name, weight };
        Ring::build(&[
            member(0, "10.0.0.1:80", 1),
            member(1, "10.0.0.2:80", 1),
            member(2, "10.0.0.3:8080", 2),
        ])
    }

    #[test]
    fn the_sum_is_crc_32() {
        assert_eq!(hash_of(b"123456789"), 0xcbf4_3926);
    }

    /// The order in which keys ask for nodes, worked out once by another program from the rule of
    /// `resty.chash` and APISIX: Python, with the CRC-32 of zlib.
    #[test]
    fn keys_go_where_apisix_sends_them() {
        let ring = ring();
        assert_eq!(ring.points.len(), 640);
        for hash in [3_751_338_u32, 4_294_447_434] {
            // A hash right behind a point belongs to the next one.
            let rest = |hash: u32| ring.from_hash(hash).count();
            assert_eq!((ring.from_hash(hash).next(), rest(hash)), (Some(NodeIndex(0)), 640));
        }
        let all: Vec<_> = ring.from_hash(0).collect();
        let behind: Vec<_> = ring.from_hash(3_751_339).collect();
        assert_eq!((&all[1..], all[0]), (&behind[..639], behind[639]), "the first is 3,751,338");
        assert_eq!(ring.from_hash(4_294_447_435).collect::<Vec<_>>(), all, "the last");
        for (key, order) in [
            ("", [0, 2, 1]),
            ("127.0.0.1", [1, 2, 0]),
            ("192.0.2.7", [0, 2, 1]),
            ("alice", [0, 2, 1]),
            ("bob", [2, 1, 0]),
            ("carol", [0, 1, 2]),
            ("/index.html", [0, 2, 1]),
            ("user-1", [0, 1, 2]),
            ("user-2", [1, 2, 0]),
            ("user-3", [0, 2, 1]),
        ] {
            let mut found = Vec::new();
            for node in ring.from_hash(hash_of(key.as_bytes())) {
                if !found.contains(&node.0) {
                    found.push(node.0);
                }
            }
            assert_eq!(found, order, "{key}");
        }
    }

    /// What the tests of `lua-resty-balancer` say of itself (`t/chash.t`): where 100,000 keys go, and how many stay
    /// when a server gets more weight, and when one leaves.
    #[test]
    fn keys_are_spread_as_by_resty_chash() {
        let place = |weights: [u32; 3], gone: u32| -> Vec<u32> {
            let names = ["server1", "server2", "server3"];
            let member =
                |(node, (name, weight))| RingMember { node: NodeIndex(node), name, weight };
            let members: Vec<_> = (0..).zip(names.into_iter().zip(weights)).map(member).collect();
            let ring = Ring::build(&members);
            let first = |hash| ring.from_hash(hash).find(|node| node.0 != gone);
            let keys = (1..=100_000).map(|key: u32| hash_of(key.to_string().as_bytes()));
            keys.map(|hash| first(hash).unwrap().0).collect()
        };
        let spread = place([10, 2, 1], 9);
        let count = |node| spread.iter().filter(|found| **found == node).count();
        assert_eq!([count(0), count(1), count(2)], [77_075, 14_743, 8_182]);
        let same =
            |one: &[u32], other: &[u32]| one.iter().zip(other).filter(|(a, b)| a == b).count();
        let [before, more, less] = [([7, 2, 1], 9), ([8, 2, 1], 9), ([8, 2, 1], 2)]
            .map(|(weights, gone)| place(weights, gone));
        assert_eq!([same(&before, &more), same(&more, &less)], [97_606, 90_255]);
    }

    /// A bit by bit sum and a plain walk beside the table and the search, for many keys.
    #[test]
    fn a_plain_implementation_agrees() {
        let plain_sum = |bytes: &[u8]| {
            let mut crc = u32::MAX;
            for byte in bytes {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                }
            }
            !crc
        };
        let mut points = Vec::new();
        for (node, name, weight) in
            [(0, "10.0.0.1\x0080", 1), (1, "10.0.0.2\x0080", 1), (2, "10.0.0.3\x008080", 2)]
        {
            let mut hash = 0_u32;
            for _ in 0..160 * weight {
                hash = plain_sum(&[name.as_bytes(), &hash.to_le_bytes()].concat());
                points.push((hash, node));
            }
        }
        let built = ring();
        for key in (0..2_000).map(|at| format!("key {at}")) {
            let hash = plain_sum(key.as_bytes());
            let at_or_after = points.iter().filter(|(point, _)| *point >= hash).min();
            let (_, node) = at_or_after.or_else(|| points.iter().min()).unwrap();
            assert_eq!(built.from_hash(hash_of(key.as_bytes())).next(), Some(NodeIndex(*node)));
        }
    }

    #[test]
    fn only_the_ratio_of_weights_counts() {
        let ring = |weight| {
            let member = |node, name| RingMember { node: NodeIndex(node), name, weight };
            Ring::build(&[member(0, "a:1"), member(1, "b:1")])
        };
        assert_eq!(ring(1), ring(1_000_000));
    }

    /// Sorted points beside arcs, for rings of every size: every node, in the order of the whole ring.
    #[test]
    fn arcs_change_nothing() {
        for count in [1, 2, 3, 4, 5, 16, 17, 130] {
            let names: Vec<String> = (0..count).map(|at| format!("10.0.0.{at}:80")).collect();
            let members: Vec<_> = (0_u32..)
                .zip(&names)
                .map(|(at, name)| {
                    // Nodes of a group are not all nodes of an upstream.
                    RingMember { node: NodeIndex(at * 3 + 1), name, weight: 1 + at % 3 }
                })
                .collect();
            let mut plain = Vec::new();
            for member in &members {
                let weight = if count == 1 { 1 } else { member.weight };
                let name = Crc32::START.over(member.name.bytes().map(colon_as_nul));
                let mut hash = 0_u32;
                for _ in 0..weight * POINTS_PER_WEIGHT {
                    hash = name.over(hash.to_le_bytes()).value();
                    plain.push((hash, member.node));
                }
            }
            plain.sort_unstable_by_key(|(hash, node)| (*hash, node.0));
            let ring = Ring::build(&members);
            let edges = plain
                .iter()
                .step_by(1 + plain.len() / 100)
                .flat_map(|(hash, _)| [hash.saturating_sub(1), *hash, hash.saturating_add(1)]);
            let ends = [0, 1, u32::MAX - 1, u32::MAX, 1 << 31, (1 << 31) - 1];
            for hash in edges.chain(ends) {
                let start = plain.partition_point(|(point, _)| *point < hash);
                let wanted = plain[start..].iter().chain(&plain[..start]).map(|(_, node)| *node);
                // The whole ring, once.
                let most = if hash == 1 { usize::MAX } else { 40 };
                assert!(
                    ring.from_hash(hash).take(most).eq(wanted.take(most)),
                    "{count} nodes, {hash}"
                );
            }
        }
        assert_eq!(Ring::build(&[]).from_hash(7).next(), None);
    }
}
