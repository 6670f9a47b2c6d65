//! The duties of a proxy, as bytes in and bytes out: what a request is to the upstream, and what its
//! response is to the client. Tables for each duty, random messages for what has to hold always.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, with its text"
)]

mod claims;
mod documented;
mod forwarded;
mod gate;
mod request;
mod round_trip;
mod trailers;
