//! Every seed of the fuzz targets `certificate`, `crl` and `pem` is also a case.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod invariants;

use std::fs;
use std::path::Path;

/// Runs every file of one target's seeds through its invariant, whole and with each byte changed.
fn each_seed(target: &str, invariant: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&seeds).expect("a directory of seeds") {
        let bytes = fs::read(entry.expect("a seed").path()).expect("a seed");
        invariant(&bytes);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            invariant(&changed);
        }
        count += 1;
    }
    assert!(count > 2, "few seeds in {}", seeds.display());
}

#[test]
fn certificate_seeds_hold() {
    each_seed("certificate", invariants::certificate);
}

#[test]
fn crl_seeds_hold() {
    each_seed("crl", invariants::crl);
}

#[test]
fn pem_seeds_hold() {
    each_seed("pem", invariants::pem);
}
