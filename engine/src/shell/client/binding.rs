//! Which listener and server object a connection is bound to in a generation, and who its client is there.
//!
//! A connection outlives a reload: its listener and server object are found again in the newest
//! generation, and its client is judged by what that says, with the certificate that it has shown.

use std::net::IpAddr;
use std::rc::Rc;

use ferrule_config::model::OnRevoke;

use crate::exchange::Refusal;
use crate::identity::{ClientIdentity, KeptFor, Verdict, Verification};
use crate::plan::facts::SessionFacts;
use crate::plan::{ListenerId, ServerId};
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;

/// What was settled for the whole life of a connection before its first request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NegotiatedSession<'a> {
    /// The server name; `None` without one.
    pub(crate) server_name: Option<&'a str>,
    /// The TLS version, as `$ssl_protocol`; empty on plain HTTP.
    pub(crate) protocol: &'static str,
    /// Who has sent its PROXY protocol header; `None` without one.
    pub(crate) sender: Option<IpAddr>,
}

impl<'a> NegotiatedSession<'a> {
    /// Of a TLS session (`None` on plain HTTP), behind a PROXY protocol header of this sender.
    #[must_use]
    pub(crate) fn of(session: Option<&'a SessionFacts>, sender: Option<IpAddr>) -> Self {
        let Some(session) = session else { return Self { sender, ..Self::default() } };
        Self {
            server_name: Some(session.server_name.as_str()).filter(|name| !name.is_empty()),
            protocol: session.protocol,
            sender,
        }
    }
}

/// The listener and the server object of a connection, as one generation numbers them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerBinding {
    /// The listener that it is judged by; `None` if that is gone, and no other takes its place.
    pub(crate) listener: Option<ListenerId>,
    /// The server object of its name; `None` on plain HTTP.
    pub(crate) server: Option<ServerId>,
}

impl ServerBinding {
    /// Listener and server object in another generation: `self` is as `before` numbers them. What counts
    /// is what the generation demands of such a connection, not whether it still listens at the address.
    ///
    /// # Errors
    /// The new generation does not know the server name, speaks another TLS version there, or does not
    /// trust the sender of the PROXY protocol header: the client may come again on a new connection (421).
    pub(crate) fn carried_over(
        &self,
        before: &LiveGeneration,
        live: &LiveGeneration,
        session: NegotiatedSession<'_>,
    ) -> Result<Self, Refusal> {
        let plan = &live.generation.plan;
        let successor = |listener| plan.successor_of(&before.generation.plan, listener);
        let listener = self.listener.and_then(successor);
        let trusts =
            |sender| listener.is_some_and(|listener| plan.listener(listener).trusts_sender(sender));
        if !session.sender.is_none_or(trusts) {
            return Err(Refusal::MisdirectedRequest);
        }
        let server = match self.server {
            None => None,
            Some(_) => {
                let server = plan.server_for(listener, session.server_name.map(str::as_bytes));
                let speaks = |server: &ServerId| speaks(live, *server, session.protocol);
                Some(server.filter(speaks).ok_or(Refusal::MisdirectedRequest)?)
            }
        };
        Ok(Self { listener, server })
    }
}

/// A connection as one generation sees it.
#[derive(Clone)]
pub(crate) struct GenerationView {
    /// The generation.
    pub(crate) live: Rc<LiveGeneration>,
    /// Its listener and server object there.
    pub(crate) binding: ServerBinding,
    /// Who the client is, judged by that generation; `None` on plain HTTP.
    pub(crate) identity: Option<Rc<ClientIdentity>>,
}

impl GenerationView {
    /// The same connection as the newest generation sees it.
    ///
    /// # Errors
    /// As [`ServerBinding::carried_over`].
    pub(crate) fn renewed(
        &self,
        core: &Core,
        session: NegotiatedSession<'_>,
    ) -> Result<Self, Refusal> {
        let live = core.live();
        let binding = self.binding.carried_over(&self.live, &live, session)?;
        let identity = self.identity.as_ref().map(|identity| {
            let now = core.clock.unix_seconds();
            let judged = judge_again(&live, binding, identity, now);
            // What has ended has ended; where that is the client's own certificate, the refusal says so.
            let failed = matches!(judged.verdict, Verdict::Failed(failure)
                if identity.has_ended(now) || !failure.is_of_time());
            let kept =
                identity.verdict == Verdict::Success && failed && self.is_kept_by(&live, binding);
            if !kept {
                return judged;
            }
            let name = session.server_name.unwrap_or_default().into();
            let rendered = rendered_again(&live, binding, identity, &judged);
            Rc::new(ClientIdentity { kept: Some(KeptFor { name }), ..rendered })
        });
        Ok(Self { live, binding, identity })
    }

    /// Do both configurations mean to keep the clients of this server object, and is it the same one? An
    /// object for other names may come to stand for the name of one that was taken away: what that one
    /// trusted is nothing to it.
    fn is_kept_by(&self, live: &LiveGeneration, binding: ServerBinding) -> bool {
        let names = |live: &LiveGeneration, binding: ServerBinding| {
            let server = live.generation.config.servers.get(binding.server?.0 as usize)?;
            let keeps = on_revoke(live, binding) == OnRevoke::Keep;
            keeps.then(|| server.snis.clone())
        };
        let before = names(&self.live, self.binding);
        before.is_some() && before == names(live, binding)
    }
}

/// The identity that a chain proves, judged by the policy of this server.
pub(crate) fn identify(
    live: &LiveGeneration,
    server: ServerId,
    chain: &[&[u8]],
    now: i64,
) -> Rc<ClientIdentity> {
    let settings = live.generation.tls.servers.get(server.0 as usize);
    let policy = settings.and_then(|settings| settings.policy.as_deref());
    let wanted = &live.generation.plan.wanted;
    live.identities.borrow_mut().get_or_make(server.0, chain, policy, wanted, now)
}

/// Judges a chain that was shown before, by the policy of another binding.
pub(crate) fn judge_again(
    live: &LiveGeneration,
    binding: ServerBinding,
    identity: &Rc<ClientIdentity>,
    now: i64,
) -> Rc<ClientIdentity> {
    let Some(server) = binding.server else { return Rc::clone(identity) };
    let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
    identify(live, server, &chain, now)
}

/// The same client with the same verdict, as another generation renders it and holds it against its
/// lists. `judged` is what that would say of it.
fn rendered_again(
    live: &LiveGeneration,
    binding: ServerBinding,
    identity: &ClientIdentity,
    judged: &ClientIdentity,
) -> ClientIdentity {
    let server = binding.server.unwrap_or(ServerId(u32::MAX));
    let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
    let wanted = &live.generation.plan.wanted;
    let own_uris = wanted.own_uris(server.0);
    // Its anchor may be none of the new ones.
    let kept = Verification {
        path: identity.path,
        holds: judged.holds,
        ..Verification::of(identity.verdict)
    };
    let rendered = ClientIdentity::from_verification(own_uris, &chain, kept, wanted);
    ClientIdentity { skew: identity.skew, ..rendered }
}

/// Does a server object speak this TLS version?
fn speaks(live: &LiveGeneration, server: ServerId, protocol: &str) -> bool {
    let server = live.generation.config.servers.get(server.0 as usize);
    server.is_some_and(|server| match protocol {
        "TLSv1.2" => server.protocols.tls12,
        "TLSv1.3" => server.protocols.tls13,
        _ => false,
    })
}

/// What the configuration wants done with connections of this binding whose client loses its trust.
#[must_use]
pub(crate) fn on_revoke(live: &LiveGeneration, binding: ServerBinding) -> OnRevoke {
    let servers = &live.generation.config.servers;
    let server = binding.server.and_then(|server| servers.get(server.0 as usize));
    server
        .and_then(|server| server.client.as_ref())
        .map_or(OnRevoke::Close, |client| client.on_revoke)
}
