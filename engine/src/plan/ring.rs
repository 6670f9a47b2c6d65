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
