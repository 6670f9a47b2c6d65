//! The gateway between other people's clients, servers and proxies.

mod clients;
mod decoders;
mod differential;
mod early;
mod judge;
mod matrix;
mod websocket;
