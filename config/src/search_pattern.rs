//! Regular expressions that are looked for again and again in a long text: the bodies of responses.
//!
//! In: an expression in the syntax of the `regex` crate, over bytes. Out: a [`SearchPattern`], which finds the leftmost
//! match as PCRE does. A table finds where a match ends and another one where it begins, at one step for each byte;
//! only for its groups is the machine of [`CapturePattern`] asked, within the match. One search may read far beyond
//! its match, and the next one again: so each step is charged to a budget, and what is over it is no answer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::capture_pattern::{CaptureMemory, CapturePattern};
use crate::values::Wrong;

/// Bytes of one table, of which an expression has two.
const TABLE_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be used on the way to one.
const BUILD_BYTES_MAX: usize = 4 << 20;

/// A compiled expression.
#[derive(Clone)]
pub struct SearchPattern {
    groups: CapturePattern,
    tables: Arc<Tables>,
}

/// Where matches end, and where they begin.
struct Tables {
    forward: dense::DFA<Vec<u32>>,
    backward: dense::DFA<Vec<u32>>,
}

/// Steps that searches may still take; one reads one byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SearchBudget(u64);

/// The budget was spent before an answer was known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetSpent;

impl SearchBudget {
    /// So many steps.
    #[must_use]
    pub const fn of(steps: u64) -> Self {
        Self(steps)
    }

    /// What is left of it.
    #[must_use]
    pub const fn left(self) -> u64 {
        self.0
    }

    fn charge(&mut self, steps: usize) -> Result<(), BudgetSpent> {
        let left = u64::try_from(steps).ok().and_then(|steps| self.0.checked_sub(steps));
        self.0 = left.unwrap_or(0);
        left.map(|_| ()).ok_or(BudgetSpent)
    }
}

impl SearchPattern {
    /// Compiles an expression.
    pub(crate) fn new(text: &str) -> Result<Self, Wrong> {
        let groups = CapturePattern::new(text)?;
        let build = |backward: bool| {
            let nfa = thompson::Config::new()
                .utf8(false)
                .reverse(backward)
                .nfa_size_limit(Some(TABLE_BYTES_MAX));
            let (start, kind) = match backward {
                true => (StartKind::Anchored, MatchKind::All),
                false => (StartKind::Unanchored, MatchKind::LeftmostFirst),
            };
            let table = dense::Config::new()
                .start_kind(start)
                .match_kind(kind)
                .dfa_size_limit(Some(TABLE_BYTES_MAX))
                .determinize_size_limit(Some(BUILD_BYTES_MAX));
            let rules = syntax::Config::new().unicode(false).utf8(false);
            let mut builder = dense::Builder::new();
            builder.syntax(rules).thompson(nfa).configure(table);
            builder.build(text).map_err(|_| {
                Wrong::new(format!("`{text}` needs too large a table"))
                    .help("repeat less: `x{1000}` and `.*` in front of it multiply")
            })
        };
        let tables = Tables { forward: build(false)?, backward: build(true)? };
        Ok(Self { groups, tables: Arc::new(tables) })
    }

    /// As it was written, with its groups.
    #[must_use]
    pub const fn groups(&self) -> &CapturePattern {
        &self.groups
    }

    /// The leftmost match from `at` on.
    ///
    /// # Errors
    /// [`BudgetSpent`]
    pub fn find(
        &self,
        bytes: &[u8],
        at: usize,
        budget: &mut SearchBudget,
    ) -> Result<Option<Range<usize>>, BudgetSpent> {
        let Some(end) = self.end(bytes, at, budget)? else { return Ok(None) };
        budget.charge(end.saturating_sub(at))?;
        let input = Input::new(bytes).span(at..end).anchored(Anchored::Yes);
        let start = self.tables.backward.try_search_rev(&input).ok().flatten();
        Ok(start.map(|start| start.offset()..end))
    }

    /// Where the leftmost match ends. Written out, because it counts its steps.
    fn end(
        &self,
        bytes: &[u8],
        at: usize,
        budget: &mut SearchBudget,
    ) -> Result<Option<usize>, BudgetSpent> {
        let table = &self.tables.forward;
        let rest = bytes.get(at..).unwrap_or_default();
        let Ok(mut state) = table.start_state_forward(&Input::new(bytes).range(at..)) else {
            return Ok(None);
        };
        let most = usize::try_from(budget.left()).unwrap_or(usize::MAX).min(rest.len());
        let mut end = None;
        for (step, byte) in rest.iter().take(most).enumerate() {
            state = table.next_state(state, *byte);
            if table.is_special_state(state) {
                if table.is_match_state(state) {
                    // A match is known one byte late.
                    end = Some(at + step);
                } else if table.is_dead_state(state) {
                    budget.charge(step + 1)?;
                    return Ok(end);
                }
            }
        }
        budget.charge(rest.len())?;
        state = table.next_eoi_state(state);
        Ok(if table.is_match_state(state) { Some(bytes.len()) } else { end })
    }

    /// Notes where the groups are in a match that [`Self::find`] has found.
    ///
    /// # Errors
    /// [`BudgetSpent`]
    pub fn find_groups(
        &self,
        bytes: &[u8],
        found: &Range<usize>,
        memory: &mut CaptureMemory,
        budget: &mut SearchBudget,
    ) -> Result<(), BudgetSpent> {
        let steps = self.groups.steps(found.len()).saturating_add(1);
        budget.charge(steps)?;
        let _ = self.groups.find_at_start(bytes, found, memory);
        Ok(())
    }
}

impl fmt::Debug for SearchPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SearchPattern({:?})", self.groups.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, text: &str, steps: u64) -> Result<Vec<Range<usize>>, BudgetSpent> {
        let pattern = SearchPattern::new(pattern).unwrap();
        let (mut budget, mut at, mut found) = (SearchBudget::of(steps), 0, Vec::new());
        while let Some(one) = pattern.find(text.as_bytes(), at, &mut budget)? {
            at = one.end.max(one.start + 1);
            found.push(one);
            if at > text.len() {
                break;
            }
        }
        Ok(found)
    }

    /// The crate's own engine finds the same.
    #[test]
    fn matches_are_where_the_machine_finds_them() {
        let patterns = [
            "l",
            "l+",
            "hello|hell",
            "hell|hello",
            r"\bw",
            r"\w\S+$",
            "^",
            "$",
            "(?m)^.",
            "x*",
            "o.*?r",
            "(a|ab)(c|bcd)",
        ];
        for (pattern, text) in patterns.iter().flat_map(|one| {
            ["", "hello world", "hello\nworld\n", "abcd abcd", "lll"].map(|text| (*one, text))
        }) {
            let wanted = {
                let machine = CapturePattern::new(pattern).unwrap();
                let (mut memory, mut at, mut found) = (CaptureMemory::default(), 0, Vec::new());
                while at <= text.len()
                    && machine.find_within(text.as_bytes(), &(at..text.len()), &mut memory)
                {
                    let one = memory.group(0).unwrap();
                    at = one.end.max(one.start + 1);
                    found.push(one);
                }
                found
            };
            assert_eq!(all(pattern, text, 10_000), Ok(wanted), "{pattern} {text:?}");
        }
    }

    /// Each search reads to the end, and finds a match at its beginning.
    #[test]
    fn what_would_read_the_text_again_and_again_is_stopped() {
        let text = "a".repeat(4_000);
        assert_eq!(all("a.*z|a", &text, 64 * 4_000), Err(BudgetSpent));
        assert_eq!(all("a", &text, 64 * 4_000).map(|found| found.len()), Ok(4_000));
        assert_eq!(all("b", &text, 3_999), Err(BudgetSpent));
        assert_eq!(all("b", &text, 4_000), Ok(Vec::new()));
    }

    #[test]
    fn groups_are_those_of_the_match() {
        let pattern = SearchPattern::new(r"(h)(e)?(x)?").unwrap();
        let (mut memory, mut budget) = (CaptureMemory::default(), SearchBudget::of(1_000));
        let text = b"ahe";
        let found = pattern.find(text, 0, &mut budget).unwrap().unwrap();
        pattern.find_groups(text, &found, &mut memory, &mut budget).unwrap();
        let groups: Vec<_> = (0..4).map(|at| memory.group(at)).collect();
        assert_eq!(groups, [Some(1..3), Some(1..2), Some(2..3), None]);
        assert!(SearchPattern::new("(?=a)").is_err());
    }
}
