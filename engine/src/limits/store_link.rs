//! A store as the data cores see it: may what is known of its counts be gone by?
//!
//! One thread, off the data cores, exchanges counts and says here how that went; the cores read one number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferrule_config::model::{LimitStore, Store};
use strum::{EnumCount, IntoStaticStr, VariantArray};

/// A store that is told nothing is asked this often whether it is there.
pub const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// How an exchange with a store has ended.
#[derive(Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum StoreOutcome {
    /// All is exchanged.
    Done,
    /// There is no connection: refused, no such name, no way.
    Connect,
    /// No TLS with it: its certificate is refused, or ours.
    Tls,
    /// It does not take user or password, or they may not do this.
    Login,
    /// It has not answered in time.
    Timeout,
    /// It has closed the connection.
    Closed,
    /// It has answered with an error.
    Refused,
    /// What it answers is none: no RESP, too much of it, or numbers that cannot be.
    Nonsense,
}

impl StoreOutcome {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A store, shared by the cores and the thread that asks it.
#[derive(Debug)]
pub struct StoreLink {
    /// As configured.
    pub definition: Store,
    /// Until then what it has said last holds, as limits count time.
    holds_until: AtomicU64,
    outcomes: [AtomicU64; StoreOutcome::COUNT],
    keys: AtomicU64,
}

impl StoreLink {
    /// One that has not been asked yet: it has as long as an exchange may take.
    #[must_use]
    pub fn new(definition: Store, now: u64) -> Self {
        let link = Self {
            definition,
            holds_until: AtomicU64::new(0),
            outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
            keys: AtomicU64::new(0),
        };
        link.hold(now);
        link
    }

    fn hold(&self, now: u64) {
        let Store { timeout, sync_interval, .. } = self.definition;
        // A store that nothing is asked of is looked at in the round behind that time. Connecting, and one exchange.
        let silence = IDLE_LOOK_EVERY.saturating_add(sync_interval);
        let patience = silence.saturating_add(timeout.saturating_mul(2));
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.holds_until.store(now.saturating_add(patience), Ordering::Relaxed);
    }

    /// Has it said nothing for too long, or failed?
    #[must_use]
    pub fn is_away(&self, now: u64) -> bool {
        now >= self.holds_until.load(Ordering::Relaxed)
    }

    /// An exchange of so many keys has ended in this way. Only the thread of the store says so.
    pub fn record(&self, outcome: StoreOutcome, keys: u64, now: u64) {
        let add = |counter: &AtomicU64, more: u64| {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            add(counter, 1);
        }
        add(&self.keys, keys);
        if outcome == StoreOutcome::Done {
            self.hold(now);
        } else {
            self.holds_until.store(0, Ordering::Relaxed);
        }
    }

    /// How many exchanges have ended in this way.
    #[must_use]
    pub fn count(&self, outcome: StoreOutcome) -> u64 {
        self.outcomes.get(outcome as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// How many counts of keys have been exchanged.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }
}

/// Where a limit is counted with other gateways.
#[derive(Debug)]
pub(super) struct StoreOfLimit {
    pub(super) link: Arc<StoreLink>,
    allow_degradation: bool,
}

impl StoreOfLimit {
    pub(super) const fn new(link: Arc<StoreLink>, limit: &LimitStore) -> Self {
        Self { link, allow_degradation: limit.allow_degradation }
    }

    /// Must requests be refused, because nobody knows what others have let pass?
    pub(super) fn is_missing(&self, now: u64) -> bool {
        !self.allow_degradation && self.link.is_away(now)
    }
}
