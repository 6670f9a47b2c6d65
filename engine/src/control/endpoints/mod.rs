//! The sockets on which operators and monitoring reach the process: the metrics endpoint (HTTP) and the
//! admin socket (JSON lines).

pub(crate) mod desk;
mod door;
pub(crate) mod doors;
mod scrape;
