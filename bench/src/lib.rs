//! Ferrule's bench: what its benches and its measuring programs share.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a measurement stops at the first surprise"
)]

pub mod exchange;
pub mod input;
pub mod paths;
pub mod records;
pub mod scene;
