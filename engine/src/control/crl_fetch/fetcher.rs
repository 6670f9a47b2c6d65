//! The threads that fetch, and what they share.
//!
//! Each thread takes the list that is due next, fetches it, judges it and keeps it. A server that does not answer
//! holds up one of them, for `crl_fetch.timeout`. The thread that reads files only asks what has changed.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferrule_config::model::CrlUrl;

use super::board::CrlFetchBoard;
use super::download::DownloadLimits;
use super::job::{FetchEnd, FetchJob};
use super::pace;
use super::validators::Freshness;
use super::wanted::{self, WantedCrl};
use crate::control::process::clock;
use crate::health::checks::CheckJitter;
use crate::identity::x509::crl::Crl;
use crate::setup::Generation;
use crate::tls::load::fetched_crls;

/// Lists that are fetched at once.
const THREADS_MAX: usize = 4;

/// Fetches what the generation in force wants.
#[derive(Debug)]
pub(crate) struct CrlFetcher {
    desk: Arc<FetchDesk>,
}

/// What the threads share.
#[derive(Debug)]
struct FetchDesk {
    plan: Mutex<FetchPlan>,
    /// Notified when there is something else to do.
    changed: Condvar,
    board: Arc<CrlFetchBoard>,
}

#[derive(Debug)]
struct FetchPlan {
    rows: BTreeMap<CrlUrl, FetchRow>,
    limits: Option<DownloadLimits>,
    refresh: Duration,
    /// Files that were written since the loader has asked.
    written: Vec<PathBuf>,
    /// The directory in which nothing is left of others.
    tidied: Option<PathBuf>,
    threads: usize,
    /// The number of the last row.
    last_row: u64,
    jitter: CheckJitter,
}

/// One list.
#[derive(Clone, Debug)]
struct FetchRow {
    /// Whoever wants it by other authorities has another row, while this one may still be fetched.
    number: u64,
    wanted: Arc<WantedCrl>,
    file: PathBuf,
    /// What is held, besides what is in the file.
    held: Vec<Arc<Crl>>,
    /// Of what is held, if it came from the server.
    freshness: Freshness,
    due: Instant,
    under_way: bool,
    /// In a row.
    failures: u32,
}

impl CrlFetcher {
    /// No thread yet.
    pub(crate) fn new(board: &Arc<CrlFetchBoard>) -> Self {
        let seed = u64::from(std::process::id()) << 32 ^ clock::unix_seconds().unsigned_abs();
        let plan = FetchPlan {
            rows: BTreeMap::new(),
            limits: None,
            refresh: Duration::MAX,
            written: Vec::new(),
            tidied: None,
            threads: 0,
            last_row: 0,
            jitter: CheckJitter::new(seed),
        };
        let (plan, changed) = (Mutex::new(plan), Condvar::new());
        Self { desk: Arc::new(FetchDesk { plan, changed, board: Arc::clone(board) }) }
    }

    /// A generation is in force: from now on its lists are fetched, and no others.
    pub(crate) fn follow(&self, generation: &Generation) {
        let wanted = wanted::of(generation);
        let mut plan = self.desk.lock();
        let Some(fetch) = &generation.config.crl_fetch else {
            plan.rows.clear();
            self.desk.board.follow(std::iter::empty());
            return;
        };
        plan.refresh = fetch.refresh;
        plan.limits = Some(DownloadLimits {
            timeout: fetch.timeout,
            size_max: fetch.size_max,
            resolving: generation.config.runtime.resolver.clone(),
        });
        let (now, mut before) = (clock::monotonic(), std::mem::take(&mut plan.rows));
        for (url, wanted) in wanted {
            let file = fetched_crls::file_of(&fetch.directory, &url);
            let known = before.remove(&url);
            let is_same = |row: &FetchRow| {
                row.file == file && row.wanted.anchors.digest() == wanted.anchors.digest()
            };
            let row = match known {
                Some(row) if is_same(&row) => {
                    FetchRow { wanted, due: row.due.min(now + fetch.refresh), ..row }
                }
                known => {
                    plan.last_row += 1;
                    // What is held is held elsewhere, too, as far as these authorities have signed it.
                    let held = known.map(|row| row.held).unwrap_or_default();
                    FetchRow::new(plan.last_row, wanted, file, held, now)
                }
            };
            plan.rows.insert(url, row);
        }
        self.desk.board.follow(plan.rows.keys());
        self.start_threads(&mut plan);
        drop(plan);
        self.desk.changed.notify_all();
    }

    fn start_threads(&self, plan: &mut FetchPlan) {
        while plan.threads < plan.rows.len().min(THREADS_MAX) {
            let desk = Arc::clone(&self.desk);
            let thread = std::thread::Builder::new().name("ferrule-crl".into());
            if let Err(error) = thread.spawn(move || desk.work()) {
                tracing::error!(%error, "revocation lists are not fetched: no thread");
                return;
            }
            plan.threads += 1;
        }
    }

    /// The files that were written since the last call.
    pub(crate) fn take_changed(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.desk.lock().written)
    }
}

impl FetchRow {
    fn new(
        number: u64,
        wanted: Arc<WantedCrl>,
        file: PathBuf,
        held: Vec<Arc<Crl>>,
        now: Instant,
    ) -> Self {
        Self {
            number,
            wanted,
            file,
            held,
            freshness: Freshness::default(),
            due: now,
            under_way: false,
            failures: 0,
        }
    }
}

impl FetchPlan {
    fn job(&mut self, url: CrlUrl, row: FetchRow, limits: DownloadLimits) -> FetchJob {
        let directory = row.file.parent().map(Path::to_owned);
        let is_first = self.tidied != directory;
        self.tidied = directory;
        let FetchRow { number, wanted, file, held, freshness, .. } = row;
        FetchJob { url, number, wanted, file, held, freshness, limits, is_first }
    }
}

impl FetchDesk {
    fn lock(&self) -> MutexGuard<'_, FetchPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches whatever is due, until the process ends.
    fn work(&self) {
        loop {
            let job = self.next_job();
            let is_wanted =
                || self.lock().rows.get(&job.url).is_some_and(|row| row.number == job.number);
            // One answer that we do not survive must not be the last that is asked for.
            let run = AssertUnwindSafe(|| job.run(&is_wanted));
            let end = std::panic::catch_unwind(run).unwrap_or_else(|_| {
                job.failed(String::from("a fault of Ferrule itself: the error log has it"))
            });
            self.record(&job, end);
        }
    }

    /// Waits for a list that is due.
    fn next_job(&self) -> FetchJob {
        let mut plan = self.lock();
        loop {
            let now = clock::monotonic();
            let idle = plan.rows.iter_mut().filter(|(_, row)| !row.under_way);
            let next = idle.min_by_key(|(_, row)| row.due);
            let pause = match next {
                Some((url, row)) if row.due <= now => {
                    let (url, known) = (url.clone(), row.clone());
                    row.under_way = true;
                    if let Some(limits) = plan.limits.clone() {
                        return plan.job(url, known, limits);
                    }
                    None
                }
                Some((_, row)) => Some(row.due.saturating_duration_since(now)),
                None => None,
            };
            plan = match pause {
                Some(pause) => {
                    let woken = self.changed.wait_timeout(plan, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(plan).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn record(&self, job: &FetchJob, end: FetchEnd) {
        let now = clock::unix_seconds();
        let told = self.board.record(&job.url, end.result.clone(), now);
        let mut plan = self.lock();
        let refresh = plan.refresh;
        // One that has ended, and of which no more is heard, hurries nobody.
        let ends = end.held.iter().filter_map(|list| list.next_update());
        let ends = ends.filter(|end| *end > now).min();
        if end.changed {
            plan.written.push(job.file.clone());
        }
        if let Some(row) = plan.rows.get_mut(&job.url).filter(|row| row.number == job.number) {
            let failures = if end.result.is_ok() { 0 } else { row.failures.saturating_add(1) };
            let left = ends.map(|end| end.saturating_sub(now));
            let wait = match failures {
                0 => pace::after_success(refresh, left),
                _ => pace::after_failure(refresh, failures),
            };
            (row.failures, row.under_way) = (failures, false);
            (row.held, row.freshness) = (end.held, end.freshness);
            let wait = Duration::from_millis(plan.jitter.next_ms(wait));
            if let Some(row) = plan.rows.get_mut(&job.url) {
                row.due = clock::monotonic() + wait;
            }
        }
        drop(plan);
        // Another thread may be waiting for what is due later than this.
        self.changed.notify_all();
        match end.result {
            Err(reason) if told => {
                tracing::warn!(url = job.url.text(), "a revocation list was not fetched: {reason}");
            }
            Ok(()) if told => {
                tracing::info!(url = job.url.text(), "a revocation list is fetched again");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
