//! Records, handshakes, keys and settings of TLS, without a gateway.

mod handover;
mod hello;
mod pem;
mod record;
mod session;
mod settings;

mod kit;
