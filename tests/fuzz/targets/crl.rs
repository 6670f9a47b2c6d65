//! Revocation lists: read strictly, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/http/parsers/invariants.rs"]
#[expect(dead_code, reason = "each target checks one invariant of several")]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::crl(bytes));
