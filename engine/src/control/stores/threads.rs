//! Which stores have a thread: those of the configuration in force.

use std::sync::{Arc, Mutex, PoisonError};

use super::worker::{self, StoreDesk, StoreTask};
use crate::limits::{Limits, StoreLink};
use crate::setup::Generation;

/// The threads of all stores.
#[derive(Default)]
pub(crate) struct StoreThreads {
    running: Mutex<Vec<RunningStore>>,
}

struct RunningStore {
    link: Arc<StoreLink>,
    desk: Arc<StoreDesk>,
}

impl StoreThreads {
    /// This is in force now: stores that are new get a thread, and those that are gone have theirs ended, after one
    /// last exchange.
    pub(crate) fn follow(&self, generation: &Arc<Generation>, limits: &Arc<Limits>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let stays =
            |one: &RunningStore| limits.stores().iter().any(|link| Arc::ptr_eq(link, &one.link));
        running.retain(|one| {
            let stays = stays(one);
            if !stays {
                one.desk.end();
            }
            stays
        });
        for (index, link) in limits.stores().iter().enumerate() {
            let (limits, generation) = (Arc::clone(limits), Arc::clone(generation));
            let task = StoreTask { limits, generation, index };
            if let Some(one) = running.iter().find(|one| Arc::ptr_eq(link, &one.link)) {
                one.desk.put(task);
            } else if let Some(one) = start(link, task) {
                running.push(one);
            }
        }
    }
}

fn start(link: &Arc<StoreLink>, task: StoreTask) -> Option<RunningStore> {
    let desk = Arc::new(StoreDesk::default());
    desk.put(task);
    let running = RunningStore { link: Arc::clone(link), desk: Arc::clone(&desk) };
    let own = Arc::clone(link);
    let thread = std::thread::Builder::new().name("ferrule-store".into());
    match thread.spawn(move || worker::run(&own, &desk)) {
        Ok(_) => Some(running),
        Err(error) => {
            tracing::error!(%error, "store {}: no thread, so it stays away", link.definition.id);
            None
        }
    }
}
