//! What is counted becomes metric families, and these become text for Prometheus.

mod buffers;
pub mod catalogue;
mod certificates;
mod counters;
mod events;
pub(crate) mod families;
mod objects;
