//! Request heads: one end in every split, httparse's reading, and a lossless round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/http/wire/invariants.rs"]
#[expect(dead_code, reason = "each target checks one invariant of several")]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::request_head(bytes));
