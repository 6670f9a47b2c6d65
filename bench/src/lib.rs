//! Ferrule's bench.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a measurement stops at the first surprise"
)]

pub mod records;
