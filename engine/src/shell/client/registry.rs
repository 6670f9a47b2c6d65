//! The client connections of one core that showed a certificate, by that certificate.
//!
//! A new generation may trust fewer certificates, and a certificate may end while its connection lives.
//! Requests are judged one by one anyway; the registry is how connections that wait for no request are
//! found and ended (see [`review`](super::review)). It costs nothing per request: it is written at the
//! handshake, when a connection moves to another generation, and at its end.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::binding::{NegotiatedSession, ServerBinding};
use crate::exchange::Refusal;
use crate::identity::{ClientIdentity, Verdict};
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::deadlines::TimerHandle;
use crate::shell::transport::net::Descriptor;

/// The SHA-256 of a client's certificate.
pub(super) type LeafDigest = [u8; 32];

/// Why a connection is to end as soon as it can; `None` while it may live.
pub(super) type Ending = Rc<Cell<Option<Refusal>>>;

/// One connection with a certificate.
pub(crate) struct ConnectionEntry {
    /// The generation it follows.
    pub(crate) live: Rc<LiveGeneration>,
    /// Its listener and server object, as that generation numbers them.
    pub(crate) binding: ServerBinding,
    /// Its server name; empty for none.
    pub(crate) server_name: Box<str>,
    /// Its TLS version, as `$ssl_protocol`.
    pub(crate) protocol: &'static str,
    /// Who has sent its PROXY protocol header; `None` without one.
    pub(crate) sender: Option<IpAddr>,
    /// Who the client is.
    pub(crate) identity: Rc<ClientIdentity>,
    /// Its wait for the next request.
    pub(crate) wait: TimerHandle,
    /// Its socket, open for as long as its registration lives.
    pub(crate) descriptor: Descriptor,
}

/// A connection in the table.
pub(super) struct RegisteredConnection {
    pub(super) entry: ConnectionEntry,
    pub(super) ending: Ending,
    /// The first Unix second at which its identity has to be judged again.
    pub(super) judged_until: i64,
}

#[derive(Default)]
pub(super) struct RegistryTable {
    pub(super) connections: Vec<Option<RegisteredConnection>>,
    /// Slots of `connections` that are empty.
    free: Vec<u32>,
    by_leaf: HashMap<LeafDigest, Vec<u32>, RandomState>,
    pub(super) queue: ReviewQueue,
    pub(super) ticks: u32,
}

/// Slots that the latest generation has still to review; those of one certificate lie together. A slot
/// that has a new owner since needs no review: that one was judged at its handshake.
#[derive(Default)]
pub(super) struct ReviewQueue {
    /// Not yet looked up in the revocation lists.
    pub(super) unsorted: Vec<u32>,
    /// Found in one of the lists, or without a binding in the new generation.
    pub(super) suspects: Vec<u32>,
    /// Not found in any list.
    pub(super) others: Vec<u32>,
    /// The review begins with the next tick: a client that has just sent a request is to receive the
    /// refusal for that.
    pub(super) waits_for_tick: bool,
}

/// All connections with a certificate on this core.
#[derive(Clone, Default)]
pub(crate) struct ConnectionRegistry(pub(super) Rc<RefCell<RegistryTable>>);

/// A connection's entry in the registry, which goes when this is dropped: before its socket is closed.
pub(crate) struct Registration {
    table: Rc<RefCell<RegistryTable>>,
    slot: u32,
    leaf: LeafDigest,
    ending: Ending,
}

impl ConnectionRegistry {
    /// Enters a connection.
    #[must_use]
    pub(crate) fn enter(&self, entry: ConnectionEntry) -> Registration {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        let leaf = entry.identity.leaf_sha256;
        let ending = Ending::default();
        let judged_until = judged_until(&entry.identity);
        let slot = table.free.pop().unwrap_or_else(|| {
            table.connections.push(None);
            u32::try_from(table.connections.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = table.connections.get_mut(slot as usize) {
            *place = Some(RegisteredConnection { entry, ending: Rc::clone(&ending), judged_until });
        }
        table.by_leaf.entry(leaf).or_default().push(slot);
        Registration { table: Rc::clone(&self.0), slot, leaf, ending }
    }

    /// Is there no connection?
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let table = self.0.borrow();
        table.connections.len() == table.free.len()
    }

    /// There is a new generation: all connections are reviewed, a slice at a time, beginning with the
    /// next tick.
    pub(crate) fn review_all(&self) {
        let mut guard = self.0.borrow_mut();
        let RegistryTable { by_leaf, queue, .. } = &mut *guard;
        queue.suspects.clear();
        queue.others.clear();
        queue.unsorted.clear();
        queue.unsorted.extend(by_leaf.values().flatten());
        queue.waits_for_tick = true;
    }
}

impl ReviewQueue {
    pub(super) const fn is_empty(&self) -> bool {
        self.unsorted.is_empty() && self.suspects.is_empty() && self.others.is_empty()
    }
}

impl ConnectionEntry {
    pub(super) fn session(&self) -> NegotiatedSession<'_> {
        let server_name = Some(&*self.server_name).filter(|name| !name.is_empty());
        NegotiatedSession { server_name, protocol: self.protocol, sender: self.sender }
    }
}

/// The first Unix second at which an identity has to be judged again.
pub(super) fn judged_until(identity: &ClientIdentity) -> i64 {
    if identity.verdict == Verdict::Success { identity.holds.until } else { i64::MAX }
}

impl Registration {
    /// Is the connection to end as soon as it can?
    #[must_use]
    pub(crate) fn is_ended(&self) -> bool {
        self.ending.get().is_some()
    }

    /// Why the connection is to end, if it is.
    #[must_use]
    pub(crate) fn ending(&self) -> Option<Refusal> {
        self.ending.get()
    }

    /// The connection follows another generation now.
    pub(crate) fn update(
        &self,
        live: &Rc<LiveGeneration>,
        binding: ServerBinding,
        identity: &Rc<ClientIdentity>,
    ) {
        let mut table = self.table.borrow_mut();
        if let Some(Some(registered)) = table.connections.get_mut(self.slot as usize) {
            registered.entry.live = Rc::clone(live);
            registered.entry.binding = binding;
            registered.entry.identity = Rc::clone(identity);
            registered.judged_until = judged_until(identity);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut guard = self.table.borrow_mut();
        let table = &mut *guard;
        if let Some(registered) = table.connections.get_mut(self.slot as usize) {
            *registered = None;
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
