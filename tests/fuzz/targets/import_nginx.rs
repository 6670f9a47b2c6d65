//! Importers: `nginx.conf` of any bytes ends, is refused at a place, and takes no more memory than its size allows.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/import/parsers/invariants.rs"]
#[expect(dead_code, reason = "each target checks one invariant of several")]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::import_nginx(bytes));
