//! The sockets on which operators and monitoring reach the process: the metrics endpoint (HTTP) and the
//! admin socket (JSON lines).

pub(crate) mod admin_protocol;
mod connection;
mod event_stream;
mod listener;
mod metrics_endpoint;
pub(crate) mod open_endpoints;
pub(crate) mod upstream_answers;
