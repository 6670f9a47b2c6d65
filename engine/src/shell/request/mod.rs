//! One exchange: a request to an upstream and its response back.
//!
//! [`serve`] admits a request and answers or forwards it, in a [`task`]. [`forward`] makes one [`attempt`]
//! after the other, as [`tries`] allow. What its route asks for beside forwarding comes first ([`policy_steps`]): its
//! limits ([`limit_steps`]) and the state of its [`circuit`] among it. One that finds every node full waits ([`place_wait`]).
//! For each, [`lease`] takes a connection from the pool or has [`connect`] make one,
//! [`duplex`] runs both directions at once, [`respond`] passes the response on, and [`relay`] moves a body.
//! After a 101, [`tunnel`] carries bytes until [`tunnel_review`] finds a reason to end it. [`warm_up`] opens
//! connections before a request needs them.

pub(crate) mod attempt;
mod circuit;
pub(crate) mod connect;
pub(crate) mod connect_error;
pub(crate) mod context;
pub(crate) mod drain;
mod duplex;
pub(crate) mod failure;
mod filtering;
pub(crate) mod forward;
pub(crate) mod held_body;
mod lease;
mod limit_steps;
pub(crate) mod memory;
mod place_wait;
mod policy_steps;
mod race;
pub(crate) mod relay;
pub(crate) mod respond;
pub(crate) mod serve;
mod shape_memory;
mod shaping;
pub(crate) mod task;
mod total_time;
mod tries;
mod try_report;
pub(crate) mod tunnel;
mod tunnel_bytes;
mod tunnel_goodbye;
pub(crate) mod tunnel_review;
mod tunnel_state;
pub(crate) mod warm_up;
