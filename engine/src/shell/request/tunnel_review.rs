//! Whether a tunnel may live on.
//!
//! A tunnel has no next request by which it could be judged again, so it is reviewed once a second: has
//! the configuration changed, or the client's certificate (or what its verdict rests on) run out, or the
//! upstream's? Then its request is admitted once more, as the newest generation decides. In: what the
//! request was admitted with. Out: why the tunnel is to end.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::tunnel_bytes::TunnelBytes;
use crate::exchange::demands;
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::rewrite::{rewritten_name, upstream_name};
use crate::exchange::{ConnectionView, Scratch, admit, permit};
use crate::identity::{ClientIdentity, Verdict};
use crate::plan::facts::{ConnectionFacts, SessionFacts};
use crate::plan::{
    Facts, HostBuf, ListenerId, NodeId, NodePlan, Plan, RequestIds, RouteId, RoutePolicy, ServerId,
};
use crate::report::NodeCounter;
use crate::setup::Generation;
use crate::shell::client::binding::{GenerationView, NegotiatedSession, ServerBinding};
use crate::shell::client::registry::Registration;
use crate::shell::client::route_identity::{RouteIdentities, judge_by_trust};
use crate::shell::state::connection_cards::CardPlace;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::log_limits::LogCause;
use crate::shell::transport::net;
use crate::tls::UpstreamFailure;
use crate::tls::peer::UpstreamPeer;
use crate::wire::view::RequestView;

/// How often a tunnel is reviewed.
pub(crate) const REVIEW_INTERVAL: Duration = Duration::from_secs(1);

/// A tunnel's client. It follows every generation: what a tunnel keeps of one would keep all of that
/// generation alive, for as long as the tunnel is open.
pub(super) struct ClientSide<'a> {
    pub(super) live: &'a mut Rc<LiveGeneration>,
    pub(super) listener: &'a mut Option<ListenerId>,
    pub(super) server: &'a mut Option<ServerId>,
    pub(super) identity: &'a mut Option<Rc<ClientIdentity>>,
    /// What is told of it to operators.
    pub(super) card: &'a CardPlace,
    pub(super) route_identities: &'a mut RouteIdentities,
    pub(super) connection: &'a ConnectionFacts,
    pub(super) session: Option<&'a SessionFacts>,
    /// Who has sent its PROXY protocol header.
    pub(super) sender: Option<IpAddr>,
    /// Its entry in the registry, which may know of a reason to end before the review does.
    pub(super) registration: Option<&'a Registration>,
}

/// A tunnel's upstream.
pub(super) struct UpstreamSide {
    /// The server that it leads to; `None` on plain HTTP. This copy is the tunnel's alone, and judged
    /// again with it.
    peer: Option<UpstreamPeer>,
    /// The upstream's id.
    upstream: Box<str>,
    /// Its node, which the configuration may not have any more.
    node: Option<NodePlan>,
    /// The host that its route sent in the place of the client's.
    rewritten_host: Option<Box<[u8]>>,
}

/// What a tunnel is judged by again.
pub(super) struct TunnelReview<'a> {
    pub(super) core: &'a Core,
    pub(super) client: ClientSide<'a>,
    pub(super) upstream: UpstreamSide,
    /// What it has carried.
    pub(super) bytes: &'a TunnelBytes,
    /// The head of the request that asked for the tunnel.
    pub(super) head: RequestView<'a>,
    /// What admission works in.
    pub(super) scratch: &'a mut Scratch,
    pub(super) request_ids: &'a RequestIds,
    /// Its route, upstream and node are those of the generation that was followed last.
    pub(super) outcome: &'a mut Outcome,
}

impl ClientSide<'_> {
    /// Moves to the newest generation, and lets go of the one before. True if there was another one.
    fn follow_generation(&mut self, core: &Core) -> Result<bool, Refusal> {
        let before = GenerationView {
            live: Rc::clone(self.live),
            binding: self.binding(),
            identity: self.identity.clone(),
        };
        let session = NegotiatedSession::of(self.session, self.sender);
        let GenerationView { live, binding, identity } = before.renewed(core, session)?;
        let moved = !Rc::ptr_eq(&live, self.live);
        *self.live = live;
        *self.listener = binding.listener;
        *self.server = binding.server;
        *self.identity = identity;
        self.card.set_identity(self.identity.as_ref());
        self.route_identities.clear();
        Ok(moved)
    }

    const fn binding(&self) -> ServerBinding {
        ServerBinding { listener: *self.listener, server: *self.server }
    }

    /// Has any verdict on the client run out?
    fn has_expired(&self, now: i64) -> bool {
        let by_route = self.route_identities.selected().map(|selected| &*selected.identity);
        [self.identity.as_deref(), by_route]
            .into_iter()
            .flatten()
            .filter(|identity| identity.verdict == Verdict::Success)
            .any(|identity| identity.has_ended(now) || identity.is_stale(now))
    }

    /// May the client take this route, judged by the authorities that it has of its own?
    fn permit(&mut self, route: RouteId, now: i64) -> Result<(), Refusal> {
        let plan = &self.live.generation.plan;
        let client = self.identity.as_deref();
        self.route_identities.clear();
        if let Some(trust) = plan.route(route).access.trust().filter(|_| self.server.is_some()) {
            let identity = judge_by_trust(self.live, *self.server, client, trust, now);
            self.route_identities.add(trust, identity);
        }
        let by_route = self.route_identities.selected().map(|selected| &*selected.identity);
        permit(plan, route, by_route.or(client), now)
    }
}

impl UpstreamSide {
    /// What is copied of the generation that has connected it.
    pub(super) fn of(plan: &Plan, outcome: &Outcome, peer: Option<UpstreamPeer>) -> Self {
        let upstream = outcome.upstream.map(|upstream| plan.upstream(upstream));
        let node = upstream.zip(outcome.node);
        let node = node.and_then(|(upstream, node)| upstream.nodes.get(node.0 as usize)).cloned();
        let upstream = upstream.map(|upstream| upstream.id.clone()).unwrap_or_default();
        let policy = outcome.route.and_then(|route| plan.route(route).policy.as_deref());
        let rewrite = policy.and_then(|policy| policy.rewrite.as_ref());
        let rewritten_host = rewrite.and_then(|rewrite| rewrite.host.clone());
        Self { peer, upstream, node, rewritten_host }
    }

    /// Its node in this generation.
    fn find(&self, live: &LiveGeneration) -> Option<NodeId> {
        live.find_node(&self.upstream, &self.node.as_ref()?.address)
    }

    fn has_expired(&self, now: i64) -> bool {
        self.peer.as_ref().is_some_and(|peer| !peer.is_current(now))
    }

    /// Would a connection to it be made now? The upstream of the same id vouches for it, whatever the
    /// other settings of that are. `host` is the client's, which may be the name that counts there.
    fn judge_again(&mut self, core: &Core, host: &HostBuf, now: i64) -> Result<(), Refusal> {
        let live = core.live();
        let Generation { plan, tls, .. } = &*live.generation;
        let at = plan.upstreams().iter().position(|upstream| upstream.id == self.upstream);
        let tls = at.and_then(|at| tls.upstreams.get(at)).and_then(Option::as_ref);
        let ends = at.and_then(|at| plan.upstreams().get(at)).zip(self.node.as_ref());
        let name = ends.map(|(upstream, node)| match self.rewritten_host.as_deref() {
            Some(host) => rewritten_name(upstream, host, node),
            None => upstream_name(upstream, host, node),
        });
        let name = std::str::from_utf8(name.unwrap_or_default()).unwrap_or_default();
        let judged = match (&mut self.peer, tls) {
            (Some(peer), tls) => peer.recheck(tls, name, now),
            (None, Some(_)) => Err(UpstreamFailure::Plaintext),
            (None, None) => Ok(()),
        };
        judged.map_err(|failure| {
            let meters = &live.meters;
            let node =
                self.find(&live).map_or_else(|| meters.other_nodes(), |node| meters.node(node));
            node.count(NodeCounter::Revoked);
            if let Some(suppressed) = core.allow_log(LogCause::Revoked) {
                tracing::info!(
                    upstream = &*self.upstream,
                    reason = failure.text(),
                    suppressed,
                    "a connected upstream is not trusted any more"
                );
            }
            Refusal::UpstreamTls
        })
    }
}

impl TunnelReview<'_> {
    /// Reviews the tunnel again and again, until there is a reason to end it.
    pub(super) async fn run(mut self) -> ExchangeEnd {
        loop {
            net::sleep(REVIEW_INTERVAL).await;
            self.bytes.count(&self.client.live.meters, self.outcome.node_id());
            if self.core.stopping.get() {
                return ExchangeEnd::Stopped;
            }
            if let Err(refusal) = self.review() {
                return ExchangeEnd::Refused(refusal);
            }
        }
    }

    /// Would the request be admitted now?
    fn review(&mut self) -> Result<(), Refusal> {
        if let Some(refusal) = self.client.registration.and_then(Registration::ending) {
            return Err(refusal);
        }
        let now = self.core.clock.unix_seconds();
        if self.core.is_current(self.client.live)
            && !self.client.has_expired(now)
            && !self.upstream.has_expired(now)
        {
            return Ok(());
        }
        self.upstream.judge_again(self.core, &self.scratch.host, now)?;
        if self.client.follow_generation(self.core)? {
            // Another generation numbers them otherwise, or does not have them; the log has their names.
            self.outcome.route = None;
            let found = self.upstream.find(self.client.live);
            self.outcome.upstream = found.map(|found| found.upstream);
            self.outcome.node = found.map(|found| found.node);
        }
        self.admit_again(now)
    }

    fn admit_again(&mut self, now: i64) -> Result<(), Refusal> {
        let client = &self.client;
        let plan = &client.live.generation.plan;
        let binding = client.binding();
        let identity = client.identity.as_ref();
        if let (Some(registration), Some(identity)) = (client.registration, identity) {
            registration.update(client.live, binding, identity);
        }
        // The log line says what was found when the tunnel began.
        let captures = std::mem::take(&mut self.scratch.captures);
        let admission = self.core.clock.with_now(|now| {
            let facts = Facts {
                connection: client.connection,
                session: client.session,
                client: identity.map(|identity| &**identity),
                request: None,
                now,
                log: None,
                request_ids: Some(self.request_ids),
            };
            let view = ConnectionView {
                listener: binding.listener,
                policy: binding.server.map(|server| plan.sni.policy(server)),
                client: facts.client,
                now: now.unix_seconds,
                facts: Some(facts),
            };
            admit(plan, &view, self.head, self.scratch)
        });
        self.scratch.captures = captures;
        let admission = admission?;
        self.outcome.route = Some(admission.route);
        // Its own route comes last, as with any request.
        for at in 0..=self.scratch.demanding.len() {
            let route = self.scratch.demanding.get(at).copied().unwrap_or(admission.route);
            self.client.permit(route, now)?;
            self.check_demands(route)?;
        }
        let plan = &self.client.live.generation.plan;
        let policy = plan.route(admission.route).policy.as_deref();
        if admission.upgrade && policy.is_none_or(keeps_tunnels) {
            Ok(())
        } else {
            Err(Refusal::RouteNotFound)
        }
    }

    /// Does the request pass what the route asks besides certificates?
    fn check_demands(&mut self, route: RouteId) -> Result<(), Refusal> {
        let client = &self.client;
        let route = client.live.generation.plan.route(route);
        let by_route = client.route_identities.selected().map(|selected| &*selected.identity);
        self.core.clock.with_now(|now| {
            let facts = Facts {
                connection: client.connection,
                session: client.session,
                client: by_route.or(client.identity.as_deref()),
                request: None,
                now,
                log: None,
                request_ids: Some(self.request_ids),
            };
            demands::check_demands(route, &facts, self.head, self.scratch)
        })
    }
}

/// Does a tunnel go on whose route has this policy now? Not where the route answers by itself. Nor where what it
/// sends is what others ask something for: that is found out when a request is sent, and not again.
fn keeps_tunnels(policy: &RoutePolicy) -> bool {
    let rewrites = policy.rewrite.as_ref().is_some_and(|rewrite| !rewrite.guarded.is_empty());
    !rewrites && policy.answer.is_none() && policy.redirect.is_none()
}
