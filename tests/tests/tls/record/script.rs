//! Random streams: mostly what a good peer sends, and now and then what no peer should.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use ferrule_engine::tls::record::{RecordError, Role};

use super::ends::{Ears, End};
use super::forger::{APPLICATION_DATA, HANDSHAKE};
use super::random::Random;
use super::verdict::compare;

const ALERT: u8 = 21;
const CONTENT_BYTES_MAX: usize = 16_384;

/// What was sent, and how it ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) streams: u64,
    ends: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.streams += other.streams;
        for (end, count) in &other.ends {
            *self.ends.entry(end.clone()).or_default() += count;
        }
    }

    /// How many kinds of faults there were.
    pub(crate) fn faults(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn text(&self) -> String {
        let mut out = format!("{} records in {} streams:", self.records, self.streams);
        for (end, count) in &self.ends {
            let _ = write!(out, " {end} {count},");
        }
        out
    }
}

/// Says which stream it was if a test fails in it.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "in the stream of {}", self.0);
        }
    }
}

/// One stream to one end.
pub(crate) struct Stream {
    ears: Ears,
    random: Random,
    name: Named,
    records: u64,
    last: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(ears: Ears, random: Random, name: &str) -> Self {
        let name = Named(format!("{name}, {:?}", ears.role));
        Self { ears, random, name, records: 0, last: Vec::new() }
    }

    /// Sends it, and compares.
    pub(crate) fn play(mut self, tally: &mut Tally) {
        let steps = 1 + self.random.below(260);
        for _ in 0..steps {
            let hostile = self.random.once_in(140);
            let bytes = if hostile { self.hostile() } else { self.benign() };
            self.deliver(&bytes);
            let Ears { theirs, ours, .. } = &mut self.ears;
            if ours.end != End::More || theirs.end != End::More {
                break;
            }
            assert_eq!(ours.plain.len(), theirs.plain.len());
            if self.random.once_in(16) {
                let words = self.random.bytes(1 + usize::from(self.random.clone().byte()));
                let Ears { theirs, ours, .. } = &mut self.ears;
                assert_eq!(ours.say(&words), theirs.say(&words));
            }
        }
        let Ears { theirs, ours, .. } = &mut self.ears;
        compare(theirs, ours);
        tally.records += self.records;
        tally.streams += 1;
        let end = match &ours.end {
            End::Failed(Some(RecordError::PeerAlert(_))) => "PeerAlert".to_owned(),
            End::Failed(Some(fault)) => format!("{fault:?}"),
            end => format!("{end:?}"),
        };
        *tally.ends.entry(end).or_default() += 1;
        drop(self.name);
    }

    /// Both hear it in the same pieces.
    fn deliver(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = match self.random.below(8) {
                0 => 1,
                1 => 7,
                2 => 1_000,
                _ => rest.len(),
            };
            // A long stream in single bytes takes long, and teaches nothing new.
            let most = if rest.len() > 4_000 { most.max(500) } else { most };
            let (piece, after) = rest.split_at((1 + self.random.below(most)).min(rest.len()));
            let piece = if most == rest.len() { rest } else { piece };
            rest = if most == rest.len() { &[] } else { after };
            self.ears.theirs.hear(piece);
            self.ears.ours.hear(piece);
        }
    }

    fn inner(&mut self, inner: &[u8]) -> Vec<u8> {
        self.records += 1;
        self.last = self.ears.forger.seal_inner(inner);
        self.last.clone()
    }

    fn record(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        self.inner(&[content, &[content_type]].concat())
    }

    fn benign(&mut self) -> Vec<u8> {
        match self.random.below(24) {
            0 => self.key_update(),
            1 => self.record(APPLICATION_DATA, &[]),
            2 => {
                let message = self.key_update_message();
                let wire = self.pieces(&message);
                self.ears.forger.update();
                wire
            }
            3 if self.ears.role == Role::Client => self.tickets(),
            4 if self.random.once_in(8) => self.record(ALERT, &[1, 90]),
            5 if self.random.once_in(8) => {
                let content = self.random.bytes(CONTENT_BYTES_MAX);
                self.record(APPLICATION_DATA, &content)
            }
            6 => {
                let pieces: Vec<_> = (0..self.random.below(6)).map(|_| self.benign()).collect();
                pieces.concat()
            }
            _ => self.data(),
        }
    }

    fn data(&mut self) -> Vec<u8> {
        let most = *self.random.one_of(&[1, 16, 64, 300, 2_000]);
        let count = 1 + self.random.below(most);
        let mut inner = self.random.bytes(count);
        inner.push(APPLICATION_DATA);
        if self.random.once_in(5) {
            inner.resize(inner.len() + self.random.below(300), 0);
        }
        self.inner(&inner)
    }

    fn key_update_message(&mut self) -> Vec<u8> {
        vec![24, 0, 0, 1, u8::from(self.random.once_in(2))]
    }

    fn key_update(&mut self) -> Vec<u8> {
        let message = self.key_update_message();
        let wire = self.record(HANDSHAKE, &message);
        self.ears.forger.update();
        wire
    }

    /// One handshake message over several records.
    fn pieces(&mut self, message: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut rest = message;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + self.random.below(rest.len()));
            wire.extend(self.record(HANDSHAKE, piece));
            rest = after;
        }
        wire
    }

    fn ticket(&mut self) -> Vec<u8> {
        let mut body = self.random.bytes(8);
        body.push(8);
        body.extend(self.random.bytes(8));
        let length = 1 + self.random.below(400);
        body.extend(u16::try_from(length).expect("short").to_be_bytes());
        body.extend(self.random.bytes(length));
        // An extension that nobody knows (section 9.3: ignored).
        body.extend([0, 6, 0x7a, 0x7a, 0, 2, 1, 2]);
        [&[4, 0], &u16::try_from(body.len()).expect("short").to_be_bytes()[..], &body].concat()
    }

    /// Several in one record, or one in several; a key update may end them.
    fn tickets(&mut self) -> Vec<u8> {
        let count = 1 + self.random.below(3);
        let mut messages: Vec<u8> = (0..count).flat_map(|_| self.ticket()).collect();
        let update = self.random.once_in(4);
        if update {
            messages.extend(self.key_update_message());
        }
        let wire = if self.random.once_in(2) {
            self.record(HANDSHAKE, &messages)
        } else {
            self.pieces(&messages)
        };
        if update {
            self.ears.forger.update();
        }
        wire
    }

    fn hostile(&mut self) -> Vec<u8> {
        match self.random.below(4) {
            0 => self.broken_record(),
            1 => self.wrong_alert(),
            2 => self.wrong_message(),
            _ => self.wrong_content(),
        }
    }

    /// What an attacker on the line can do.
    fn broken_record(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..=2 => {
                let mut wire = self.data();
                let at = self.random.below(wire.len());
                wire[at] ^= 1 << self.random.below(8);
                wire
            }
            3 => self.last.clone(),
            4 => {
                let lost = self.data();
                drop(lost);
                self.data()
            }
            5 => {
                let (first, second) = (self.data(), self.data());
                [second, first].concat()
            }
            6 => {
                let wire = self.data();
                let cut = self.random.below(wire.len());
                [&wire[..cut], &self.data()].concat()
            }
            7 => {
                let count = 1 + self.random.below(60);
                self.random.bytes(count)
            }
            8 => {
                let kind = *self.random.one_of(&[20, 21, 22, 24]);
                let body = *self.random.one_of(&[&[1][..], &[2, 10], &[24, 0, 0, 1, 0]]);
                [&[kind, 3, 3, 0, u8::try_from(body.len()).expect("short")], body].concat()
            }
            _ => {
                let length = u16::try_from(16_384 + self.random.below(4_000)).expect("short");
                let body = self.random.bytes(usize::from(length));
                [&[23, 3, 3], &length.to_be_bytes()[..], &body].concat()
            }
        }
    }

    fn wrong_alert(&mut self) -> Vec<u8> {
        let (level, description) = (self.random.byte() % 4, self.random.byte());
        match self.random.below(7) {
            0 => self.record(ALERT, &[level, description]),
            1 => self.record(ALERT, &[1 + level % 2, 0]),
            2 => {
                let content = self.random.bytes(3);
                let content = &content[..*self.random.one_of(&[0, 1, 3])];
                self.record(ALERT, content)
            }
            3 => (0..5).flat_map(|_| self.record(ALERT, &[1, 90])).collect(),
            4 => self.record(ALERT, &[2, description]),
            5 => self.record(ALERT, &[1, description]),
            _ => {
                let close = self.record(ALERT, &[1, 0]);
                [close, self.data()].concat()
            }
        }
    }

    fn wrong_message(&mut self) -> Vec<u8> {
        match self.random.below(11) {
            0 => self.record(HANDSHAKE, &[24, 0, 0, 1, 2]),
            1 => {
                let message = [24, 0, 0, *self.random.one_of(&[0, 2, 200]), 1, 1];
                self.pieces(&message)
            }
            2 => self.record(HANDSHAKE, &[24, 0, 0, 1, 1, 24, 0, 0, 1, 1]),
            3 => {
                // Around the limit, and twice below it with a record between them.
                let count = 31 + self.random.below(4);
                let mut wire: Vec<u8> = (0..count).flat_map(|_| self.key_update()).collect();
                if count < 33 {
                    // rustls takes an empty one for a new beginning, we do not.
                    let between: &[u8] = if self.random.once_in(2) { b"" } else { b"x" };
                    wire.extend(self.record(APPLICATION_DATA, between));
                    wire.extend((0..30).flat_map(|_| self.key_update()).collect::<Vec<_>>());
                }
                wire
            }
            4 => {
                let kind = self.random.byte() % 26;
                let mut message = vec![kind, 0, 0, 12];
                message.extend(self.random.bytes(12));
                self.pieces(&message)
            }
            5 => self.record(HANDSHAKE, &[]),
            6 => {
                let cut = 1 + self.random.below(3);
                let half = self.record(HANDSHAKE, &[24, 0, 0][..cut]);
                let other = match self.random.below(3) {
                    0 => self.data(),
                    1 => self.record(ALERT, &[1, 0]),
                    _ => self.record(APPLICATION_DATA, &[]),
                };
                [half, other].concat()
            }
            7 => {
                let kind = *self.random.one_of(&[4, 24]);
                self.record(HANDSHAKE, &[kind, 1, self.random.clone().byte(), 0, 1])
            }
            8 => {
                let mut ticket = self.ticket();
                let at = 4 + self.random.below(ticket.len() - 4);
                ticket[at] ^= self.random.byte();
                self.record(HANDSHAKE, &ticket)
            }
            9 => {
                // Old keys behind a key update.
                let update = self.record(HANDSHAKE, &[24, 0, 0, 1, 0]);
                [update, self.data()].concat()
            }
            _ => {
                // The same extension twice.
                let body = [&[0; 8][..], &[0, 0, 1, 7], &[0, 8, 9, 9, 0, 0, 9, 9, 0, 0]].concat();
                let length = u8::try_from(body.len()).expect("short");
                self.record(HANDSHAKE, &[&[4, 0, 0, length], &body[..]].concat())
            }
        }
    }

    fn wrong_content(&mut self) -> Vec<u8> {
        match self.random.below(6) {
            0 => {
                let zeros = vec![0; self.random.below(400)];
                self.inner(&zeros)
            }
            1 => {
                let kind = self.random.byte();
                self.record(kind, &[1])
            }
            2 => {
                // One byte too many, with or without padding.
                let mut inner = self.random.bytes(CONTENT_BYTES_MAX + self.random.clone().below(3));
                inner.push(APPLICATION_DATA);
                self.inner(&inner)
            }
            3 => {
                let mut inner = self.random.bytes(1);
                inner.push(APPLICATION_DATA);
                inner.resize(CONTENT_BYTES_MAX + self.random.below(230), 0);
                self.inner(&inner)
            }
            4 => {
                let count = 31 + self.random.below(4);
                (0..count).flat_map(|_| self.record(APPLICATION_DATA, &[])).collect()
            }
            _ => {
                let body = [&[23, 3, 3, 0, 16][..], &self.random.bytes(16)].concat();
                self.records += 1;
                body
            }
        }
    }
}
