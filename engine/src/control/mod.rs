//! The control threads, written with std alone, but for the one that asks
//! upstream nodes whether they work (`checks`). One supervises the cores and handles signals, one reads
//! files, and others resolve names, fetch revocation lists, write logs and serve the
//! endpoints; each store has one that exchanges counts with it.
//!
//! Code here may reach a data core only through its [`CoreLink`](crate::setup::CoreLink). No core ever waits
//! for these threads: a name that takes ten seconds to resolve, or a full disk, delays only them.
//!
//! Each folder uses only those above it in this list.

pub mod process;

pub mod logs;

pub mod checks;
/// Revocation lists that are fetched.
pub(crate) mod crl_fetch;
pub mod names;
/// Counts that gateways exchange.
mod stores;

pub mod state;

pub mod metrics;

/// A new process of this program takes the place of this one.
pub(crate) mod upgrade;

pub mod endpoints;

pub mod reload;

pub mod run;

pub mod cli;
