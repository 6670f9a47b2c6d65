//! Messages, targets, routes and duties of a proxy, without a socket.

mod duties;
mod parsers;
mod reach;
mod wire;
