//! Regular expressions whose groups are asked for, in time that is linear in the text.
//!
//! In: an expression in the syntax of the `regex` crate, over bytes. Out: a [`CapturePattern`], which finds the
//! leftmost match as PCRE does, and what each group holds. It is a machine without backtracking: each byte of
//! the text costs at most one step for each of its states, of which there are few. Where each byte leaves it one choice
//! at most and it begins where the text does, as `^/old/(.*)$`, a table does the same in one step for each byte.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::Anchored;
use regex_automata::dfa::onepass;
use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;

use crate::values::Wrong;

/// Bytes of one machine: a few hundred states. What a request costs grows with it.
const MACHINE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of the table that does the same where it can.
const TABLE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an expression as text.
const TEXT_BYTES_MAX: usize = 1024;
/// Groups of one expression.
const GROUPS_MAX: usize = 32;

/// A compiled expression with groups. Two are equal if they were written alike.
#[derive(Clone)]
pub struct CapturePattern {
    text: Box<str>,
    machine: Arc<PikeVM>,
    table: Option<Arc<onepass::DFA>>,
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
    cache: Option<MachineCache>,
    table_cache: Option<TableCache>,
    slots: Vec<Option<NonMaxUsize>>,
}

/// What a machine works in, and which: another one needs another size. It keeps that machine, so that no other one can
/// stand in its place in memory.
#[derive(Debug)]
struct MachineCache {
    machine: Arc<PikeVM>,
    cache: Cache,
}

/// Likewise of a table.
#[derive(Debug)]
struct TableCache {
    table: Arc<onepass::DFA>,
    cache: onepass::Cache,
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
        let config = onepass::Config::new().size_limit(Some(TABLE_BYTES_MAX));
        let table =
            onepass::Builder::new().configure(config).build_from_nfa(machine.get_nfa().clone());
        let table = table.ok().map(Arc::new);
        Ok(Self { text: text.into(), machine: Arc::new(machine), table })
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

    /// How many steps of a table the groups of a match of so many bytes cost at most, about: without a table of its own,
    /// several states are followed at once.
    pub(crate) fn steps(&self, bytes: usize) -> usize {
        if self.table.is_some() {
            return bytes;
        }
        bytes.saturating_mul(self.machine.get_nfa().states().len())
    }

    /// Looks for it. If it is there, [`CaptureMemory::group`] says where.
    #[must_use]
    pub fn find(&self, bytes: &[u8], memory: &mut CaptureMemory) -> bool {
        self.find_within(bytes, &(0..bytes.len()), memory)
    }

    /// The same in a part of a text, of which the rest is seen by `^`, `$` and `\b`.
    pub(crate) fn find_within(
        &self,
        bytes: &[u8],
        part: &Range<usize>,
        memory: &mut CaptureMemory,
    ) -> bool {
        let begins = self.machine.get_nfa().is_always_start_anchored();
        self.find_as(bytes, part, begins, memory)
    }

    /// The same, of a match that is known to begin where the part does.
    pub(crate) fn find_at_start(
        &self,
        bytes: &[u8],
        part: &Range<usize>,
        memory: &mut CaptureMemory,
    ) -> bool {
        self.find_as(bytes, part, true, memory)
    }

    fn find_as(
        &self,
        bytes: &[u8],
        part: &Range<usize>,
        begins: bool,
        memory: &mut CaptureMemory,
    ) -> bool {
        let CaptureMemory { cache, table_cache, slots } = memory;
        slots.clear();
        slots.resize(self.machine.get_nfa().group_info().slot_len(), None);
        let anchored = if begins { Anchored::Yes } else { Anchored::No };
        let input = regex_automata::Input::new(bytes).range(part.clone()).anchored(anchored);
        if begins && let Some(table) = &self.table {
            let TableCache { table: known, cache } = table_cache.get_or_insert_with(|| {
                TableCache { table: Arc::clone(table), cache: table.create_cache() }
            });
            if !Arc::ptr_eq(known, table) {
                cache.reset(table);
                known.clone_from(table);
            }
            // It gives up only where it was asked in a way that it does not know.
            return table.try_search_slots(cache, &input, slots).is_ok_and(|found| found.is_some());
        }
        let MachineCache { machine: known, cache } = cache.get_or_insert_with(|| MachineCache {
            machine: Arc::clone(&self.machine),
            cache: self.machine.create_cache(),
        });
        if !Arc::ptr_eq(known, &self.machine) {
            cache.reset(&self.machine);
            known.clone_from(&self.machine);
        }
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
            ("^/old/(.*)$", "/old/a/b", Some("/old/a/b|a/b")),
            ("^/old/(.*)$", "/x/old/a", None),
            ("^/(.*)/(.*)$", "/a/b/c", Some("/a/b/c|a/b|c")),
        ] {
            let pattern = CapturePattern::new(text).unwrap();
            // As the machine finds them, too.
            let machine = CapturePattern { table: None, ..pattern.clone() };
            assert_eq!(
                machine.find(path.as_bytes(), &mut memory),
                pattern.find(path.as_bytes(), &mut CaptureMemory::default()),
                "{text} {path}"
            );
            let by_machine: Vec<_> = (0..pattern.groups()).map(|at| memory.group(at)).collect();
            let found = pattern.find(path.as_bytes(), &mut memory).then(|| {
                let by_table: Vec<_> = (0..pattern.groups()).map(|at| memory.group(at)).collect();
                assert_eq!(by_table, by_machine, "{text} {path}");
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
