//! A client connection: its handshake, its PROXY header, who its client is, and its place in the registry.
//!
//! [`handshake`] turns a socket into a [`connection`], [`closing`] refuses or ends it, and [`audit`] counts
//! and logs that. [`accepted`] knows whether its listener is still there, [`binding`] finds listener and server object in a newer generation, [`registry`] holds
//! the connections with a certificate, and [`review`] ends those whose client is no longer trusted.

pub(crate) mod accepted;
pub(crate) mod address_limit;
pub(crate) mod audit;
pub(crate) mod binding;
pub(crate) mod closing;
pub(crate) mod connection;
pub(crate) mod first_flight;
pub(crate) mod handshake;
pub(crate) mod handshake_error;
mod paced_sending;
mod proxy_header;
pub(crate) mod registry;
pub(crate) mod review;
pub(crate) mod route_identity;
