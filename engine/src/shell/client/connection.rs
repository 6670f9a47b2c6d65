//! One client connection: what is known of it, and what requests need of it.
//!
//! In: an accepted socket, and what the handshake has found out. Out: request heads as they are read,
//! the facts that templates and admission read, and the identity that each request has.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::HalfClose;

use super::accepted::{AcceptedBy, ListenerMembership};
use super::binding::{GenerationView, NegotiatedSession, ServerBinding};
use super::paced_sending::PacedSending;
use super::registry::Registration;
use super::route_identity::{RouteIdentities, judge_by_trust};
use crate::exchange::proxy_header::{ProxyFacts, proxy_header};
use crate::exchange::real_ip::told_address;
use crate::exchange::refusal::Refusal;
use crate::exchange::{ConnectionView, Scratch};
use crate::identity::{ClientIdentity, ClientPolicy};
use crate::plan::facts::{ConnectionFacts, Facts, Now, RequestFacts, SessionFacts};
use crate::plan::log_line::FixedParts;
use crate::plan::upstream::ProxyPlan;
use crate::plan::{ForwardedFields, ListenerId, RequestIds, RouteId, ServerId, template};
use crate::setup::connection_counts::CountedConnection;
use crate::shell::state::connection_cards::CardPlace;
use crate::shell::state::core::{Core, DRAIN_GRACE};
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::net::TcpStream;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::Stream;
use crate::shell::transport::stream_error::StreamError;
use crate::wire::head::HeadScan;
use crate::wire::proxy::Ends;
use crate::wire::view::RequestView;

/// A client connection that is ready for requests.
pub(crate) struct Client {
    /// The core it lives on.
    pub(crate) core: Rc<Core>,
    /// Its entry in the registry; `None` without a certificate. Declared before the stream, so that it is
    /// dropped before the socket is closed.
    pub(crate) registration: Option<Registration>,
    /// What is told of it to operators who ask.
    pub(crate) card: CardPlace,
    /// Its place among the connections of its listener.
    pub(crate) membership: ListenerMembership,
    /// The connection itself.
    pub(crate) stream: Stream,
    /// The generation that serves its next request.
    pub(crate) live: Rc<LiveGeneration>,
    /// The listener that it is judged by, as that generation numbers them; `None` if that is gone, and no
    /// other takes its place.
    pub(crate) listener: Option<ListenerId>,
    /// Addresses and counts.
    pub(crate) facts: ConnectionFacts,
    /// Its two addresses: the kernel's, or those of a PROXY protocol header.
    pub(crate) ends: Ends,
    /// Who has sent its PROXY protocol header; `None` without one.
    pub(crate) sender: Option<IpAddr>,
    /// Its TLS session; `None` on plain HTTP.
    pub(crate) session: Option<SessionFacts>,
    /// The server object its handshake chose.
    pub(crate) server: Option<ServerId>,
    /// Who the client is; `None` on plain HTTP.
    pub(crate) identity: Option<Rc<ClientIdentity>>,
    /// The identity headers that stay the same for all its requests.
    pub(crate) identity_block: Vec<u8>,
    /// The parts that all its lines in the access log have in common; `None` without a log.
    pub(crate) log_parts: Option<Box<FixedParts>>,
    /// The forwarding headers (`X-Forwarded-For` and its like) that its requests are sent with.
    pub(crate) forwarded: ForwardedFields,
    /// Who it is by the authorities that routes have of their own, as far as requests have asked.
    pub(crate) route_identities: RouteIdentities,
    /// Counts it among the connections of its address, for as long as it lives.
    pub(crate) counted: CountedConnection,
}

/// What came of reading a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeadRead {
    /// A whole head of this length is there.
    Head(usize),
    /// The head is broken or late; the client is answered with this.
    Refuse(Refusal),
    /// The client is gone, or has been silent for too long.
    Gone,
}

impl Client {
    /// A connection that was just accepted; `None` if it has ended already.
    #[must_use]
    pub(crate) fn accepted(
        core: &Rc<Core>,
        stream: TcpStream,
        peer: SocketAddr,
        counted: CountedConnection,
        by: &AcceptedBy,
    ) -> Option<Self> {
        let ends = Ends { source: peer, destination: stream.local_addr().ok()? }.canonical();
        let listen = &by.plan().listen;
        let tls = listen.tls;
        let stream = Stream::accepted(stream, &core.deadlines, &core.buffers).ok()?;
        let serial = core.next_serial();
        Some(Self {
            core: Rc::clone(core),
            card: core.cards.enter(serial, core.clock.elapsed(), listen.address, ends.source),
            membership: by.connections.enter(serial, stream.read_timer()),
            stream,
            live: Rc::clone(&by.live),
            listener: Some(by.listener),
            facts: ConnectionFacts {
                remote_addr: ends.source.ip().to_string(),
                remote_port: ends.source.port().to_string(),
                server_addr: ends.destination.ip().to_string(),
                server_port: ends.destination.port().to_string(),
                tls,
                serial,
                requests: 0,
                proxied: None,
                replaced: None,
            },
            ends,
            sender: None,
            session: None,
            server: None,
            identity: None,
            identity_block: Vec::new(),
            log_parts: None,
            forwarded: ForwardedFields::default(),
            route_identities: RouteIdentities::default(),
            registration: None,
            counted,
        })
    }

    /// What templates may read.
    #[must_use]
    pub(crate) fn facts<'a>(
        &'a self,
        now: Now<'a>,
        request: Option<RequestFacts<'a>>,
    ) -> Facts<'a> {
        Facts {
            connection: &self.facts,
            session: self.session.as_ref(),
            client: self.request_identity(),
            request,
            now,
            log: None,
            request_ids: None,
        }
    }

    /// What templates may read of a request.
    #[must_use]
    pub(crate) const fn request_facts<'a>(
        head: RequestView<'a>,
        scratch: &'a Scratch,
        route_id: &'a str,
    ) -> RequestFacts<'a> {
        RequestFacts {
            head,
            target: scratch.target.as_ref(),
            host: scratch.host.as_bytes(),
            path: scratch.path.as_slice(),
            captures: Some(&scratch.captures),
            route_id,
        }
    }

    /// What admission asks of the connection.
    #[must_use]
    pub(crate) fn view<'a>(
        &'a self,
        now: Now<'a>,
        request_ids: &'a RequestIds,
    ) -> ConnectionView<'a> {
        ConnectionView {
            listener: self.listener,
            policy: self.server.map(|server| self.live.generation.plan.sni.policy(server)),
            client: self.identity.as_deref(),
            now: now.unix_seconds,
            facts: Some(Facts { request_ids: Some(request_ids), ..self.facts(now, None) }),
        }
    }

    /// May the connection bring another request, if the client wants to?
    #[must_use]
    pub(crate) fn may_keep(&self, wanted: bool) -> bool {
        wanted
            && !self.core.draining.get()
            && !self.membership.connections().has_ended()
            && !self.registration.as_ref().is_some_and(Registration::is_ended)
            && self.facts.requests < u64::from(self.live.generation.plan.http.keepalive_requests)
    }

    /// Renders the headers and the parts of log lines that all requests of the connection have in common.
    pub(crate) fn render_identity(&mut self) {
        let mut block = std::mem::take(&mut self.identity_block);
        block.clear();
        let log_parts = self.log_parts.take();
        self.log_parts = self.core.clock.with_now(|now| {
            let facts = self.facts(now, None);
            let plan = &self.live.generation.plan;
            plan.identity.render_block(&facts, &mut block);
            let line = plan.access_log.as_ref()?;
            Some(match log_parts {
                Some(mut parts) => {
                    line.renew_fixed_parts(&facts, &mut parts);
                    parts
                }
                None => Box::new(line.fixed_parts(&facts)),
            })
        });
        self.identity_block = block;
        self.forwarded.render(&self.live.generation.plan.http.forwarded, &self.facts);
    }

    /// The client's address is the one that this request tells, where its sender may tell one; else its own. What was
    /// rendered with another address is rendered again.
    pub(crate) fn take_address(&mut self, request: Option<RequestView<'_>>) {
        let real_ip = self.live.generation.plan.real_ip.as_ref();
        let told = real_ip
            .zip(request)
            .and_then(|(real_ip, request)| told_address(real_ip, self.ends.source.ip(), request));
        if self.facts.take_told(told) {
            self.route_identities.outdate_blocks();
            self.render_identity();
        }
    }

    /// Who the current request's client is.
    #[must_use]
    pub(crate) fn request_identity(&self) -> Option<&ClientIdentity> {
        match self.route_identities.selected() {
            Some(selected) => Some(&selected.identity),
            None => self.identity.as_deref(),
        }
    }

    /// The authorities of its own that the current request's route has.
    #[must_use]
    pub(crate) fn request_policy(&self) -> Option<&ClientPolicy> {
        self.route_identities.policy(&self.live)
    }

    /// The identity headers of the current request that stay the same for all like it.
    #[must_use]
    pub(crate) fn request_identity_block(&self) -> &[u8] {
        match self.route_identities.selected() {
            Some(selected) => &selected.identity_block,
            None => &self.identity_block,
        }
    }

    /// The parts of the current request's line in the access log that were rendered before; `None` if
    /// the request's route has given the client another identity.
    #[must_use]
    pub(crate) fn request_log_parts(&self) -> Option<&FixedParts> {
        self.log_parts.as_deref().filter(|_| self.route_identities.selected().is_none())
    }

    /// The client is judged by the server name's authorities, until its request's route is known.
    pub(crate) fn deselect_identity(&mut self) {
        self.route_identities.deselect();
    }

    /// The client is judged by the authorities of this route, where that has its own.
    pub(crate) fn select_identity(&mut self, route: RouteId) {
        self.route_identities.deselect();
        let trust = self.live.generation.plan.route(route).access.trust();
        let (Some(trust), true) = (trust, self.server.is_some()) else { return };
        let now = self.core.clock.unix_seconds();
        if !self.route_identities.select(trust, now) {
            let identity =
                judge_by_trust(&self.live, self.server, self.identity.as_deref(), trust, now);
            self.route_identities.add(trust, identity);
        }
        let Some(mut block) = self.route_identities.take_outdated_block() else { return };
        self.core.clock.with_now(|now| {
            let facts = self.facts(now, None);
            self.live.generation.plan.identity.render_block(&facts, &mut block);
        });
        self.route_identities.set_identity_block(block);
    }

    /// Moves the connection to the newest generation, which judges its next request with the
    /// certificate that it has shown. It also outlives dates: other certificates of its chain end, and
    /// so do revocation lists. To see that none has costs a request two comparisons.
    ///
    /// # Errors
    /// As [`ServerBinding::carried_over`].
    pub(crate) fn follow_generation(&mut self) -> Result<(), Refusal> {
        let stale =
            |identity: &Rc<ClientIdentity>| identity.is_stale(self.core.clock.unix_seconds());
        if self.core.is_current(&self.live) && !self.identity.as_ref().is_some_and(stale) {
            return Ok(());
        }
        let before = GenerationView {
            live: Rc::clone(&self.live),
            binding: ServerBinding { listener: self.listener, server: self.server },
            identity: self.identity.clone(),
        };
        let session = NegotiatedSession::of(self.session.as_ref(), self.sender);
        let GenerationView { live, binding, identity } = before.renewed(&self.core, session)?;
        self.live = live;
        self.listener = binding.listener;
        self.server = binding.server;
        self.identity = identity;
        self.card.set_identity(self.identity.as_ref());
        self.route_identities.clear();
        if let (Some(registration), Some(identity)) = (&self.registration, &self.identity) {
            registration.update(&self.live, binding, identity);
        }
        self.facts.take_told(None);
        self.render_identity();
        Ok(())
    }

    /// The server name it asked for; empty for none.
    #[must_use]
    pub(crate) fn server_name(&self) -> &str {
        self.session.as_ref().map_or("", |session| session.server_name.as_str())
    }

    /// The PROXY protocol header for an upstream connection that carries this client's requests.
    #[must_use]
    pub(crate) fn proxy_header(&self, proxy: &ProxyPlan) -> Vec<u8> {
        let mut common_name = Vec::new();
        self.core.clock.with_now(|now| {
            template::render(&proxy.common_name, &self.facts(now, None), &mut common_name);
        });
        // The identity that the request has: by the authorities of its route, where that has its own.
        let client = self.request_identity();
        let chain = client.map(|client| &client.chain);
        let id =
            format!("{:x}-{}-{:x}", self.core.started_at, self.core.link.core, self.facts.serial);
        proxy_header(
            &proxy.protocol,
            &ProxyFacts {
                ends: &self.ends,
                session: self.session.as_ref(),
                client,
                common_name: &common_name,
                certificate: chain.and_then(|chain| chain.first()).map_or(&[], |leaf| leaf),
                unique_id: id.as_bytes(),
            },
        )
    }

    /// Sends `bytes` at once, to a client that takes them at the pace that every receiver has to keep.
    ///
    /// # Errors
    /// The connection is cut.
    pub(crate) async fn send_now(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let http = &self.live.generation.plan.http;
        let pace = MinRate::new(http.pacing.send_min_rate, http.pacing.grace);
        let mut sending =
            PacedSending { most: http.send_timeout, pace, clock: &self.core.clock, staged: 0 };
        let sent = sending.send(&mut self.stream.sink(), bytes).await;
        if sent.is_err() {
            // It must not take what it has for the whole, and gets no more time to take the rest.
            self.stream.abort();
        }
        sent
    }

    /// Waits for a request and reads its head; `started` becomes the time of its first byte.
    pub(crate) async fn read_head(&mut self, started: &mut Duration) -> HeadRead {
        let http = &self.live.generation.plan.http;
        let (limits, whole) = (self.live.generation.plan.head_limits(), http.client_header_timeout);
        let mut quiet = if self.facts.requests == 0 { whole } else { http.keepalive_timeout };
        if self.core.closes_idle.get() || self.membership.connections().is_listener_removed() {
            quiet = quiet.min(DRAIN_GRACE);
        }
        let serves_half_closed = http.client_half_close == HalfClose::Serve;
        let mut scan = HeadScan::default();
        let mut begun = false;
        let descriptor = self.stream.descriptor();
        let mut source = self.stream.source();
        loop {
            let buf = source.plain();
            if !begun && !buf.is_empty() {
                begun = true;
                *started = self.core.clock.elapsed();
            }
            match scan.advance(buf, limits) {
                Ok(Some(len)) => return HeadRead::Head(len),
                Ok(None) => {}
                Err(error) => return HeadRead::Refuse(Refusal::Malformed(error)),
            }
            let wait = if begun {
                // Memory for what is there, and a little for what comes: this client has proved nothing
                // yet.
                source.rest(true);
                // The rest of a head in pieces must not wait for a delayed acknowledgement of this one.
                descriptor.acknowledge();
                let spent = self.core.clock.elapsed().saturating_sub(*started);
                Wait { time: whole.saturating_sub(spent), shut: Shut::Read, idle: false }
            } else {
                // Reading only: the client still gets an orderly close.
                Wait { time: quiet, shut: Shut::Read, idle: true }
            };
            match source.read_plain(wait).await {
                Ok(_) => {}
                Err(StreamError::TimedOut) if begun => {
                    return HeadRead::Refuse(Refusal::HeadTimeout);
                }
                Err(StreamError::Ended) if serves_half_closed && is_begun(source.plain()) => {
                    return HeadRead::Refuse(Refusal::IncompleteRequest);
                }
                Err(_) => return HeadRead::Gone,
            }
        }
    }
}

/// Does a request begin here? An empty line is none.
fn is_begun(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
}
