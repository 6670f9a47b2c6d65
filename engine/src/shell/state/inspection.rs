//! Idle upstream connections are looked at: are they open, silent, trusted, and not too old?
//!
//! What TLS asks there is answered. One that is over is closed, and one that has said what nobody asked
//! for, whose proof (a certificate, a list) has ended, or whose TLS settings are gone. Whoever takes one
//! from the pool asks all that again; this frees what nobody takes. There may be many, so it is done in
//! slices that are counted: requests wait for one of them and not for all.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::generation::LiveGeneration;
use super::upstream_connection::UpstreamConnection;
use crate::exchange::pool::{Identity, Idle, Pool, Walk};
use crate::report::{Counter, Counters};
use crate::setup::Generation;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::record_reader;

/// Connections looked at in one slice: a look asks the kernel once, and takes about a microsecond.
const LOOKS_PER_SLICE: u32 = 256;
/// Connections closed in one slice: that takes the kernel some ten times as long.
const CLOSED_PER_SLICE: u32 = 32;
/// A slice that has taken so long is over, too: settings are looked for among those of all upstreams.
const SLICE: Duration = Duration::from_millis(1);
/// From one slice to the next: ten thousand are looked at in some hundred milliseconds.
const GAP: Duration = Duration::from_millis(2);

/// How far the idle upstream connections of a core are looked at.
#[derive(Default)]
pub struct Inspection {
    /// The walk that is under way.
    walk: RefCell<Option<Walk>>,
    /// TLS settings may be gone: the walk asks for them, too.
    settings: Cell<bool>,
    /// So many are closed whatever their state is: others need what they hold.
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
    /// All are to be looked at, unless that is under way.
    pub fn begin(&self) {
        self.walk.borrow_mut().get_or_insert_default();
    }

    /// There is a new generation: all are to be looked at, from the first.
    pub fn begin_again(&self) {
        self.settings.set(true);
        self.walk.replace(Some(Walk::default()));
    }

    /// So many are closed whatever their state is: something has run out.
    pub fn give_up(&self, count: usize) {
        self.unwanted.set(count);
    }

    /// Looks at some. Says for how long the core is to be left to others then; `None` if nothing is
    /// left to be done.
    pub fn slice(
        &self,
        pool: &RefCell<Pool<UpstreamConnection>>,
        clock: &CoreClock,
        counters: &Counters,
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
                let good = self.is_good(identity, idle, clock, counters, live);
                slice.closes -= u32::from(!good);
                good
            });
            if looked.is_none() {
                *under_way = None;
                self.settings.set(false);
            }
            if clock.elapsed().saturating_sub(started) >= SLICE {
                break;
            }
        }
        (under_way.is_some() || slice.is_over()).then_some(GAP)
    }

    /// Closes those that have been idle for too long, or that are not wanted.
    fn expire(
        &self,
        pool: &mut Pool<UpstreamConnection>,
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
        idle: &mut Idle<UpstreamConnection>,
        clock: &CoreClock,
        counters: &Counters,
        live: &LiveGeneration,
    ) -> bool {
        let trusted = idle.holds(clock.unix_seconds())
            && (!self.settings.get() || settings_stand(live, identity));
        if !trusted {
            counters.add(Counter::UpstreamRevoked, 1);
            return false;
        }
        let stream = &mut idle.connection.stream;
        match stream.check_idle() {
            record_reader::IdleCheck::Silent => {
                stream.release_memory();
                true
            }
            record_reader::IdleCheck::Unsolicited => {
                counters.add(Counter::UpstreamUnasked, 1);
                false
            }
            record_reader::IdleCheck::Closed => false,
        }
    }
}

/// Was it made under TLS settings that are in force?
fn settings_stand(live: &LiveGeneration, identity: &Identity<'_>) -> bool {
    let Generation { plan, tls, .. } = &*live.generation;
    let Some(made) = identity.tls else { return true };
    let at = plan.upstreams().iter().position(|upstream| *upstream.id == *identity.upstream);
    let tls = at.and_then(|at| tls.upstreams.get(at)).and_then(Option::as_ref);
    tls.is_some_and(|tls| tls.pool_identity() == made.settings)
}
