//! The first message of TLS: what our reader accepts is what rustls reads.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/tls/hello/invariant.rs"]
mod invariant;

fuzz_target!(|bytes: &[u8]| invariant::client_hello(bytes));
