//! Servers of nginx's: what of them means the same here, and what is refused because it would not.

mod constructs;
mod jumps;
mod kit;
mod locations;
mod rewritten;
mod subjects;
