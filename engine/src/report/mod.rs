//! One finished exchange becomes one log line and a few counters.
//!
//! A core renders its line into a buffer it keeps, pushes it into its own bounded ring and adds to its
//! own counters. Nothing here waits, locks or allocates once warm; the reader does the work.

pub mod access_log;
pub mod counters;
pub mod diagnostics;
pub mod events;
pub mod expiry_tracker;
pub mod histogram;
#[cfg(feature = "io")]
pub mod log_ring;
pub mod meters;
#[cfg(feature = "io")]
pub mod reporter;
pub mod shared_counts;

pub use counters::{Counter, CounterSums, Counters};
pub use diagnostics::RateLimit;
pub use events::{BUFFER_SIZES, CompletedHandshake, EventSums, Events, HandshakeFault};
pub use expiry_tracker::{ExpiringClient, ExpiringClients, ExpiryTracker};
#[cfg(feature = "io")]
pub use log_ring::{LogConsumer, LogProducer, log_ring};
pub use meters::Meters;
#[cfg(feature = "io")]
pub use reporter::{ExchangeMetrics, Reporter};
