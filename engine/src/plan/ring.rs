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
#[derive(Debug)]
pub struct Ring {
    /// Sorted by hash.
    points: Box<[Point]>,
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

/// A place on a ring.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Point {
    hash: u32,
    node: u32,
}

impl Ring {
    /// The ring of these nodes. Weights are divided by their greatest common divisor first: equal weights mean
    /// the same ring, however large they are.
    #[must_use]
    pub fn build(members: &[RingMember<'_>]) -> Self {
        let divisor = members.iter().fold(0, |divisor, member| gcd(divisor, member.weight)).max(1);
        let mut points = Vec::new();
        for member in members {
            let name = Crc32::START.over(member.name.bytes().map(colon_as_nul));
            let mut hash = 0_u32;
            for _ in 0..u64::from(member.weight / divisor) * u64::from(POINTS_PER_WEIGHT) {
                hash = name.over(hash.to_le_bytes()).value();
                points.push(Point { hash, node: member.node.0 });
            }
        }
        // Of two points with one hash, that of the earlier node comes first.
        points.sort_unstable();
        Self { points: points.into() }
    }

    /// The nodes in the order in which a hash asks for them, each as often as it has points: the first is the
    /// one that it belongs to.
    pub fn from_hash(&self, hash: u32) -> impl Iterator<Item = NodeIndex> {
        let start = self.points.partition_point(|point| point.hash < hash);
        let (front, back) = self.points.split_at_checked(start).unwrap_or_default();
        back.iter().chain(front).map(|point| NodeIndex(point.node))
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
        let points = ring().points;
        assert_eq!(points.len(), 640);
        assert_eq!(points[0], Point { hash: 3_751_338, node: 0 });
        assert_eq!(points[639], Point { hash: 4_294_447_434, node: 0 });
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
            for node in ring().from_hash(hash_of(key.as_bytes())) {
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
        assert_eq!(ring(1).points, ring(1_000_000).points);
    }
}
