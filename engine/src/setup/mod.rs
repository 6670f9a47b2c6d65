//! A file becomes one generation: plan and TLS settings, or every problem at once.
//!
//! A [`Generation`] is immutable and shared by reference count between the cores. What it takes to run
//! it beside that (listeners, addresses of nodes) is handed over in one piece, see [`link`].

pub mod addresses;
pub mod clients;
mod error_pages;
pub mod link;
#[cfg(feature = "io")]
pub mod listeners;

use std::path::Path;
use std::sync::Arc;

use ferrule_config::{Config, Draft, Problems};

use crate::plan::Plan;
use crate::report::Meters;
use crate::tls::TlsSettings;
use crate::tls::tickets::TicketKeys;

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
    /// Keys, trust and resumption, by server name and by upstream.
    pub tls: TlsSettings,
    /// What is not wrong, but should be looked at. Holds no errors.
    pub warnings: Problems,
}

impl Generation {
    /// Fresh meters for one core.
    #[must_use]
    pub fn meters(&self) -> Meters {
        let anchors = self.tls.servers.iter().map(|server| {
            server.policy.as_deref().map_or(0, |policy| policy.anchors().ders().len())
        });
        Meters::new(self.plan.listeners().len(), self.plan.routes().len(), anchors)
    }
}

/// Loads a file and everything it names. `env` answers for `${env:NAME}`; `now` is Unix seconds.
///
/// # Errors
/// Everything that is wrong with the file and its certificates, not only the first thing.
pub fn load(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    ticket_keys: &Arc<TicketKeys>,
    number: u64,
    now: i64,
) -> Result<Generation, Box<Problems>> {
    assemble(ferrule_config::read(path, env)?, ticket_keys, number, now)
}

impl Generation {
    /// Its configuration, to be assembled again: what it names may have changed. The file itself is
    /// read when its owner says so.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft { config: self.config.clone(), problems: self.warnings.emptied() }
    }
}

/// Loads everything that a configuration names. `now` is Unix seconds.
///
/// # Errors
/// Everything that is wrong with it.
pub fn assemble(
    draft: Draft,
    ticket_keys: &Arc<TicketKeys>,
    number: u64,
    now: i64,
) -> Result<Generation, Box<Problems>> {
    let Draft { config, mut problems } = draft;
    // Asked even if the file has problems already: whoever repairs it wants to hear of all of them.
    let mut tls = TlsSettings::load(&config, ticket_keys, &mut problems, now);
    for warning in std::mem::take(&mut tls.warnings) {
        problems.warn(warning);
    }
    let pages = error_pages::load(&config, &mut problems);
    Plan::check(&config, &mut problems);
    if !problems.is_empty() {
        return Err(Box::new(problems));
    }
    let mut plan = Plan::build(&config);
    plan.error_pages = pages;
    plan.wanted.set_own_uris(tls.own_uris());
    Ok(Generation { number, config, plan, tls, warnings: problems })
}
