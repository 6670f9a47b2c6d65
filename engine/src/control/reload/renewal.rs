//! Renewal of certificates, keys and revocation lists whose files have changed, without a reload.
//!
//! In: the generation in force. Out: the next one, which differs in these alone, or the reasons against
//! it. No log, socket or page is opened and no name is resolved, so that none of them can delay a
//! revocation. Renewal goes on during a drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::core_waits;
use super::reloader::{self, Reloader};
use super::watched_files::WatchedFiles;
use crate::setup::{Generation, RefusedFiles};
use crate::tls::load::loaded_crl;

/// How long to wait for the cores before the next check of files; the generation is posted by then.
const CORES_PATIENCE: Duration = Duration::from_secs(1);

impl Reloader {
    /// Checks the files of the configuration in force. Reads them again if one has changed, if a revocation
    /// list was fetched, or if one was refused some time ago. An object whose files are refused stays as it was. The result is logged.
    pub(super) fn check_files(&mut self) {
        let mut changed = self.crl_fetcher.take_changed();
        if self.current.config.runtime.watch_files {
            changed.extend(self.watched.take_changed());
        } else {
            // What a fetch has brought was refused together with another file: it counts once that is mended.
            changed.extend(self.watched.due());
        }
        if changed.is_empty() {
            return;
        }
        // Before the files are read: a change in between is seen by the next check.
        let watched = WatchedFiles::of(&self.current.config.files());
        let number = self.current.number.saturating_add(1);
        match self.source.renew(&self.current, number) {
            Ok(generation) => {
                let refused = generation.refused_files();
                self.watched.watch_from(watched);
                // A file that is refused again and again does not make a new generation each time.
                if refused.is_empty() || !generation.tls.objects.same_as(&self.current.tls.objects)
                {
                    self.put_into_force(Arc::new(generation), &changed);
                }
                self.record_refused_files(refused);
            }
            Err(problems) => {
                let reasons = problems.error_lines().collect();
                self.record_refused_files(vec![RefusedFiles { files: changed, reasons }]);
            }
        }
    }

    fn put_into_force(&mut self, generation: Arc<Generation>, changed: &[PathBuf]) {
        let sockets = self.listeners.kept(&generation.config);
        let addresses = self.resolver.known(&generation);
        self.post(&generation, &sockets, &addresses);
        reloader::warn_of_problems(&generation.warnings);
        reloader::log_warnings(&self.of_older_lists(&generation));
        self.current = generation;
        let number = self.current.number;
        let late = core_waits::wait_for_cores(&self.links, number, CORES_PATIENCE);
        self.status.count_renewal(true);
        let first = changed.first().map(|path| path.display().to_string()).unwrap_or_default();
        let more = changed.len().saturating_sub(1);
        tracing::info!(file = first, more, "files read again: generation {number}");
        reloader::log_warnings(&core_waits::of_late(&late));
    }

    /// Records the files that were refused; their objects stay as they were, and all others are in force.
    fn record_refused_files(&mut self, refused: Vec<RefusedFiles>) {
        self.status.set_refused_files(refused.clone());
        let Some(first) = refused.iter().find_map(|object| object.files.first()) else {
            if self.watched.clear_refusal() {
                tracing::info!("no file is refused any more");
            }
            return;
        };
        let first = first.display().to_string();
        let reasons: Vec<String> =
            refused.iter().flat_map(|object| object.reasons.clone()).collect();
        let files: Vec<PathBuf> = refused.into_iter().flat_map(|object| object.files).collect();
        let more = files.len().saturating_sub(1);
        if !self.watched.record_refusal(files, reasons.join("\n")) {
            return;
        }
        // It may be half of a renewal: the key has changed, the certificate not yet.
        for reason in &reasons {
            tracing::error!("changed file refused: {reason}");
        }
        tracing::error!(file = first, more, "a changed file is refused; the old one serves");
        self.status.count_renewal(false);
    }

    /// What is said of revocation lists that are older than the ones they replace.
    pub(super) fn of_older_lists(&self, next: &Generation) -> Vec<String> {
        let lists = loaded_crl::gone_back(&self.current.tls.crls, &next.tls.crls);
        let words = lists.into_iter().map(|list| {
            let (field, source, issuer) = (&list.keys, &list.sources, &list.issuer);
            format!("{field}: the list of {issuer} in {source} is older than the one before")
        });
        words.collect()
    }
}
