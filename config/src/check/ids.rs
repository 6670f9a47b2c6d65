//! Ids of objects, and what refers to them.

use std::collections::BTreeMap;

use crate::place::Place;
use crate::problem::Problems;
use crate::raw::Raw;
use crate::values::nearest;

/// The ids of one kind of object: given once each, and made up where they are not given.
#[derive(Debug)]
pub(super) struct Ids {
    table: &'static str,
    /// Those that are given or made up so far.
    known: BTreeMap<String, KnownId>,
}

/// An id that is taken.
#[derive(Debug)]
struct KnownId {
    /// Where it was given.
    place: Place,
    /// Which object it is, if that one was whole.
    object: Option<usize>,
}

impl Ids {
    pub(super) const fn new(table: &'static str) -> Self {
        Self { table, known: BTreeMap::new() }
    }

    /// Takes the ids that are given; says which are given twice.
    pub(super) fn claim<'r>(&mut self, check: &mut Problems, raws: impl Iterator<Item = &'r Raw>) {
        for raw in raws {
            let Some(id) = raw.text("id") else { continue };
            if let Some(first) = self.known.get(&id.text) {
                let line = check.position(first.place).line;
                let message = format!("the id `{}` is taken by line {line}", id.text);
                check.push_at(id.place, raw.path("id"), message, None);
            } else {
                self.known.insert(id.text, KnownId { place: id.place, object: None });
            }
        }
    }

    /// The id of an object: given, or made up and free.
    pub(super) fn name(&mut self, raw: &Raw, made_up: String) -> String {
        if let Some(id) = raw.text("id") {
            return id.text;
        }
        let mut id = made_up;
        while self.known.contains_key(&id) {
            id.push('_');
        }
        self.known.insert(id.clone(), KnownId { place: raw.place, object: None });
        id
    }

    pub(super) fn set(&mut self, id: &str, index: usize) {
        if let Some(known) = self.known.get_mut(id) {
            known.object = Some(index);
        }
    }

    /// What an id refers to. `None` if it is dangling, or its object is not whole; both are told.
    pub(super) fn find(&self, problems: &mut Problems, raw: &Raw, key: &str) -> Option<usize> {
        let id = raw.text(key)?;
        if let Some(known) = self.known.get(&id.text) {
            return known.object;
        }
        let names = || self.known.keys().map(String::as_str);
        let help = match nearest(&id.text, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if self.known.is_empty() => format!("there are no [[{}]]", self.table),
            None => format!("known ids: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there are no [[{}]] with the id `{}`", self.table, id.text);
        problems.push_at(id.place, raw.path(key), message, Some(help));
        None
    }
}
