//! One request of a client connection, from its head to its log line.
//!
//! In: a client, and what came of reading a head. Out: what becomes of its connection, which may bring
//! another request. Between them: admission, the way to the upstream and back (or our own answer), counters and
//! the access log. What is decided is decided in `exchange`; here is only the order of things.

use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::BreakResponse;

use super::attempt::ForwardResult;
use super::context::ExchangeContext;
use super::forward::forward;
use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::policy_steps::{self, PolicyEnd};
use super::tunnel;
use crate::exchange::answer::AnswerTo;
use crate::exchange::answer::ResponseFormat;
use crate::exchange::cause::ClientCause;
use crate::exchange::demands::check_demands;
use crate::exchange::mark::mark;
use crate::exchange::negotiate::Accepted;
use crate::exchange::outcome::{ExchangeEnd, Outcome, byte_count};
use crate::exchange::refusal::Refusal;
use crate::exchange::refusal_response::answer;
use crate::exchange::reuse::{self, AfterExchange, Bodies, ClientEnd};
use crate::exchange::route_trace::asked_route;
use crate::exchange::{Admission, admit, permit};
use crate::plan::attempts::detach_nodes;
use crate::plan::{Facts, LimitId, NodePlan, Plan, RouteId};
use crate::report::connection_list::ConnectionState;
use crate::report::{Counter, ExchangeMetrics};
use crate::shell::client::audit;
use crate::shell::client::connection::{Client, HeadRead};
use crate::wire::head::parse_request;

/// One exchange, and what becomes of its connection.
pub(crate) async fn serve_request(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    read: HeadRead,
    started: Duration,
) -> AfterExchange {
    client.facts.requests += 1;
    client.card.set_requests(client.facts.requests);
    client.card.set_state(ConnectionState::Request);
    client.deselect_identity();
    memory.request.keep_after_refusal = false;
    match read {
        HeadRead::Head(len) => serve_head(client, memory, len, started).await,
        HeadRead::Refuse(refusal) => {
            // Nothing is known of the request; its answer is a whole one.
            memory.head.clear();
            memory.request.forget();
            give_marks(client, memory, None);
            let mut outcome = Outcome::default();
            let unread = Bodies::RequestUnfinished;
            let after = refuse(client, memory, refusal, unread, &[], &mut outcome).await;
            report(client, memory, &[], started, outcome, None);
            after
        }
        HeadRead::Gone => AfterExchange::Close,
    }
}

/// The exchange of a request whose head is there, in the first `len` bytes that were read.
async fn serve_head(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    len: usize,
    started: Duration,
) -> AfterExchange {
    let Some(mut head) = client.stream.reader.plain.take() else { return AfterExchange::Close };
    let mut outcome = Outcome::default();
    let mut consumed = 0;
    let result = {
        let buf = head.filled();
        let result = match admit_request(client, memory, buf, len) {
            Ok(admission) => {
                outcome.route = Some(admission.route);
                forward_request(client, memory, admission, buf, len, &mut consumed, &mut outcome)
                    .await
            }
            Err(refusal) => {
                outcome.log_route = refused_route(client, memory, buf, refusal);
                let unread = if memory.request.keep_after_refusal {
                    Bodies::Complete
                } else {
                    Bodies::RequestUnfinished
                };
                let after = refuse(client, memory, refusal, unread, buf, &mut outcome).await;
                RequestResult::Answered { after }
            }
        };
        outcome.request_bytes += byte_count(len);
        if matches!(result, RequestResult::Answered { .. }) {
            report(client, memory, buf, started, outcome, None);
        }
        result
    };
    match result {
        RequestResult::Answered { after } => {
            head.consume(len + consumed);
            restore(client, head);
            after
        }
        RequestResult::Switched(lease) => {
            let kept: Box<[u8]> = head.filled().get(..len).unwrap_or_default().into();
            head.consume(len + consumed);
            // What came after the head is the tunnel's, and waits in the reader like all the rest.
            restore(client, head);
            run_tunnel(client, memory, &kept, lease, started, outcome).await;
            AfterExchange::Close
        }
    }
}

/// What came after the exchange's own bytes goes back to the reader.
fn restore(client: &mut Client, head: crate::shell::transport::buffers::Buffer) {
    // Reading went on in another buffer: what is left there comes after what is left here.
    client.stream.reader.prepend(head, &client.core.buffers);
}

/// The request has become a tunnel: runs it to its end, and logs it.
async fn run_tunnel(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    head: &[u8],
    lease: Box<Lease>,
    started: Duration,
    mut outcome: Outcome,
) {
    client.card.set_state(ConnectionState::Tunnel);
    memory.keep_request();
    let label = RouteLabel::of(&client.live.generation.plan, &outcome);
    let route = Box::<str>::from(label.route);
    let nodes = detach_nodes(&mut memory.attempts, label.nodes);
    // Generation and identity may change within it.
    client.log_parts = None;
    Box::pin(tunnel::run(client, memory, head, lease, &mut outcome)).await;
    memory.permits.clear();
    // The configuration may be another one by now.
    let plan = &client.live.generation.plan;
    let mut logged = plan.access_filter.routes().iter().copied();
    outcome.log_route = logged.find(|id| *plan.route(*id).id == *route);
    let label = RouteLabel { route: &route, nodes: &nodes };
    let now = client.core.clock.elapsed();
    if let Some(attempt) = memory.attempt() {
        attempt.response_micros = attempt.micros_until(now);
    }
    report(client, memory, head, started, outcome, Some(label));
}

/// Parses the head and asks `exchange` what to do with it.
fn admit_request(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    buf: &[u8],
    len: usize,
) -> Result<Admission, Refusal> {
    // A head that is refused half-way must not be taken for the one before it.
    memory.head.clear();
    memory.request.forget();
    let limits = client.live.generation.plan.head_limits();
    let parsed = parse_request(buf, len, limits, &mut memory.head).map_err(Refusal::Malformed);
    let followed = parsed.and_then(|()| client.follow_generation());
    give_marks(client, memory, parsed.is_ok().then_some(buf));
    followed?;
    let ExchangeMemory { head, request, request_ids, .. } = memory;
    let admission = client.core.clock.with_now(|now| {
        let plan = &client.live.generation.plan;
        admit(plan, &client.view(now, request_ids), head.view(buf), request)
    })?;
    let now = client.core.clock.unix_seconds();
    // Its own route comes last: who the client is by that one is passed on.
    for at in 0..=request.demanding.len() {
        let route = request.demanding.get(at).copied().unwrap_or(admission.route);
        client.select_identity(route);
        let plan = &client.live.generation.plan;
        permit(plan, route, client.request_identity(), now)?;
        let route = plan.route(route);
        if route.access.more().is_some() {
            client.core.clock.with_now(|now| {
                let facts = Facts { request_ids: Some(request_ids), ..client.facts(now, None) };
                check_demands(route, &facts, head.view(buf), request)
            })?;
        }
    }
    Ok(admission)
}

/// Which route a refused request has asked for, if the choice of log lines depends on it. What is not understood has
/// asked for none.
fn refused_route(
    client: &Client,
    memory: &ExchangeMemory,
    buf: &[u8],
    refusal: Refusal,
) -> Option<RouteId> {
    let plan = &client.live.generation.plan;
    if plan.access_filter.routes().is_empty() || matches!(refusal, Refusal::Malformed(_)) {
        return None;
    }
    client.core.clock.with_now(|now| {
        asked_route(plan, &client.view(now, &memory.request_ids), memory.head.view(buf))
    })
}

/// What became of a request.
enum RequestResult {
    /// It was answered, or cut.
    Answered {
        /// What becomes of the connection.
        after: AfterExchange,
    },
    /// It was granted an upgrade: this connection to the upstream carries the tunnel.
    Switched(Box<Lease>),
}

/// Gives the request its id and its trace, and its client the address that it tells; `buf` is its head, if that was
/// understood.
fn give_marks(client: &mut Client, memory: &mut ExchangeMemory, buf: Option<&[u8]>) {
    let ExchangeMemory { head, request_ids, .. } = memory;
    if !client.live.generation.plan.marks_requests {
        request_ids.clear();
        return;
    }
    let request = buf.map(|buf| head.view(buf));
    client.take_address(request);
    let (plan, now) = (&client.live.generation.plan, client.core.clock.unix_seconds());
    mark(plan, request, now, || client.core.random.draw(), request_ids);
}

/// Forwards, and answers ourselves if that came to nothing.
async fn forward_request(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    mut admission: Admission,
    buf: &[u8],
    len: usize,
    consumed: &mut usize,
    outcome: &mut Outcome,
) -> RequestResult {
    let (core, live) = (Rc::clone(&client.core), Rc::clone(&client.live));
    let after_head = buf.get(len..).unwrap_or_default();
    let route = live.generation.plan.route(admission.route);
    let mut timeout = &route.timeout;
    if let Some(policy) = &route.policy {
        let share = policy_steps::prepare(policy, client, &live, memory, &mut admission, buf);
        timeout = share.map_or(timeout, |share| &share.timeout);
    }
    outcome.upstream = route.upstream.map(|_| admission.upstream);
    let (core, live, admission) = (&core, &*live, &admission);
    let request = ExchangeContext { core, live, admission, timeout, buf, after_head };
    let policy = route.policy.as_deref();
    let ended = match policy {
        Some(policy) => policy_steps::begin(policy, &request, client, memory).await,
        None => None,
    };
    let forwarded = match ended {
        None => forward(&request, client, memory, consumed, outcome).await,
        Some(PolicyEnd::Refuse(refusal)) => ForwardResult::Refuse(refusal, request.unread_bodies()),
        Some(PolicyEnd::Answer(answer)) => {
            let after = policy_steps::give(answer, &request, client, memory, outcome).await;
            return RequestResult::Answered { after };
        }
        Some(PolicyEnd::ClientLeft) => {
            outcome.ended = ClientCause::Left.end();
            ForwardResult::Aborted
        }
    };
    if let Some(policy) = policy {
        policy_steps::end(policy, &request, memory, &forwarded);
    }
    let after = match forwarded {
        ForwardResult::Switched(lease) => return RequestResult::Switched(lease),
        ForwardResult::Delivered { keep_alive, bodies } => {
            reuse::client(ClientEnd { announced: keep_alive, bodies })
        }
        ForwardResult::Refuse(refusal, bodies) => {
            if bodies == Bodies::Complete {
                memory.request.keep_after_refusal = admission.keep_alive;
            }
            refuse(client, memory, refusal, bodies, buf, outcome).await
        }
        ForwardResult::Aborted => {
            // The client must not take what it has for the whole: no close_notify, no orderly end.
            client.stream.abort();
            AfterExchange::Close
        }
    };
    RequestResult::Answered { after }
}

/// Answers a request ourselves.
async fn refuse(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    refusal: Refusal,
    bodies: Bodies,
    buf: &[u8],
    outcome: &mut Outcome,
) -> AfterExchange {
    let keep_alive = client.may_keep(memory.request.keep_after_refusal)
        && bodies == Bodies::Complete
        && !refusal.closes();
    if let Refusal::RedirectToHttps(_, port) = refusal {
        policy_steps::name_https(client, memory, buf, port);
    }
    // What is refused before there is a route has no policy.
    if let Some(route) = outcome.route {
        let upstream = outcome.upstream;
        policy_steps::change_own_head(client, memory, route, upstream, buf, refusal.status());
    }
    let ExchangeMemory { head, request_ids, out, block, limited, .. } = memory;
    out.clear();
    let plan = &client.live.generation.plan;
    let format = ResponseFormat {
        accepted: Accepted::of(head.view(buf).fields()),
        pages: Some(&plan.error_pages),
        request_id: request_ids.id_field(&plan.http),
        broken: match refusal {
            Refusal::CircuitBroken(_) => break_response(plan, outcome),
            Refusal::Forbidden(forbidden) => {
                forbidden.own_words().and_then(|words| plan.own_answer(words))
            }
            _ => None,
        },
        limited: match refusal {
            Refusal::Limited(..) => limited.take().and_then(|id| limit_body(plan, id)),
            _ => None,
        },
        block: Some(block),
    };
    let details = audit::json_details(client, refusal);
    audit::log_refusal(client, refusal);
    let body = client.core.clock.with_now(|now| {
        let to = AnswerTo {
            details: &details,
            method: head.method,
            version: head.version,
            keep_alive,
            http_date: now.http_date,
            server_tokens: client.live.generation.plan.http.server_tokens,
            format,
        };
        answer(refusal, &to, out)
    });
    outcome.status = refusal.status();
    outcome.ended = ExchangeEnd::Refused(refusal);
    outcome.body_bytes = byte_count(body);
    outcome.sent_bytes += byte_count(out.len());
    block.clear();
    let announced = client.send_now(&memory.out).await.is_ok() && keep_alive;
    reuse::client(ClientEnd { announced, bodies })
}

/// What the operator wants to be said of the route's broken circuit.
fn break_response<'a>(plan: &'a Plan, outcome: &Outcome) -> Option<&'a BreakResponse> {
    let breaker = plan.route(outcome.route?).breaker.as_ref()?;
    Some(&breaker.response)
}

/// What the operator wants to be said of a limit that is reached.
fn limit_body(plan: &Plan, id: LimitId) -> Option<&[u8]> {
    plan.limits().get(id.0 as usize)?.body.as_deref()
}

/// A request's route and the nodes of its upstream, as the configuration had them when it was routed.
#[derive(Clone, Copy)]
struct RouteLabel<'a> {
    /// The route's id.
    route: &'a str,
    /// What the records of its tries count in.
    nodes: &'a [NodePlan],
}

impl<'a> RouteLabel<'a> {
    fn of(plan: &'a Plan, outcome: &Outcome) -> Self {
        Self {
            route: outcome.route.map_or("", |route| &plan.route(route).id),
            nodes: outcome
                .upstream
                .map(|id| plan.upstream(id).nodes.as_slice())
                .unwrap_or_default(),
        }
    }
}

/// Counts the exchange and logs it; `label` is given where its configuration may not be the client's any
/// more.
fn report(
    client: &Client,
    memory: &ExchangeMemory,
    buf: &[u8],
    started: Duration,
    mut outcome: Outcome,
    label: Option<RouteLabel<'_>>,
) {
    let core = &client.core;
    core.counters().add(Counter::ClientBytesOut, outcome.sent_bytes);
    core.counters().add(Counter::ClientBytesIn, outcome.request_bytes);
    let plan = &client.live.generation.plan;
    let took = core.clock.elapsed().saturating_sub(started);
    outcome.request_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    outcome.request_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let label = label.unwrap_or_else(|| RouteLabel::of(plan, &outcome));
    let log = outcome.log_facts(&memory.attempts, label.nodes);
    core.clock.with_now(|now| {
        let request = (!buf.is_empty())
            .then(|| Client::request_facts(memory.head.view(buf), &memory.request, label.route));
        let request_ids = Some(&memory.request_ids);
        let facts = Facts { log: Some(&log), request_ids, ..client.facts(now, request) };
        let metrics = ExchangeMetrics {
            counters: core.counters(),
            events: core.events(),
            meters: &client.live.meters,
            listener: client.listener,
        };
        core.reporter.borrow_mut().finished(
            metrics,
            plan,
            &facts,
            client.request_log_parts(),
            &outcome,
        );
    });
}
