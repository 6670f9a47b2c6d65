//! What is counted becomes metric families, and these become text for Prometheus.

pub mod catalogue;
pub(crate) mod families;
mod holdings;
