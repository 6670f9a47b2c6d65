//! One exchange: a request to an upstream and its response back.

pub mod attempt;
pub mod connect;
pub mod context;
pub mod duplex;
pub mod failure;
pub mod forward;
pub mod lease;
pub mod memory;
pub mod relay;
pub mod respond;
pub mod serve;
pub mod task;
pub mod tunnel;
pub mod tunnel_review;
