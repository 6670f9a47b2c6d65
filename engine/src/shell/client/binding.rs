//! Which place a connection has in a generation, and who its client is there.
//!
//! A connection outlives a reload: its place is found again in the newest generation, and its client
//! judged by what that says, with the certificate that it has shown.

use std::rc::Rc;

use ferrule_config::model::OnRevoke;

use super::connection::Client;
use crate::exchange::Refusal;
use crate::identity::{ClientIdentity, Judgement, KeptFor, Verdict};
use crate::plan::facts::SessionFacts;
use crate::plan::{ListenerId, ServerId};
use crate::shell::state::core::{Core, Live};

/// The identity behind a chain, judged by the policy of this server.
pub(crate) fn identify(
    live: &Live,
    server: ServerId,
    chain: &[&[u8]],
    now: i64,
) -> Rc<ClientIdentity> {
    let settings = live.generation.tls.servers.get(server.0 as usize);
    let policy = settings.and_then(|settings| settings.policy.as_deref());
    let wanted = &live.generation.plan.wanted;
    live.identities.borrow_mut().get_or_make(server.0, chain, policy, wanted, now)
}

/// Judges a chain that was shown before, by the policy of another place.
pub fn rejudge(
    live: &Live,
    place: &Place,
    identity: &Rc<ClientIdentity>,
    now: i64,
) -> Rc<ClientIdentity> {
    let Some(server) = place.server else { return Rc::clone(identity) };
    let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
    identify(live, server, &chain, now)
}

/// The same client with the same verdict, as another generation renders it and holds it against its
/// lists. `judged` is what that would say of it.
fn re_rendered(
    live: &Live,
    place: &Place,
    (identity, judged): (&Rc<ClientIdentity>, &ClientIdentity),
) -> ClientIdentity {
    let server = place.server.unwrap_or(ServerId(u32::MAX));
    let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
    let wanted = &live.generation.plan.wanted;
    let own_uris = wanted.own_uris(server.0);
    let (from, until) = judged.holds;
    // Its anchor may be none of the new ones.
    let kept = Judgement { path: identity.path, from, until, ..Judgement::of(identity.verdict) };
    let rendered = ClientIdentity::shown_to(own_uris, &chain, kept, wanted);
    ClientIdentity { skew: identity.skew, ..rendered }
}

/// Do both configurations mean to keep the clients of this server object, and is it the same one? An
/// object for other names may come to stand for the name of one that was taken away: what that one
/// trusted is nothing to it.
fn keeps((before, was): (&Live, &Place), (after, is): (&Live, &Place)) -> bool {
    let object = |live: &Live, place: &Place| {
        let server = live.generation.config.servers.get(place.server?.0 as usize)?;
        let keeps = on_revoke(live, place) == OnRevoke::Keep;
        keeps.then(|| server.snis.clone())
    };
    let (before, after) = (object(before, was), object(after, is));
    before.is_some() && before == after
}

/// What its handshake has settled for the whole life of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settled<'a> {
    /// The server name.
    pub name: Option<&'a str>,
    /// The TLS version, as `$ssl_protocol`; empty on plain HTTP.
    pub protocol: &'static str,
}

impl<'a> Settled<'a> {
    /// By this session.
    #[must_use]
    pub fn of(session: Option<&'a SessionFacts>) -> Self {
        session.map_or_else(Self::default, |session| Self {
            name: Some(session.server_name.as_str()).filter(|name| !name.is_empty()),
            protocol: session.protocol,
        })
    }
}

/// Where a connection belongs in a generation.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The listener it came in by.
    pub listener: ListenerId,
    /// The server object of its name; `None` on plain HTTP.
    pub server: Option<ServerId>,
}

impl Place {
    /// The same listener and server name in another generation.
    ///
    /// # Errors
    /// The new generation does not listen here, does not know the server name, or speaks another TLS
    /// version there: the client may come again on a new connection (421).
    pub fn under(
        live: &Live,
        (before, place): (&Live, &Self),
        settled: Settled<'_>,
    ) -> Result<Self, Refusal> {
        let plan = &live.generation.plan;
        let here = &before.generation.plan.listener(place.listener).listen;
        let same = |listen: &ferrule_config::model::Listen| {
            listen.address == here.address
                && listen.tls == here.tls
                && listen.proxy_protocol == here.proxy_protocol
        };
        let Some(listener) = plan.listeners().iter().position(|plan| same(&plan.listen)) else {
            return Err(Refusal::MisdirectedRequest);
        };
        let listener = ListenerId(u32::try_from(listener).unwrap_or(u32::MAX));
        let server = match place.server {
            None => None,
            Some(_) => {
                let server = plan.server_for(listener, settled.name.map(str::as_bytes));
                let speaks = |server: &ServerId| speaks(live, *server, settled.protocol);
                Some(server.filter(speaks).ok_or(Refusal::MisdirectedRequest)?)
            }
        };
        Ok(Self { listener, server })
    }
}

/// Where a connection stands: which generation it is served by, and as whom.
#[derive(Clone)]
pub struct Standing {
    /// The generation.
    pub live: Rc<Live>,
    /// Its place there.
    pub place: Place,
    /// Who the client is, judged by that generation.
    pub identity: Option<Rc<ClientIdentity>>,
}

impl Standing {
    /// Of a client.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        Self {
            live: Rc::clone(&client.live),
            place: Place { listener: client.listener, server: client.server },
            identity: client.identity.clone(),
        }
    }

    /// The same connection under the newest generation.
    ///
    /// # Errors
    /// As [`Place::under`].
    pub fn follow(&self, core: &Core, settled: Settled<'_>) -> Result<Self, Refusal> {
        let live = core.live();
        let place = Place::under(&live, (&self.live, &self.place), settled)?;
        let identity = self.identity.as_ref().map(|identity| {
            let now = core.clock.unix_seconds();
            let judged = rejudge(&live, &place, identity, now);
            // What is over is over; that its own end is, is told to it by that name.
            let failed = matches!(judged.verdict, Verdict::Failed(failure)
                if identity.has_ended(now) || !failure.is_of_time());
            let kept = identity.verdict == Verdict::Success
                && failed
                && keeps((&self.live, &self.place), (&live, &place));
            if !kept {
                return judged;
            }
            let name = settled.name.unwrap_or_default().into();
            let rendered = re_rendered(&live, &place, (identity, &judged));
            Rc::new(ClientIdentity { kept: Some(KeptFor { name }), ..rendered })
        });
        Ok(Self { live, place, identity })
    }
}

/// A connection outlives a reload: its next request is judged by the new generation, with the
/// certificate that it has shown. And it outlives dates: other certificates of its chain end, and so do
/// revocation lists. To see that none has costs a request two comparisons.
///
/// # Errors
/// As [`Place::under`].
pub fn follow_generation(client: &mut Client) -> Result<(), Refusal> {
    let core = Rc::clone(&client.core);
    let stale = |identity: &Rc<ClientIdentity>| identity.is_stale(core.clock.unix_seconds());
    if core.is_current(&client.live) && !client.identity.as_ref().is_some_and(stale) {
        return Ok(());
    }
    let settled = Settled::of(client.session.as_ref());
    let Standing { live, place, identity } = Standing::of(client).follow(&core, settled)?;
    client.live = live;
    client.listener = place.listener;
    client.server = place.server;
    client.identity = identity;
    client.forget_standings();
    if let (Some(seat), Some(identity)) = (&client.seat, &client.identity) {
        seat.follow(&client.live, place, identity);
    }
    client.render_identity();
    Ok(())
}

/// Does a server object speak this TLS version?
fn speaks(live: &Live, server: ServerId, protocol: &str) -> bool {
    let server = live.generation.config.servers.get(server.0 as usize);
    server.is_some_and(|server| match protocol {
        "TLSv1.2" => server.protocols.tls12,
        "TLSv1.3" => server.protocols.tls13,
        _ => false,
    })
}

/// What the configuration wants done with connections of this place.
#[must_use]
pub(crate) fn on_revoke(live: &Live, place: &Place) -> OnRevoke {
    let servers = &live.generation.config.servers;
    let server = place.server.and_then(|server| servers.get(server.0 as usize));
    server
        .and_then(|server| server.client.as_ref())
        .map_or(OnRevoke::Close, |client| client.on_revoke)
}
