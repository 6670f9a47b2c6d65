//! One fetch, from the question to the file.
//!
//! In: a URL, what is held of it, and who has to have signed it. Out: what is held from then on, and how it went.

use std::path::PathBuf;
use std::sync::Arc;

use ferrule_config::model::CrlUrl;

use super::download::{Download, DownloadLimits, DownloadedBody, download};
use super::judge::judge;
use super::keep;
use super::validators::{Freshness, Validators};
use super::wanted::WantedCrl;
use crate::control::process::clock;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::time::Clock;
use crate::tls::load::loaded_crl::issuer_text;
use crate::tls::load::{crl_kinds, fetched_crls};

/// A list that is due.
pub(super) struct FetchJob {
    pub(super) url: CrlUrl,
    /// Of its row.
    pub(super) number: u64,
    pub(super) wanted: Arc<WantedCrl>,
    pub(super) file: PathBuf,
    /// What was held before.
    pub(super) held: Vec<Arc<Crl>>,
    pub(super) freshness: Freshness,
    pub(super) limits: DownloadLimits,
    /// What others have left in the directory is removed first.
    pub(super) is_first: bool,
}

/// What became of it.
pub(super) struct FetchEnd {
    pub(super) held: Vec<Arc<Crl>>,
    pub(super) freshness: Freshness,
    /// There is something for the loader.
    pub(super) changed: bool,
    pub(super) result: Result<(), String>,
}

/// What an answer comes to.
struct FetchAnswer {
    lists: Vec<Arc<Crl>>,
    freshness: Freshness,
    result: Result<(), String>,
}

impl FetchAnswer {
    /// What is held stays; of the server's words nothing is believed any more.
    fn failed(held: &[Arc<Crl>], reason: String) -> Self {
        Self { lists: held.to_vec(), freshness: Freshness::default(), result: Err(reason) }
    }
}

impl FetchJob {
    /// Fetches the list. What it brings is dropped once it is not wanted any more.
    pub(super) fn run(&self, is_wanted: &dyn Fn() -> bool) -> FetchEnd {
        if self.is_first
            && let Some(directory) = self.file.parent()
            && let Err(error) = keep::remove_leftovers(directory)
        {
            tracing::warn!("{} cannot be tidied up: {error}", directory.display());
        }
        let anchors = &self.wanted.anchors;
        let in_file = match fetched_crls::kept(&self.file) {
            Ok(lists) => lists,
            Err(error) => return self.failed(error.about(&self.file.display())),
        };
        let held = crl_kinds::merge(&in_file, &self.held, anchors);
        // A file that somebody has taken away is written again.
        let known = match in_file.is_empty() {
            true => Validators::default(),
            false => self.freshness.conditions(&held, clock::unix_seconds()),
        };
        let answer = match download(&self.url, &known, &self.limits) {
            Err(reason) => FetchAnswer::failed(&held, reason),
            Ok(Download::Unchanged) => self.unchanged(&held),
            Ok(Download::Body(body)) => self.judge(body, &held),
        };
        let kept = match keep::keep(&self.file, self.number, anchors, &answer.lists, is_wanted) {
            Ok(kept) => kept,
            Err(reason) => return self.failed(reason),
        };
        let is_new = |list: &Arc<Crl>| !held.iter().any(|old| old.digest() == list.digest());
        for list in kept.lists.iter().filter(|list| is_new(list)) {
            let (issuer, revoked) = (issuer_text(list), list.count());
            tracing::info!(url = self.url.text(), issuer, revoked, "a revocation list was fetched");
        }
        // The file may have been another process's work.
        let changed = kept.written || !crl_kinds::is_same(&kept.lists, &self.held);
        let FetchAnswer { freshness, result, .. } = answer;
        FetchEnd { held: kept.lists, freshness, changed, result }
    }

    /// It has ended, and what was held before is held.
    pub(super) fn failed(&self, reason: String) -> FetchEnd {
        let (held, freshness) = (self.held.clone(), Freshness::default());
        FetchEnd { held, freshness, changed: false, result: Err(reason) }
    }

    fn unchanged(&self, held: &[Arc<Crl>]) -> FetchAnswer {
        let clock = Clock { now: clock::unix_seconds(), skew: self.wanted.skew };
        if held.iter().any(|list| list.next_update().is_some_and(|end| clock.is_past(end))) {
            let words = "it has no list after the one that has expired";
            return FetchAnswer::failed(held, words.to_owned());
        }
        let (lists, freshness) = (held.to_vec(), self.freshness.unchanged());
        FetchAnswer { lists, freshness, result: Ok(()) }
    }

    fn judge(&self, body: DownloadedBody, held: &[Arc<Crl>]) -> FetchAnswer {
        match judge(&body.bytes, held, &self.wanted, clock::unix_seconds()) {
            Err(reason) => FetchAnswer::failed(held, reason),
            Ok(judged) => {
                let lists = crl_kinds::merge(held, &judged.good, &self.wanted.anchors);
                match judged.refused {
                    Some(reason) => FetchAnswer::failed(&lists, reason),
                    None => {
                        let freshness = Freshness::of(body.validators);
                        FetchAnswer { lists, freshness, result: Ok(()) }
                    }
                }
            }
        }
    }
}
