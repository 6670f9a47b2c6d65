//! Answers of name servers: believed only under the id and question that were asked, and for no more than they say.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/http/dns/invariants.rs"]
mod invariants;

fuzz_target!(|bytes: &[u8]| invariants::dns_answer(bytes));
