//! What a route's policy makes of the upstream's response, while the exchange is under way.
//!
//! In: a response head that was admitted. Out: the head that the client gets, and the body where it is ours. The
//! request is kept aside meanwhile, because the memory it stood in is worked in.

use std::cell::{Ref, RefCell};
use std::mem::take;
use std::time::Duration;

use super::context::ExchangeContext;
use super::memory::ExchangeMemory;
use super::shape_memory::ShapeMemory;
use crate::exchange::Scratch;
use crate::exchange::response::{Delivery, PendingRequest};
use crate::exchange::response_block::ResponseBlock;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::response_shape::{
    ResponseChange, ShapedResponse, content_types, is_filterable, shaped_head,
};
use crate::identity::ClientIdentity;
use crate::plan::attempts::AttemptRecord;
use crate::plan::body_filter::BodyFiltersPlan;
use crate::plan::facts::{ConnectionFacts, LogFacts, Now, SessionFacts};
use crate::plan::response_plan::{FieldChange, ResponseRulePlan};
use crate::plan::static_answer::BodyPlan;
use crate::plan::{Facts, NodePlan, RequestIds, RoutePolicy};
use crate::shell::client::connection::Client;
use crate::wire::head::{Method, RequestHead};
use crate::wire::view::ResponseView;

/// The parts of the memory that a request stands in.
#[derive(Debug, Default)]
pub(super) struct KeptRequest {
    head: RequestHead,
    scratch: Scratch,
    request_ids: RequestIds,
    block: ResponseBlock,
    /// The tries at nodes so far, the one that is under way among them.
    attempts: RefCell<Vec<AttemptRecord>>,
    /// What the response is worked out in.
    shape: RefCell<ShapeMemory>,
}

impl KeptRequest {
    pub(super) fn take(memory: &mut ExchangeMemory) -> Self {
        Self {
            head: take(&mut memory.head),
            scratch: take(&mut memory.request),
            request_ids: memory.request_ids,
            block: take(&mut memory.block),
            attempts: RefCell::new(take(&mut memory.attempts)),
            shape: RefCell::new(take(&mut memory.shape)),
        }
    }

    pub(super) fn give_back(self, memory: &mut ExchangeMemory) {
        memory.head = self.head;
        memory.request = self.scratch;
        memory.block = self.block;
        memory.attempts = self.attempts.into_inner();
        memory.shape = self.shape.into_inner();
    }
}

/// What is made of the response.
pub(crate) struct ResponseShape<'a> {
    policy: &'a RoutePolicy,
    /// The files that are bodies of answers.
    files: &'a [Box<[u8]>],
    /// What the tries count in.
    nodes: &'a [NodePlan],
    /// What templates may read, but for the time, the status and the tries.
    facts: Facts<'a>,
    kept: &'a KeptRequest,
}

/// When a response's head is there.
#[derive(Clone, Copy)]
pub(super) struct ShapeMoment<'a> {
    pub(super) now: Now<'a>,
    /// By the core's clock.
    pub(super) elapsed: Duration,
}

/// What is known of the client of a response.
#[derive(Clone, Copy)]
pub(super) struct ShapedClient<'a> {
    pub(super) connection: &'a ConnectionFacts,
    pub(super) session: Option<&'a SessionFacts>,
    pub(super) identity: Option<&'a ClientIdentity>,
}

impl<'a> ResponseShape<'a> {
    /// For a request on a route with this policy, where `client` is what is known of its client.
    pub(super) fn new(
        request: &ExchangeContext<'a>,
        policy: &'a RoutePolicy,
        kept: &'a KeptRequest,
        client: ShapedClient<'a>,
    ) -> Self {
        let plan = &request.live.generation.plan;
        let route_id = &plan.route(request.admission.route).id;
        let head = kept.head.view(request.buf);
        let facts = Facts {
            connection: client.connection,
            session: client.session,
            client: client.identity,
            request: Some(Client::request_facts(head, &kept.scratch, route_id)),
            now: Now { unix_seconds: 0, millis: 0, http_date: "", local: "", iso8601: "" },
            log: None,
            request_ids: Some(&kept.request_ids),
        };
        Self { policy, files: &plan.body_files, nodes: &request.upstream().nodes, facts, kept }
    }

    /// The method by which the client asked.
    const fn asked(&self) -> Method {
        self.kept.head.method
    }

    /// What has changed in the head.
    pub(super) fn block(&self) -> Ref<'a, ResponseBlock> {
        Ref::map(self.kept.shape.borrow(), |shape| &shape.block)
    }

    /// The filters that the body of the response is for, in their order.
    pub(super) fn filters(&self) -> impl Iterator<Item = &'a BodyFiltersPlan> {
        let (policy, shape) = (self.policy, self.kept.shape.borrow());
        let mut at = 0;
        std::iter::from_fn(move || {
            let number = shape.filters.get(at).copied()?;
            at += 1;
            policy.response.get(number)?.filters.as_ref()
        })
    }

    /// Appends the head that the client gets, and a body of ours behind it.
    ///
    /// # Errors
    /// Its body is to be filtered, and cannot be.
    pub(super) fn append(
        &self,
        response: ResponseView<'_>,
        delivery: &Delivery,
        pending: &PendingRequest<'_>,
        moment: ShapeMoment<'_>,
        out: &mut Vec<u8>,
    ) -> Result<ShapedResponse, ResponseFault> {
        let attempts = &mut *self.kept.attempts.borrow_mut();
        // What is recorded of it when it is over, as far as it is known by now.
        let under_way = attempts.last().copied();
        if let Some(attempt) = attempts.last_mut() {
            attempt.status = Some(delivery.status);
            attempt.header_micros = Some(attempt.micros_until(moment.elapsed));
        }
        let status = delivery.status;
        let log = LogFacts { status, attempts, nodes: self.nodes, ..LogFacts::default() };
        let facts = Facts { now: moment.now, log: Some(&log), ..self.facts };
        let shaped = self.append_with(&facts, response, delivery, pending, out);
        if let (Some(attempt), Some(under_way)) = (attempts.last_mut(), under_way) {
            *attempt = under_way;
        }
        if shaped.filtered && !is_filterable(response) {
            return Err(ResponseFault::Unfilterable);
        }
        Ok(shaped)
    }

    fn append_with(
        &self,
        facts: &Facts<'_>,
        response: ResponseView<'_>,
        delivery: &Delivery,
        pending: &PendingRequest<'_>,
        out: &mut Vec<u8>,
    ) -> ShapedResponse {
        let ShapeMemory { block, value, body, filters } = &mut *self.kept.shape.borrow_mut();
        block.copy_from(&self.kept.block);
        body.clear();
        filters.clear();
        let mut change = ResponseChange::default();
        let mut own: Option<&ResponseRulePlan> = None;
        for (number, rule) in self.policy.response.iter().enumerate() {
            if !rule.holds(facts, value) {
                continue;
            }
            if rule.filters.as_ref().is_some_and(|all| all.are_for(content_types(response))) {
                filters.push(number);
            }
            change_fields(rule, facts, value, block);
            change.status = rule.status.or(change.status);
            own = rule.body.as_ref().map(|_| rule).or(own);
        }
        if let Some(rule) = own
            && let Some(plan) = &rule.body
        {
            let bytes: &[u8] = match plan {
                BodyPlan::Empty | BodyPlan::ErrorText => &[],
                BodyPlan::Bytes(bytes) => bytes,
                BodyPlan::File(index) => {
                    self.files.get(*index).map(|file| &**file).unwrap_or_default()
                }
                BodyPlan::Rendered(template) => {
                    template.render(facts, body);
                    body
                }
            };
            (change.body, change.content_type) = (Some(bytes), &rule.content_type);
        }
        change.filtered = !filters.is_empty();
        shaped_head(response, delivery, pending, self.asked(), &change, block, out)
    }
}

/// What a rule changes of a head.
fn change_fields(
    rule: &ResponseRulePlan,
    facts: &Facts<'_>,
    value: &mut Vec<u8>,
    block: &mut ResponseBlock,
) {
    rule.each_change(facts, value, &mut |change| match change {
        FieldChange::Add(name, value) => block.add(name, value),
        FieldChange::Set(name, value) => block.set(name, value),
        FieldChange::Remove(name) => block.remove(name),
    });
}

/// What a policy's rules change in the head of an answer of ours; `log` has its status, and the tries before it.
pub(super) fn change_own_head(
    policy: &RoutePolicy,
    log: &LogFacts<'_>,
    facts: &Facts<'_>,
    value: &mut Vec<u8>,
    block: &mut ResponseBlock,
) {
    let facts = Facts { log: Some(log), ..*facts };
    for rule in &policy.response {
        if rule.holds(&facts, value) {
            change_fields(rule, &facts, value, block);
        }
    }
}
