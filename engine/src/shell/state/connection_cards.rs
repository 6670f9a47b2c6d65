//! What is told of the open client connections of one core, for whoever asks.
//!
//! Every connection has a card from its accept to its end. It is written at the handshake, and for each request by
//! two plain stores. Control asks through a mailbox that is looked at once a tick; the answer is gathered in slices,
//! so that many connections hold up nobody.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::{ClientIdentity, Verdict};
use crate::report::connection_list::{
    ConnectionList, ConnectionQuestion, ConnectionState, ListedConnection, ListedSession,
    PLACES_PER_SECOND, PLACES_PER_TICK,
};
use crate::setup::CoreLink;
use crate::shell::transport::deadlines::TICK;

const _: () =
    assert!(PLACES_PER_SECOND as u128 * TICK.as_millis() == PLACES_PER_TICK as u128 * 1_000);

/// The card of one connection.
pub(crate) struct ConnectionCard {
    serial: u64,
    /// When it was accepted, by the core's clock.
    opened: Duration,
    listener: SocketAddr,
    address: Cell<SocketAddr>,
    state: Cell<ConnectionState>,
    requests: Cell<u64>,
    session: RefCell<Option<CardSession>>,
}

/// Its TLS session.
struct CardSession {
    protocol: &'static str,
    server_name: Box<str>,
    identity: Option<Rc<ClientIdentity>>,
}

/// The cards of all open connections.
#[derive(Default)]
pub(crate) struct ConnectionCards {
    table: Rc<RefCell<CardTable>>,
    survey: RefCell<Option<CardSurvey>>,
    /// How far the questions were read.
    asked: Cell<u64>,
}

#[derive(Default)]
struct CardTable {
    /// The last one is never empty.
    cards: Vec<Option<Rc<ConnectionCard>>>,
    /// Places that are empty. The first is taken first, so that the table shrinks after a flood.
    free: BTreeSet<usize>,
}

/// A connection's card, which goes when this is dropped.
pub(crate) struct CardPlace {
    table: Rc<RefCell<CardTable>>,
    slot: usize,
    card: Rc<ConnectionCard>,
}

/// An answer that is being gathered.
struct CardSurvey {
    question: Arc<ConnectionQuestion>,
    /// The next place to be looked at.
    next: usize,
    matching: usize,
    /// By their serial numbers, of which the oldest has the lowest.
    oldest: BTreeMap<u64, Rc<ConnectionCard>>,
}

impl ConnectionCards {
    /// Makes the card of a connection that was accepted at this time of the core's clock.
    #[must_use]
    pub(crate) fn enter(
        &self,
        serial: u64,
        opened: Duration,
        listener: SocketAddr,
        address: SocketAddr,
    ) -> CardPlace {
        let card = Rc::new(ConnectionCard {
            serial,
            opened,
            listener,
            address: Cell::new(address),
            state: Cell::new(ConnectionState::Handshake),
            requests: Cell::new(0),
            session: RefCell::new(None),
        });
        let mut table = self.table.borrow_mut();
        let slot = table.free.pop_first().unwrap_or_else(|| {
            table.cards.push(None);
            table.cards.len() - 1
        });
        if let Some(place) = table.cards.get_mut(slot) {
            *place = Some(Rc::clone(&card));
        }
        CardPlace { table: Rc::clone(&self.table), slot, card }
    }

    /// Runs once a tick: takes a question, and goes on with the answer.
    pub(crate) fn answer(&self, link: &CoreLink, now: Duration) {
        let mut seen = self.asked.get();
        let asked = link.connection_questions.changed(&mut seen);
        self.asked.set(seen);
        link.set_connection_places(self.table.borrow().cards.len() as u64);
        let mut survey = self.survey.borrow_mut();
        if let Some(question) = asked {
            // Who has asked before does not wait any more.
            *survey = Some(CardSurvey { question, next: 0, matching: 0, oldest: BTreeMap::new() });
        }
        let Some(going_on) = survey.as_mut() else { return };
        let table = self.table.borrow();
        if going_on.look(&table) {
            let CardSurvey { matching, oldest, .. } = going_on;
            let list = ConnectionList {
                question: seen,
                open: table.cards.len().saturating_sub(table.free.len()),
                matching: *matching,
                oldest: oldest.values().map(|card| card.describe(now)).collect(),
            };
            *survey = None;
            link.connection_lists.post(Arc::new(list));
        }
    }
}

impl CardSurvey {
    /// Looks at a slice of the table; true at its end.
    fn look(&mut self, table: &CardTable) -> bool {
        let slice = table.cards.iter().skip(self.next).take(PLACES_PER_TICK).flatten();
        for card in slice.filter(|card| card.is_asked_for(&self.question)) {
            self.matching += 1;
            let is_full = self.oldest.len() >= self.question.limit;
            let newest = self.oldest.last_key_value().map(|(serial, _)| *serial);
            if is_full && newest.is_none_or(|newest| newest < card.serial) {
                continue;
            }
            self.oldest.insert(card.serial, Rc::clone(card));
            if is_full {
                self.oldest.pop_last();
            }
        }
        self.next = self.next.saturating_add(PLACES_PER_TICK);
        self.next >= table.cards.len()
    }
}

impl ConnectionCard {
    fn is_asked_for(&self, question: &ConnectionQuestion) -> bool {
        let ConnectionQuestion { listener, server_name, address, .. } = question;
        let session = self.session.borrow();
        let name = session.as_ref().map_or("", |session| &session.server_name);
        listener.is_none_or(|listener| listener == self.listener)
            && address.is_none_or(|address| address == self.address.get().ip())
            && server_name.as_ref().is_none_or(|wanted| wanted == name)
    }

    fn describe(&self, now: Duration) -> ListedConnection {
        let session = self.session.borrow();
        let session = session.as_ref().map(|session| {
            let shown = session.identity.as_ref();
            let shown = shown.filter(|identity| identity.verdict != Verdict::None);
            ListedSession {
                protocol: session.protocol,
                server_name: session.server_name.clone(),
                leaf: shown.and_then(|identity| identity.chain.first().cloned()),
                leaf_sha256: shown.map_or([0; 32], |identity| identity.leaf_sha256),
            }
        });
        ListedConnection {
            serial: self.serial,
            address: self.address.get(),
            listener: self.listener,
            age: now.saturating_sub(self.opened),
            state: self.state.get(),
            requests: self.requests.get(),
            session,
        }
    }
}

impl CardPlace {
    /// Its client is somebody else than the kernel says.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        self.card.address.set(address);
    }

    /// Its TLS handshake has succeeded.
    pub(crate) fn set_session(
        &self,
        protocol: &'static str,
        server_name: &str,
        identity: Option<&Rc<ClientIdentity>>,
    ) {
        let (server_name, identity) = (server_name.into(), identity.cloned());
        let session = CardSession { protocol, server_name, identity };
        self.card.session.replace(Some(session));
    }

    /// Another generation judges its client otherwise.
    pub(crate) fn set_identity(&self, identity: Option<&Rc<ClientIdentity>>) {
        if let Some(session) = &mut *self.card.session.borrow_mut() {
            session.identity = identity.cloned();
        }
    }

    /// It does this from now on.
    pub(crate) fn set_state(&self, state: ConnectionState) {
        self.card.state.set(state);
    }

    /// It has brought so many requests.
    pub(crate) fn set_requests(&self, requests: u64) {
        self.card.requests.set(requests);
    }
}

impl Drop for CardPlace {
    fn drop(&mut self) {
        let mut table = self.table.borrow_mut();
        if let Some(place) = table.cards.get_mut(self.slot) {
            *place = None;
        }
        table.free.insert(self.slot);
        while let Some(None) = table.cards.last() {
            table.cards.pop();
            let last = table.cards.len();
            table.free.remove(&last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn ask(link: &CoreLink, limit: usize, address: Option<SocketAddr>) {
        let address = address.map(|end| end.ip());
        let question = ConnectionQuestion { limit, address, ..ConnectionQuestion::default() };
        link.connection_questions.post(Arc::new(question));
    }

    #[test]
    fn the_oldest_are_told_in_slices_and_none_that_is_gone() {
        let (cards, link, mut seen) = (ConnectionCards::default(), CoreLink::new(0), 0);
        let second = Duration::from_secs(1);
        let mut open: Vec<CardPlace> =
            (1..=40_000).map(|serial| cards.enter(serial, second, end(1), end(2))).collect();
        // The first leaves, and the last one takes its place in the table.
        drop(open.remove(0));
        open.push(cards.enter(40_001, second * 2, end(1), SocketAddr::from(([127, 0, 0, 9], 2))));
        ask(&link, 3, None);
        for _ in 0..2 {
            cards.answer(&link, second * 3);
            assert!(link.connection_lists.changed(&mut seen).is_none());
        }
        cards.answer(&link, second * 3);
        let list = link.connection_lists.changed(&mut seen).unwrap();
        assert_eq!((list.question, list.open, list.matching), (1, 40_000, 40_000));
        let told: Vec<u64> = list.oldest.iter().map(|one| one.serial).collect();
        assert_eq!(told, [2, 3, 4]);
        assert_eq!(list.oldest[0].age, second * 2);
        cards.answer(&link, second);
        assert!(link.connection_lists.changed(&mut seen).is_none(), "nobody has asked");

        ask(&link, 3, Some(SocketAddr::from(([127, 0, 0, 9], 0))));
        (0..3).for_each(|_| cards.answer(&link, second));
        let list = link.connection_lists.changed(&mut seen).unwrap();
        assert_eq!((list.question, list.open, list.matching), (2, 40_000, 1));
        assert_eq!(list.oldest[0].serial, 40_001);
        // None is asked for, and one answer is enough for few.
        open.truncate(1);
        for (limit, wanted) in [(0, 0), (3, 1)] {
            ask(&link, limit, None);
            cards.answer(&link, second);
            let list = link.connection_lists.changed(&mut seen).unwrap();
            assert_eq!((list.open, list.matching, list.oldest.len()), (1, 1, wanted));
        }
        assert_eq!(link.connection_places(), 2, "places behind the last are given up");
        open.clear();
        ask(&link, 3, None);
        cards.answer(&link, second);
        let list = link.connection_lists.changed(&mut seen).unwrap();
        assert_eq!((list.open, list.oldest.len(), link.connection_places()), (0, 0, 0));
        let again = [1, 2].map(|serial| cards.enter(serial, second, end(1), end(2)).slot);
        assert_eq!(again, [0, 0]);
    }
}
