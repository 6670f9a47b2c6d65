//! PROXY protocol headers: one verdict in every split, and nothing of what follows is touched.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/http/wire/invariants.rs"]
#[expect(dead_code, reason = "each target checks one invariant of several")]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::proxy_header(bytes));
