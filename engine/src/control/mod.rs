//! The control thread and its helpers, plain std: signals, reload, name resolution, the log writer.
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
mod inventory;
mod ledger;
pub mod log_output;
pub mod log_writer;
pub mod machine;
pub mod metrics;
pub mod reload;
pub mod resolve;
mod scrape;
pub mod signals;
pub mod supervise;
mod watch;
