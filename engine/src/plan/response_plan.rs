//! `response`, compiled: what is made of the responses of a route.
//!
//! In: a status and the facts of a request. Out: changes of the head, and perhaps another status and body. Rules
//! apply one after another; each sees the status that the upstream sent.

use ferrule_config::model::{AnswerBody, HeaderValue, ResponseRule};

use super::body_filter::BodyFiltersPlan;
use super::condition::Condition;
use super::facts::Facts;
use super::headers::FieldPlan;
use super::static_answer::BodyPlan;
use super::template::Compiler;

/// One rule.
#[derive(Debug)]
pub struct ResponseRulePlan {
    when: Option<Condition>,
    /// Another status.
    pub status: Option<u16>,
    /// Another body.
    pub body: Option<BodyPlan>,
    /// What it is; empty for what the response says.
    pub content_type: Box<[u8]>,
    /// What is searched and replaced in the upstream's body.
    pub filters: Option<BodyFiltersPlan>,
    add: Box<[FieldPlan]>,
    set: Box<[FieldPlan]>,
    remove: Box<[Box<str>]>,
}

/// A change of one field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldChange<'a> {
    /// Another line of this name and value.
    Add(&'a [u8], &'a [u8]),
    /// One line in the place of all of this name.
    Set(&'a [u8], &'a [u8]),
    /// None of this name.
    Remove(&'a [u8]),
}

impl ResponseRulePlan {
    pub(super) fn build(rule: &ResponseRule, compiler: &mut Compiler) -> Self {
        let content_type = rule.content_type.as_deref().unwrap_or_default();
        let status = rule.status.unwrap_or(200);
        let body = match &rule.body {
            AnswerBody::Unsaid => None,
            body => Some(BodyPlan::build(body, status, content_type, compiler)),
        };
        let mut fields = |fields: &[HeaderValue]| {
            fields.iter().map(|field| FieldPlan::build(field, compiler)).collect()
        };
        Self {
            add: fields(&rule.headers.add),
            set: fields(&rule.headers.set),
            when: rule.when.as_ref().map(|when| Condition::build(when, compiler)),
            status: rule.status,
            body,
            content_type: content_type.as_bytes().into(),
            filters: BodyFiltersPlan::build(&rule.filters),
            remove: rule.headers.remove.iter().map(|name| name.as_str().into()).collect(),
        }
    }

    /// Is this response meant? `value` is scratch space.
    pub fn holds(&self, facts: &Facts<'_>, value: &mut Vec<u8>) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(facts, value))
    }

    /// Hands out its changes in APISIX's order: add, set, remove. `value` is scratch space.
    pub fn each_change(
        &self,
        facts: &Facts<'_>,
        value: &mut Vec<u8>,
        put: &mut dyn FnMut(FieldChange<'_>),
    ) {
        for field in &self.add {
            value.clear();
            if field.value.render_value(facts, value) {
                put(FieldChange::Add(field.name.as_bytes(), value));
            }
        }
        let mut before = None;
        for field in &self.set {
            value.clear();
            let name = field.name.as_bytes();
            let fits = field.value.render_value(facts, value);
            // The values of a list stand side by side: the first replaces what is there.
            match (fits, before == Some(name)) {
                (true, true) => put(FieldChange::Add(name, value)),
                (true, false) => put(FieldChange::Set(name, value)),
                (false, true) => {}
                (false, false) => put(FieldChange::Remove(name)),
            }
            before = Some(name);
        }
        for name in &self.remove {
            put(FieldChange::Remove(name.as_bytes()));
        }
    }
}
