//! A client connection: its handshake, its PROXY header, who its client is, and its place in the registry.

pub mod account;
pub mod connection;
pub mod follow;
pub mod goodbye;
pub mod handshake;
pub mod proxied;
pub mod roll;
pub mod standing;
