//! Where generations come from: the configuration file, and the files that it names.
//!
//! In: the path of the file. Out: a draft, a generation, or every problem. All generations of a process
//! share their session ticket keys, so that a client can resume its session after a reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrule_config::{Draft, Problems};

use super::preconditions;
use crate::control::process::{clock, environment};
use crate::setup::{self, Generation};
use crate::tls::resumption::tickets::TicketKeys;

/// The configuration file of the process.
#[derive(Debug)]
pub(crate) struct GenerationSource {
    file: PathBuf,
    ticket_keys: Arc<TicketKeys>,
}

impl GenerationSource {
    /// The source of all generations of this process.
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), ticket_keys: Arc::new(TicketKeys::new()) }
    }

    /// Reads the file as it is now; none of the files that it names.
    pub(crate) fn read(&self) -> Result<Draft, Box<Problems>> {
        Ok(ferrule_config::read(&self.file, &environment::variable)?)
    }

    /// Loads everything that a draft names, as the generation of this number, if the machine has what it needs.
    /// `before` is what is in force.
    pub(crate) fn assemble(
        &self,
        mut draft: Draft,
        number: u64,
        before: Option<&Generation>,
    ) -> Result<Generation, Box<Problems>> {
        let in_force = before.map(|generation| &generation.config);
        preconditions::check(&draft.config, in_force, &mut draft.problems);
        setup::assemble(draft, &self.ticket_keys, number, clock::unix_seconds(), before)
    }

    /// Loads certificates, keys and revocation lists of a generation again, as the generation of this
    /// number. Everything else stays as it was.
    pub(super) fn renew(
        &self,
        current: &Generation,
        number: u64,
    ) -> Result<Generation, Box<Problems>> {
        current.renewed(&self.ticket_keys, number, clock::unix_seconds())
    }
}
