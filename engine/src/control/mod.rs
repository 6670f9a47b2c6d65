//! The control threads, plain std: one watches over the cores and obeys signals, one reads files, and
//! others resolve names, write logs and serve the endpoints.
//!
//! Nothing here may touch a data core but through its [`CoreLink`](crate::setup::CoreLink), and no core
//! ever waits for what runs here: a name that takes ten seconds or a full disk is our trouble alone.
//!
//! Each folder knows only those above it in this list.

pub mod process;

pub mod logs;

pub mod state;

pub mod metrics;

pub mod endpoints;

pub mod reload;

pub mod run;

pub mod cli;
