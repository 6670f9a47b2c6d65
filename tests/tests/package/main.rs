//! What surrounds the binary: manual, completions, Debian package, unit, container, manifests, dashboards, fleet.
//!
//! Each file is read by the program that it is for, and where that can be here, run by it with the real binary. The
//! programs come from `tests/run` and `tests/package/install`; one that is missing fails its test.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod container;
mod debian;
mod fleet;
mod kit;
mod manuals;
mod monitoring;
mod unit;
