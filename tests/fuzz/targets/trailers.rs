//! Trailers: one verdict in every split, and the one that the same lines have in a head.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/http/wire/invariants.rs"]
#[expect(dead_code, reason = "each target checks one invariant of several")]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::trailers(bytes));
