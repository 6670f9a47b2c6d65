//! Turns one finished exchange into one log line and a few counters.
//!
//! Each core renders its lines into a buffer that it keeps, pushes them into its own bounded ring and adds to
//! its own counters. After warm-up, nothing here waits, locks or allocates. The thread that reads the rings
//! and counters does the rest.

pub mod access_log;
pub mod connection_list;
pub mod counters;
pub mod diagnostics;
pub mod events;
pub mod expiry_tracker;
pub mod histogram;
#[cfg(feature = "io")]
pub mod log_ring;
mod log_sampler;
pub mod meters;
pub mod node_meters;
#[cfg(feature = "io")]
pub mod reporter;
pub mod shared_counts;

pub use counters::{Counter, CounterSums, Counters};
pub use diagnostics::RateLimit;
pub use events::{BUFFER_SIZES, CompletedHandshake, EventSums, Events, HandshakeFault};
pub use expiry_tracker::{ExpiringClient, ExpiringClients, ExpiryTracker, Finding};
#[cfg(feature = "io")]
pub use log_ring::{LogConsumer, LogProducer, log_ring};
pub use meters::Meters;
pub use node_meters::{NodeConnections, NodeCounter, NodeMeters, NodeSums};
#[cfg(feature = "io")]
pub use reporter::{ExchangeMetrics, Reporter};
pub use shared_counts::SharedCount;
