//! Regular expressions that are looked for again and again in a long text: the bodies of responses.
//!
//! In: an expression in the syntax of the `regex` crate, over bytes. Out: a [`SearchPattern`], which finds the leftmost
//! match as PCRE does. A table finds where a match ends and another one where it begins, at one step for each byte;
//! only for its groups is the machine of [`CapturePattern`] asked, within the match. One search may read far beyond
//! its match, and the next one again: so each step is charged to a budget, and what is over it is no answer. A search
//! may be left after any step and gone on with later, so that no text is so long that others wait for its end.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::capture_pattern::{CaptureMemory, CapturePattern};
use crate::values::Wrong;

/// Bytes of one table, of which an expression has two.
const TABLE_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be used on the way to one.
const BUILD_BYTES_MAX: usize = 4 << 20;
/// Steps that the groups of one match may take: they are found without a pause, of up to 20 ms where no table finds them.
const GROUP_STEPS_MAX: usize = 1 << 20;

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

/// Steps that searches may still take, and those until others are to have their turn; one reads one byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SearchBudget {
    left: u64,
    turn: u64,
}

/// The budget was spent before an answer was known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetSpent;

/// A search under way, of one text.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Where it began.
    from: usize,
    scan: Scan,
    /// Where the match ends, once that is known: then its beginning is looked for.
    end: Option<usize>,
}

/// One table's way through a text.
#[derive(Clone, Copy, Debug)]
struct Scan {
    state: StateID,
    /// All up to here, or from here on backward, was read.
    at: usize,
    /// The best answer so far.
    found: Option<usize>,
}

/// What a search says when it was gone on with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SearchTurn {
    /// Nothing yet: the turn is over.
    More,
    /// Where the leftmost match is.
    Found(Range<usize>),
    /// That there is none.
    NotFound,
}

impl SearchBudget {
    /// So many steps, with a first turn of so many.
    #[must_use]
    pub const fn of(steps: u64, turn: u64) -> Self {
        Self { left: steps, turn }
    }

    /// Some steps more.
    pub const fn grant(&mut self, steps: u64) {
        self.left = self.left.saturating_add(steps);
    }

    /// The next turn is of so many steps.
    pub const fn begin_turn(&mut self, steps: u64) {
        self.turn = steps;
    }

    /// Is it somebody else's turn?
    #[must_use]
    pub const fn is_turn_over(self) -> bool {
        self.turn == 0
    }

    /// Other work was done, which took as long as so many steps: the turn is shorter by them, and nothing else.
    pub const fn shorten_turn(&mut self, steps: u64) {
        self.turn = self.turn.saturating_sub(steps);
    }

    /// Steps that may be taken without a pause.
    fn at_once(self) -> usize {
        usize::try_from(self.left.min(self.turn)).unwrap_or(usize::MAX)
    }

    /// A scan was left: false if it may be gone on with.
    const fn is_left(self) -> Result<bool, BudgetSpent> {
        if self.left == 0 { Err(BudgetSpent) } else { Ok(false) }
    }

    fn charge(&mut self, steps: usize) -> Result<(), BudgetSpent> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.shorten_turn(steps);
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
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

    /// Begins to look for the leftmost match from `from` on; `None` behind the end of the text.
    #[must_use]
    pub fn begin(&self, bytes: &[u8], from: usize) -> Option<Search> {
        // Elsewhere it would be no place in the text.
        let input = (from <= bytes.len()).then(|| Input::new(bytes).range(from..))?;
        let state = self.tables.forward.start_state_forward(&input).ok()?;
        Some(Search { from, scan: Scan { state, at: from, found: None }, end: None })
    }

    /// Goes on with a search, for as long as the turn lasts. `bytes` are those that it was begun with.
    ///
    /// # Errors
    /// [`BudgetSpent`]
    pub fn advance(
        &self,
        bytes: &[u8],
        search: &mut Search,
        budget: &mut SearchBudget,
    ) -> Result<SearchTurn, BudgetSpent> {
        let end = match search.end {
            Some(end) => end,
            None => {
                if !self.tables.read_on(bytes, &mut search.scan, budget)? {
                    return Ok(SearchTurn::More);
                }
                let Some(end) = search.scan.found else { return Ok(SearchTurn::NotFound) };
                let input = Input::new(bytes).span(search.from..end).anchored(Anchored::Yes);
                let Ok(state) = self.tables.backward.start_state_reverse(&input) else {
                    return Ok(SearchTurn::NotFound);
                };
                search.scan = Scan { state, at: end, found: None };
                search.end = Some(end);
                end
            }
        };
        if !self.tables.read_back(bytes, search.from, &mut search.scan, budget)? {
            return Ok(SearchTurn::More);
        }
        Ok(search.scan.found.map_or(SearchTurn::NotFound, |start| SearchTurn::Found(start..end)))
    }

    /// Notes where the groups are in a match that was found. This is not left and gone on with.
    ///
    /// # Errors
    /// [`BudgetSpent`]: also where it would take longer than others should wait.
    pub fn find_groups(
        &self,
        bytes: &[u8],
        found: &Range<usize>,
        memory: &mut CaptureMemory,
        budget: &mut SearchBudget,
    ) -> Result<(), BudgetSpent> {
        let steps = self.groups.steps(found.len()).saturating_add(1);
        budget.charge(steps)?;
        if steps > GROUP_STEPS_MAX {
            return Err(BudgetSpent);
        }
        let _ = self.groups.find_at_start(bytes, found, memory);
        Ok(())
    }
}

/// Both are written out, because they count their steps and can be left. Of an answer they know one byte late.
impl Tables {
    /// Looks for the end of the leftmost match. False if the turn was over first.
    fn read_on(
        &self,
        bytes: &[u8],
        scan: &mut Scan,
        budget: &mut SearchBudget,
    ) -> Result<bool, BudgetSpent> {
        let table = &self.forward;
        let rest = bytes.get(scan.at..).unwrap_or_default();
        let most = budget.at_once().min(rest.len());
        let Scan { mut state, at, .. } = *scan;
        for (step, byte) in rest.iter().take(most).enumerate() {
            state = table.next_state(state, *byte);
            if table.is_special_state(state) {
                if table.is_match_state(state) {
                    scan.found = Some(at + step);
                } else if table.is_dead_state(state) {
                    budget.charge(step + 1)?;
                    return Ok(true);
                }
            }
        }
        scan.state = state;
        scan.at = at + most;
        budget.charge(most)?;
        if most < rest.len() {
            return budget.is_left();
        }
        if table.is_match_state(table.next_eoi_state(state)) {
            scan.found = Some(bytes.len());
        }
        Ok(true)
    }

    /// Looks for the beginning of a match, not before `from`. False if the turn was over first.
    fn read_back(
        &self,
        bytes: &[u8],
        from: usize,
        scan: &mut Scan,
        budget: &mut SearchBudget,
    ) -> Result<bool, BudgetSpent> {
        let table = &self.backward;
        let rest = bytes.get(from..scan.at).unwrap_or_default();
        let most = budget.at_once().min(rest.len());
        let Scan { mut state, at, .. } = *scan;
        for (step, byte) in rest.iter().rev().take(most).enumerate() {
            state = table.next_state(state, *byte);
            if table.is_special_state(state) {
                if table.is_match_state(state) {
                    scan.found = Some(at - step);
                } else if table.is_dead_state(state) {
                    budget.charge(step + 1)?;
                    return Ok(true);
                }
            }
        }
        scan.state = state;
        scan.at = at - most;
        budget.charge(most)?;
        if most < rest.len() {
            return budget.is_left();
        }
        // What stands before says whether it may begin here.
        let before = from.checked_sub(1).and_then(|before| bytes.get(before));
        state = match before {
            Some(byte) => table.next_state(state, *byte),
            None => table.next_eoi_state(state),
        };
        if table.is_match_state(state) {
            scan.found = Some(from);
        }
        Ok(true)
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
        in_turns(pattern, text, steps, u64::MAX)
    }

    fn in_turns(
        pattern: &str,
        text: &str,
        steps: u64,
        turn: u64,
    ) -> Result<Vec<Range<usize>>, BudgetSpent> {
        let pattern = SearchPattern::new(pattern).unwrap();
        let (mut budget, mut at, mut found) = (SearchBudget::of(steps, turn), 0, Vec::new());
        while at <= text.len() {
            let mut search = pattern.begin(text.as_bytes(), at).unwrap();
            let one = loop {
                let before = budget;
                let said = pattern.advance(text.as_bytes(), &mut search, &mut budget)?;
                assert!(before.left - budget.left <= before.turn, "{pattern:?}");
                if said != SearchTurn::More {
                    break said;
                }
                assert!(budget.is_turn_over());
                budget.begin_turn(turn);
            };
            let SearchTurn::Found(one) = one else { break };
            at = one.end.max(one.start + 1);
            found.push(one);
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
            r"\b",
            "(?s).*d",
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
            // However long its turns are: no turn is longer than it may be, and none loses its way.
            for turn in [1, 2, 5, u64::MAX] {
                let found = in_turns(pattern, text, 10_000, turn);
                assert_eq!(found.as_ref(), Ok(&wanted), "{pattern} {text:?} {turn}");
            }
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

    /// Groups are looked for without a pause: by a table, or by a machine that takes longer.
    #[test]
    fn groups_that_take_too_long_are_not_looked_for() {
        let text = vec![b'a'; GROUP_STEPS_MAX + 1];
        let mut memory = CaptureMemory::default();
        for (pattern, fits, too_many) in [
            ("(a)(a*)", GROUP_STEPS_MAX - 1, GROUP_STEPS_MAX),
            ("(a*)(a*)(b|c|aa|ab|ac)?", 1_000, GROUP_STEPS_MAX / 10),
        ] {
            let pattern = SearchPattern::new(pattern).unwrap();
            let mut find = |len: usize| {
                let mut budget = SearchBudget::of(u64::MAX, u64::MAX);
                pattern.find_groups(&text, &(0..len), &mut memory, &mut budget)
            };
            assert_eq!(find(too_many), Err(BudgetSpent), "{pattern:?}");
            assert_eq!(find(fits), Ok(()), "{pattern:?}");
        }
    }

    #[test]
    fn groups_are_those_of_the_match() {
        let pattern = SearchPattern::new(r"(h)(e)?(x)?").unwrap();
        let (mut memory, mut budget) = (CaptureMemory::default(), SearchBudget::of(1_000, 1_000));
        let text = b"ahe";
        pattern.find_groups(text, &(1..3), &mut memory, &mut budget).unwrap();
        let groups: Vec<_> = (0..4).map(|at| memory.group(at)).collect();
        assert_eq!(groups, [Some(1..3), Some(1..2), Some(2..3), None]);
        assert!(SearchPattern::new("(?=a)").is_err());
    }
}
