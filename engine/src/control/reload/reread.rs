//! Files that change by themselves: certificates, keys, lists and what belongs to them.
//!
//! Only these are read, and put into force beside everything else that is in force: neither a log nor a
//! socket nor a page nor a name is opened or asked for, so that none of them can keep a revocation from
//! counting. The same goes on during a drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::reloader::{self, Reloader};
use super::watch::Watch;
use crate::setup::{Generation, RefusedFiles};
use crate::tls::loaded_crl;

/// How long the cores may take before the next look at files; they are told already.
const CORES_PATIENCE: Duration = Duration::from_secs(1);

impl Reloader {
    /// Looks at the files of the configuration in force, and reads them again if one has changed, or if
    /// one was refused a while ago. What is refused stays as it was, object by object. Either outcome is
    /// logged.
    pub(super) fn look_at_files(&mut self) {
        if !self.current.config.runtime.watch_files {
            return;
        }
        let changed = self.watch.changed();
        if changed.is_empty() {
            return;
        }
        // Looked at before they are read: what changes in between is a change later on.
        let watch = Watch::of(&self.current.config.files());
        let number = self.current.number.saturating_add(1);
        match (self.renew)(&self.current, number) {
            Ok(generation) => {
                let refused = generation.refused_files();
                self.watch.follow(watch);
                // A file that is refused again and again makes no generations.
                if refused.is_empty() || !generation.tls.objects.same_as(&self.current.tls.objects)
                {
                    self.put_into_force(Arc::new(generation), &changed);
                }
                self.refuse(refused);
            }
            Err(problems) => {
                let why = problems.lines().collect();
                self.refuse(vec![RefusedFiles { files: changed, why }]);
            }
        }
    }

    fn put_into_force(&mut self, generation: Arc<Generation>, changed: &[PathBuf]) {
        let sockets = self.listeners.kept(&generation.config);
        let addresses = self.resolver.known(&generation);
        self.post(&generation, &sockets, &addresses);
        reloader::warn_of_problems(&generation.warnings);
        self.warn_of_older_lists(&generation);
        self.current = generation;
        let number = self.current.number;
        let late = reloader::wait_for_cores(&self.links, number, CORES_PATIENCE);
        self.status.record_reload(Ok(number));
        let first = changed.first().map(|path| path.display().to_string()).unwrap_or_default();
        let more = changed.len().saturating_sub(1);
        tracing::info!(file = first, more, "files read again: generation {number}");
        reloader::warn_of_late(&late);
    }

    /// These objects were refused and stay as they were; everything else is in force.
    fn refuse(&mut self, refused: Vec<RefusedFiles>) {
        self.status.set_refused_files(refused.clone());
        let Some(first) = refused.iter().find_map(|object| object.files.first()) else {
            if self.watch.mended() {
                tracing::info!("no file is refused any more");
            }
            return;
        };
        let first = first.display().to_string();
        let reasons: Vec<String> = refused.iter().flat_map(|object| object.why.clone()).collect();
        let files: Vec<PathBuf> = refused.into_iter().flat_map(|object| object.files).collect();
        let more = files.len().saturating_sub(1);
        if !self.watch.refuse(files, reasons.join("\n")) {
            return;
        }
        self.files_refused = self.files_refused.saturating_add(1);
        // Half of a renewal looks like this until the other half comes.
        for reason in &reasons {
            tracing::error!("changed file refused: {reason}");
        }
        tracing::error!(file = first, more, "a changed file is refused; the old one serves");
        self.status.record_reload(Err(reasons));
    }

    /// Says which lists have an older one in their place.
    pub(super) fn warn_of_older_lists(&self, next: &Generation) {
        for list in loaded_crl::gone_back(&self.current.tls.crls, &next.tls.crls) {
            let (field, source, issuer) = (&list.field, &list.source, &list.issuer);
            tracing::warn!(
                "{field}: the list of {issuer} in {source} is older than the one before"
            );
        }
    }
}
