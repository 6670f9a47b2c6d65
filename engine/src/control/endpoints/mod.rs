//! The sockets on which operators and monitoring reach the process: the metrics endpoint (HTTP) and the
//! admin socket (JSON lines).

pub(crate) mod admin_protocol;
mod client_answers;
mod connection;
mod event_stream;
mod http_answer;
mod listener;
mod metrics_endpoint;
pub(crate) mod open_endpoints;
pub(crate) mod operator_answers;
mod status_answers;
mod status_page;
mod upgrade_answers;
pub(crate) mod upstream_answers;
