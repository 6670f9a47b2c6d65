//! Regular expressions that take linear time, whatever the text.
//!
//! In: an expression in the syntax of the `regex` crate, over bytes (as PCRE's without `/u`). Out: a
//! [`Pattern`], compiled to a table: a search reads each byte once, needs no memory and shares
//! nothing but the table. Look-around and backreferences have no such table and are refused.

use std::fmt;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::values::Wrong;

/// Bytes of one table: far more than sensible expressions need.
const TABLE_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be used on the way to it.
const BUILD_BYTES_MAX: usize = 4 << 20;
/// Bytes of an expression as text.
const TEXT_BYTES_MAX: usize = 4096;

/// A compiled expression. Two are equal if they were written alike.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    ignore_case: bool,
    table: Arc<dense::DFA<Vec<u32>>>,
}

impl Pattern {
    /// Compiles an expression.
    pub(crate) fn new(text: &str, ignore_case: bool) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Err(Wrong::new("this expression is empty").help("it would match everything"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Wrong::new("this expression is too long"));
        }
        let rules = syntax::Config::new().unicode(false).utf8(false).case_insensitive(ignore_case);
        syntax::parse_with(text, &rules).map_err(|error| explain(text, &error.to_string()))?;
        let table = dense::Builder::new()
            .syntax(rules)
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(TABLE_BYTES_MAX)))
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(TABLE_BYTES_MAX))
                    .determinize_size_limit(Some(BUILD_BYTES_MAX)),
            )
            .build(text)
            .map_err(|_| {
                Wrong::new(format!("`{text}` needs too large a table"))
                    .help("repeat less: `x{1000}` and `.*` in front of it multiply")
            })?;
        Ok(Self { text: text.into(), ignore_case, table: Arc::new(table) })
    }

    /// Does it match anywhere in these bytes?
    #[must_use]
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        matches!(self.table.try_search_fwd(&Input::new(bytes).earliest(true)), Ok(Some(_)))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Are upper and lower case the same?
    #[must_use]
    pub const fn ignores_case(&self) -> bool {
        self.ignore_case
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pattern({:?})", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.ignore_case) == (&other.text, other.ignore_case)
    }
}

impl Eq for Pattern {}

/// The parser's last line says what is wrong.
fn explain(text: &str, error: &str) -> Wrong {
    let cause = error.lines().last().unwrap_or_default();
    let cause = cause.strip_prefix("error: ").unwrap_or(cause);
    let wrong = Wrong::new(format!("`{text}` is not a regular expression here: {cause}"));
    if cause.contains("look-around") || cause.contains("backreference") {
        return wrong.help("expressions take linear time; write the cases out instead");
    }
    wrong.help("the syntax is that of the Rust crate `regex`, over bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_anywhere_over_bytes() {
        for (text, hit, miss) in [
            ("^/healthz$", "/healthz", "/healthz/"),
            ("(^|,)OU=ops(,|$)", "CN=a,OU=ops", "CN=a,OU=opsx"),
            (r"^\d+$", "017", "1a"),
            ("a.c", "xxa\u{e4}", "ac"),
            (r"\bops\b", "the ops team", "opsx"),
            ("b", "abc", ""),
        ] {
            let pattern = Pattern::new(text, false).unwrap();
            // `.` is one byte.
            let hit = if text == "a.c" { "xxabc" } else { hit };
            assert!(pattern.is_match(hit.as_bytes()), "{text} {hit}");
            assert!(!pattern.is_match(miss.as_bytes()), "{text} {miss}");
        }
        assert!(Pattern::new("^ops$", true).unwrap().is_match(b"OPS"));
        assert!(!Pattern::new("^ops$", false).unwrap().is_match(b"OPS"));
        assert!(Pattern::new("^a.b$", false).unwrap().is_match(b"a\xffb"));
        assert!(!Pattern::new("^a$", false).unwrap().is_match(b"a\n"));
    }

    #[test]
    fn what_has_no_table_is_refused_by_name() {
        let wrong = |text: &str| Pattern::new(text, false).unwrap_err().message;
        for text in ["^(?!/a)", "(?=a)", "(?<=a)b", "(?<!a)b"] {
            assert!(wrong(text).contains("look-around"), "{}", wrong(text));
        }
        assert!(wrong(r"(a)\1").contains("backreference"), "{}", wrong(r"(a)\1"));
        for text in ["(", "[a", "*", r"\pL", "", "(?:[01]*1[01]{30}){5}"] {
            assert!(!wrong(text).is_empty());
        }
    }
}
