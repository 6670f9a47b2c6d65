//! Connected clients are held against a new generation, and against dates.
//!
//! In: the registry, once a tick and in slices between ticks. Out: connections whose client is not
//! trusted any more have been ended, as `on_revoke` says, and logged. A slice takes a millisecond, so
//! that requests wait no longer than that: first all connections are looked up in the revocation lists,
//! which takes no signature, then those found there are judged, then the others. A connection that has
//! to be judged again because something else has ended (an issuer, a revocation list) waits with these.

use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::OnRevoke;

use super::binding::{ServerBinding, judge_again, on_revoke};
use super::registry::{
    ConnectionEntry, ConnectionRegistry, Ending, LeafDigest, RegisteredConnection, RegistryTable,
    judged_until,
};
use crate::exchange::permit::check_client;
use crate::exchange::{ConnectionView, Refusal};
use crate::identity::{ClientIdentity, ClientPolicy};
use crate::plan::ServerId;
use crate::report::Counter;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::log_limits::LogCause;

/// How long requests wait for a review at a time: some ten certificates judged, some thousand looked up.
const SLICE: Duration = Duration::from_millis(1);
/// Connections ended in one slice: each of them then says goodbye, which takes the core longer.
const ENDED_PER_SLICE: u64 = 32;
/// Connections looked up between two looks at the clock.
const LOOKED_UP_AT_ONCE: usize = 64;
/// From one slice to the next, while clients on a list may still be connected.
const GAP: Duration = Duration::from_millis(1);
/// The same, once none is: at a quarter of the core, ten thousand take some five seconds.
const GAP_OTHERS: Duration = Duration::from_millis(3);

/// Ticks between two looks at the dates of all connections.
const DATES_EVERY_TICKS: u32 = 10;

/// What is to be done next.
enum NextReview {
    /// Some connections were looked up in the lists; nothing else for now.
    Sorted,
    /// A connection of this slot is to be judged.
    Suspect(u32),
    /// The same, and no client is left that was found in a list.
    Other(u32),
}

/// What one slice has done so far.
#[derive(Default)]
struct ReviewSlice {
    /// Connections that were ended.
    ended: u64,
    /// The latest of these, which are not logged yet: those of one certificate share a line.
    unlogged: Option<UnloggedEnd>,
    /// What was judged last: one client may have ten thousand connections.
    latest: Option<ReviewedIdentity>,
}

/// Connections of one certificate that were ended.
struct UnloggedEnd {
    leaf: LeafDigest,
    connections: u64,
    refusal: Refusal,
}

/// An identity that was judged again.
struct ReviewedIdentity {
    before: Rc<ClientIdentity>,
    /// The server object whose policy judged it.
    server: Option<ServerId>,
    after: Rc<ClientIdentity>,
}

/// Why a connection may not go on, and what the configuration wants done with it.
struct LostTrust {
    refusal: Refusal,
    action: OnRevoke,
}

impl ConnectionRegistry {
    /// Reviews some of the connections that the latest generation has not seen. Says for how long the
    /// core is to be left to others then; `None` if no connection is left to be reviewed.
    pub(crate) fn review_slice(&self, core: &Core) -> Option<Duration> {
        let live = core.live();
        let started = core.clock.elapsed();
        let mut slice = ReviewSlice::default();
        let gap = loop {
            let gap = match self.next_review(&live) {
                None => break None,
                Some(NextReview::Sorted) => GAP,
                Some(NextReview::Suspect(slot)) => {
                    self.review(core, &live, slot, &mut slice);
                    GAP
                }
                Some(NextReview::Other(slot)) => {
                    self.review(core, &live, slot, &mut slice);
                    GAP_OTHERS
                }
            };
            let time = core.clock.elapsed().saturating_sub(started);
            if time >= SLICE || slice.ended >= ENDED_PER_SLICE {
                break Some(gap);
            }
        };
        slice.log(core);
        gap
    }

    /// Looks some connections up, or says which one to judge next.
    fn next_review(&self, live: &Rc<LiveGeneration>) -> Option<NextReview> {
        let mut guard = self.0.borrow_mut();
        let RegistryTable { connections, queue, .. } = &mut *guard;
        if queue.waits_for_tick {
            return None;
        }
        if queue.unsorted.is_empty() {
            let suspect = queue.suspects.pop().map(NextReview::Suspect);
            return suspect.or_else(|| queue.others.pop().map(NextReview::Other));
        }
        for _ in 0..LOOKED_UP_AT_ONCE {
            let Some(slot) = queue.unsorted.pop() else { break };
            let Some(Some(registered)) = connections.get(slot as usize) else { continue };
            let suspect = registered.entry.is_suspect(live);
            if suspect { &mut queue.suspects } else { &mut queue.others }.push(slot);
        }
        Some(NextReview::Sorted)
    }

    /// One tick: now and then looks at dates.
    pub(crate) fn tick(&self, core: &Core) {
        let due = {
            let mut table = self.0.borrow_mut();
            table.queue.waits_for_tick = false;
            table.ticks = (table.ticks + 1) % DATES_EVERY_TICKS;
            table.ticks == 0
        };
        if due {
            self.check_dates(core);
        }
    }

    /// Judges a connection by `live`.
    fn review(&self, core: &Core, live: &Rc<LiveGeneration>, slot: u32, slice: &mut ReviewSlice) {
        let now = core.clock.unix_seconds();
        let mut table = self.0.borrow_mut();
        let Some(Some(registered)) = table.connections.get_mut(slot as usize) else { return };
        let RegisteredConnection { entry, ending, judged_until } = registered;
        let stale = now >= *judged_until;
        if Rc::ptr_eq(&entry.live, live) && !stale {
            return;
        }
        let LostTrust { refusal, action } = match entry.check(live, now, stale, slice) {
            Ok(until) => {
                *judged_until = until;
                return;
            }
            // What has ended is never kept.
            Err(LostTrust { refusal, action: OnRevoke::Keep }) if is_of_time(refusal) => {
                LostTrust { refusal, action: OnRevoke::Close }
            }
            Err(lost) => {
                *judged_until = i64::MAX;
                lost
            }
        };
        if entry.end(ending, refusal, action) {
            slice.note_ended(core, &entry.identity.leaf_sha256, refusal);
        }
    }

    /// Ends connections whose certificate has ended; those with other dates that have passed are judged
    /// again.
    fn check_dates(&self, core: &Core) {
        let now = core.clock.unix_seconds();
        let mut guard = self.0.borrow_mut();
        let RegistryTable { connections, queue, .. } = &mut *guard;
        let busy = !queue.is_empty();
        for (slot, registered) in (0_u32..).zip(connections.iter()) {
            let Some(RegisteredConnection { entry, ending, judged_until }) = registered else {
                continue;
            };
            if ending.get().is_some() {
                continue;
            }
            if !entry.identity.has_ended(now) {
                if now >= *judged_until && !busy {
                    queue.others.push(slot);
                }
                continue;
            }
            let view = connection_view(&entry.live, entry.binding, &entry.identity, now);
            let plan = &entry.live.generation.plan;
            let Err(refusal) = check_client(plan, &view, None) else { continue };
            let action = match on_revoke(&entry.live, entry.binding) {
                OnRevoke::Cut => OnRevoke::Cut,
                // What has ended is never kept.
                OnRevoke::Close | OnRevoke::Keep => OnRevoke::Close,
            };
            if entry.end(ending, refusal, action) {
                log_ended(core, &entry.identity.leaf_sha256, 1, refusal);
            }
        }
    }
}

impl ReviewSlice {
    /// One more connection was ended.
    fn note_ended(&mut self, core: &Core, leaf: &LeafDigest, refusal: Refusal) {
        self.ended += 1;
        if let Some(latest) = &mut self.unlogged
            && latest.leaf == *leaf
        {
            latest.connections += 1;
            return;
        }
        self.log(core);
        self.unlogged = Some(UnloggedEnd { leaf: *leaf, connections: 1, refusal });
    }

    fn log(&mut self, core: &Core) {
        if let Some(UnloggedEnd { leaf, connections, refusal }) = self.unlogged.take() {
            log_ended(core, &leaf, connections, refusal);
        }
    }
}

impl ConnectionEntry {
    /// May some list that `live` has be about it? Found without a signature, so it has still to be
    /// judged. A connection without a binding there has to end soon, too.
    fn is_suspect(&self, live: &Rc<LiveGeneration>) -> bool {
        if Rc::ptr_eq(&self.live, live) {
            return false;
        }
        let Ok(binding) = self.binding.carried_over(&self.live, live, self.session()) else {
            return true;
        };
        let policy = policy(live, binding);
        policy.is_some_and(|policy| policy.may_have_revoked(&self.identity.chain))
    }

    /// May it go on under `live`, and until when? A stale identity is judged again in any case.
    fn check(
        &self,
        live: &Rc<LiveGeneration>,
        now: i64,
        stale: bool,
        slice: &mut ReviewSlice,
    ) -> Result<i64, LostTrust> {
        let binding = self
            .binding
            .carried_over(&self.live, live, self.session())
            .map_err(|refusal| LostTrust { refusal, action: OnRevoke::Close })?;
        let scope = |live, binding| policy(live, binding).map(ClientPolicy::scope);
        let wanted = &live.generation.plan.wanted;
        let judged_alike = scope(live, binding) == scope(&self.live, self.binding)
            && wanted.has_lists_of(&self.live.generation.plan.wanted);
        let identity = match &slice.latest {
            _ if judged_alike && !stale => Rc::clone(&self.identity),
            Some(latest)
                if Rc::ptr_eq(&latest.before, &self.identity)
                    && latest.server == binding.server =>
            {
                Rc::clone(&latest.after)
            }
            _ => {
                let after = judge_again(live, binding, &self.identity, now);
                let (before, server) = (Rc::clone(&self.identity), binding.server);
                slice.latest = Some(ReviewedIdentity { before, server, after: Rc::clone(&after) });
                after
            }
        };
        let view = connection_view(live, binding, &identity, now);
        check_client(&live.generation.plan, &view, None)
            .map_err(|refusal| LostTrust { refusal, action: on_revoke(live, binding) })?;
        Ok(judged_until(&identity))
    }

    /// Ends the connection, or tells it to end; false if it is to live on, or knows already.
    fn end(&self, ending: &Ending, refusal: Refusal, action: OnRevoke) -> bool {
        match action {
            OnRevoke::Keep => return false,
            OnRevoke::Close => self.wait.end_idle(),
            OnRevoke::Cut => {
                self.descriptor.reset();
                self.wait.shut_both(self.descriptor);
            }
        }
        ending.replace(Some(refusal)).is_none()
    }
}

/// Is it a refusal because something has ended?
const fn is_of_time(refusal: Refusal) -> bool {
    match refusal {
        Refusal::BadCertificate(failure) => failure.is_of_time(),
        refusal => matches!(refusal, Refusal::CertificateExpired),
    }
}

/// What the clients of this server object are judged by.
fn policy(live: &LiveGeneration, binding: ServerBinding) -> Option<&ClientPolicy> {
    let servers = &live.generation.tls.servers;
    let server = binding.server.and_then(|server| servers.get(server.0 as usize))?;
    server.policy.as_deref()
}

fn connection_view<'a>(
    live: &LiveGeneration,
    binding: ServerBinding,
    identity: &'a ClientIdentity,
    now: i64,
) -> ConnectionView<'a> {
    let policy = binding.server.map(|server| live.generation.plan.sni.policy(server));
    ConnectionView { listener: binding.listener, policy, client: Some(identity), now, facts: None }
}

/// Counts and logs connections of one certificate that were ended.
fn log_ended(core: &Core, leaf: &LeafDigest, connections: u64, refusal: Refusal) {
    core.counters().add(Counter::ConnectionsRevoked, connections);
    if let Some(suppressed) = core.allow_log(LogCause::Revoked) {
        let mut fingerprint = String::with_capacity(64);
        for byte in leaf {
            for digit in [byte >> 4, byte & 15] {
                fingerprint.extend(char::from_digit(digit.into(), 16));
            }
        }
        tracing::info!(
            sha256 = fingerprint,
            connections,
            reason = refusal.word(),
            suppressed,
            "a connected client is not trusted any more"
        );
    }
}
