//! Answers of name servers, and of those who pretend to be one: the seeds of the fuzz target, and answers that are
//! changed at random.

#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod invariants;

use std::path::Path;

use invariants::{ID, NAME, dns_answer};

#[test]
fn dns_answer_seeds_hold() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join("dns_answer");
    let mut count = 0;
    for entry in std::fs::read_dir(&seeds).unwrap() {
        dns_answer(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", seeds.display());
}

/// One record: owner and data as raw bytes.
fn record(owner: &[u8], rtype: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    [owner, &[0, rtype, 0, 1, 0, 0, 0, 60, 0, length], data].concat()
}

/// A good answer with an alias, an address or service of its target, and one that nobody asked for.
fn answer(kind: u8) -> Vec<u8> {
    let (rtype, data): (u8, &[u8]) = match kind {
        0 => (1, &[10, 0, 0, 1]),
        1 => (28, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        _ => (33, b"\x00\x01\x00\x02\x00\x50\x01n\x04test\x00"),
    };
    let [high, low] = ID.to_be_bytes();
    let head = [kind, high, low, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0];
    let records = [
        record(&[0xc0, 12], 5, b"\x01b\x04test\x00"),
        record(b"\x01b\x04test\x00", rtype, data),
        record(b"\x01c\x04test\x00", rtype, data),
    ];
    [&head[..], NAME, &[0, rtype, 0, 1], &records.concat()].concat()
}

/// Bits, bytes, lengths and pointers are changed, pieces are cut out and doubled.
#[test]
fn changed_answers_say_no_more_than_their_bytes() {
    let mut state = 5_u64;
    let mut below = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for round in 0..60_000 {
        let mut bytes = answer(u8::try_from(round % 3).unwrap());
        for _ in 0..below(5) {
            let at = 1 + below(bytes.len() - 1);
            match below(6) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = u8::try_from(below(256)).unwrap(),
                2 => bytes[at] = 0xc0,
                3 => bytes.truncate(at + 1),
                4 => drop(bytes.drain(at..(at + 1 + below(12)).min(bytes.len()))),
                _ => {
                    let piece: Vec<u8> = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            if bytes.len() < 3 {
                break;
            }
        }
        dns_answer(&bytes);
    }
}
