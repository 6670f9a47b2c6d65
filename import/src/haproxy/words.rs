//! The text of a `haproxy.cfg` as words.
//!
//! In: the file. Out: its lines, each word with its place, quotes and escapes resolved as HAProxy does. A line that
//! cannot be read is refused, and so is a variable of the environment that is not set.

use std::rc::Rc;

use crate::document::Spot;
use crate::report::Kind;
use crate::work::Work;

/// Lines of one file. HAProxy's own limits are 2048 bytes and 64 words a line.
const LINES_MAX: usize = 200_000;
const WORDS_MAX: usize = 256;

/// A word, without its quotes.
#[derive(Clone, Debug)]
pub(super) struct ConfigWord {
    pub(super) text: String,
    pub(super) column: usize,
}

/// A line that says something.
#[derive(Clone, Debug)]
pub(super) struct ConfigLine {
    /// The section it stands in: `frontend web`.
    pub(super) owner: Rc<str>,
    /// The list that it stands in, if it is not the file itself.
    pub(super) file: Option<Rc<str>>,
    pub(super) number: usize,
    pub(super) words: Vec<ConfigWord>,
}

impl ConfigLine {
    /// The word at this position; nothing behind the end.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    /// Says something of the word at this position.
    pub(super) fn say(&self, work: &Work, kind: Kind, at: usize, message: impl Into<String>) {
        let word = self.words.get(at).or_else(|| self.words.first());
        let spot = Spot { line: self.number, column: word.map_or(1, |word| word.column) };
        let path = format!("{}: {}", self.owner, self.keyword());
        work.log.add_in(kind, self.file.as_deref(), spot, &path, message);
    }

    /// The first word, if it looks like one of HAProxy's: a key in the wrong place must not be shown.
    fn keyword(&self) -> &str {
        if self.file.is_some() {
            return "crt-list";
        }
        let word = self.word(0);
        let usual = |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_';
        if word.len() <= 32 && word.bytes().all(usual) { word } else { "line" }
    }

    pub(super) fn refuse(&self, work: &Work, at: usize, message: impl Into<String>) {
        self.say(work, Kind::Refused, at, message);
    }

    pub(super) fn changed(&self, work: &Work, at: usize, message: impl Into<String>) {
        self.say(work, Kind::Changed, at, message);
    }

    pub(super) fn spot(&self) -> Spot {
        Spot { line: self.number, column: self.words.first().map_or(1, |word| word.column) }
    }
}

/// Splits the file into lines of words. `env` is asked for variables of the environment.
pub(super) fn read(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    work: &Work,
) -> Vec<ConfigLine> {
    let mut lines = Vec::new();
    let owner: Rc<str> = Rc::from("file");
    for (at, line) in text.lines().enumerate() {
        if at >= LINES_MAX {
            let spot = Spot { line: at, column: 1 };
            work.log.add(Kind::Refused, spot, "file", format!("more than {LINES_MAX} lines"));
            break;
        }
        let number = at.saturating_add(1);
        match split(line, env) {
            Ok(words) if words.is_empty() => {}
            Ok(words) => {
                lines.push(ConfigLine { owner: Rc::clone(&owner), file: None, number, words });
            }
            Err(flaw) => {
                let spot = Spot { line: number, column: flaw.column };
                work.log.add(Kind::Refused, spot, "file", flaw.message);
            }
        }
    }
    lines
}

/// Why a line cannot be read.
struct LineFlaw {
    column: usize,
    message: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum QuoteMark {
    None,
    Single,
    Double,
}

/// Words of one line, while it is read.
struct Splitter<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    rest: std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'a>>>,
    quote: QuoteMark,
    words: Vec<ConfigWord>,
    open: Option<ConfigWord>,
}

fn split(line: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<ConfigWord>, LineFlaw> {
    let rest = line.chars().enumerate().peekable();
    let mut splitter =
        Splitter { env, rest, quote: QuoteMark::None, words: Vec::new(), open: None };
    while let Some((at, mark)) = splitter.rest.next() {
        let column = at.saturating_add(1);
        if mark == '#' && splitter.quote == QuoteMark::None {
            break;
        }
        splitter.take(mark, column)?;
    }
    if splitter.quote != QuoteMark::None {
        let column = splitter.open.as_ref().map_or(1, |word| word.column);
        return Err(LineFlaw { column, message: String::from("a quotation mark is not closed") });
    }
    splitter.close();
    if splitter.words.len() > WORDS_MAX {
        return Err(LineFlaw { column: 1, message: format!("more than {WORDS_MAX} words") });
    }
    Ok(splitter.words)
}

impl Splitter<'_> {
    fn take(&mut self, mark: char, column: usize) -> Result<(), LineFlaw> {
        match (mark, self.quote) {
            ('\'', QuoteMark::None) => self.begin(QuoteMark::Single, column),
            ('\'', QuoteMark::Single) | ('"', QuoteMark::Double) => self.quote = QuoteMark::None,
            ('"', QuoteMark::None) => self.begin(QuoteMark::Double, column),
            ('\\', QuoteMark::None | QuoteMark::Double) => self.escape(column)?,
            ('$', QuoteMark::Double) => self.variable(column)?,
            (' ' | '\t' | '\r', QuoteMark::None) => self.close(),
            (mark, _) if mark == '\0' || (mark.is_control() && mark != '\t') => {
                let message = String::from("a control character stands here");
                return Err(LineFlaw { column, message });
            }
            (mark, _) => self.push(mark, column),
        }
        Ok(())
    }

    fn begin(&mut self, quote: QuoteMark, column: usize) {
        self.quote = quote;
        // "" is a word, too.
        self.open.get_or_insert(ConfigWord { text: String::new(), column });
    }

    fn push(&mut self, mark: char, column: usize) {
        self.open.get_or_insert(ConfigWord { text: String::new(), column }).text.push(mark);
    }

    fn close(&mut self) {
        self.words.extend(self.open.take());
    }

    fn escape(&mut self, column: usize) -> Result<(), LineFlaw> {
        let next = self.rest.peek().map(|(_, mark)| *mark);
        let stands_for = match next {
            Some(mark @ (' ' | '\\' | '#' | '"' | '\'')) => Some(mark),
            Some('$') if self.quote == QuoteMark::Double => Some('$'),
            Some('t') => Some('\t'),
            Some('n' | 'r' | 'x') => {
                let message = "line breaks and bytes in hexadecimal are not read";
                return Err(LineFlaw { column, message: String::from(message) });
            }
            // HAProxy keeps the backslash of any other pair, which expressions need.
            _ => None,
        };
        if stands_for.is_some() {
            let _ = self.rest.next();
        }
        self.push(stands_for.unwrap_or('\\'), column);
        Ok(())
    }

    fn variable(&mut self, column: usize) -> Result<(), LineFlaw> {
        let braced = self.rest.next_if(|(_, mark)| *mark == '{').is_some();
        let mut name = String::new();
        while let Some((_, mark)) =
            self.rest.next_if(|(_, mark)| mark.is_ascii_alphanumeric() || *mark == '_')
        {
            name.push(mark);
        }
        let closed = !braced || self.rest.next_if(|(_, mark)| *mark == '}').is_some();
        if name.is_empty() || !closed {
            let message = String::from("this is no variable of the environment: write `\\$`");
            return Err(LineFlaw { column, message });
        }
        let Some(value) = (self.env)(&name) else {
            let message = format!("the variable {name} of the environment is not set");
            return Err(LineFlaw { column, message });
        };
        if value.chars().any(char::is_control) {
            let message = format!("the variable {name} holds a control character");
            return Err(LineFlaw { column, message });
        }
        self.open.get_or_insert(ConfigWord { text: String::new(), column }).text.push_str(&value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, String> {
        let env = |name: &str| (name == "PORT").then(|| String::from("8443"));
        let words =
            split(line, &env).map_err(|flaw| format!("{}: {}", flaw.column, flaw.message))?;
        Ok(words.into_iter().map(|word| word.text).collect())
    }

    #[test]
    fn words_are_haproxys() {
        for (line, wanted) in [
            ("  bind :443 ssl # all", vec!["bind", ":443", "ssl"]),
            (r"a\ b 'c \d' x", vec!["a b", r"c \d", "x"]),
            (r#""it's" e"f g""#, vec!["it's", "ef g"]),
            (r#"bind "*:${PORT}" "$PORT""#, vec!["bind", "*:8443", "8443"]),
            (r"path_reg ^/a\.b$", vec!["path_reg", r"^/a\.b$"]),
            (r#"x "" y"#, vec!["x", "", "y"]),
            (r"\#a \\b", vec!["#a", r"\b"]),
        ] {
            assert_eq!(words(line).unwrap(), wanted, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_column() {
        for (line, wanted) in [
            ("a 'b", "3: a quotation mark"),
            ("a \"${NOPE}\"", "4: the variable NOPE"),
            ("a \"${PORT\"", "4: this is no variable"),
            ("a\u{1b}b", "2: a control character"),
            (r"a \x41", "3: line breaks"),
        ] {
            let error = words(line).unwrap_err();
            assert!(error.starts_with(wanted), "{line}: {error}");
        }
    }
}
