//! Limits of requests: how many of one key may go on, counted over all cores.
//!
//! In: a limit, the bytes of a request's key and a reading of the clock. Out: whether the request goes on, when,
//! and what is told to its client. [`window`], [`bucket`] and [`concurrency`] are the rules, each a model of one
//! key; [`table`] bounds what is known of all keys. What all cores know is in [`Limits`], behind locks that are
//! held for one look-up; a core asks it when its own lease ([`CoreLimits`]) says nothing, and never while it
//! does.

pub mod bucket;
pub mod concurrency;
mod core_limits;
mod fields;
mod shared;
#[cfg(test)]
mod shared_test;
pub mod table;
pub mod window;

pub use core_limits::{ConnectionPermit, CoreLimits, LimitAnswer, Quota};
pub use fields::{show_quota, show_retry};
pub use shared::{LimitCount, Limits, SharedLimit};
