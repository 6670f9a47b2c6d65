//! Limits of requests: how many of one key may go on, counted over all cores.
//!
//! In: a limit, the bytes of a request's key and a reading of the clock. Out: whether the request goes on, when,
//! and what is told to its client. [`window`], [`bucket`] and [`concurrency`] are the rules, each a model of one
//! key; [`table`] bounds what is known of all keys. What all cores know is in [`Limits`], behind locks that are
//! held for one look-up; a core asks it when its own lease ([`CoreLimits`]) says nothing, and never while it
//! does. What other gateways count comes from a store: [`StoreLink`] says whether it is there, a control thread
//! carries the counts of `stored_window` to it and back.

pub mod bucket;
pub mod concurrency;
mod core_limits;
mod core_places;
mod fields;
mod shared;
#[cfg(test)]
mod shared_test;
mod store_link;
mod store_offers;
mod stored_window;
pub mod table;
pub mod window;

pub use core_limits::{ConnectionPermit, CoreLimits, LimitAnswer, Quota};
pub use fields::{show_quota, show_retry};
pub use shared::{LimitCount, Limits, SharedLimit};
pub use store_link::{IDLE_LOOK_EVERY, StoreLink, StoreOutcome};
pub use store_offers::{LimitOffer, OfferCursor};
pub use stored_window::{KeyName, StoreCount, StoreOffer};
