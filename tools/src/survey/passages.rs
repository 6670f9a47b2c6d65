//! Passages that stand in the sources twice.
//!
//! In: the text of files. Out: every run of at least twelve lines of code that stands somewhere else as
//! well, as long as it goes. Comments, `use` and blank lines do not count, nor does the space around
//! words; names do, so that what is found is a copy and not a form that the language asks for.

use std::collections::HashMap;
use std::fmt;

use super::source::Source;

/// Shorter passages are nobody's loss.
const PASSAGE_LINES_MIN: usize = 12;

/// A passage that stands in two places.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Passage {
    /// Lines of code.
    pub lines: usize,
    /// `engine/src/shell/relay.rs:95`: where it stands first.
    pub first: String,
    /// Where it stands again.
    pub second: String,
    /// Is one of the places a test?
    pub in_tests: bool,
}

impl fmt::Display for Passage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, first, second, in_tests } = self;
        let of_tests = if *in_tests { " (tests)" } else { "" };
        write!(out, "{first} and {second}: {lines} lines{of_tests}")
    }
}

/// A line of code.
#[derive(Debug)]
struct CodeLine<'source> {
    text: &'source str,
    /// From 1.
    number: usize,
    in_tests: bool,
}

/// A file's lines of code.
#[derive(Debug)]
struct CodeFile<'source> {
    source: &'source Source,
    lines: Vec<CodeLine<'source>>,
}

/// Every passage that stands in these files twice, the longest first.
#[must_use]
pub(super) fn passages(sources: &[Source]) -> Vec<Passage> {
    let files: Vec<CodeFile<'_>> = sources.iter().map(code_lines).collect();
    let mut found = Vec::new();
    let mut known: HashMap<Vec<&str>, Start> = HashMap::new();
    for (file, code) in files.iter().enumerate() {
        let mut line = 0;
        while let Some(window) = code.lines.get(line..line + PASSAGE_LINES_MIN) {
            let words = window.iter().map(|line| line.text).collect();
            let here = Start { file, line };
            let first = *known.entry(words).or_insert(here);
            let same = common(&files, first, here);
            if same == 0 {
                line += 1;
            } else {
                found.push(passage(&files, first, here, same));
                line += same;
            }
        }
    }
    found.sort_by(|one, other| other.lines.cmp(&one.lines).then_with(|| one.cmp(other)));
    found
}

/// A line of a file, both from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Start {
    file: usize,
    line: usize,
}

/// How many lines are the same from both places on; 0 where they are one place, or overlap.
fn common(files: &[CodeFile<'_>], first: Start, here: Start) -> usize {
    if first == here {
        return 0;
    }
    let from = |start: Start| files[start.file].lines[start.line..].iter().map(|line| line.text);
    let same = from(first).zip(from(here)).take_while(|(one, other)| one == other).count();
    let apart = first.file != here.file || first.line + PASSAGE_LINES_MIN <= here.line;
    if apart { same } else { 0 }
}

fn passage(files: &[CodeFile<'_>], first: Start, here: Start, lines: usize) -> Passage {
    let line = |start: Start| &files[start.file].lines[start.line];
    let place = |start: Start| {
        format!("{}:{}", files[start.file].source.path.display(), line(start).number)
    };
    Passage {
        lines,
        first: place(first),
        second: place(here),
        in_tests: line(first).in_tests || line(here).in_tests,
    }
}

fn code_lines(source: &Source) -> CodeFile<'_> {
    let mut in_tests = source.path.starts_with("tests");
    let mut lines = Vec::new();
    let mut in_use = false;
    for (at, line) in source.text.lines().enumerate() {
        let text = line.trim();
        in_tests |= line == "#[cfg(test)]";
        in_use |= text.starts_with("use ") || text.starts_with("pub use ");
        if in_use || text.is_empty() || text.starts_with("//") {
            in_use &= !text.ends_with(';');
        } else {
            lines.push(CodeLine { text, number: at + 1, in_tests });
        }
    }
    CodeFile { source, lines }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn source(path: &str, lines: &[String]) -> Source {
        Source {
            path: PathBuf::from(path),
            krate: "engine".to_owned(),
            module: Vec::new(),
            text: lines.join("\n"),
            syntax: syn::parse_str("").unwrap(),
        }
    }

    fn numbered(name: &str, lines: usize) -> Vec<String> {
        (0..lines).map(|line| format!("    {name}({line});")).collect()
    }

    #[test]
    fn a_copy_is_found_once_and_as_a_whole() {
        let copy = numbered("copied", 15);
        let one = [numbered("one", 3), copy.clone(), numbered("end", 2)].concat();
        let spaced: Vec<String> =
            copy.iter().flat_map(|line| [format!("  {line}"), "// why".to_owned()]).collect();
        let other = [numbered("other", 1), spaced].concat();
        let found = passages(&[source("a.rs", &one), source("b.rs", &other)]);
        let expected = Passage {
            lines: 15,
            first: "a.rs:4".to_owned(),
            second: "b.rs:2".to_owned(),
            in_tests: false,
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn short_copies_and_use_lines_do_not_count() {
        let copy = numbered("copied", PASSAGE_LINES_MIN - 1);
        assert_eq!(passages(&[source("a.rs", &copy), source("b.rs", &copy)]), []);
        let uses: Vec<String> =
            (0..20).flat_map(|at| [format!("use a{at}::{{"), "b,".into(), "};".into()]).collect();
        assert_eq!(passages(&[source("a.rs", &uses), source("b.rs", &uses)]), []);
    }

    #[test]
    fn copies_of_tests_are_counted_apart() {
        let copy = numbered("copied", 12);
        let test = [vec!["#[cfg(test)]".to_owned()], copy.clone()].concat();
        let found = passages(&[source("a.rs", &copy), source("b.rs", &test)]);
        assert!(found.len() == 1 && found[0].in_tests);
    }
}
