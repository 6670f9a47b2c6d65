//! What the room `wire` promises: tables of bytes and verdicts, each case in every split; the same
//! rules as properties of random bytes; and the seeds of the fuzz targets.

#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod chunked;
mod feed;
mod fields;
mod framing;
mod invariants;
mod properties;
mod proxy;
mod readings;
mod request;
mod response;
mod seeds;
mod target;
mod write;
