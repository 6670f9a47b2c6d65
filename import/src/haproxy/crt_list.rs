//! `crt-list`: a file with a certificate on each line, what is asked of clients under its names, and the names.
//!
//! ```text
//! site.pem [verify required ca-file clients.pem] *.example.com !open.example.com
//! ```

use std::path::Path;
use std::rc::Rc;

use crate::document::Spot;
use crate::report::Kind;
use crate::work::Work;

use super::files::{BYTES_MAX, is_host};
use super::words::{ConfigLine, ConfigWord};

/// Lines of one list.
const LINES_MAX: usize = 10_000;

/// A certificate of a list.
#[derive(Debug)]
pub(super) struct ListEntry {
    /// The certificate, and behind it the words in brackets.
    pub(super) line: ConfigLine,
    /// Names that it is for; those in the certificate if there are none.
    pub(super) names: Vec<String>,
    /// Names that it is not for, though one with `*` covers them.
    pub(super) excluded: Vec<String>,
}

/// Reads a list; what is wrong with it is said at its place in it, or at the word of `bind` that names it.
pub(super) fn read(path: &Path, bind: &ConfigLine, at: usize, work: &Work) -> Vec<ListEntry> {
    let shown = path.display().to_string();
    let file = match ferrule_config::read_file(path, BYTES_MAX) {
        Ok(file) => file,
        Err(error) => {
            bind.refuse(work, at, format!("{shown} cannot be read: {error}"));
            return Vec::new();
        }
    };
    let Ok(text) = String::from_utf8(file.bytes) else {
        bind.refuse(work, at, format!("{shown} is not UTF-8"));
        return Vec::new();
    };
    let place = ListPlace { owner: Rc::clone(&bind.owner), file: Rc::from(shown.as_str()) };
    let all = place.entries(&text, work);
    if all.is_empty() && !work.log.refused() {
        bind.refuse(work, at, format!("{shown} holds no certificate"));
    }
    all
}

/// Where a list stands, for what is said about it.
struct ListPlace {
    owner: Rc<str>,
    file: Rc<str>,
}

/// A mark or a word, and where it begins.
struct ListWord {
    text: String,
    column: usize,
}

impl ListPlace {
    fn entries(&self, text: &str, work: &Work) -> Vec<ListEntry> {
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let number = at.saturating_add(1);
            if number > LINES_MAX {
                self.refuse(number, 1, format!("more than {LINES_MAX} lines"), work);
                break;
            }
            match self.entry(line, number) {
                Ok(entry) => all.extend(entry),
                Err(ListWord { text, column }) => self.refuse(number, column, text, work),
            }
        }
        all
    }

    fn refuse(&self, line: usize, column: usize, message: String, work: &Work) {
        let path = format!("{}: crt-list", self.owner);
        work.log.add_in(Kind::Refused, Some(&self.file), Spot { line, column }, &path, message);
    }

    /// One line; what is wrong with it, and where.
    fn entry(&self, text: &str, number: usize) -> Result<Option<ListEntry>, ListWord> {
        let mut words = split(text)?.into_iter();
        let Some(certificate) = words.next() else { return Ok(None) };
        let wrong = |column: usize, text: &str| ListWord { text: text.to_owned(), column };
        if matches!(certificate.text.as_str(), "[" | "]") {
            return Err(wrong(certificate.column, "a line begins with a certificate"));
        }
        let mut line = vec![ConfigWord { text: certificate.text, column: certificate.column }];
        let (mut names, mut excluded) = (Vec::new(), Vec::new());
        let mut place = Brackets::Before;
        for ListWord { text, column } in words {
            match (text.as_str(), place) {
                ("[", Brackets::Before) => place = Brackets::Within,
                ("]", Brackets::Within) => place = Brackets::Behind,
                ("[" | "]", _) => {
                    return Err(wrong(column, "this bracket belongs to no other one"));
                }
                (_, Brackets::Within) => line.push(ConfigWord { text, column }),
                _ => {
                    place = Brackets::Behind;
                    let (list, name) = match text.strip_prefix('!') {
                        Some(name) => (&mut excluded, name),
                        None => (&mut names, text.as_str()),
                    };
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    if !is_host(&name) {
                        return Err(wrong(
                            column,
                            "this is no name of a host, as `a.example` or `*.example` (`*` alone is not converted)",
                        ));
                    }
                    list.push(name);
                }
            }
        }
        if matches!(place, Brackets::Within) {
            return Err(wrong(1, "a bracket is not closed"));
        }
        if names.is_empty() && !excluded.is_empty() {
            return Err(wrong(1, "names that it is not for alone: say for which it is"));
        }
        let owner = Rc::clone(&self.owner);
        let line = ConfigLine { owner, file: Some(Rc::clone(&self.file)), number, words: line };
        Ok(Some(ListEntry { line, names, excluded }))
    }
}

/// Where in a line a word stands.
#[derive(Clone, Copy)]
enum Brackets {
    Before,
    Within,
    Behind,
}

/// The words of a line, brackets apart, up to a comment.
fn split(text: &str) -> Result<Vec<ListWord>, ListWord> {
    let mut all: Vec<ListWord> = Vec::new();
    let mut is_open = false;
    for (at, mark) in text.chars().enumerate() {
        let column = at.saturating_add(1);
        match mark {
            '#' => break,
            ' ' | '\t' | '\r' => is_open = false,
            '[' | ']' => {
                is_open = false;
                all.push(ListWord { text: mark.to_string(), column });
            }
            '"' | '\'' | '\\' => {
                let text = String::from("quotes and escapes are not read in a list");
                return Err(ListWord { text, column });
            }
            mark if mark.is_control() => {
                return Err(ListWord {
                    text: String::from("a control character stands here"),
                    column,
                });
            }
            mark => {
                match all.last_mut().filter(|_| is_open) {
                    Some(last) => last.text.push(mark),
                    None => all.push(ListWord { text: mark.to_string(), column }),
                }
                is_open = true;
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<ListEntry>, String> {
        let place = ListPlace { owner: Rc::from("frontend f"), file: Rc::from("list.txt") };
        place.entry(text, 1).map_err(|wrong| format!("{}: {}", wrong.column, wrong.text))
    }

    #[test]
    fn lines_are_a_certificate_what_is_asked_and_names() {
        let entry =
            read("a.pem [verify required ca-file ca.pem] *.A.test. !b.a.test # all").unwrap();
        let entry = entry.unwrap();
        let words: Vec<&str> = entry.line.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["a.pem", "verify", "required", "ca-file", "ca.pem"]);
        assert_eq!(entry.names, ["*.a.test"]);
        assert_eq!(entry.excluded, ["b.a.test"]);
        assert!(read("  # nothing").unwrap().is_none());
        assert!(read("a.pem").unwrap().unwrap().names.is_empty());
        assert_eq!(read("a.pem [] x.test y.test").unwrap().unwrap().names.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, wanted) in [
            ("[verify none] a.pem", "1: a line begins"),
            ("a.pem [verify none", "1: a bracket is not closed"),
            ("a.pem [verify none] [alpn h2]", "21: this bracket"),
            ("a.pem x.test [verify none]", "14: this bracket"),
            ("a.pem ]", "7: this bracket"),
            ("a.pem *", "7: this is no name"),
            ("a.pem !x.test", "1: names that it is not for"),
            ("a.pem \"x y\"", "7: quotes"),
            ("a.pem a..test", "7: this is no name"),
            ("a.pem 10.0.0.1", "7: this is no name"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(wanted), "{text}: {error}");
        }
    }
}
