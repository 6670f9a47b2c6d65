//! The answer that a route gives by itself, compiled.
//!
//! In: `return`. Out: a status, fields and a body, whose templates are rendered for each request.

use ferrule_config::model::{AnswerBody, StaticAnswer, may_have_body};

use super::facts::Facts;
use super::headers::FieldPlan;
use super::template::{Compiler, Template, render_escaped};
use super::value_writer::Escape;

/// A route's own answer.
#[derive(Debug)]
pub struct StaticAnswerPlan {
    /// 200 to 599.
    pub status: u16,
    /// What the body is.
    pub content_type: Box<[u8]>,
    /// The body.
    pub body: BodyPlan,
    fields: Box<[FieldPlan]>,
}

/// The body of an answer from the configuration.
#[derive(Debug)]
pub enum BodyPlan {
    /// No body.
    Empty,
    /// The text of an error, for its status.
    ErrorText,
    /// As it is.
    Bytes(Box<[u8]>),
    /// A file: its place in [`Plan::body_files`](super::Plan::body_files).
    File(usize),
    /// Rendered for each request.
    Rendered(BodyTemplate),
}

/// A body with variables.
#[derive(Debug)]
pub struct BodyTemplate {
    template: Template,
    escape: Escape,
}

impl BodyTemplate {
    /// Appends the body.
    pub fn render(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        render_escaped(&self.template, facts, self.escape, out);
    }
}

impl BodyPlan {
    /// Of an answer with this status and type.
    pub(super) fn build(
        body: &AnswerBody,
        status: u16,
        content_type: &str,
        compiler: &mut Compiler,
    ) -> Self {
        match body {
            _ if !may_have_body(status) => Self::Empty,
            AnswerBody::Unsaid if status >= 400 => Self::ErrorText,
            AnswerBody::Unsaid => Self::Empty,
            AnswerBody::Bytes(bytes) => Self::Bytes(bytes.as_slice().into()),
            AnswerBody::File(index) => Self::File(*index),
            AnswerBody::Text(template) => {
                // Where a value could end a string of JSON, a client could write members of its own.
                let is_json = content_type.to_ascii_lowercase().contains("json");
                let escape = if is_json { Escape::Json } else { Escape::None };
                Self::Rendered(BodyTemplate { template: compiler.compile(template), escape })
            }
        }
    }
}

impl StaticAnswerPlan {
    pub(super) fn build(answer: &StaticAnswer, compiler: &mut Compiler) -> Self {
        let body = BodyPlan::build(&answer.body, answer.status, &answer.content_type, compiler);
        let fields = answer.headers.iter().map(|header| FieldPlan::build(header, compiler));
        Self {
            status: answer.status,
            content_type: answer.content_type.as_bytes().into(),
            fields: fields.collect(),
            body,
        }
    }

    /// Appends the lines of its fields.
    pub fn render_fields(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for field in &self.fields {
            field.render(facts, out);
        }
    }
}
