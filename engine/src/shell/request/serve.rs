//! One request of a client connection, from its head to its log line.
//!
//! In: a client, and what came of reading a head. Out: whether its connection may bring another
//! request. Between them: admission, the way to the upstream and back (or our own answer), counters and
//! the access log. What is decided is decided in `exchange`; here is only the order of things.

use std::rc::Rc;
use std::time::Duration;

use super::forward::{Forwarded, Request, forward};
use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::tunnel;
use crate::exchange::answer::Manner;
use crate::exchange::mark::mark;
use crate::exchange::negotiate::Accepted;
use crate::exchange::outcome::{Ended, Outcome};
use crate::exchange::refusal::{AnswerTo, Refusal, answer};
use crate::exchange::reuse::{self, Bodies, ClientEnd};
use crate::exchange::{Admission, admit, permit};
use crate::plan::{Facts, Plan};
use crate::report::{Books, Counter};
use crate::shell::client::audit;
use crate::shell::client::connection::{Client, HeadRead};
use crate::wire::head::parse_request;

/// One exchange; may the connection bring another one?
pub(crate) async fn serve_request(
    client: &mut Client,
    work: &mut ExchangeMemory,
    read: HeadRead,
    started: Duration,
) -> bool {
    client.facts.requests += 1;
    client.deselect_identity();
    let mut outcome = Outcome::default();
    work.request.keep_after_refusal = false;
    let len = match read {
        HeadRead::Head(len) => len,
        HeadRead::Refuse(refusal) => {
            // Nothing is known of the request; its answer is a whole one.
            work.request.forget();
            give_marks(client, work, None);
            let to = (refusal, Bodies::RequestUnfinished, &[][..]);
            let keep = refuse(client, work, to, &mut outcome).await;
            report(client, work, (&[], started), (outcome, None));
            return keep;
        }
        HeadRead::Gone => return false,
    };
    let Some(mut head) = client.stream.reader.plain.take() else { return false };
    let (mut consumed, mut switched) = (0, None);
    let keep = {
        let buf = head.filled();
        let behind = buf.get(len..).unwrap_or_default();
        let decided = decide(client, work, (buf, len));
        let keep = match decided {
            Ok(admission) => {
                outcome.route = Some(admission.route);
                outcome.upstream = Some(admission.upstream);
                let way = (buf, behind);
                let told = (&mut consumed, &mut outcome);
                let passed = pass(client, work, (&admission, way), told).await;
                match passed {
                    Passed::Over { keep } => keep,
                    Passed::Switched(lease) => {
                        switched = Some(lease);
                        false
                    }
                }
            }
            Err(refusal) => {
                let unread = if work.request.keep_after_refusal {
                    Bodies::Complete
                } else {
                    Bodies::RequestUnfinished
                };
                refuse(client, work, (refusal, unread, buf), &mut outcome).await
            }
        };
        outcome.request_bytes += bytes(len);
        if switched.is_none() {
            report(client, work, (buf, started), (outcome, None));
        }
        keep
    };
    let kept: Option<Box<[u8]>> =
        switched.is_some().then(|| head.filled().get(..len).unwrap_or_default().into());
    head.consume(len + consumed);
    restore(client, head);
    if let (Some(lease), Some(head)) = (switched, kept) {
        work.keep_request();
        let way = Way::of(&client.live.generation.plan, &outcome);
        let (route, node) = (Box::<str>::from(way.route), Box::<str>::from(way.node));
        // Generation and identity may change within it.
        client.log_parts = None;
        // What came behind the head is the tunnel's, and waits in the reader like all the rest.
        Box::pin(tunnel::run(client, work, &head, lease, &mut outcome)).await;
        // The configuration may be another one by now.
        let way = Way { route: &route, node: &node };
        report(client, work, (&head, started), (outcome, Some(way)));
    }
    keep
}

/// What came behind the exchange belongs to the next one.
fn restore(client: &mut Client, head: crate::shell::transport::buffers::Buffer) {
    // Reading went on in another buffer: what is left there comes behind what is left here.
    client.stream.reader.put_in_front(head, &client.core.buffers);
}

/// Parses the head and asks the core of the proxy what to do with it.
fn decide(
    client: &mut Client,
    work: &mut ExchangeMemory,
    (buf, len): (&[u8], usize),
) -> Result<Admission, Refusal> {
    let scratch = &mut work.request;
    // A head that is refused half-way must not be taken for the one before it.
    scratch.forget();
    let limits = client.live.generation.plan.head_limits();
    let parsed = parse_request(buf, len, limits, &mut scratch.head).map_err(Refusal::Malformed);
    let followed = parsed.and_then(|()| client.follow_generation());
    give_marks(client, work, parsed.is_ok().then_some(buf));
    followed?;
    let ExchangeMemory { request, marks, .. } = work;
    let admission = client.core.clock.with_now(|now| {
        let plan = &client.live.generation.plan;
        admit(plan, &client.view(now, marks), buf, request)
    })?;
    let now = client.core.clock.unix_seconds();
    // Its own route comes last: who the client is by that one is passed on.
    for route in request.demanding.iter().copied().chain([admission.route]) {
        client.select_identity(route);
        permit(&client.live.generation.plan, route, client.request_identity(), now)?;
    }
    Ok(admission)
}

/// What became of a request.
enum Passed {
    /// It was answered; may the connection bring another one?
    Over { keep: bool },
    /// It was granted an upgrade.
    Switched(Box<Lease>),
}

/// Gives the request its id and its trace; `buf` is its head, if that was understood.
fn give_marks(client: &Client, work: &mut ExchangeMemory, buf: Option<&[u8]>) {
    let ExchangeMemory { request, marks, .. } = work;
    let request = buf.map(|buf| (buf, &request.head));
    mark(&client.live.generation.plan, request, || client.core.random.draw(), marks);
}

/// Forwards, and answers ourselves if that came to nothing.
async fn pass(
    client: &mut Client,
    work: &mut ExchangeMemory,
    (admission, (buf, behind)): (&Admission, (&[u8], &[u8])),
    (consumed, outcome): (&mut usize, &mut Outcome),
) -> Passed {
    let (core, live) = (Rc::clone(&client.core), Rc::clone(&client.live));
    let request = Request { core: &core, live: &live, admission, buf, behind };
    let keep = match forward(&request, client, work, consumed, outcome).await {
        Forwarded::Switched(lease) => return Passed::Switched(lease),
        Forwarded::Delivered { keep_alive, bodies } => {
            reuse::client(ClientEnd { announced: keep_alive, bodies })
        }
        Forwarded::Refuse(refusal, bodies) => {
            if bodies == Bodies::Complete {
                work.request.keep_after_refusal = admission.keep_alive;
            }
            refuse(client, work, (refusal, bodies, buf), outcome).await
        }
        Forwarded::Cut => {
            // Whose fault the cut is.
            if matches!(outcome.ended, Ended::ResponseCutOff(_) | Ended::TimedOut) {
                core.count(Counter::UpstreamLost);
            }
            // The client must not take what it has for the whole: no close_notify, no orderly end.
            client.stream.abort();
            false
        }
    };
    Passed::Over { keep }
}

/// Answers a request ourselves.
async fn refuse(
    client: &mut Client,
    work: &mut ExchangeMemory,
    (refusal, bodies, buf): (Refusal, Bodies, &[u8]),
    outcome: &mut Outcome,
) -> bool {
    let keep_alive = client.may_keep(work.request.keep_after_refusal)
        && bodies == Bodies::Complete
        && !refusal.closes();
    let ExchangeMemory { request, marks, out, .. } = work;
    out.clear();
    let plan = &client.live.generation.plan;
    let manner = Manner {
        accepted: Accepted::of(buf, &request.head.fields),
        pages: Some(&plan.error_pages),
        request_id: marks.named(plan),
    };
    let details = audit::details(client, refusal);
    audit::refused(client, refusal);
    let body = client.core.clock.with_now(|now| {
        let to = AnswerTo {
            details: &details,
            method: request.head.method,
            version: request.head.version,
            keep_alive,
            http_date: now.http_date,
            server_tokens: client.live.generation.plan.http.server_tokens,
            manner,
        };
        answer(refusal, &to, out)
    });
    outcome.status = refusal.status();
    outcome.ended = Ended::Refused(refusal);
    outcome.body_bytes = bytes(body);
    outcome.sent_bytes += bytes(out.len());
    client.send_now(&work.out).await.is_ok() && keep_alive
}

/// Which way a request went, in the words of the configuration that sent it there.
#[derive(Clone, Copy)]
struct Way<'a> {
    /// The route's id.
    route: &'a str,
    /// The node's address.
    node: &'a str,
}

impl<'a> Way<'a> {
    fn of(plan: &'a Plan, outcome: &Outcome) -> Self {
        let node = outcome.upstream.zip(outcome.node);
        let node = node.and_then(|(up, node)| plan.upstream(up).nodes.get(node.0 as usize));
        Self {
            route: outcome.route.map_or("", |route| &plan.route(route).id),
            node: node.map_or("", |node| &node.text),
        }
    }
}

/// Counts the exchange and logs it; `way` is known if its configuration is not the client's any more.
fn report(
    client: &Client,
    work: &ExchangeMemory,
    (buf, started): (&[u8], Duration),
    (mut outcome, way): (Outcome, Option<Way<'_>>),
) {
    let core = &client.core;
    core.counters().add(Counter::ClientBytesOut, outcome.sent_bytes);
    core.counters().add(Counter::ClientBytesIn, outcome.request_bytes);
    let plan = &client.live.generation.plan;
    let took = core.clock.elapsed().saturating_sub(started);
    outcome.request_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    outcome.request_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let way = way.unwrap_or_else(|| Way::of(plan, &outcome));
    let log = outcome.log_facts(way.node);
    core.clock.with_now(|now| {
        let request =
            (!buf.is_empty()).then(|| Client::request_facts(buf, &work.request, way.route));
        let marks = Some(&work.marks);
        let facts = Facts { log: Some(&log), marks, ..client.facts(now, request) };
        let books = Books {
            counters: core.counters(),
            events: core.events(),
            meters: &client.live.meters,
            listener: client.listener,
        };
        core.reporter.borrow_mut().finished(
            books,
            plan,
            (&facts, client.request_log_parts()),
            &outcome,
        );
    });
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
