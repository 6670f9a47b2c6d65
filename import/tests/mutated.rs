//! Seeds of the fuzz targets, changed at random: what holds of every import holds of these, without a fuzzer.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

#[path = "../../tests/tests/import/parsers/invariants.rs"]
mod invariants;

/// Changed inputs of each importer.
const INPUTS: usize = 300;

/// Words that change more than a byte does.
const WORDS: [&str; 28] = [
    "{",
    "}",
    ";",
    "\n",
    "\"",
    "'",
    "\\",
    "$",
    "${a}",
    "#",
    "&a ",
    "*a",
    "[",
    "]",
    ": ",
    "- ",
    "!",
    "server",
    "location",
    "if",
    "ssl",
    "verify",
    "crt",
    "\u{e4}",
    "999999999999",
    "-1",
    "null",
    "_meta: {disable: true}",
];

/// Numbers from a seed: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

/// A seed with a few changes: bytes and words put in, pieces taken out, doubled, or taken from another seed.
fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(40)).min(bytes.len());
        match random.below(5) {
            0 => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or(0)),
            1 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..(from + 60).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn each_changed(target: &str, invariant: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a seed")).collect();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..INPUTS {
        invariant(&changed(&mut random, &seeds));
    }
}

#[test]
fn nginx_holds() {
    each_changed("import_nginx", invariants::import_nginx);
}

#[test]
fn haproxy_holds() {
    each_changed("import_haproxy", invariants::import_haproxy);
}

#[test]
fn lists_of_haproxy_hold() {
    each_changed("import_crt_list", invariants::import_crt_list);
}

#[test]
fn apisix_holds() {
    each_changed("import_apisix", invariants::import_apisix);
}

#[test]
fn dumps_hold() {
    each_changed("import_dump", invariants::import_dump);
}

#[test]
fn manifests_hold() {
    each_changed("import_ingress", invariants::import_ingress);
}
