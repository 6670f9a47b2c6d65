//! One generation: a configuration that is in force, with everything that was loaded for it.
//!
//! In: a configuration file, or a generation whose certificate files have changed. Out: a
//! [`Generation`], or every problem at once. A generation never changes; the cores share it by reference
//! count.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrule_config::{Config, Draft, Problems};

use super::{body_files, error_pages};
use crate::plan::Plan;
use crate::plan::error_pages::ErrorPages;
use crate::report::Meters;
use crate::tls::TlsSettings;
use crate::tls::resumption::tickets::TicketKeys;

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
    /// The warnings of the load; no errors.
    pub warnings: Problems,
}

/// The files of one object that were refused while the object stayed as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedFiles {
    /// The paths of the files.
    pub files: Vec<PathBuf>,
    /// Every reason why they were refused.
    pub reasons: Vec<String>,
}

/// What our own answers say, read from files.
struct AnswerTexts {
    pages: Arc<ErrorPages>,
    bodies: Arc<[Box<[u8]>]>,
}

impl Generation {
    /// New meters for one core, all at zero.
    #[must_use]
    pub fn meters(&self) -> Meters {
        let authorities = &self.tls.authorities;
        let (listeners, routes) = (self.plan.listeners().len(), self.plan.routes().len());
        let nodes = self.plan.upstreams().iter().map(|upstream| upstream.nodes.len());
        Meters::new(listeners, routes, &authorities.of_server, authorities.names.len(), nodes)
    }

    /// The next generation: the same configuration with its certificates, keys and revocation lists as they
    /// are now. Nothing else that the configuration names is opened; a reload does that.
    ///
    /// # Errors
    /// Everything that is wrong with these files.
    pub fn renewed(
        &self,
        ticket_keys: &Arc<TicketKeys>,
        number: u64,
        now: i64,
    ) -> Result<Self, Box<Problems>> {
        let mut problems = self.warnings.emptied();
        let before = Some(&self.tls);
        let mut tls =
            TlsSettings::load_beside(before, &self.config, ticket_keys, &mut problems, now);
        if !problems.is_empty() {
            return Err(Box::new(problems));
        }
        warn(&mut tls, &mut problems);
        let texts = AnswerTexts {
            pages: Arc::clone(&self.plan.error_pages),
            bodies: Arc::clone(&self.plan.body_files),
        };
        Ok(Self::of(self.config.clone(), tls, texts, number, problems))
    }

    /// Every file that was refused while its object stayed as it was, and why.
    #[must_use]
    pub fn refused_files(&self) -> Vec<RefusedFiles> {
        let refused = self.tls.kept.iter().map(|kept| RefusedFiles {
            files: kept.files.clone(),
            reasons: kept
                .problems
                .iter()
                .map(|problem| self.warnings.error_line(problem))
                .collect(),
        });
        refused.collect()
    }

    fn of(
        config: Config,
        tls: TlsSettings,
        texts: AnswerTexts,
        number: u64,
        warnings: Problems,
    ) -> Self {
        let mut plan = Plan::build(&config);
        plan.error_pages = texts.pages;
        plan.body_files = texts.bodies;
        plan.wanted.set_own_uris(tls.own_uris());
        Self { number, config, plan, tls, warnings }
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
    assemble(ferrule_config::read(path, env)?, ticket_keys, number, now, None)
}

/// Loads everything that a configuration names. `now` is Unix seconds. What was fetched for the generation `before`
/// is not fetched once more.
///
/// # Errors
/// Everything that is wrong with it.
pub fn assemble(
    draft: Draft,
    ticket_keys: &Arc<TicketKeys>,
    number: u64,
    now: i64,
    before: Option<&Generation>,
) -> Result<Generation, Box<Problems>> {
    let Draft { config, mut problems } = draft;
    // Even if the file has problems already: whoever mends it wants to know all of them.
    let mut tls = TlsSettings::load_after(
        before.map(|generation| &generation.tls),
        &config,
        ticket_keys,
        &mut problems,
        now,
    );
    warn(&mut tls, &mut problems);
    let texts = AnswerTexts {
        pages: Arc::new(error_pages::load(&config, &mut problems)),
        bodies: body_files::load(&config, &mut problems),
    };
    Plan::check(&config, &mut problems);
    if !problems.is_empty() {
        return Err(Box::new(problems));
    }
    Ok(Generation::of(config, tls, texts, number, problems))
}

/// Moves the warnings of TLS settings to the others.
fn warn(tls: &mut TlsSettings, problems: &mut Problems) {
    for warning in std::mem::take(&mut tls.warnings) {
        problems.warn(warning);
    }
}
