//! A file becomes one generation: plan and TLS settings, or every problem at once.
//!
//! A [`Generation`] is immutable and shared by reference count between the cores. What it takes to run
//! it beside that (listeners, addresses of nodes) is handed over in one piece, see [`link`].

pub mod addresses;
pub mod link;
#[cfg(feature = "io")]
pub mod listeners;

use ferrule_config::{Config, Problems};

use crate::plan::Plan;

pub use addresses::Addresses;
pub use link::{CoreLink, Driver, Handover, Mailbox, News, OpenListener, Phase, Seen};

/// One configuration in force.
#[derive(Debug)]
pub struct Generation {
    /// 1 at start, one more with every reload that was taken.
    pub number: u64,
    /// The checked configuration.
    pub config: Config,
    /// The configuration compiled for lookup.
    pub plan: Plan,
    /// What is not wrong, but should be looked at. Holds no errors.
    pub warnings: Problems,
}
