//! Named parts of values, compiled: what an expression of a route's conditions found.
//!
//! In: what is known of a request that takes the route. Out: the values of `$capture_NAME`. Of what a certificate
//! may have several of, it is the first one that matches; one that cannot be read gives nothing.

use ferrule_config::capture_pattern::{CaptureMemory, CapturePattern};
use ferrule_config::model;
use ferrule_config::template as config;

use super::captures::Captures;
use super::facts::Facts;
use super::template::{Compiler, Template, render};

/// What is searched in; reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub struct CaptureSpace {
    memory: CaptureMemory,
    value: Vec<u8>,
}

/// An expression that names parts of a value.
#[derive(Debug)]
pub struct NamedCapture {
    source: CaptureSource,
    pattern: CapturePattern,
    names: Box<[GroupName]>,
}

/// Where the value comes from.
#[derive(Debug)]
enum CaptureSource {
    /// One value.
    One(Template),
    /// Every value of this place in the client's identity.
    Every(usize),
}

#[derive(Debug)]
struct GroupName {
    /// The name of the variable.
    name: Box<[u8]>,
    group: usize,
}

impl NamedCapture {
    pub(super) fn build(capture: &model::NamedCapture, compiler: &mut Compiler) -> Self {
        let piece = config::Piece::Variable(capture.variable.clone());
        let template = compiler.compile_unescaped(&config::Template { pieces: vec![piece] });
        let every = template.client_value().and_then(|value| compiler.wanted().every(value));
        let names = capture.names.iter().map(|named| GroupName {
            name: format!("capture_{}", named.name).into_bytes().into(),
            group: named.group,
        });
        Self {
            source: every.map_or(CaptureSource::One(template), CaptureSource::Every),
            pattern: capture.pattern.clone(),
            names: names.collect(),
        }
    }

    /// Notes what it finds.
    pub(super) fn read(
        &self,
        facts: &Facts<'_>,
        space: &mut CaptureSpace,
        captures: &mut Captures,
    ) {
        let CaptureSpace { memory, value } = space;
        match &self.source {
            CaptureSource::One(template) => {
                value.clear();
                render(template, facts, value);
                // As in a condition: nothing is found in what is not there.
                if !value.is_empty() {
                    self.search(value, memory, captures);
                }
            }
            CaptureSource::Every(at) => {
                let every = facts.client.and_then(|client| client.values.every(*at));
                if let Some(every) =
                    every.filter(|every| !every.is_unreadable() && !every.may_be_any())
                {
                    let _ = every.values().any(|value| self.search(value, memory, captures));
                }
            }
        }
    }

    fn search(&self, value: &[u8], memory: &mut CaptureMemory, captures: &mut Captures) -> bool {
        let found = !value.is_empty() && self.pattern.find(value, memory);
        if found {
            for GroupName { name, group } in &self.names {
                if let Some(part) = memory.group(*group).and_then(|range| value.get(range)) {
                    captures.put(name, part);
                }
            }
        }
        found
    }
}
