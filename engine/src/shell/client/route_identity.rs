//! Who a client is by the authorities that a route has of its own.
//!
//! The handshake proves that the client holds a key, and its chain is judged by the server name's
//! authorities. A route with others has the same chain judged by those, once per connection and set of
//! authorities; the requests that take such a route are passed on with that identity.

use std::rc::Rc;

use super::connection::Client;
use crate::identity::{Asked, ClientIdentity, ClientPolicy};
use crate::plan::line::FixedParts;
use crate::plan::{RouteId, ServerId, TrustId};
use crate::shell::state::core::Live;

/// Who a client is by some authorities.
pub(crate) struct Standing {
    trust: TrustId,
    identity: Rc<ClientIdentity>,
    /// As [`Client::identity_block`].
    block: Vec<u8>,
}

/// By which authorities of its own a request goes, seen apart from the rest of its client.
pub(crate) struct Acting<'a> {
    /// As [`Client::standings`].
    pub(crate) standings: &'a mut Vec<Standing>,
    /// As [`Client::acting`].
    pub(crate) at: &'a mut Option<usize>,
}

impl Acting<'_> {
    /// Who the client is by them.
    pub(crate) fn identity(&self) -> Option<&ClientIdentity> {
        self.at.and_then(|at| self.standings.get(at)).map(|standing| &*standing.identity)
    }

    /// By these alone, as the generation counts them. No further request has them rendered.
    pub(crate) fn set(&mut self, standing: Option<(TrustId, Rc<ClientIdentity>)>) {
        self.standings.clear();
        let made = |(trust, identity)| Standing { trust, identity, block: Vec::new() };
        self.standings.extend(standing.map(made));
        *self.at = Some(0).filter(|_| !self.standings.is_empty());
    }
}

impl Client {
    /// Who the current request's client is.
    #[must_use]
    pub fn acting_identity(&self) -> Option<&ClientIdentity> {
        match self.acting.and_then(|at| self.standings.get(at)) {
            Some(standing) => Some(&standing.identity),
            None => self.identity.as_deref(),
        }
    }

    /// The authorities of its own that the current request's route has.
    #[must_use]
    pub fn acting_policy(&self) -> Option<&ClientPolicy> {
        let standing = self.acting.and_then(|at| self.standings.get(at))?;
        self.live.generation.tls.trusts.get(standing.trust.0 as usize).map(|policy| &**policy)
    }

    /// The identity headers of the current request that stay the same for all like it.
    #[must_use]
    pub fn acting_block(&self) -> &[u8] {
        match self.acting.and_then(|at| self.standings.get(at)) {
            Some(standing) => &standing.block,
            None => &self.identity_block,
        }
    }

    /// What of the current request's line in the access log was rendered before; nothing, if the client
    /// acts as somebody else.
    #[must_use]
    pub fn acting_parts(&self) -> Option<&FixedParts> {
        self.log_parts.as_deref().filter(|_| self.acting.is_none())
    }

    /// The next request goes by the server name's authorities, until its route is known.
    pub fn act_as_itself(&mut self) {
        self.acting = None;
    }

    /// The current request goes by the authorities of this route.
    pub fn act_on(&mut self, route: RouteId) {
        self.acting = None;
        let trust = self.live.generation.plan.route(route).access.trust();
        let (Some(trust), true) = (trust, self.server.is_some()) else { return };
        let now = self.core.clock.unix_seconds();
        let mut known = self.standings.iter().position(|standing| standing.trust == trust);
        if let Some(at) = known
            && self.standings.get(at).is_some_and(|standing| standing.identity.is_stale(now))
        {
            self.standings.remove(at);
            known = None;
        }
        self.acting = Some(known.unwrap_or_else(|| self.judge(trust)));
    }

    /// Another generation has other authorities.
    pub fn forget_standings(&mut self) {
        self.acting = None;
        self.standings.clear();
    }

    fn judge(&mut self, trust: TrustId) -> usize {
        let now = self.core.clock.unix_seconds();
        let identity = by_trust(&self.live, (self.server, self.identity.as_deref()), trust, now);
        let at = self.standings.len();
        self.standings.push(Standing { trust, identity, block: Vec::new() });
        self.acting = Some(at);
        let mut block = Vec::new();
        self.core.clock.with_now(|now| {
            let facts = self.facts(now, None);
            self.live.generation.plan.identity.render_block(&facts, &mut block);
        });
        if let Some(standing) = self.standings.get_mut(at) {
            standing.block = block;
        }
        at
    }
}

/// Who a client of this server name and with this chain is by these authorities.
pub(crate) fn by_trust(
    live: &Live,
    (server, shown): (Option<ServerId>, Option<&ClientIdentity>),
    trust: TrustId,
    now: i64,
) -> Rc<ClientIdentity> {
    let generation = &live.generation;
    let policy = generation.tls.trusts.get(trust.0 as usize).map(|policy| &**policy);
    let server = server.map_or(u32::MAX, |server| server.0);
    let chain = shown.map_or(&[][..], |identity| &identity.chain);
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    let asked = Asked { server, trust: Some(trust.0) };
    let wanted = &generation.plan.wanted;
    live.identities.borrow_mut().get_or_make(asked, &chain, policy, wanted, now)
}
