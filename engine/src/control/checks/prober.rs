//! The thread that checks nodes: it is there as long as an upstream has active checks.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::board::CheckBoard;
use super::rounds::{self, Among, CheckRounds};
use super::targets;
use crate::control::process::clock;
use crate::setup::{CoreLink, Driver, Generation, LinkCursor};

/// How often the thread looks for a new generation.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Checks that are due within this time begin together: a tenth of the shortest interval, as the jitter is.
const TOGETHER: Duration = Duration::from_millis(10);
/// How long the core may take to say on which driver it runs; epoll is taken then.
const DRIVER_PATIENCE: Duration = Duration::from_secs(30);
/// A ring for a few hundred checks at once.
const RING_ENTRIES: u32 = 256;

/// Starts the thread when there is something to check.
#[derive(Debug)]
pub struct Prober {
    /// What a core is told, the thread is told.
    link: Option<Arc<CoreLink>>,
    board: Arc<CheckBoard>,
    /// The thread is there.
    running: Arc<AtomicBool>,
}

impl Prober {
    /// No thread yet.
    #[must_use]
    pub fn new(link: Option<&Arc<CoreLink>>, board: &Arc<CheckBoard>) -> Self {
        Self { link: link.map(Arc::clone), board: Arc::clone(board), running: Arc::default() }
    }

    /// A generation has been posted to the link: is there something to check?
    pub(crate) fn follow(&self, generation: &Generation) {
        let Some(link) = &self.link else { return };
        if !targets::any(generation) || self.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let (link, board, running) =
            (Arc::clone(link), Arc::clone(&self.board), Arc::clone(&self.running));
        let thread = std::thread::Builder::new().name("ferrule-check".into());
        let started = thread.spawn(move || {
            if let Err(error) = run(&link, &board, &running) {
                running.store(false, Ordering::SeqCst);
                tracing::error!(%error, "upstream nodes are not checked");
            }
        });
        if let Err(error) = started {
            self.running.store(false, Ordering::SeqCst);
            tracing::error!(%error, "upstream nodes are not checked: no thread");
        }
    }
}

/// Checks until there is nothing to check any more.
fn run(link: &CoreLink, board: &Arc<CheckBoard>, running: &AtomicBool) -> io::Result<()> {
    let future = check(link, board, running);
    if driver(link) == Driver::Epoll {
        return run_on_epoll(future);
    }
    let ring = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).enable_timer();
    match ring.build() {
        Ok(mut runtime) => {
            runtime.block_on(future);
            Ok(())
        }
        Err(error) => {
            tracing::debug!(%error, "no ring for checks; they run on epoll");
            run_on_epoll(future)
        }
    }
}

fn run_on_epoll(future: impl Future<Output = ()>) -> io::Result<()> {
    RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?.block_on(future);
    Ok(())
}

/// The driver that the core runs on.
fn driver(link: &CoreLink) -> Driver {
    let started = clock::monotonic();
    loop {
        let driver = link.driver.get();
        if driver != Driver::Unknown {
            return driver;
        }
        if started.elapsed() >= DRIVER_PATIENCE {
            return Driver::Epoll;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

async fn check(link: &CoreLink, board: &Arc<CheckBoard>, running: &AtomicBool) {
    let rounds = Rc::new(RefCell::new(CheckRounds::new(board)));
    let mut cursor = LinkCursor::default();
    loop {
        look(link, &mut cursor, &rounds);
        if rounds.borrow().is_empty() {
            running.store(false, Ordering::SeqCst);
            // What was posted meanwhile has found the thread running, and started none.
            look(link, &mut cursor, &rounds);
            if rounds.borrow().is_empty() || running.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        rounds::begin(&rounds, Among::Due);
        let pause = Duration::from_millis(rounds.borrow().pause_ms());
        monoio::time::sleep(pause.clamp(TOGETHER, LOOK_EVERY)).await;
    }
}

/// Takes what is new on the link.
fn look(link: &CoreLink, cursor: &mut LinkCursor, rounds: &RefCell<CheckRounds>) {
    let updates = link.updates(cursor);
    let mut rounds = rounds.borrow_mut();
    if let Some(handover) = updates.handover {
        rounds.adopt(&handover);
    }
    if let Some(addresses) = updates.addresses {
        rounds.set_addresses(addresses);
    }
}
