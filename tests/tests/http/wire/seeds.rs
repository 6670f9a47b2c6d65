//! Every seed of a fuzz target is also a case: its invariant holds without a fuzzer.

use std::path::Path;

use super::invariants;

/// Runs every file of one target's seeds through its invariant.
fn each_seed(target: &str, invariant: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&seeds).unwrap() {
        invariant(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", seeds.display());
}

#[test]
fn request_head_seeds_hold() {
    each_seed("request_head", invariants::request_head);
}

#[test]
fn response_head_seeds_hold() {
    each_seed("response_head", invariants::response_head);
}

#[test]
fn chunked_seeds_hold() {
    each_seed("chunked", invariants::chunked);
}

#[test]
fn proxy_header_seeds_hold() {
    each_seed("proxy_header", invariants::proxy_header);
}

#[test]
fn target_seeds_hold() {
    each_seed("target", invariants::target);
}

#[test]
fn trailer_seeds_hold() {
    each_seed("trailers", invariants::trailers);
}
