//! What a route asks for beside forwarding, step by step.
//!
//! In: a request that was admitted and permitted, and whose route has a policy. Out: nothing, and it goes on to
//! its upstream; or how it ends here. The steps stand in APISIX's order. What each does is decided in
//! `exchange`, `limits` and `plan`; here is only the order of things.

use super::attempt::ForwardResult;
use super::circuit;
use super::context::ExchangeContext;
use super::limit_steps::{self, LimitStep, LimitWalk};
use super::memory::ExchangeMemory;
use super::shaping;
use crate::exchange::answer::{AnswerTo, ResponseFormat};
use crate::exchange::cause::ClientCause;
use crate::exchange::demands::check_rewritten;
use crate::exchange::local_answer::{LocalAnswer, LocalBody, local_answer};
use crate::exchange::negotiate::Accepted;
use crate::exchange::outcome::{ExchangeEnd, Outcome, byte_count};
use crate::exchange::redirect::{redirect, to_https};
use crate::exchange::refusal::Refusal;
use crate::exchange::reuse::{self, AfterExchange, Bodies, ClientEnd};
use crate::exchange::{Admission, permit};
use crate::plan::cors::{CorsField, CorsPlan, CorsRequest};
use crate::plan::facts::LogFacts;
use crate::plan::reshape::RedirectPlan;
use crate::plan::split::{SplitShare, TrafficSplit};
use crate::plan::static_answer::{BodyPlan, StaticAnswerPlan};
use crate::plan::{Facts, RouteId, RoutePlan, RoutePolicy, UpstreamId};
use crate::shell::client::connection::Client;
use crate::shell::state::generation::LiveGeneration;
use crate::wire::head::Method;
use crate::wire::write;

/// How a request ends that is not forwarded.
pub(super) enum PolicyEnd<'a> {
    /// It is refused.
    Refuse(Refusal),
    /// It is answered as the configuration says.
    Answer(OwnAnswer<'a>),
    /// Its client has left while it was held back.
    ClientLeft,
}

/// An answer from the configuration; what was rendered of it stands in the memory of the exchange.
pub(super) struct OwnAnswer<'a> {
    status: u16,
    content_type: &'a [u8],
    body: OwnBody<'a>,
    /// How many bytes of `memory.upload` are lines of fields.
    fields_len: usize,
}

/// The body of such an answer.
enum OwnBody<'a> {
    /// As it stands in the configuration, or in a file of it.
    Fixed(&'a [u8]),
    /// What is in `memory.upload` behind the fields.
    Rendered,
    /// The text of an error.
    ErrorText,
}

/// Everything that comes before the request is forwarded; `None` if it is.
#[cold]
pub(super) async fn begin<'a>(
    policy: &'a RoutePolicy,
    request: &ExchangeContext<'a>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
) -> Option<PolicyEnd<'a>> {
    memory.block.clear();
    if let Some(cors) = &policy.cors
        && answers_preflight(cors, request, memory)
    {
        return Some(PolicyEnd::Answer(empty(200)));
    }
    let redirected =
        policy.redirect.as_ref().and_then(|to| redirected(to, request, client, memory));
    if redirected.is_some() {
        return redirected;
    }
    if let Some(answer) = &policy.answer {
        return Some(PolicyEnd::Answer(static_answer(answer, request, client, memory)));
    }
    if policy.rewrite.is_some()
        && let Err(refusal) = permit_rewritten(request, client, memory)
    {
        return Some(PolicyEnd::Refuse(refusal));
    }
    let limited = limit(policy, request, client, memory).await;
    if limited.is_some() {
        return limited;
    }
    if policy.breaks
        && let Some(refusal) = circuit::refusal(request)
    {
        return Some(PolicyEnd::Refuse(refusal));
    }
    None
}

/// An answer with this status and no body.
const fn empty<'a>(status: u16) -> OwnAnswer<'a> {
    OwnAnswer { status, content_type: b"", body: OwnBody::Fixed(&[]), fields_len: 0 }
}

/// Notes what is told to pages of other origins. True if the request asks for nothing else.
fn answers_preflight(
    cors: &CorsPlan,
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
) -> bool {
    let ExchangeMemory { head, block, .. } = memory;
    let asked = CorsRequest::of(head.view(request.buf));
    cors.each_field(&asked, &mut |field| match field {
        CorsField::Set(name, value) => block.set(name, value),
        CorsField::Add(name, value) => block.add(name, value),
        CorsField::Remove(name) => block.remove(name),
    });
    cors.answers(&asked, head.method == Method::Options)
}

/// What the rules for responses change in the head of an answer of ours.
#[cold]
pub(super) fn change_own_head(
    client: &Client,
    memory: &mut ExchangeMemory,
    route: RouteId,
    upstream: Option<UpstreamId>,
    buf: &[u8],
    status: u16,
) {
    let plan = &client.live.generation.plan;
    let route = plan.route(route);
    let Some(policy) = route.policy.as_deref().filter(|policy| !policy.response.is_empty()) else {
        return;
    };
    let ExchangeMemory { head, request: scratch, request_ids, attempts, block, out, .. } = memory;
    let nodes = upstream.map(|id| plan.upstream(id).nodes.as_slice()).unwrap_or_default();
    let log = LogFacts { status, attempts, nodes, ..LogFacts::default() };
    client.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(buf), scratch, &route.id);
        let facts = client.facts(now, Some(request));
        let facts = Facts { request_ids: Some(request_ids), ..facts };
        shaping::change_own_head(policy, &log, &facts, out, block);
    });
}

/// Notes where a request is sent that is served by TLS alone.
#[cold]
pub(super) fn name_https(client: &Client, memory: &mut ExchangeMemory, buf: &[u8], port: u16) {
    let ExchangeMemory { head, request: scratch, block, out, .. } = memory;
    out.clear();
    client.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(buf), scratch, "");
        if to_https(port, &client.facts(now, Some(request)), out).is_ok() {
            block.set(b"Location", out);
        }
    });
}

/// The limits of the route, and the time that they hold the request back.
async fn limit<'a>(
    policy: &RoutePolicy,
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
) -> Option<PolicyEnd<'a>> {
    let mut walk = LimitWalk::default();
    loop {
        match limit_steps::next(policy, &mut walk, request, client, memory) {
            LimitStep::Passed => return None,
            LimitStep::Refused(refusal) => return Some(PolicyEnd::Refuse(refusal)),
            LimitStep::HeldBack(delay) => {
                // Apart, so that a request that is not held back has no room for that in its memory.
                let stays = Box::pin(limit_steps::hold_back(request, client, delay)).await;
                if !stays {
                    memory.permits.clear();
                    return Some(PolicyEnd::ClientLeft);
                }
            }
        }
    }
}

/// What comes after it was forwarded, or refused.
#[cold]
pub(super) fn end(
    policy: &RoutePolicy,
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
    forwarded: &ForwardResult,
) {
    if policy.breaks {
        circuit::note(request, memory);
    }
    match forwarded {
        // A tunnel is under way until its end, when the memory goes.
        ForwardResult::Switched(_) => {}
        // What it changes goes into our own answer.
        ForwardResult::Refuse(..) => limit_steps::end(request, memory),
        ForwardResult::Delivered { .. } | ForwardResult::Aborted => {
            limit_steps::end(request, memory);
            memory.block.clear();
        }
    }
}

/// Runs a rendering with what templates may read of the request.
fn with_facts<R>(
    request: &ExchangeContext<'_>,
    client: &Client,
    memory: &mut ExchangeMemory,
    render: impl FnOnce(&Facts<'_>, &mut Vec<u8>) -> R,
) -> R {
    let ExchangeMemory { head, request: scratch, request_ids, upload, .. } = memory;
    let route = request.live.generation.plan.route(request.admission.route);
    request.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(request.buf), scratch, &route.id);
        let facts = client.facts(now, Some(request));
        render(&Facts { request_ids: Some(request_ids), ..facts }, upload)
    })
}

/// What comes before anything is decided: what the route notes of the request, what is sent for it, and where its
/// traffic split sends that; `None` leaves it to the upstream of the route. `admission` gets the method and the
/// upstream.
#[cold]
pub(super) fn prepare<'a>(
    policy: &'a RoutePolicy,
    client: &Client,
    live: &LiveGeneration,
    memory: &mut ExchangeMemory,
    admission: &mut Admission,
    buf: &[u8],
) -> Option<&'a SplitShare> {
    let route = live.generation.plan.route(admission.route);
    if policy.has_captures() {
        capture(policy, route, client, memory, buf);
    }
    rewrite(policy, client, memory, admission, buf);
    let share = split(policy.split.as_ref()?, route, client, live, memory, buf)?;
    admission.upstream = share.upstream;
    Some(share)
}

/// Notes what the route finds in the request, for all that is rendered from now on.
fn capture(
    policy: &RoutePolicy,
    route: &RoutePlan,
    client: &Client,
    memory: &mut ExchangeMemory,
    buf: &[u8],
) {
    let ExchangeMemory { head, request: scratch, request_ids, .. } = memory;
    let mut captures = core::mem::take(&mut scratch.captures);
    let mut space = core::mem::take(&mut scratch.capture_space);
    captures.clear();
    policy.read_path(&scratch.path, &mut captures);
    client.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(buf), scratch, &route.id);
        let facts = client.facts(now, Some(request));
        let facts = Facts { request_ids: Some(request_ids), ..facts };
        policy.read_values(&facts, &mut space, &mut captures);
    });
    (scratch.captures, scratch.capture_space) = (captures, space);
}

/// Where the route's traffic split sends this request.
fn split<'a>(
    split: &'a TrafficSplit,
    route: &RoutePlan,
    client: &Client,
    live: &LiveGeneration,
    memory: &mut ExchangeMemory,
    buf: &[u8],
) -> Option<&'a SplitShare> {
    let ExchangeMemory { head, request: scratch, request_ids, upload, .. } = memory;
    let rule = client.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(buf), scratch, &route.id);
        let facts = client.facts(now, Some(request));
        split.rule(&Facts { request_ids: Some(request_ids), ..facts }, upload)
    })?;
    live.splits.borrow_mut().next(rule)
}

/// Works out what a route with a `rewrite` sends; `admission` gets the method that is. If there is nothing to
/// send, [`begin`] refuses the request, unless it is answered before.
fn rewrite(
    policy: &RoutePolicy,
    client: &Client,
    memory: &mut ExchangeMemory,
    admission: &mut Admission,
    buf: &[u8],
) {
    let Some(rewrite) = &policy.rewrite else { return };
    let ExchangeMemory { head, request: scratch, request_ids, rewritten, .. } = memory;
    let plan = &client.live.generation.plan;
    let route = plan.route(admission.route);
    client.core.clock.with_now(|now| {
        let request = Client::request_facts(head.view(buf), scratch, &route.id);
        let facts = client.facts(now, Some(request));
        let facts = Facts { request_ids: Some(request_ids), ..facts };
        rewritten.rewrite(rewrite, admission, &facts);
    });
    scratch.captures.extend(&rewritten.groups);
    let method = head.view(buf).method_text();
    rewritten.find_demanding(plan, rewrite, admission, scratch, method);
}

/// May the client send what is sent for it? Its own route comes last: who the client is by that one is passed on.
fn permit_rewritten(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
) -> Result<(), Refusal> {
    let ExchangeMemory { head, request: scratch, request_ids, rewritten, .. } = memory;
    if rewritten.is_unusable {
        return Err(Refusal::UnusableUri);
    }
    let plan = &request.live.generation.plan;
    let own = request.admission.route;
    let asks = plan.route(own).access.more().is_some();
    if rewritten.demanding.is_empty() && !asks {
        return Ok(());
    }
    let now = request.core.clock.unix_seconds();
    let mut permitted = Ok(());
    // What its own route refuses, it refuses in what is sent as well.
    for route in rewritten.demanding.iter().copied().chain([own]) {
        client.select_identity(route);
        permitted = permitted.and_then(|()| permit(plan, route, client.request_identity(), now));
        permitted = permitted.and_then(|()| {
            request.core.clock.with_now(|now| {
                let facts = Facts { request_ids: Some(request_ids), ..client.facts(now, None) };
                let head = head.view(request.buf);
                check_rewritten(plan.route(route), &facts, head, scratch, rewritten)
            })
        });
    }
    permitted
}

/// The answer of `redirect`; `None` if this request is not redirected.
fn redirected<'a>(
    to: &RedirectPlan,
    request: &ExchangeContext<'a>,
    client: &Client,
    memory: &mut ExchangeMemory,
) -> Option<PolicyEnd<'a>> {
    let mut uri = std::mem::take(&mut memory.rewritten.memory);
    let status = with_facts(request, client, memory, |facts, out| {
        out.clear();
        redirect(to, facts, &mut uri, out)
    });
    memory.rewritten.memory = uri;
    match status {
        Ok(None) => None,
        Ok(Some(status)) => {
            memory.upload.splice(0..0, *b"Location: ");
            memory.upload.extend_from_slice(write::CRLF);
            Some(PolicyEnd::Answer(OwnAnswer {
                status,
                content_type: b"",
                body: OwnBody::Fixed(&[]),
                fields_len: memory.upload.len(),
            }))
        }
        Err(refusal) => Some(PolicyEnd::Refuse(refusal)),
    }
}

/// The answer of `return`.
fn static_answer<'a>(
    answer: &'a StaticAnswerPlan,
    request: &ExchangeContext<'a>,
    client: &Client,
    memory: &mut ExchangeMemory,
) -> OwnAnswer<'a> {
    let files = &request.live.generation.plan.body_files;
    let (body, fields_len) = with_facts(request, client, memory, |facts, out| {
        out.clear();
        answer.render_fields(facts, out);
        let fields_len = out.len();
        let body = match &answer.body {
            BodyPlan::Empty => OwnBody::Fixed(&[]),
            BodyPlan::ErrorText => OwnBody::ErrorText,
            BodyPlan::Bytes(bytes) => OwnBody::Fixed(bytes),
            BodyPlan::File(index) => {
                OwnBody::Fixed(files.get(*index).map(|file| &**file).unwrap_or_default())
            }
            BodyPlan::Rendered(template) => {
                template.render(facts, out);
                OwnBody::Rendered
            }
        };
        (body, fields_len)
    });
    OwnAnswer { status: answer.status, content_type: &answer.content_type, body, fields_len }
}

/// Gives the answer. A body that was not read is treated as it is after a refusal.
pub(super) async fn give(
    answer: OwnAnswer<'_>,
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    outcome: &mut Outcome,
) -> AfterExchange {
    change_own_head(client, memory, request.admission.route, None, request.buf, answer.status);
    let bodies = request.unread_bodies();
    let keep_alive = client.may_keep(request.admission.keep_alive) && bodies == Bodies::Complete;
    let body = render(&answer, request, memory, keep_alive);
    outcome.status = answer.status;
    outcome.ended = ExchangeEnd::AnsweredHere;
    outcome.body_bytes = byte_count(body);
    outcome.sent_bytes += byte_count(memory.out.len());
    memory.block.clear();
    let sent = client.send_now(&memory.out).await;
    if sent.is_err() {
        outcome.ended = ClientCause::Left.end();
    }
    let announced = sent.is_ok() && keep_alive;
    reuse::client(ClientEnd { announced, bodies })
}

/// Renders the whole answer into `memory.out`. How many bytes of it are body.
fn render(
    answer: &OwnAnswer<'_>,
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
    keep_alive: bool,
) -> usize {
    let ExchangeMemory { head, request_ids, out, upload, block, .. } = memory;
    let plan = &request.live.generation.plan;
    let (fields, rendered) = upload.split_at_checked(answer.fields_len).unwrap_or_default();
    let answer = LocalAnswer {
        status: answer.status,
        content_type: answer.content_type,
        fields,
        body: match answer.body {
            OwnBody::Fixed(bytes) => LocalBody::Bytes(bytes),
            OwnBody::Rendered => LocalBody::Bytes(rendered),
            OwnBody::ErrorText => LocalBody::ErrorText,
        },
    };
    out.clear();
    request.core.clock.with_now(|now| {
        let to = AnswerTo {
            details: "",
            method: head.method,
            version: head.version,
            keep_alive,
            http_date: now.http_date,
            server_tokens: plan.http.server_tokens,
            format: ResponseFormat {
                accepted: Accepted::of(head.view(request.buf).fields()),
                pages: Some(&plan.error_pages),
                request_id: request_ids.id_field(&plan.http),
                broken: None,
                limited: None,
                block: Some(block),
            },
        };
        local_answer(&answer, &to, out)
    })
}
