//! What a configuration file may say, what it becomes, and what is said of mistakes in it.

mod active_checks;
mod answers;
mod balancing;
mod breaker;
mod checks;
mod clients;
mod demands;
mod examples;
mod foreign;
mod forwarding;
mod http;
mod listens;
mod pools;
mod problems;
mod queue;
mod request_limits;
mod resolver;
mod routing;
mod secrets;
mod shaping;
mod split;
mod ssl_defaults;
mod stores;
mod terms;
mod trust;
mod watching;
