//! One exchange: a request to an upstream and its response back.

pub(crate) mod attempt;
pub(crate) mod connect;
pub(crate) mod context;
pub(crate) mod duplex;
pub(crate) mod failure;
pub(crate) mod forward;
pub(crate) mod lease;
pub(crate) mod memory;
pub(crate) mod relay;
pub(crate) mod respond;
pub(crate) mod serve;
pub(crate) mod task;
pub(crate) mod tunnel;
pub(crate) mod tunnel_review;
