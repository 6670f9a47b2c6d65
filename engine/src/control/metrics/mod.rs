//! Turns counters into metric families, and these into text for Prometheus.

mod breakers;
mod buffers;
pub mod catalogue;
mod certificates;
mod counters;
mod events;
pub(crate) mod families;
mod logs;
mod names;
mod objects;
mod request_limits;
mod upstreams;
