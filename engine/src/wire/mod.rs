//! HTTP/1.1 as bytes: heads, fields, body lengths, chunks; and the PROXY protocol. There is no policy here.
//!
//! Nothing here uses a socket or a clock. Everything that two parsers could read in two ways is refused here,
//! in requests and in responses.

pub mod body;
pub mod body_step;
pub mod chunked;
pub mod crc32c;
mod diagnose;
pub mod error;
mod extension;
pub mod fields;
pub mod framing;
pub mod head;
pub mod hex;
pub mod limits;
mod plain;
pub mod proxy;
pub mod proxy_write;
pub mod readings;
pub mod span;
pub mod target;
pub mod trailers;
pub mod view;
pub mod websocket;
pub mod write;
