//! DER as a tree, and changes of it that a signature does not mind.
//!
//! In: the signed part of a certificate, and a seed. Out: another one, in which a tag, a length, an
//! order, a number of elements or a content is different. Most of them are not DER any more.

use ferrule_tests::zoo::asn1::element;

use crate::certificates::forge::Seed;

/// An element.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    tag: u8,
    length: Length,
    body: Body,
}

/// How its length is written.
#[derive(Clone, Copy, Debug)]
enum Length {
    Shortest,
    /// With so many octets more than it takes.
    Padded(usize),
    /// Without one, and two zeros at the end.
    Indefinite,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Vec<u8>),
    Parts(Vec<Node>),
}

/// Contents that have confused somebody.
pub(crate) const CONTENTS: [&[u8]; 40] = [
    b"",
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x00\x80",
    b"\x00\x7f",
    b"\xff\xff",
    b"\x01\x00\x00\x00\x00\x00\x00\x00\x00",
    b"a\x00b",
    b"\xc3\xa9",
    b"\xff\xfe",
    b"\x00a\x00b",
    b"\x00\x00\x00a",
    b"*.good.example",
    b".good.example",
    b"good.example",
    b"good.example.",
    b"a.good.example\x00.evil.example",
    b"spiffe://good.example/a",
    b"spiffe://evil.example@good.example/a",
    b"spiffe://good.example:80@evil.example/",
    b"spiffe://evil.example?.good.example/",
    b"spiffe://evil.example#.good.example/",
    b"spiffe://evil.example/:.good.example",
    b"spiffe://[::1]/",
    b"urn:x",
    b"a@good.example",
    b"a@evil.example",
    b"\"a@evil.example\"@good.example",
    b"\x0a\x01\x02\x03",
    b"\x0a\x01\x00\x00\xff\xff\x00\x00",
    b"20260101000000Z",
    b"260101000000Z",
    b"2601010000Z",
    b"260101000000+0000",
    b"20260101000000.5Z",
    b"99991231235959Z",
    b"000000000000Z",
];

/// Tags of every kind.
const TAGS: [u8; 40] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1c,
    0x1e, 0x1f, 0x24, 0x30, 0x31, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0xa0,
    0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
];

impl Node {
    /// Reads DER that was written here; octet strings are looked into.
    pub(crate) fn read(mut der: &[u8]) -> Option<Vec<Self>> {
        let mut nodes = Vec::new();
        while let [tag, rest @ ..] = der {
            let (first, rest) = rest.split_first()?;
            let (len, rest) = if *first < 0x80 {
                (usize::from(*first), rest)
            } else {
                let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
                (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
            };
            let (content, rest) = rest.split_at_checked(len)?;
            let inside = *tag & 0x20 != 0 || (*tag == 4 && content.len() > 1);
            let parts = inside.then(|| Self::read(content)).flatten();
            let body = parts.map_or_else(|| Body::Bytes(content.to_vec()), Body::Parts);
            nodes.push(Self { tag: *tag, length: Length::Shortest, body });
            der = rest;
        }
        Some(nodes)
    }

    /// As bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let content = match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Parts(parts) => written(parts),
        };
        match self.length {
            Length::Shortest => out.extend(element(self.tag, &content)),
            Length::Padded(more) => {
                let digits = content.len().to_be_bytes();
                let count = (digits.len() - (content.len().leading_zeros() / 8) as usize).max(1);
                let count = (count + more - 1).clamp(1, digits.len());
                out.extend([self.tag, 0x80 | u8::try_from(count).expect("few")]);
                out.extend_from_slice(&digits[digits.len() - count..]);
                out.extend(content);
            }
            Length::Indefinite => {
                out.extend([self.tag, 0x80]);
                out.extend(content);
                out.extend([0, 0]);
            }
        }
    }

    /// What is in it.
    pub(crate) fn parts(&self) -> Option<&[Self]> {
        match &self.body {
            Body::Bytes(_) => None,
            Body::Parts(parts) => Some(parts),
        }
    }

    /// Is it a `SEQUENCE`?
    pub(crate) const fn is_sequence(&self) -> bool {
        self.tag == 0x30
    }

    fn count(&self) -> usize {
        match &self.body {
            Body::Bytes(_) => 1,
            Body::Parts(parts) => 1 + parts.iter().map(Self::count).sum::<usize>(),
        }
    }
}

/// Elements as bytes.
pub(crate) fn written(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    nodes.iter().for_each(|node| node.write(&mut out));
    out
}

/// Changes one element, wherever it is. Others may come from the pool.
pub(crate) fn mutate(nodes: &mut Vec<Node>, pool: &[Node], seed: &mut Seed) {
    let count: usize = nodes.iter().map(Node::count).sum();
    if count > 0 {
        // Extensions come last, and there is most to get wrong.
        let mut wanted = if seed.below(2) == 0 {
            seed.below(count)
        } else {
            count / 2 + seed.below(count.div_ceil(2))
        };
        change(nodes, &mut wanted, pool, seed);
    }
}

/// Walks to the wanted element; true once it has been changed.
fn change(nodes: &mut Vec<Node>, wanted: &mut usize, pool: &[Node], seed: &mut Seed) -> bool {
    for at in 0..nodes.len() {
        if *wanted == 0 {
            if seed.below(3) == 0 {
                rearrange(nodes, at, pool, seed);
            } else {
                alter(&mut nodes[at], pool, seed);
            }
            return true;
        }
        *wanted -= 1;
        if let Body::Parts(parts) = &mut nodes[at].body
            && change(parts, wanted, pool, seed)
        {
            return true;
        }
    }
    false
}

/// Which elements there are, and in which order.
fn rearrange(nodes: &mut Vec<Node>, at: usize, pool: &[Node], seed: &mut Seed) {
    match seed.below(5) {
        0 => {
            nodes.remove(at);
        }
        1 => {
            let again = nodes[at].clone();
            nodes.insert(at, again);
        }
        2 => {
            let other = seed.below(nodes.len());
            nodes.swap(at, other);
        }
        3 => nodes[at] = pool[seed.below(pool.len())].clone(),
        _ => nodes.insert(at + seed.below(2), pool[seed.below(pool.len())].clone()),
    }
}

/// What one element is.
fn alter(node: &mut Node, pool: &[Node], seed: &mut Seed) {
    match seed.below(9) {
        0 => node.tag ^= 0x20,
        1 => node.tag ^= [0x40, 0x80, 0xc0][seed.below(3)],
        2 => node.tag = node.tag & 0xe0 | u8::try_from(seed.below(32)).expect("five bits"),
        3 => node.tag = TAGS[seed.below(TAGS.len())],
        4 => node.length = Length::Padded(1 + seed.below(2)),
        5 => node.length = Length::Indefinite,
        6 => node.body = Body::Bytes(CONTENTS[seed.below(CONTENTS.len())].to_vec()),
        7 => {
            let mut inner = match &node.body {
                Body::Bytes(bytes) => bytes.clone(),
                Body::Parts(parts) => written(parts),
            };
            disturb(&mut inner, seed);
            node.body = Body::Bytes(inner);
        }
        _ => {
            let wrapped = pool[seed.below(pool.len())].clone();
            node.body = Body::Parts(vec![wrapped]);
        }
    }
}

/// One byte, more or less.
fn disturb(bytes: &mut Vec<u8>, seed: &mut Seed) {
    let any = u8::try_from(seed.below(256)).expect("a byte");
    let at = seed.below(bytes.len() + 1);
    match seed.below(4) {
        0 => bytes.insert(at, any),
        1 => bytes.truncate(at),
        _ if at < bytes.len() => bytes[at] = any,
        _ => bytes.push(any),
    }
}
