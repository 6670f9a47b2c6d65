//! The limits as one core asks them: its leases, and the guard of a request that is under way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferrule_config::model::LimitRule;

use super::bucket::{BucketAnswer, BucketLease, BucketState, LeakyBucket};
use super::concurrency::{Concurrency, ConcurrencyState};
use super::core_places::CorePlaces;
use super::shared::{LimitCount, Limits, SharedConcurrency, SharedLimit, SharedRule};
use super::stored_window::StoredWindow;
use super::table::{CoreTable, KeyPlace};
use super::window::{RequestWindow, WindowLease};
use crate::plan::LimitId;

/// What a limit says of a request.
#[derive(Debug)]
pub enum LimitAnswer {
    /// It goes on.
    Passes {
        /// So many nanoseconds later; 0 is at once.
        delay_ns: u64,
        /// What is left of a window.
        quota: Option<Quota>,
        /// Counts it as under way, until it is dropped.
        permit: Option<ConnectionPermit>,
    },
    /// It is refused.
    Refused {
        /// When another one may pass, in nanoseconds from now; `None` if nobody knows.
        retry_ns: Option<u64>,
        /// What is left of a window.
        quota: Option<Quota>,
    },
    /// The store that it is counted in is away, and it may not be counted without.
    StoreAway,
}

/// What is left of a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// How many may pass within it.
    pub limit: u64,
    /// How many still may.
    pub remaining: u64,
    /// Nanoseconds until it begins anew.
    pub reset_ns: u64,
}

/// A request under way: given back when this is dropped, however it ends.
#[derive(Debug)]
pub struct ConnectionPermit {
    places: Rc<CorePlaces>,
    key: u64,
    place: KeyPlace,
    /// When it goes on, or has.
    begins_ns: u64,
    took_ns: Option<u64>,
}

impl ConnectionPermit {
    /// It has ended in order, at this time.
    pub fn end(mut self, now: u64) {
        self.took_ns = Some(now.saturating_sub(self.begins_ns));
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.places.end(self.key, self.place, self.took_ns);
    }
}

/// What one core knows.
#[derive(Debug)]
pub struct CoreLimits {
    limits: Arc<Limits>,
    leases: Box<[RefCell<Leases>]>,
    core: usize,
}

/// Those of one limit.
#[derive(Debug)]
enum Leases {
    Requests(CoreTable<WindowLease>),
    Rate(CoreTable<BucketLease>),
    Connections(Rc<CorePlaces>),
}

impl CoreLimits {
    /// A core that has no lease yet; `core` is its number. [`Self::go_on`] gives it those of the generation before.
    #[must_use]
    pub fn new(limits: &Arc<Limits>, core: u32) -> Self {
        let cores = limits.cores();
        let leases = limits.shared().iter().map(|limit| {
            RefCell::new(match limit.rule {
                SharedRule::Requests(..) | SharedRule::Stored(..) => {
                    Leases::Requests(CoreTable::new())
                }
                SharedRule::Rate(..) => Leases::Rate(CoreTable::new()),
                SharedRule::Connections(..) => {
                    Leases::Connections(Rc::new(CorePlaces::new(limit, cores)))
                }
            })
        });
        Self { leases: leases.collect(), limits: Arc::clone(limits), core: core as usize }
    }

    /// Takes over what this core holds under the generation before of the limits that go on. What it keeps for its next
    /// requests would be nobody's otherwise: lost with each reload, or for as long as an older request lives.
    pub fn go_on(&self, before: &Self) {
        let known: HashMap<_, _> =
            before.limits.shared().iter().map(Arc::as_ptr).zip(&before.leases).collect();
        for (limit, own) in self.limits.shared().iter().zip(&self.leases) {
            let Some(known) = known.get(&Arc::as_ptr(limit)) else { continue };
            let (mut own, mut known) = (own.borrow_mut(), known.borrow_mut());
            match (&mut *own, &mut *known) {
                // What is under way ends there, and what begins is asked there.
                (Leases::Connections(own), Leases::Connections(known)) => *own = Rc::clone(known),
                // Whoever still asks under the generation before takes anew.
                (own, known) => mem::swap(own, known),
            }
        }
    }

    /// The limits that all cores share.
    #[must_use]
    pub fn shared(&self) -> &Limits {
        &self.limits
    }

    /// A request with this key; `None` if there is no such limit.
    pub fn ask(&self, id: LimitId, key: &[u8], now: u64) -> Option<LimitAnswer> {
        self.ask_by(id, key, None, now)
    }

    /// A request with this key, held against the rule that it says itself, if it does.
    pub fn ask_by(
        &self,
        id: LimitId,
        key: &[u8],
        told: Option<LimitRule>,
        now: u64,
    ) -> Option<LimitAnswer> {
        let limit = self.limits.get(id)?;
        let leases = &mut *self.leases.get(id.0 as usize)?.borrow_mut();
        if limit.store.as_ref().is_some_and(|store| store.is_missing(now)) {
            return Some(LimitAnswer::StoreAway);
        }
        let hash = self.limits.hash(key);
        let asked = Asked { limit, core: self.core, key: hash, bytes: key, told, now };
        let answer = match (&limit.rule, leases) {
            (SharedRule::Requests(..) | SharedRule::Stored(..), Leases::Requests(table)) => {
                asked.requests(table)
            }
            (SharedRule::Rate(..), Leases::Rate(table)) => asked.rate(table),
            (SharedRule::Connections(..), Leases::Connections(places)) => asked.connections(places),
            _ => None,
        }?;
        match &answer {
            LimitAnswer::Refused { .. } => limit.add(self.core, LimitCount::Refused),
            LimitAnswer::Passes { delay_ns: 0, .. } => {}
            LimitAnswer::Passes { .. } => limit.add(self.core, LimitCount::Delayed),
            LimitAnswer::StoreAway => {}
        }
        Some(answer)
    }
}

/// One question.
struct Asked<'a> {
    limit: &'a Arc<SharedLimit>,
    core: usize,
    /// The hash of its key.
    key: u64,
    /// The key itself.
    bytes: &'a [u8],
    /// The rule that the request says. It is asked of what all cores know: another one's lease would not be true of it.
    told: Option<LimitRule>,
    now: u64,
}

impl Asked<'_> {
    /// A key was counted there. How many may be taken for it at once: what is counted together is not lent.
    fn most(&self, place: KeyPlace, keeps: bool) -> u64 {
        if place == KeyPlace::Crowd {
            self.limit.add(self.core, LimitCount::Crowded);
        }
        if place == KeyPlace::Own && keeps { u64::MAX } else { 1 }
    }

    fn requests(&self, leases: &mut CoreTable<WindowLease>) -> Option<LimitAnswer> {
        let (SharedRule::Requests(rule, _) | SharedRule::Stored(rule, _)) = &self.limit.rule else {
            return None;
        };
        let told = match self.told {
            Some(LimitRule::Requests(told)) => Some(RequestWindow::of(&told, 1)),
            _ => None,
        };
        let (now, mut none) = (self.now, WindowLease::default());
        let lease = match told {
            Some(_) => None,
            None => leases.lease(self.key, now, |lease| lease.is_over(now)),
        };
        let rule = told.as_ref().unwrap_or(rule);
        let keeps = lease.is_some();
        let answer = lease.unwrap_or(&mut none).ask(rule, now, |with| match &self.limit.rule {
            SharedRule::Requests(_, table) => {
                let until = |state: &_| rule.forgotten_at(state);
                table.with(self.key, now, until, |state, place| {
                    with(state, self.most(place, keeps));
                });
            }
            SharedRule::Stored(_, table) => {
                let until = |state: &StoredWindow| state.forgotten_at(rule);
                table.with(self.key, now, until, |state, place| {
                    with(state.ask(self.bytes), self.most(place, keeps));
                });
            }
            SharedRule::Rate(..) | SharedRule::Connections(..) => {}
        });
        let (remaining, reset_ns) = (answer.remaining, answer.reset_ns);
        let quota = Some(Quota { limit: rule.count(), remaining, reset_ns });
        Some(if answer.passes {
            LimitAnswer::Passes { delay_ns: 0, quota, permit: None }
        } else {
            LimitAnswer::Refused { retry_ns: Some(reset_ns), quota }
        })
    }

    fn rate(&self, leases: &mut CoreTable<BucketLease>) -> Option<LimitAnswer> {
        let SharedRule::Rate(rule, table) = &self.limit.rule else { return None };
        let told = match self.told {
            Some(LimitRule::Rate(told)) => Some(LeakyBucket::of(&told, 1)),
            _ => None,
        };
        let (now, mut none) = (self.now, BucketLease::default());
        let lease = match told {
            Some(_) => None,
            None => leases.lease(self.key, now, |lease| lease.is_over(now)),
        };
        let rule = told.as_ref().unwrap_or(rule);
        let keeps = lease.is_some();
        let answer = lease.unwrap_or(&mut none).ask(rule, now, |with| {
            let until = BucketState::forgotten_at;
            table.with(self.key, now, until, |state, place| with(state, self.most(place, keeps)));
        });
        Some(match answer {
            BucketAnswer::Passes { delay_ns } => {
                LimitAnswer::Passes { delay_ns, quota: None, permit: None }
            }
            BucketAnswer::Refused { retry_ns } => {
                LimitAnswer::Refused { retry_ns: Some(retry_ns), quota: None }
            }
        })
    }

    fn connections(&self, places: &Rc<CorePlaces>) -> Option<LimitAnswer> {
        let SharedRule::Connections(SharedConcurrency { rule, table, level }) = &self.limit.rule
        else {
            return None;
        };
        let told = match self.told {
            Some(LimitRule::Connections(told)) => Some(Concurrency::of(&told)),
            _ => None,
        };
        let rule = told.as_ref().unwrap_or(rule);
        let permit = |place: KeyPlace, delay_ns: u64| ConnectionPermit {
            places: Rc::clone(places),
            key: self.key,
            place,
            begins_ns: self.now.saturating_add(delay_ns),
            took_ns: None,
        };
        if places.take(self.key) {
            let permit = Some(permit(KeyPlace::Own, 0));
            return Some(LimitAnswer::Passes { delay_ns: 0, quota: None, permit });
        }
        let until = ConcurrencyState::forgotten_at;
        let (taken, place) = table.with(self.key, self.now, until, |state, place| {
            self.most(place, false);
            state.take(rule)
        });
        Some(match taken {
            None => LimitAnswer::Refused { retry_ns: None, quota: None },
            Some(number) => {
                let delay_ns = rule.delay_ns(number, level.load(Ordering::Relaxed));
                let permit = Some(permit(place, delay_ns));
                LimitAnswer::Passes { delay_ns, quota: None, permit }
            }
        })
    }
}
