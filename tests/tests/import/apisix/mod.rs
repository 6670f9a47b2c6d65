//! From Apache APISIX: configurations of our own writing, modelled on what public ones use most, and the page that tells
//! how to move.

mod consumers;
mod forms;
mod identity;
mod kit;
mod page;
mod policy;
mod scale;
mod upstreams;
