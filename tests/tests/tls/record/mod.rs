//! Our TLS 1.3 record layer against rustls: the same bytes in, the same plaintext and verdict out.
//!
//! Both ends of a real handshake are kept; a forger writes what no peer would, and every stream
//! is heard by rustls and by ours, in the same random pieces. Where ours is stricter, the RFC says so
//! ([`verdict`]). `FERRULE_RECORDS` sets how many records are sent.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise, with its text"
)]

mod cases;
mod ends;
mod forger;
mod invariants;
mod random;
mod script;
mod seeds;
mod vectors;
mod verdict;

use std::io::Write as _;

use ends::Pair;
use forger::Aead;
use random::Random;
use script::Stream;

/// Enough to meet every rule many times, and not longer than the other tests in a debug build.
const RECORDS: u64 = 300_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "how a longer run is asked for")]
fn rustls_and_ours_agree_on_random_and_hostile_streams() {
    let wanted = std::env::var("FERRULE_RECORDS").ok().and_then(|text| text.parse().ok());
    let wanted: u64 = wanted.unwrap_or(RECORDS);
    let workers = 4;
    let threads: Vec<_> = (0..workers)
        .map(|worker| std::thread::spawn(move || run(worker, wanted / workers)))
        .collect();
    let mut total = script::Tally::default();
    for thread in threads {
        total.add(&thread.join().expect("a worker that agrees"));
    }
    let text = total.text();
    writeln!(std::io::stdout(), "{text}").expect("standard output");
    assert!(total.records >= wanted / workers * workers, "{text}");
    // What this test is for has happened: hostile streams, and on both sides.
    assert!(total.streams < 50 || total.faults() > 12, "{text}");
}

fn run(worker: u64, wanted: u64) -> script::Tally {
    let settings = ends::Settings::new();
    let mut tally = script::Tally::default();
    let mut number = 0;
    while tally.records < wanted {
        let seed = worker << 48 | number;
        number += 1;
        let mut random = Random::new(seed);
        let aead = *random.one_of(&[Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305]);
        let [server, client] = Pair::shaken(&settings, aead).hear();
        for ears in [server, client] {
            Stream::new(ears, Random::new(random.next()), &format!("seed {seed:#x}"))
                .play(&mut tally);
        }
    }
    tally
}
