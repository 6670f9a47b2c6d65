//! Who is connected: from certificates to the connections of this core that showed them.
//!
//! A new generation may trust fewer certificates, and a certificate may end while its connection
//! lives. Requests are judged one by one anyway; this ends the connections that wait for none. The
//! roll costs nothing per request: it is written at the handshake and at the end of a connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ferrule_config::model::OnRevoke;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::core::{Core, Live, LogCause};
use super::deadlines::Remote;
use super::fd::Descriptor;
use super::handshake::{Place, rejudge};
use crate::exchange::request::check_client;
use crate::exchange::{ConnectionView, Refusal};
use crate::identity::ClientIdentity;
use crate::report::Counter;

/// Certificates judged per tick: each may cost a signature check or two, and requests wait for them.
const JUDGED_PER_TICK: usize = 100;

/// Ticks between two looks at the dates of everybody.
const DATES_EVERY_TICKS: u32 = 10;

type Leaf = [u8; 32];

/// One connection with a certificate.
pub struct Entry {
    /// The generation it follows, and its place there.
    pub live: Rc<Live>,
    /// Listener and server object, as that generation counts.
    pub place: Place,
    /// Its server name; empty for none.
    pub name: Box<str>,
    /// Who it is.
    pub identity: Rc<ClientIdentity>,
    /// Its wait for the next request.
    pub wait: Remote,
    /// Its socket, open for as long as the seat is.
    pub descriptor: Descriptor,
}

#[derive(Default)]
struct Table {
    entries: Vec<Option<(Entry, Rc<Cell<bool>>)>>,
    free: Vec<u32>,
    by_leaf: HashMap<Leaf, Vec<u32>, RandomState>,
    /// Certificates that the latest generation has not looked at yet.
    pending: Vec<Leaf>,
    ticks: u32,
}

/// Everybody on this core.
#[derive(Clone, Default)]
pub struct Roll(Rc<RefCell<Table>>);

/// A connection's place on the roll; given up when dropped, before its socket is closed.
pub struct Seat {
    table: Rc<RefCell<Table>>,
    slot: u32,
    leaf: Leaf,
    ended: Rc<Cell<bool>>,
}

impl Roll {
    /// Puts a connection on the roll.
    #[must_use]
    pub fn enter(&self, entry: Entry) -> Seat {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        let leaf = entry.identity.leaf_sha256;
        let ended = Rc::new(Cell::new(false));
        let held = Some((entry, Rc::clone(&ended)));
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

    /// There is a new generation: everybody is looked at again, beginning with the next tick.
    pub fn look_again(&self) {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        table.pending.clear();
        table.pending.extend(table.by_leaf.keys());
    }

    /// One tick: judges some of those that are still to be judged, and now and then looks at dates.
    pub fn tick(&self, core: &Core) {
        let live = core.live();
        for _ in 0..JUDGED_PER_TICK {
            let Some(leaf) = self.0.borrow_mut().pending.pop() else { break };
            self.judge(core, &live, &leaf);
        }
        let due = {
            let mut table = self.0.borrow_mut();
            table.ticks = (table.ticks + 1) % DATES_EVERY_TICKS;
            table.ticks == 0
        };
        if due {
            self.look_at_dates(core);
        }
    }

    /// Judges all connections of one certificate by `live`.
    fn judge(&self, core: &Core, live: &Rc<Live>, leaf: &Leaf) {
        let now = core.clock.unix_seconds();
        let table = self.0.borrow();
        let slots = table.by_leaf.get(leaf).map_or(&[][..], Vec::as_slice);
        let mut ended = 0;
        let mut why = None;
        for slot in slots {
            let Some(Some((entry, flag))) = table.entries.get(*slot as usize) else { continue };
            if Rc::ptr_eq(&entry.live, live) {
                continue;
            }
            let Err((refusal, on_revoke)) = entry.stands(live, now) else { continue };
            if entry.end(flag, on_revoke) {
                ended += 1;
                why = Some(refusal);
            }
        }
        if let Some(refusal) = why {
            note(core, leaf, ended, refusal);
        }
    }

    fn look_at_dates(&self, core: &Core) {
        let now = core.clock.unix_seconds();
        let table = self.0.borrow();
        for (entry, flag) in table.entries.iter().flatten() {
            if flag.get() || !entry.identity.has_ended(now) {
                continue;
            }
            let view = view(&entry.live, &entry.place, &entry.identity, now);
            let Err(refusal) = check_client(&entry.live.generation.plan, &view) else { continue };
            let on_revoke = match on_revoke(&entry.live, &entry.place) {
                OnRevoke::Cut => OnRevoke::Cut,
                // What is over is over.
                OnRevoke::Close | OnRevoke::Keep => OnRevoke::Close,
            };
            if entry.end(flag, on_revoke) {
                note(core, &entry.identity.leaf_sha256, 1, refusal);
            }
        }
    }
}

impl Entry {
    /// May it go on under `live`? If not: why, and what is to become of it.
    fn stands(&self, live: &Rc<Live>, now: i64) -> Result<(), (Refusal, OnRevoke)> {
        let name = Some(&*self.name).filter(|name| !name.is_empty());
        let place = Place::under(live, (&self.live, &self.place), name)
            .map_err(|refusal| (refusal, OnRevoke::Close))?;
        let policy = |live: &Live, place: &Place| {
            let server = place
                .server
                .and_then(|server| live.generation.tls.servers.get(server.0 as usize))?;
            server.policy.as_ref().map(|policy| policy.scope())
        };
        let judged_alike = policy(live, &place) == policy(&self.live, &self.place);
        let identity = if judged_alike {
            Rc::clone(&self.identity)
        } else {
            rejudge(live, &place, &self.identity, now)
        };
        let view = view(live, &place, &identity, now);
        check_client(&live.generation.plan, &view)
            .map_err(|refusal| (refusal, on_revoke(live, &place)))
    }

    /// Ends the connection, or tells it to end; false if it is to live on, or knows already.
    fn end(&self, flag: &Cell<bool>, on_revoke: OnRevoke) -> bool {
        match on_revoke {
            OnRevoke::Keep => return false,
            OnRevoke::Close => self.wait.hasten_idle(),
            OnRevoke::Cut => {
                self.descriptor.reset();
                self.wait.shut_both(self.descriptor);
            }
        }
        !flag.replace(true)
    }
}

fn view<'a>(
    live: &Live,
    place: &Place,
    identity: &'a ClientIdentity,
    now: i64,
) -> ConnectionView<'a> {
    let policy = place.server.map(|server| live.generation.plan.sni.policy(server));
    ConnectionView { listener: place.listener, policy, client: Some(identity), now }
}

/// What the configuration wants done with connections of this place.
#[must_use]
pub(super) fn on_revoke(live: &Live, place: &Place) -> OnRevoke {
    let servers = &live.generation.config.servers;
    let server = place.server.and_then(|server| servers.get(server.0 as usize));
    server
        .and_then(|server| server.client.as_ref())
        .map_or(OnRevoke::Close, |client| client.on_revoke)
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
        self.ended.get()
    }

    /// The connection follows another generation now.
    pub fn follow(&self, live: &Rc<Live>, place: Place, identity: &Rc<ClientIdentity>) {
        let mut table = self.table.borrow_mut();
        if let Some(Some((entry, _))) = table.entries.get_mut(self.slot as usize) {
            entry.live = Rc::clone(live);
            entry.place = place;
            entry.identity = Rc::clone(identity);
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
