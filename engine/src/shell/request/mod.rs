//! One exchange: a request to an upstream and its response back.

pub mod both_ways;
pub mod faults;
pub mod forward;
pub mod hand;
pub mod relay;
pub mod respond;
pub mod serve;
pub mod tunnel;
pub mod upstream;
