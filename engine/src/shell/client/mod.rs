//! A client connection: its handshake, its PROXY header, who its client is, and its place in the registry.

pub mod address_limit;
pub mod audit;
pub mod binding;
pub mod closing;
pub mod connection;
pub mod first_flight;
pub mod handshake;
pub mod handshake_error;
pub mod proxy_header;
pub mod registry;
pub mod review;
pub mod route_identity;
