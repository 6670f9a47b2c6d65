//! Inspects idle upstream connections: are they open, silent, trusted, and not too old?
//!
//! Messages of TLS itself are answered. A connection is closed if it is over, if it has sent data that
//! nobody asked for, if its idle time is over, if its proof of identity (a certificate, a revocation list) has expired, or if its TLS
//! settings are gone, or the address that it leads to. Taking one from the pool checks all that again; this frees what nobody takes. There
//! may be many, so the work is cut into slices: a request waits for one of them and not for all.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::generation::LiveGeneration;
use super::upstream_connection::PooledConnection;
use crate::exchange::pool::{Identity, Idle, Pool, Walk};
use crate::report::NodeCounter;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::record_reader;

/// Connections inspected in one slice: each costs a system call, about a microsecond.
const LOOKS_PER_SLICE: u32 = 256;
/// Connections closed in one slice: that takes the kernel some ten times as long.
const CLOSED_PER_SLICE: u32 = 32;
/// A slice ends after this time, too: settings are searched among those of all upstreams.
const SLICE: Duration = Duration::from_millis(1);
/// The pause between slices: ten thousand connections are inspected in some hundred milliseconds.
const GAP: Duration = Duration::from_millis(2);

/// The inspection of the idle upstream connections of a core.
#[derive(Default)]
pub(crate) struct Inspection {
    /// The walk that is under way.
    walk: RefCell<Option<Walk>>,
    /// TLS settings and addresses may be gone, so the walk checks them too.
    targets: Cell<bool>,
    /// A connection of an earlier generation has come back since the last walk began.
    outdated: Cell<bool>,
    /// This many are closed whatever their state is: others need what they hold.
    unwanted: Cell<usize>,
}

/// What one slice may still do.
struct InspectionSlice {
    looks: u32,
    closes: u32,
}

impl InspectionSlice {
    const fn is_over(&self) -> bool {
        self.looks == 0 || self.closes == 0
    }
}

impl Inspection {
    /// Begins an inspection of all, unless one is under way.
    pub(crate) fn begin(&self) {
        let mut walk = self.walk.borrow_mut();
        if walk.is_none() {
            self.targets.set(self.outdated.take());
            *walk = Some(Walk::default());
        }
    }

    /// A connection came back that an earlier generation has used: the next walk checks the TLS settings, too.
    pub(crate) fn expect_outdated(&self) {
        self.outdated.set(true);
    }

    /// There is a new generation, or a name leads elsewhere: begins an inspection of all again, and of where they
    /// lead and under which TLS settings.
    pub(crate) fn begin_again(&self) {
        self.targets.set(true);
        self.walk.replace(Some(Walk::default()));
    }

    /// Has `count` of them closed whatever their state is: descriptors or memory have run out.
    pub(crate) fn give_up(&self, count: usize) {
        self.unwanted.set(count);
    }

    /// Inspects some. Returns how long other tasks should run before the next slice; `None` if the
    /// inspection is complete.
    pub(crate) fn slice(
        &self,
        pool: &RefCell<Pool<PooledConnection>>,
        clock: &CoreClock,
        live: &LiveGeneration,
    ) -> Option<Duration> {
        let mut slice = InspectionSlice { looks: LOOKS_PER_SLICE, closes: CLOSED_PER_SLICE };
        let started = clock.elapsed();
        let mut pool = pool.borrow_mut();
        self.expire(&mut pool, started, &mut slice);
        let mut under_way = self.walk.borrow_mut();
        while let Some(walk) = &mut *under_way
            && !slice.is_over()
        {
            slice.looks -= 1;
            let looked = pool.look(walk, |identity, idle| {
                let good = self.is_good(identity, idle, clock, live);
                slice.closes -= u32::from(!good);
                good
            });
            if looked.is_none() {
                *under_way = None;
                self.targets.set(false);
            }
            if clock.elapsed().saturating_sub(started) >= SLICE {
                break;
            }
        }
        (under_way.is_some() || slice.is_over()).then_some(GAP)
    }

    /// Closes those that have been idle for too long, and those that were given up.
    fn expire(
        &self,
        pool: &mut Pool<PooledConnection>,
        now: Duration,
        slice: &mut InspectionSlice,
    ) {
        let unwanted = self.unwanted.take().min(pool.len());
        let mut left = unwanted;
        if unwanted > 0 {
            pool.expire(u64::MAX, |pooled| {
                drop(pooled);
                slice.closes -= 1;
                left -= 1;
                left > 0 && !slice.is_over()
            });
            self.unwanted.set(left);
        }
        if slice.is_over() {
            return;
        }
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        pool.expire(now_ms, |pooled| {
            drop(pooled);
            slice.closes -= 1;
            !slice.is_over()
        });
    }

    fn is_good(
        &self,
        identity: &Identity<'_>,
        idle: &mut Idle<PooledConnection>,
        clock: &CoreClock,
        live: &LiveGeneration,
    ) -> bool {
        let now_ms = clock.elapsed_ms();
        if idle.until_ms <= now_ms {
            return false;
        }
        let known = live.generation.plan.upstreams();
        let place = if self.targets.get() {
            known.iter().position(|upstream| *upstream.id == *identity.upstream)
        } else {
            None
        };
        let trusted = idle.holds(clock.unix_seconds())
            && (!self.targets.get() || settings_stand(live, identity, place));
        if !trusted {
            live.idle_meters(identity).count(NodeCounter::Revoked);
            return false;
        }
        if self.targets.get() && !place.is_some_and(|place| live.leads_to(place, identity)) {
            return false;
        }
        let stream = &mut idle.connection.connection.stream;
        match stream.check_idle() {
            record_reader::IdleCheck::Silent => {
                stream.release_memory();
                true
            }
            record_reader::IdleCheck::Unsolicited => {
                live.idle_meters(identity).count(NodeCounter::Unasked);
                false
            }
            record_reader::IdleCheck::Closed => false,
        }
    }
}

/// Was it made under TLS settings that are in force?
fn settings_stand(live: &LiveGeneration, identity: &Identity<'_>, place: Option<usize>) -> bool {
    let Some(made) = identity.tls else { return true };
    let tls = place.and_then(|at| live.generation.tls.upstreams.get(at)).and_then(Option::as_ref);
    tls.is_some_and(|tls| tls.pool_identity() == made.settings)
}
