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
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, Look};

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
    place: Anchored,
    table: Arc<dense::DFA<Vec<u32>>>,
}

impl Pattern {
    /// Compiles an expression that is looked for anywhere.
    pub(crate) fn new(text: &str, ignore_case: bool) -> Result<Self, Wrong> {
        Self::compile(text, ignore_case, Anchored::No)
    }

    /// Compiles an expression for paths that match from their start on, whether it begins with `^` or
    /// not. What would match the start of every path is refused: nobody means that.
    pub(crate) fn of_paths(text: &str) -> Result<Self, Wrong> {
        let pattern = Self::compile(text, false, Anchored::Yes)?;
        let hir = syntax::parse_with(text, &rules(false));
        let known = hir.map(|hir| (reach(&hir), hir.properties().minimum_len()));
        if matches!(known, Ok((_, Some(0)))) {
            return Err(Wrong::new(format!("`{text}` matches a path of no letters")).help(
                "so it matches the start of every path: drop the empty case, or close it with `$`",
            ));
        }
        if matches!(known, Ok((Reach::Mixed, _))) {
            return Err(Wrong::new(format!("`{text}` begins with `^` in some of its cases only"))
                .help("write `^(?:one|two)$`, or an expression for each"));
        }
        if PATHS.iter().all(|path| pattern.is_match(path)) {
            return Err(Wrong::new(format!("`{text}` matches whatever the path is")).help(
                "name the paths; `verify = \"optional\"` asks nobody to show a certificate",
            ));
        }
        Ok(pattern)
    }

    fn compile(text: &str, ignore_case: bool, place: Anchored) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Err(Wrong::new("this expression is empty").help("it would match everything"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Wrong::new("this expression is too long"));
        }
        let rules = rules(ignore_case);
        let start = if place == Anchored::No { StartKind::Unanchored } else { StartKind::Anchored };
        syntax::parse_with(text, &rules).map_err(|error| explain(text, &error.to_string()))?;
        let table = dense::Builder::new()
            .syntax(rules)
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(TABLE_BYTES_MAX)))
            .configure(
                dense::Config::new()
                    .start_kind(start)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(TABLE_BYTES_MAX))
                    .determinize_size_limit(Some(BUILD_BYTES_MAX)),
            )
            .build(text)
            .map_err(|_| {
                Wrong::new(format!("`{text}` needs too large a table"))
                    .help("repeat less: `x{1000}` and `.*` in front of it multiply")
            })?;
        Ok(Self { text: text.into(), ignore_case, place, table: Arc::new(table) })
    }

    /// Does it match these bytes, anywhere or from their start on?
    #[must_use]
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        let input = Input::new(bytes).anchored(self.place).earliest(true);
        matches!(self.table.try_search_fwd(&input), Ok(Some(_)))
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
        (&self.text, self.ignore_case, self.place) == (&other.text, other.ignore_case, other.place)
    }
}

impl Eq for Pattern {}

/// Paths that have nothing in common but that they are paths.
const PATHS: [&[u8]; 4] = [b"/a0/never", b"/Zq-7", b"/_x.y/z", b"/9~/%2F"];

/// Where the cases of an expression say that they begin.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reach {
    /// All alike.
    Whole,
    /// Some at the start of the text, others anywhere.
    Mixed,
}

fn reach(hir: &Hir) -> Reach {
    let properties = hir.properties();
    let all = properties.look_set_prefix().contains(Look::Start);
    let any = properties.look_set_prefix_any().contains(Look::Start);
    if any && !all { Reach::Mixed } else { Reach::Whole }
}

fn rules(ignore_case: bool) -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false).case_insensitive(ignore_case)
}

/// The parser's last line says what is wrong.
pub(crate) fn explain(text: &str, error: &str) -> Wrong {
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
    fn expressions_for_paths_match_from_the_start() {
        for (text, hit, miss) in [
            ("^/healthz$", "/healthz", "/healthz/"),
            ("/hello[0-9]+", "/hello1/x", "/admin/hello1"),
            ("^/(healthz|metrics)$", "/metrics", "/admin/metrics"),
            ("^/a$|^/b$", "/b", "/a/b"),
            ("/healthz|/metrics", "/metrics", "/admin/metrics"),
            ("^/$", "/", "/a"),
            ("(?i)^/health", "/HEALTHZ", "/x/health"),
            ("(?m)^/health", "/health", "/x\n/health"),
            ("^/[a-z]+/health$", "/a/health", "/a/b/health"),
        ] {
            let pattern = Pattern::of_paths(text).unwrap();
            assert!(pattern.is_match(hit.as_bytes()), "{text} {hit}");
            assert!(!pattern.is_match(miss.as_bytes()), "{text} {miss}");
        }
        for text in [
            "^/healthz|/metrics",
            "/metrics|^/healthz",
            "^/healthz$|",
            "|^/healthz$",
            "^/(?i)health|admin",
            "(^/a|/b)",
            "(?:^/a|/b)$",
            "(^)?/a",
            "^/*",
            "^(/healthz)?",
            "(^/healthz$)?",
            "^(/a|)",
            "^/?",
            "^",
            "^$",
            "$",
            "x*",
            "^/",
            "/",
            "^/.*",
            "^/.+$",
            "^[^ ]",
            "^/[^/]",
            "(?s).",
        ] {
            assert!(Pattern::of_paths(text).is_err(), "{text}");
        }
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
