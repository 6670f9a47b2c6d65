//! The cases: what a client asks for, what each node does with it, and when the next one may be asked.

use std::fmt::Write as _;

/// What a node does with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Does {
    /// There is nobody who listens.
    Refuses,
    /// Takes the connection and ends it, without reading.
    HangsUp,
    /// Reads the request and ends the connection.
    Closes,
    /// Reads the head and at most 10 KiB of the body, and goes: a reset if there was more.
    Resets,
    /// Reads the request, sends half a head, and ends the connection.
    HalfAHead,
    /// Reads the request and sends what is no HTTP at all.
    Garbage,
    /// Reads the request and sends a head with a line that is none.
    BadField,
    /// Reads the request and says nothing.
    Silent,
    /// Answers with this status.
    Status(u16),
    /// Answers with 200, and ends the connection within the body.
    Cuts,
    /// Answers with 200: which node it is, and how much of a body it has got.
    Answers,
}

pub(super) const FAULTS: [Does; 16] = [
    Does::Refuses,
    Does::HangsUp,
    Does::Closes,
    Does::Resets,
    Does::HalfAHead,
    Does::Garbage,
    Does::BadField,
    Does::Silent,
    Does::Status(403),
    Does::Status(404),
    Does::Status(429),
    Does::Status(500),
    Does::Status(502),
    Does::Status(503),
    Does::Status(504),
    Does::Cuts,
];

/// What the client sends behind the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    None,
    Sized(usize),
    Chunked(usize),
}

/// What another node is asked after.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum On {
    Nothing,
    Errors,
    NoResponse,
    Statuses,
}

pub(super) const ONS: [On; 4] = [On::Nothing, On::Errors, On::NoResponse, On::Statuses];

/// What a location of either proxy is configured with.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    /// Which of the three nodes do not listen, as bits.
    pub(super) refusing: u8,
    pub(super) retries: u8,
    pub(super) on: On,
    pub(super) non_idempotent: bool,
    /// No further try begins after a second, which is less than a silent node takes.
    pub(super) hasty: bool,
}

impl Place {
    pub(super) fn path(self) -> String {
        let Self { refusing, retries, on, non_idempotent, hasty } = self;
        format!("/{refusing}-{retries}-{on:?}-{non_idempotent}-{hasty}")
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) method: &'static str,
    pub(super) body: Body,
    pub(super) nodes: [Does; 3],
    retries: u8,
    pub(super) on: On,
    pub(super) non_idempotent: bool,
    hasty: bool,
}

impl Case {
    pub(super) fn place(&self) -> Place {
        let refusing = (0..3_u8).fold(0, |bits, at| {
            bits | u8::from(self.nodes[usize::from(at)] == Does::Refuses) << at
        });
        let Self { retries, on, non_idempotent, hasty, .. } = *self;
        Place { refusing, retries, on, non_idempotent, hasty }
    }

    pub(super) fn request(&self) -> Vec<u8> {
        // What nginx passes on without a head has no other end than that of the connection.
        let fields = "Host: x\r\nConnection: close\r\n";
        let mut head = format!("{} {} HTTP/1.1\r\n{fields}", self.method, self.place().path());
        let body: Vec<u8> = match self.body {
            Body::None => Vec::new(),
            Body::Sized(len) => {
                write!(head, "Content-Length: {len}\r\n").expect("a string");
                vec![b'x'; len]
            }
            Body::Chunked(len) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                let chunk = [b"100\r\n".as_slice(), &[b'x'; 256], b"\r\n"].concat();
                let mut body = chunk.repeat(len / 256);
                body.extend(b"0\r\n\r\n");
                body
            }
        };
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    /// May it be sent twice, by its method and the configuration?
    pub(super) fn is_repeatable(&self) -> bool {
        self.non_idempotent || matches!(self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
    }

    /// Is its body longer than `retry_buffer` has it by default?
    pub(super) fn is_long(&self) -> bool {
        matches!(self.body, Body::Sized(len) | Body::Chunked(len) if len > 65_536)
    }

    /// Does one that may not be sent twice meet a node that may end the connection before the request has left? Who
    /// sees that first is chance.
    fn is_race(&self) -> bool {
        !self.is_repeatable() && self.nodes.contains(&Does::HangsUp)
    }
}

const BODIES: [Body; 5] = [
    Body::Sized(10),
    Body::Sized(40 * 1_024),
    Body::Chunked(40 * 1_024),
    Body::Sized(150 * 1_024),
    Body::Chunked(150 * 1_024),
];

/// Every fault of the first node for each kind of request, then any at all; `count` of these.
pub(super) fn cases(seed: u64, count: usize) -> Vec<Case> {
    let base = Case {
        method: "GET",
        body: Body::None,
        nodes: [Does::Answers; 3],
        retries: 2,
        on: On::Statuses,
        non_idempotent: false,
        hasty: false,
    };
    let mut cases = Vec::new();
    for does in FAULTS {
        let nodes = [does, Does::Answers, Does::Answers];
        let requests = [("GET", Body::None), ("PURGE", Body::None), ("POST", BODIES[0])]
            .into_iter()
            .chain([("POST", BODIES[1]), ("PATCH", BODIES[2])])
            .chain(BODIES.map(|body| ("PUT", body)));
        // Each silence costs its time.
        let count = if does == Does::Silent { 3 } else { usize::MAX };
        for (method, body) in requests.take(count) {
            cases.push(Case { method, body, nodes, ..base });
        }
        for on in [On::Nothing, On::Errors, On::NoResponse] {
            cases.push(Case { nodes, on, ..base });
        }
        cases.push(Case { nodes, hasty: true, ..base });
        let (method, body) = ("POST", BODIES[1]);
        cases.push(Case { method, body, nodes, non_idempotent: true, ..base });
    }
    let mut draw = Draw(seed);
    for _ in 0..count {
        let method =
            draw.one(&["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH", "PURGE"]);
        let with_body = matches!(method, "PUT" | "POST" | "PATCH") || draw.chance(10);
        let node = |draw: &mut Draw| match draw.chance(25) {
            true => Does::Answers,
            false => match draw.one(&FAULTS) {
                Does::Silent if draw.chance(90) => Does::Closes,
                does => does,
            },
        };
        cases.push(Case {
            method,
            body: if with_body && method != "HEAD" { draw.one(&BODIES) } else { Body::None },
            nodes: [node(&mut draw), node(&mut draw), node(&mut draw)],
            retries: draw.one(&[0, 1, 2, 2]),
            on: draw.one(&ONS),
            non_idempotent: draw.chance(25),
            hasty: draw.chance(15),
        });
    }
    cases.retain(|case| !case.is_race());
    cases
}

/// `SplitMix64`.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.next() % 1_000_000).expect("small") % of.len();
        of[at]
    }
}
