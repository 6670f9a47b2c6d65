//! The gateway between other people's clients, servers and proxies.

mod changes;
mod ciphers;
mod clients;
mod decoders;
mod differential;
mod early;
mod field;
mod groups;
mod judge;
mod log_formats;
mod matrix;
mod next_upstream;
mod nodes;
mod websocket;
