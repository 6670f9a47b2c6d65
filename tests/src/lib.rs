//! Kit for tests that need two rooms or a socket.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test stops at the first surprise, with its text"
)]

pub mod zoo;
