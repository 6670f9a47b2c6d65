//! Who a client is by the authorities that a route has of its own.
//!
//! The handshake proves that the client holds a key, and its chain is judged by the server name's
//! authorities. A route with others has the same chain judged by those, once per connection and set of
//! authorities; the requests that take such a route are passed on with that identity.

use std::rc::Rc;

use crate::identity::{ClientIdentity, ClientPolicy, TrustScope};
use crate::plan::{ServerId, TrustId};
use crate::shell::state::generation::LiveGeneration;

/// Who a client is by one route's set of authorities.
pub(crate) struct RouteIdentity {
    trust: TrustId,
    pub(crate) identity: Rc<ClientIdentity>,
    /// The identity headers that stay the same for all requests with this identity.
    pub(crate) identity_block: Vec<u8>,
    /// Those are to be rendered before they are sent.
    is_outdated: bool,
}

/// The identities of one connection by the authorities of routes, and the one that the current request
/// has. None is selected where the request's route has no authorities of its own.
#[derive(Default)]
pub(crate) struct RouteIdentities {
    known: Vec<RouteIdentity>,
    selected: Option<usize>,
}

impl RouteIdentities {
    /// The one that the current request has.
    pub(crate) fn selected(&self) -> Option<&RouteIdentity> {
        self.selected.and_then(|at| self.known.get(at))
    }

    /// The authorities by which the selected one was judged.
    pub(crate) fn policy<'a>(&self, live: &'a LiveGeneration) -> Option<&'a ClientPolicy> {
        let trust = self.selected()?.trust;
        live.generation.tls.trusts.get(trust.0 as usize).map(|policy| &**policy)
    }

    /// The current request has none of them, as far as is known.
    pub(crate) fn deselect(&mut self) {
        self.selected = None;
    }

    /// Selects the identity by these authorities; false if it is not known, or not fresh any more.
    pub(crate) fn select(&mut self, trust: TrustId, now: i64) -> bool {
        self.selected = self.known.iter().position(|known| known.trust == trust);
        if let Some(at) = self.selected
            && self.known.get(at).is_some_and(|known| known.identity.is_stale(now))
        {
            self.known.remove(at);
            self.selected = None;
        }
        self.selected.is_some()
    }

    /// Adds an identity and selects it.
    pub(crate) fn add(&mut self, trust: TrustId, identity: Rc<ClientIdentity>) {
        self.selected = Some(self.known.len());
        let identity_block = Vec::new();
        self.known.push(RouteIdentity { trust, identity, identity_block, is_outdated: true });
    }

    /// What was rendered of all of them is not true any more.
    pub(crate) fn outdate_blocks(&mut self) {
        self.selected = None;
        self.known.iter_mut().for_each(|known| known.is_outdated = true);
    }

    /// The memory for the headers of the selected one, if those are to be rendered.
    pub(crate) fn take_outdated_block(&mut self) -> Option<Vec<u8>> {
        let known = self.selected.and_then(|at| self.known.get_mut(at))?;
        known.is_outdated.then(|| {
            let mut block = std::mem::take(&mut known.identity_block);
            block.clear();
            block
        })
    }

    /// The rendered headers of the selected one.
    pub(crate) fn set_identity_block(&mut self, block: Vec<u8>) {
        if let Some(known) = self.selected.and_then(|at| self.known.get_mut(at)) {
            known.identity_block = block;
            known.is_outdated = false;
        }
    }

    /// Forgets all of them: another generation has other authorities.
    pub(crate) fn clear(&mut self) {
        self.selected = None;
        self.known.clear();
    }
}

/// Who a client of this server name and with this chain is by these authorities.
pub(crate) fn judge_by_trust(
    live: &LiveGeneration,
    server: Option<ServerId>,
    shown: Option<&ClientIdentity>,
    trust: TrustId,
    now: i64,
) -> Rc<ClientIdentity> {
    let generation = &live.generation;
    let policy = generation.tls.trusts.get(trust.0 as usize).map(|policy| &**policy);
    let server = server.map_or(u32::MAX, |server| server.0);
    let chain = shown.map_or(&[][..], |identity| &identity.chain);
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    let asked = TrustScope { server, trust: Some(trust.0) };
    let wanted = &generation.plan.wanted;
    live.identities.borrow_mut().get_or_make(asked, &chain, policy, wanted, now)
}
