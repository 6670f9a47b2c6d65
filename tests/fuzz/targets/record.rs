//! TLS records: one outcome in every split, one alert, and nothing behind a fault.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/tls/record/invariants.rs"]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::record(bytes));
