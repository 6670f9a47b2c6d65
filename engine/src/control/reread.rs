//! Files that change by themselves: certificates, keys, lists and what belongs to them.
//!
//! Only these are read, and put into force beside everything else that is in force: neither a log nor a
//! socket nor a page nor a name is opened or asked for, so that none of them can keep a revocation from
//! counting. The same goes on during a drain.

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::Problems;

use super::reload::{self, Reloader};
use super::watch::Watch;
use crate::setup::Generation;
use crate::tls::crls;

/// How long the cores may take before the next look at files; they are told already.
const CORES_PATIENCE: Duration = Duration::from_secs(1);

impl Reloader {
    /// Looks at the files of the configuration in force, and reads them again if one has changed, or if
    /// that was refused a while ago. Either outcome is logged.
    pub(super) fn look_at_files(&mut self) {
        if !self.current.config.runtime.watch_files {
            return;
        }
        let changed = self.watch.changed();
        let Some(first) = changed.first().map(|path| path.display().to_string()) else { return };
        let more = changed.len().saturating_sub(1);
        match self.reread() {
            Ok(late) => {
                let number = self.current.number;
                self.board.reloaded(Ok(number));
                tracing::info!(file = first, more, "files read again: generation {number}");
                reload::warn_of_late(&late);
            }
            Err(refused) => {
                let why = refused.lines().collect::<Vec<_>>().join("\n");
                if !self.watch.refuse(changed, why.clone()) {
                    return;
                }
                self.files_refused = self.files_refused.saturating_add(1);
                self.board.reloaded(Err(why.lines().map(str::to_owned).collect()));
                // Half of a renewal looks like this until the other half comes.
                for reason in why.lines() {
                    tracing::warn!("changed file refused: {reason}");
                }
                tracing::warn!(file = first, more, "a changed file is refused; the old one serves");
            }
        }
    }

    /// Returns the cores that have not acknowledged in time.
    fn reread(&mut self) -> Result<Vec<u32>, Box<Problems>> {
        let number = self.current.number.saturating_add(1);
        // Looked at before they are read: what changes in between is a change later on.
        let watch = Watch::of(&self.current.config.files());
        let generation = Arc::new((self.renew)(&self.current, number)?);
        let sockets = self.listeners.kept(&generation.config);
        let addresses = self.resolver.known(&generation);
        self.post(&generation, &sockets, &addresses);
        reload::warn_of_problems(&generation.warnings);
        self.warn_of_older_lists(&generation);
        self.current = generation;
        self.watch = watch;
        Ok(reload::wait_for_cores(&self.links, number, CORES_PATIENCE))
    }

    /// Says which lists have an older one in their place.
    pub(super) fn warn_of_older_lists(&self, next: &Generation) {
        for list in crls::gone_back(&self.current.tls.crls, &next.tls.crls) {
            let (field, source, issuer) = (&list.field, &list.source, &list.issuer);
            tracing::warn!(
                "{field}: the list of {issuer} in {source} is older than the one before"
            );
        }
    }
}
