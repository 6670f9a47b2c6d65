//! Messages, targets, routes and duties of a proxy, and answers of name servers, without a socket.

mod dns;
mod duties;
mod expressions;
mod parsers;
mod reach;
mod wire;
