//! Regular expressions whose groups are asked for, in time that is linear in the text.
//!
//! In: an expression in the syntax of the `regex` crate, over bytes. Out: a [`CapturePattern`], which finds the
//! leftmost match as PCRE does, and what each group holds. It is a machine without backtracking: each byte of
//! the text costs at most one step for each of its states, of which there are few.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;

use crate::values::Wrong;

/// Bytes of one machine: a few hundred states. What a request costs grows with it.
const MACHINE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of an expression as text.
const TEXT_BYTES_MAX: usize = 1024;
/// Groups of one expression.
const GROUPS_MAX: usize = 32;

/// A compiled expression with groups. Two are equal if they were written alike.
#[derive(Clone)]
pub struct CapturePattern {
    text: Box<str>,
    machine: Arc<PikeVM>,
}

/// A group of an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PatternGroup<'a> {
    /// Its number.
    pub number: usize,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
}

/// What a search works in, and what it has found; reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub struct CaptureMemory {
    cache: Option<Cache>,
    slots: Vec<Option<NonMaxUsize>>,
}

impl CapturePattern {
    /// Compiles an expression that is looked for anywhere.
    pub(crate) fn new(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Err(Wrong::new("this expression is empty").help("it would match everything"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Wrong::new("this expression is too long"));
        }
        let nfa = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(MACHINE_BYTES_MAX))
            .which_captures(WhichCaptures::All);
        let rules = syntax::Config::new().unicode(false).utf8(false);
        syntax::parse_with(text, &rules)
            .map_err(|error| crate::pattern::explain(text, &error.to_string()))?;
        let built = PikeVM::builder().syntax(rules).thompson(nfa).build(text);
        let machine = built.map_err(|_| {
            Wrong::new(format!("`{text}` needs too large a table"))
                .help("repeat less: `x{1000}` and `.*` in front of it multiply")
        })?;
        if machine.get_nfa().group_info().all_group_len() > GROUPS_MAX {
            return Err(Wrong::new(format!("`{text}` has too many groups"))
                .help("`(?:...)` groups without keeping what it matched"));
        }
        Ok(Self { text: text.into(), machine: Arc::new(machine) })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many groups it has, the whole match included.
    pub(crate) fn groups(&self) -> usize {
        self.machine.get_nfa().group_info().all_group_len()
    }

    /// The number of a named group.
    pub(crate) fn group_of(&self, name: &str) -> Option<usize> {
        let info = self.machine.get_nfa().group_info();
        info.to_index(regex_automata::PatternID::ZERO, name)
    }

    /// The groups by number, and those with a name by that as well; the whole match is 0.
    pub fn group_names(&self) -> impl Iterator<Item = PatternGroup<'_>> {
        let names =
            self.machine.get_nfa().group_info().pattern_names(regex_automata::PatternID::ZERO);
        names.enumerate().map(|(number, name)| PatternGroup { number, name })
    }

    /// Has it a group of this number or name?
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        let mut groups = self.group_names();
        groups.any(|group| group.name == Some(name) || group.number.to_string() == name)
    }

    /// Looks for it. If it is there, [`CaptureMemory::group`] says where.
    #[must_use]
    pub fn find(&self, bytes: &[u8], memory: &mut CaptureMemory) -> bool {
        let CaptureMemory { cache, slots } = memory;
        let cache = cache.get_or_insert_with(|| self.machine.create_cache());
        // It may have served another expression.
        cache.reset(&self.machine);
        slots.clear();
        slots.resize(self.machine.get_nfa().group_info().slot_len(), None);
        let input = regex_automata::Input::new(bytes);
        self.machine.search_slots(cache, &input, slots).is_some()
    }
}

impl CaptureMemory {
    /// Where a group was found; the whole match is group 0. `None` if it took no part.
    #[must_use]
    pub fn group(&self, at: usize) -> Option<Range<usize>> {
        let slot = |at: usize| self.slots.get(at).copied().flatten().map(NonMaxUsize::get);
        let start = at.checked_mul(2)?;
        Some(slot(start)?..slot(start.checked_add(1)?)?)
    }
}

impl fmt::Debug for CapturePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CapturePattern({:?})", self.text)
    }
}

impl PartialEq for CapturePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CapturePattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_as_pcre_finds_them() {
        let mut memory = CaptureMemory::default();
        for (text, path, wanted) in [
            ("^/a/(.*)$", "/a/b/c", Some("/a/b/c|b/c")),
            ("^/(a|ab)(c|bcd)?", "/abcd", Some("/abcd|a|bcd")),
            ("(?P<id>[0-9]+)", "/x/17/18", Some("17|17")),
            ("/b", "/a/b", Some("/b")),
            ("^/(x)?y", "/y", Some("/y|-")),
            ("^/z", "/a", None),
        ] {
            let pattern = CapturePattern::new(text).unwrap();
            let found = pattern.find(path.as_bytes(), &mut memory).then(|| {
                let groups = (0..pattern.groups())
                    .map(|at| memory.group(at).map_or("-", |range| path.get(range).unwrap_or("-")));
                groups.collect::<Vec<_>>().join("|")
            });
            assert_eq!(found.as_deref(), wanted, "{text} {path}");
        }
        let named = CapturePattern::new("(?P<id>a)(b)").unwrap();
        assert_eq!(
            (named.group_of("id"), named.group_of("no"), named.groups()),
            (Some(1), None, 3)
        );
    }

    #[test]
    fn what_would_cost_much_is_refused() {
        for text in ["", "(", "(?=a)b", r"(a)\1", "([a-z]{100}){100}", &"(a)".repeat(40)] {
            assert!(CapturePattern::new(text).is_err(), "{text}");
        }
    }
}
