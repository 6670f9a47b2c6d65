//! What a route asks for beside forwarding, compiled.
//!
//! A route that only forwards has none, so that one test in a request's path tells. Each feature adds what is
//! its own here, and a step to `shell/request/policy_steps.rs`.

use ferrule_config::Config;
use ferrule_config::model::{Route, UriPattern};

use super::captures::Captures;
use super::cors::CorsPlan;
use super::facts::Facts;
use super::ids::LimitId;
use super::named_capture::{CaptureSpace, NamedCapture};
use super::param_path::ParamPattern;
use super::request_limits::LimitTable;
use super::reshape::{RedirectPlan, RewritePlan};
use super::response_plan::ResponseRulePlan;
use super::split::TrafficSplit;
use super::static_answer::StaticAnswerPlan;
use super::template::Compiler;

/// What a route asks for beside forwarding.
#[derive(Debug)]
pub struct RoutePolicy {
    /// It has a circuit breaker.
    pub breaks: bool,
    /// Another request than the client's is sent.
    pub rewrite: Option<RewritePlan>,
    /// Clients are sent elsewhere.
    pub redirect: Option<RedirectPlan>,
    /// It answers by itself (`return`).
    pub answer: Option<StaticAnswerPlan>,
    /// What is made of responses.
    pub response: Box<[ResponseRulePlan]>,
    /// Which pages of other origins may read them.
    pub cors: Option<CorsPlan>,
    /// The limits that a request must pass, in their order.
    pub limits: Box<[LimitId]>,
    /// Other upstreams for some of its requests.
    pub split: Option<TrafficSplit>,
    /// Its paths with parameters.
    params: Box<[ParamPattern]>,
    /// What its conditions name parts of.
    captures: Box<[NamedCapture]>,
}

impl RoutePolicy {
    /// That of a route; `None` if it only forwards. `turns` counts the turns of all traffic splits so far.
    pub(super) fn of(
        route: &Route,
        config: &Config,
        compiler: &mut Compiler,
        limits: &mut LimitTable,
        turns: &mut usize,
    ) -> Option<Box<Self>> {
        let params = route.uris.iter().filter_map(|uri| match uri {
            UriPattern::Params(path) => Some(ParamPattern::build(path)),
            UriPattern::Exact(_) | UriPattern::Prefix(_) => None,
        });
        let rewrite = route.rewrite.as_ref();
        let redirect = route.redirect.as_ref();
        let answer = route.answer.as_ref();
        let policy = Self {
            breaks: route.breaker.is_some(),
            rewrite: rewrite.map(|rewrite| RewritePlan::build(rewrite, compiler)),
            redirect: redirect.map(|redirect| RedirectPlan::build(redirect, compiler)),
            answer: answer.map(|answer| StaticAnswerPlan::build(answer, compiler)),
            limits: limits.of_route(route, compiler),
            response: route
                .response
                .iter()
                .map(|rule| ResponseRulePlan::build(rule, compiler))
                .collect(),
            cors: route.cors.as_ref().map(CorsPlan::build),
            split: TrafficSplit::build(route, config, compiler, turns),
            params: params.collect(),
            captures: route.captures.iter().map(|one| NamedCapture::build(one, compiler)).collect(),
        };
        // A prefix that is stripped is looked for where a rewrite is.
        (!policy.is_empty() || route.strip_prefix.is_some()).then(|| Box::new(policy))
    }

    const fn is_empty(&self) -> bool {
        let answers = self.redirect.is_some() || self.answer.is_some() || self.cors.is_some();
        let forwards = !self.breaks && self.rewrite.is_none() && self.split.is_none();
        let lets_pass = self.response.is_empty() && self.limits.is_empty();
        !answers && forwards && lets_pass && !self.has_captures()
    }

    /// May the client's response be another one than the upstream's, whatever the steps before it have noted?
    #[must_use]
    pub fn shapes_responses(&self) -> bool {
        let sends_another = |rewrite: &RewritePlan| rewrite.method.is_some();
        !self.response.is_empty() || self.rewrite.as_ref().is_some_and(sends_another)
    }

    /// May the body of a response be searched? Then it is asked for whole, and as it is.
    #[must_use]
    pub fn filters_bodies(&self) -> bool {
        self.response.iter().any(|rule| rule.filters.is_some())
    }

    /// Does it note anything of a request?
    #[must_use]
    pub const fn has_captures(&self) -> bool {
        !self.params.is_empty() || !self.captures.is_empty()
    }

    /// Notes what stands in place of the parameters of a path, by the first of the route's paths with that shape.
    pub fn read_path(&self, path: &[u8], captures: &mut Captures) {
        let _ = self.params.iter().any(|pattern| pattern.read(path, captures));
    }

    /// Notes the parts of values that its conditions name.
    pub fn read_values(
        &self,
        facts: &Facts<'_>,
        space: &mut CaptureSpace,
        captures: &mut Captures,
    ) {
        self.captures.iter().for_each(|one| one.read(facts, space, captures));
    }
}
