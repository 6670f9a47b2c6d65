//! Who is connected: from certificates to the connections of this core that showed them.
//!
//! A new generation may trust fewer certificates, and a certificate may end while its connection
//! lives. Requests are judged one by one anyway; this ends the connections that wait for none. The
//! roll costs nothing per request: it is written at the handshake and at the end of a connection.
//!
//! A new generation is held against everybody in slices of a millisecond, so that requests wait no
//! longer than that: first a look at the revocation lists alone, which takes no signature, then those
//! who are on one, then the others. Whoever has to be judged again because something else has ended (an
//! issuer, a revocation list) stands in line with these.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::OnRevoke;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::binding::{Place, Settled, on_revoke, rejudge};
use crate::exchange::permit::check_client;
use crate::exchange::{ConnectionView, Refusal};
use crate::identity::{ClientIdentity, ClientPolicy, Verdict};
use crate::plan::ServerId;
use crate::report::Counter;
use crate::shell::state::core::{Core, Live, LogCause};
use crate::shell::transport::deadlines::Remote;
use crate::shell::transport::net::Descriptor;

/// How long requests wait for the roll at a time: some ten certificates judged, some thousand looked up.
const SLICE: Duration = Duration::from_millis(1);
/// Connections ended in one slice: each of them then says goodbye, which takes the core longer.
const ENDED_PER_SLICE: u64 = 32;
/// Connections looked up between two looks at the clock.
const LOOKED_UP_AT_ONCE: usize = 64;
/// From one slice to the next, while somebody on a list may still be connected.
const GAP: Duration = Duration::from_millis(1);
/// The same, once nobody is: at a quarter of the core, ten thousand take some five seconds.
const GAP_OTHERS: Duration = Duration::from_millis(3);

/// Ticks between two looks at the dates of everybody.
const DATES_EVERY_TICKS: u32 = 10;

type Leaf = [u8; 32];

/// Why a connection is to end as soon as it can, if it is.
type Ending = Rc<Cell<Option<Refusal>>>;

/// One connection with a certificate.
pub struct Entry {
    /// The generation it follows, and its place there.
    pub live: Rc<Live>,
    /// Listener and server object, as that generation counts.
    pub place: Place,
    /// Its server name; empty for none.
    pub name: Box<str>,
    /// Its TLS version, as `$ssl_protocol`.
    pub protocol: &'static str,
    /// Who it is.
    pub identity: Rc<ClientIdentity>,
    /// Its wait for the next request.
    pub wait: Remote,
    /// Its socket, open for as long as the seat is.
    pub descriptor: Descriptor,
}

/// A connection, why it is to end, and the first second at which its identity has to be judged again.
type Held = (Entry, Ending, i64);

#[derive(Default)]
struct Table {
    entries: Vec<Option<Held>>,
    free: Vec<u32>,
    by_leaf: HashMap<Leaf, Vec<u32>, RandomState>,
    pending: Pending,
    ticks: u32,
}

/// Slots that the latest generation has still to look at; those of one certificate lie together.
/// One that has a new owner since is that owner's, who was judged when it came.
#[derive(Default)]
struct Pending {
    /// Not looked up in the lists.
    unseen: Vec<u32>,
    /// Found there, or out of place.
    suspects: Vec<u32>,
    /// Not found there.
    others: Vec<u32>,
    /// From the next tick on: who has just sent a request is told why it is refused.
    waits: bool,
}

/// What one slice has done so far.
#[derive(Default)]
struct Done {
    /// Connections that were ended.
    ended: u64,
    /// Whose, the latest ones, how many and why; not logged yet.
    untold: Option<(Leaf, u64, Refusal)>,
    /// The identity that was judged last, by the policy of which server, and what came of it: it may
    /// have ten thousand connections.
    judged: Option<(Rc<ClientIdentity>, Option<ServerId>, Rc<ClientIdentity>)>,
}

/// Everybody on this core.
#[derive(Clone, Default)]
pub struct ConnectionRegistry(Rc<RefCell<Table>>);

/// A connection's place on the roll; given up when dropped, before its socket is closed.
pub struct Seat {
    table: Rc<RefCell<Table>>,
    slot: u32,
    leaf: Leaf,
    ended: Ending,
}

impl ConnectionRegistry {
    /// Puts a connection on the roll.
    #[must_use]
    pub fn enter(&self, entry: Entry) -> Seat {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        let leaf = entry.identity.leaf_sha256;
        let ended = Rc::new(Cell::new(None));
        let until = entry.until();
        let held = Some((entry, Rc::clone(&ended), until));
        let slot = table.free.pop().unwrap_or_else(|| {
            table.entries.push(None);
            u32::try_from(table.entries.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = table.entries.get_mut(slot as usize) {
            *place = held;
        }
        table.by_leaf.entry(leaf).or_default().push(slot);
        Seat { table: Rc::clone(&self.0), slot, leaf, ended }
    }

    /// Connections on the roll.
    #[must_use]
    pub fn len(&self) -> usize {
        let table = self.0.borrow();
        table.entries.len() - table.free.len()
    }

    /// Is nobody here?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// There is a new generation: everybody is looked at again, a slice at a time, beginning with the
    /// next tick.
    pub fn look_again(&self) {
        let mut guard = self.0.borrow_mut();
        let Table { by_leaf, pending, .. } = &mut *guard;
        pending.suspects.clear();
        pending.others.clear();
        pending.unseen.clear();
        pending.unseen.extend(by_leaf.values().flatten());
        pending.waits = true;
    }

    /// Looks at some of those whom the latest generation has not looked at. Says for how long the core
    /// is to be left to others then; `None` if nobody is left.
    pub fn slice(&self, core: &Core) -> Option<Duration> {
        let live = core.live();
        let started = core.clock.elapsed();
        let mut done = Done::default();
        let gap = loop {
            let Some((gap, slot)) = self.next(&live) else { break None };
            if let Some(slot) = slot {
                self.judge(core, &live, slot, &mut done);
            }
            let time = core.clock.elapsed().saturating_sub(started);
            if time >= SLICE || done.ended >= ENDED_PER_SLICE {
                break Some(gap);
            }
        };
        done.tell(core);
        gap
    }

    /// Looks some up, or tells whom to judge next; and how urgent that is.
    fn next(&self, live: &Rc<Live>) -> Option<(Duration, Option<u32>)> {
        let mut guard = self.0.borrow_mut();
        let Table { entries, pending, .. } = &mut *guard;
        if pending.waits {
            return None;
        }
        if pending.unseen.is_empty() {
            let suspect = pending.suspects.pop().map(|slot| (GAP, Some(slot)));
            return suspect.or_else(|| pending.others.pop().map(|slot| (GAP_OTHERS, Some(slot))));
        }
        for _ in 0..LOOKED_UP_AT_ONCE {
            let Some(slot) = pending.unseen.pop() else { break };
            let Some(Some((entry, ..))) = entries.get(slot as usize) else { continue };
            let queue =
                if entry.is_suspect(live) { &mut pending.suspects } else { &mut pending.others };
            queue.push(slot);
        }
        Some((GAP, None))
    }

    /// One tick: now and then looks at dates.
    pub fn tick(&self, core: &Core) {
        let due = {
            let mut table = self.0.borrow_mut();
            table.pending.waits = false;
            table.ticks = (table.ticks + 1) % DATES_EVERY_TICKS;
            table.ticks == 0
        };
        if due {
            self.look_at_dates(core);
        }
    }

    /// Judges a connection by `live`.
    fn judge(&self, core: &Core, live: &Rc<Live>, slot: u32, done: &mut Done) {
        let now = core.clock.unix_seconds();
        let mut table = self.0.borrow_mut();
        let Some(Some((entry, flag, until))) = table.entries.get_mut(slot as usize) else { return };
        let stale = now >= *until;
        if Rc::ptr_eq(&entry.live, live) && !stale {
            return;
        }
        let reason = match entry.stands(live, (now, stale), done) {
            Ok(next) => {
                *until = next;
                return;
            }
            // What is over is over.
            Err((refusal, OnRevoke::Keep)) if is_of_time(refusal) => (refusal, OnRevoke::Close),
            Err(reason) => {
                *until = i64::MAX;
                reason
            }
        };
        if entry.end(flag, reason) {
            done.note(core, &entry.identity.leaf_sha256, reason.0);
        }
    }

    fn look_at_dates(&self, core: &Core) {
        let now = core.clock.unix_seconds();
        let mut guard = self.0.borrow_mut();
        let Table { entries, pending, .. } = &mut *guard;
        let busy = !pending.is_empty();
        for (slot, held) in (0_u32..).zip(entries.iter()) {
            let Some((entry, flag, until)) = held else { continue };
            if flag.get().is_some() {
                continue;
            }
            if !entry.identity.has_ended(now) {
                if now >= *until && !busy {
                    pending.others.push(slot);
                }
                continue;
            }
            let view = view(&entry.live, &entry.place, &entry.identity, now);
            let plan = &entry.live.generation.plan;
            let Err(refusal) = check_client(plan, &view, None) else { continue };
            let on_revoke = match on_revoke(&entry.live, &entry.place) {
                OnRevoke::Cut => OnRevoke::Cut,
                // What is over is over.
                OnRevoke::Close | OnRevoke::Keep => OnRevoke::Close,
            };
            if entry.end(flag, (refusal, on_revoke)) {
                note(core, &entry.identity.leaf_sha256, 1, refusal);
            }
        }
    }
}

impl Pending {
    const fn is_empty(&self) -> bool {
        self.unseen.is_empty() && self.suspects.is_empty() && self.others.is_empty()
    }
}

impl Done {
    /// One more connection was ended.
    fn note(&mut self, core: &Core, leaf: &Leaf, refusal: Refusal) {
        self.ended += 1;
        if let Some((last, count, _)) = &mut self.untold
            && last == leaf
        {
            *count += 1;
            return;
        }
        self.tell(core);
        self.untold = Some((*leaf, 1, refusal));
    }

    fn tell(&mut self, core: &Core) {
        if let Some((leaf, count, refusal)) = self.untold.take() {
            note(core, &leaf, count, refusal);
        }
    }
}

impl Entry {
    /// May some list that `live` has be about it? Told without a signature, so it has still to be
    /// judged. Where it has no place any more it is to be told soon, too.
    fn is_suspect(&self, live: &Rc<Live>) -> bool {
        if Rc::ptr_eq(&self.live, live) {
            return false;
        }
        let Ok(place) = Place::under(live, (&self.live, &self.place), self.settled()) else {
            return true;
        };
        let policy = policy(live, &place);
        policy.is_some_and(|policy| policy.may_have_revoked(&self.identity.chain))
    }

    fn settled(&self) -> Settled<'_> {
        let name = Some(&*self.name).filter(|name| !name.is_empty());
        Settled { name, protocol: self.protocol }
    }

    /// First second at which its identity has to be judged again.
    fn until(&self) -> i64 {
        if self.identity.verdict == Verdict::Success { self.identity.holds.1 } else { i64::MAX }
    }

    /// May it go on under `live`? Until when; or why not, and what is to become of it. A stale identity
    /// is judged again in any case.
    fn stands(
        &self,
        live: &Rc<Live>,
        (now, stale): (i64, bool),
        done: &mut Done,
    ) -> Result<i64, (Refusal, OnRevoke)> {
        let place = Place::under(live, (&self.live, &self.place), self.settled())
            .map_err(|refusal| (refusal, OnRevoke::Close))?;
        let scope = |live, place| policy(live, place).map(ClientPolicy::scope);
        let wanted = &live.generation.plan.wanted;
        let judged_alike = scope(live, &place) == scope(&self.live, &self.place)
            && wanted.has_lists_of(&self.live.generation.plan.wanted);
        let identity = match &done.judged {
            _ if judged_alike && !stale => Rc::clone(&self.identity),
            Some((before, server, after))
                if Rc::ptr_eq(before, &self.identity) && *server == place.server =>
            {
                Rc::clone(after)
            }
            _ => {
                let judged = rejudge(live, &place, &self.identity, now);
                done.judged = Some((Rc::clone(&self.identity), place.server, Rc::clone(&judged)));
                judged
            }
        };
        let view = view(live, &place, &identity, now);
        check_client(&live.generation.plan, &view, None)
            .map_err(|refusal| (refusal, on_revoke(live, &place)))?;
        Ok(if identity.verdict == Verdict::Success { identity.holds.1 } else { i64::MAX })
    }

    /// Ends the connection, or tells it to end; false if it is to live on, or knows already.
    fn end(&self, flag: &Cell<Option<Refusal>>, (refusal, on_revoke): (Refusal, OnRevoke)) -> bool {
        match on_revoke {
            OnRevoke::Keep => return false,
            OnRevoke::Close => self.wait.end_idle(),
            OnRevoke::Cut => {
                self.descriptor.reset();
                self.wait.shut_both(self.descriptor);
            }
        }
        flag.replace(Some(refusal)).is_none()
    }
}

/// Is somebody refused because something has ended?
const fn is_of_time(refusal: Refusal) -> bool {
    match refusal {
        Refusal::BadCertificate(failure) => failure.is_of_time(),
        refusal => matches!(refusal, Refusal::CertificateExpired),
    }
}

/// By what clients are judged there.
fn policy<'a>(live: &'a Live, place: &Place) -> Option<&'a ClientPolicy> {
    let servers = &live.generation.tls.servers;
    let server = place.server.and_then(|server| servers.get(server.0 as usize))?;
    server.policy.as_deref()
}

fn view<'a>(
    live: &Live,
    place: &Place,
    identity: &'a ClientIdentity,
    now: i64,
) -> ConnectionView<'a> {
    let policy = place.server.map(|server| live.generation.plan.sni.policy(server));
    ConnectionView { listener: place.listener, policy, client: Some(identity), now, facts: None }
}

fn note(core: &Core, leaf: &Leaf, connections: u64, refusal: Refusal) {
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

impl Seat {
    /// Is the connection to end as soon as it can?
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Why the connection is to end, if it is.
    #[must_use]
    pub fn why_ended(&self) -> Option<Refusal> {
        self.ended.get()
    }

    /// The connection follows another generation now.
    pub fn follow(&self, live: &Rc<Live>, place: Place, identity: &Rc<ClientIdentity>) {
        let mut table = self.table.borrow_mut();
        if let Some(Some((entry, _, until))) = table.entries.get_mut(self.slot as usize) {
            entry.live = Rc::clone(live);
            entry.place = place;
            entry.identity = Rc::clone(identity);
            *until = entry.until();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guard = self.table.borrow_mut();
        let table = &mut *guard;
        if let Some(entry) = table.entries.get_mut(self.slot as usize) {
            *entry = None;
        }
        table.free.push(self.slot);
        if let Some(slots) = table.by_leaf.get_mut(&self.leaf) {
            slots.retain(|slot| *slot != self.slot);
            if slots.is_empty() {
                table.by_leaf.remove(&self.leaf);
            }
        }
    }
}
