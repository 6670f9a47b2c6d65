//! Which sessions and which hosts open which names: Ferrule on both drivers, nginx and HAProxy in one
//! run, against what a full handshake of the same client to the same name gets.
//!
//! `cargo test -p ferrule-tests --test peers matrix -- --nocapture` prints the tables.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the tables are for people")]

mod misdirected;
mod peers;
mod resumption;
