//! The limits of one generation, shared by all cores.
//!
//! A reload takes over what is known of a limit that stays, where it says the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ferrule_config::model::{LimitKind, LimitNumber, LimitNumberKey, LimitRule, RequestLimit};

use super::bucket::{BucketState, LeakyBucket};
use super::concurrency::{Concurrency, ConcurrencyState, followed_ns};
use super::store_link::{StoreLink, StoreOfLimit};
use super::stored_window::StoredWindow;
use super::table::{KeyHasher, KeyPlace, SHARDS, SharedTable};
use super::window::{RequestWindow, WindowState};
use crate::plan::request_limits::LimitPlan;
use crate::plan::{LimitId, Plan};

/// What is counted of a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitCount {
    /// Requests that were refused.
    Refused,
    /// Requests that were held back.
    Delayed,
    /// Requests whose key had no room of its own and was counted with others.
    Crowded,
}

impl LimitCount {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Delayed, Self::Crowded];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Delayed => "delayed",
            Self::Crowded => "crowded",
        }
    }
}

/// What one core has counted; it is the only writer.
#[derive(Debug, Default)]
#[repr(align(128))]
struct CoreCounts([AtomicU64; 3]);

/// A limit, as all cores share it.
#[derive(Debug)]
pub struct SharedLimit {
    /// What it is called.
    pub name: Box<str>,
    /// What it counts.
    pub kind: LimitKind,
    /// As configured.
    definition: RequestLimit,
    pub(super) rule: SharedRule,
    /// Where it is counted with other gateways.
    pub(super) store: Option<StoreOfLimit>,
    /// What a store knows the counts of this gateway by: others have others, and so has each limit.
    pub(super) instance: u64,
    counts: Box<[CoreCounts]>,
}

/// A rule, and what is known of its keys.
#[derive(Debug)]
pub(super) enum SharedRule {
    Requests(RequestWindow, SharedTable<WindowState>),
    /// Likewise, with other gateways.
    Stored(RequestWindow, SharedTable<StoredWindow>),
    Rate(LeakyBucket, SharedTable<BucketState>),
    Connections(SharedConcurrency),
}

/// What [`SharedRule::Connections`] holds.
#[derive(Debug)]
pub(super) struct SharedConcurrency {
    pub(super) rule: Concurrency,
    pub(super) table: SharedTable<ConcurrencyState>,
    /// How long a level takes, in nanoseconds.
    pub(super) level: AtomicU64,
}

impl SharedLimit {
    fn of(plan: &LimitPlan, cores: usize, link: Option<&Arc<StoreLink>>, instance: u64) -> Self {
        let store = plan.limit.store.as_ref().zip(link);
        let store = store.map(|(limit, link)| StoreOfLimit::new(Arc::clone(link), limit));
        let rule = match plan.limit.rule {
            LimitRule::Requests(rule) => {
                let rule = RequestWindow::of(&rule, cores);
                match &store {
                    Some(store) => {
                        let rule = rule.heard_every(store.link.definition.sync_interval);
                        SharedRule::Stored(rule, SharedTable::new())
                    }
                    None => SharedRule::Requests(rule, SharedTable::new()),
                }
            }
            LimitRule::Rate(rule) => {
                SharedRule::Rate(LeakyBucket::of(&rule, cores), SharedTable::new())
            }
            LimitRule::Connections(rule) => {
                let says_burst = |number: &LimitNumber| number.key == LimitNumberKey::Burst;
                let is_told = plan.limit.numbers.iter().any(says_burst);
                let rule = Concurrency::of(&rule).with_told_burst(is_told);
                let level = AtomicU64::new(rule.first_delay_ns());
                SharedRule::Connections(SharedConcurrency {
                    rule,
                    table: SharedTable::new(),
                    level,
                })
            }
        };
        Self {
            name: plan.name.clone(),
            kind: plan.limit.rule.kind(),
            definition: plan.limit.clone(),
            rule,
            store,
            instance,
            counts: (0..cores).map(|_| CoreCounts::default()).collect(),
        }
    }

    /// Is it counted in this store?
    pub(super) fn counts_in(&self, link: Option<&Arc<StoreLink>>) -> bool {
        match (&self.store, link) {
            (Some(store), Some(link)) => Arc::ptr_eq(&store.link, link),
            (store, link) => store.is_none() && link.is_none(),
        }
    }

    /// How many keys are known.
    #[must_use]
    pub fn keys(&self) -> usize {
        match &self.rule {
            SharedRule::Requests(_, table) => table.len(),
            SharedRule::Stored(_, table) => table.len(),
            SharedRule::Rate(_, table) => table.len(),
            SharedRule::Connections(SharedConcurrency { table, .. }) => {
                let mut keys = 0;
                for part in 0..SHARDS {
                    table.each_of(part, |_, state| {
                        keys += usize::from(state.forgotten_at() > 0);
                    });
                }
                keys
            }
        }
    }

    /// What all cores have counted.
    #[must_use]
    pub fn count(&self, count: LimitCount) -> u64 {
        self.counts.iter().map(|counts| counts.0[count as usize].load(Ordering::Relaxed)).sum()
    }

    /// One more, on this core.
    pub(super) fn add(&self, core: usize, count: LimitCount) {
        if let Some(counts) = self.counts.get(core) {
            let counter = &counts.0[count as usize];
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Do requests say numbers of it?
    pub(super) const fn has_numbers(&self) -> bool {
        !self.definition.numbers.is_empty()
    }

    /// So many places of this key are free again.
    pub(super) fn give_back(&self, key: u64, place: KeyPlace, places: u32) {
        let SharedRule::Connections(SharedConcurrency { table, .. }) = &self.rule else { return };
        let until = ConcurrencyState::forgotten_at;
        table.at(key, place, |state| state.give_back(places), until);
    }

    /// A request has taken so long.
    pub(super) fn follow(&self, took_ns: u64) {
        if let SharedRule::Connections(SharedConcurrency { rule, level, .. }) = &self.rule
            && rule.follows()
        {
            level.store(followed_ns(level.load(Ordering::Relaxed), took_ns), Ordering::Relaxed);
        }
    }
}

/// Those of one generation.
#[derive(Debug, Default)]
pub struct Limits {
    limits: Vec<Arc<SharedLimit>>,
    /// In the order of the configuration.
    stores: Vec<Arc<StoreLink>>,
    hasher: KeyHasher,
    /// What times are counted from.
    origin: Option<Instant>,
    cores: usize,
}

impl Limits {
    /// Those of this plan; what `before` knows of the same limit goes on, unless another number of cores
    /// shares it now.
    #[must_use]
    pub fn of(plan: &Plan, before: &Self, now: Instant, cores: usize) -> Self {
        let known: HashMap<_, _> =
            before.limits.iter().map(|limit| ((limit.kind, &*limit.name), limit)).collect();
        let origin = before.origin.or(Some(now));
        let now = Self { origin, ..Self::default() }.now_ns(now);
        let stores = plan.stores().iter().map(|store| {
            let same = before.stores.iter().find(|old| old.definition.is_same(store));
            same.map_or_else(|| Arc::new(StoreLink::new(store.clone(), now)), Arc::clone)
        });
        let stores: Vec<_> = stores.collect();
        let hasher = before.hasher.clone();
        let limits = plan.limits().iter().map(|plan| {
            let link = plan.limit.store.as_ref().and_then(|store| stores.get(store.index));
            let old = known.get(&(plan.limit.rule.kind(), &*plan.name));
            let old = old.filter(|old| old.definition.says_the_same(&plan.limit));
            match old {
                Some(limit) if before.cores == cores && limit.counts_in(link) => Arc::clone(limit),
                // Of a secret of the process, and of a time at which there is no other of this name.
                _ => {
                    let id = hasher.hash(format!("{now} {}", plan.name).as_bytes());
                    Arc::new(SharedLimit::of(plan, cores, link, id))
                }
            }
        });
        Self { limits: limits.collect(), stores, hasher: hasher.clone(), origin, cores }
    }

    /// How many cores share them.
    pub(super) const fn cores(&self) -> usize {
        self.cores
    }

    /// All limits, each as it is shared.
    pub(super) fn shared(&self) -> &[Arc<SharedLimit>] {
        &self.limits
    }

    /// The stores that limits are counted in, in the order of the configuration.
    #[must_use]
    pub fn stores(&self) -> &[Arc<StoreLink>] {
        &self.stores
    }

    /// A limit of the plan that these are of.
    #[must_use]
    pub fn get(&self, id: LimitId) -> Option<&Arc<SharedLimit>> {
        self.limits.get(id.0 as usize)
    }

    /// All of them, in the order of the configuration.
    pub fn each(&self) -> impl Iterator<Item = &SharedLimit> {
        self.limits.iter().map(|limit| &**limit)
    }

    /// A time as limits count it.
    #[must_use]
    pub fn now_ns(&self, now: Instant) -> u64 {
        let since = self.origin.map_or_else(Default::default, |origin| now.duration_since(origin));
        // Never 0: that is no time.
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The hash of a key.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }
}
