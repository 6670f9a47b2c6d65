//! The control threads, plain std: one watches over the cores and obeys signals, one reads files, and
//! helpers for name resolution, logs and guests.
//!
//! Nothing here may touch a data core but through its [`CoreLink`](crate::setup::CoreLink), and no core
//! ever waits for what runs here: a name that takes ten seconds or a full disk is our trouble alone.

pub(crate) mod board;
pub mod boot;
mod certificates;
mod check;
pub mod cli;
mod clock;
mod ctl;
mod desk;
pub mod diagnostics;
mod door;
mod doors;
mod explain;
mod families;
mod holdings;
mod inventory;
mod ledger;
mod loader;
pub mod log_output;
pub mod log_writer;
pub mod machine;
pub mod metrics;
mod orders;
pub mod reload;
mod reread;
pub mod resolve;
mod scrape;
pub mod signals;
pub mod supervise;
mod watch;
