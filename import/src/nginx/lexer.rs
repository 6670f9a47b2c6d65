//! nginx's words: a text becomes words and the marks between them, each with its place.
//!
//! The rules are those of nginx itself: `#` begins a comment only where a word could begin, a backslash takes the
//! meaning of the next character, quotes end a word only if they began it, and `${` opens no block.

use crate::document::{DocumentError, Spot};

/// The longest word: nginx reads into a buffer of this size.
const WORD_BYTES: usize = 4096;

/// What stands in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// A word, without its quotes and escapes.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// A token and where it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Spotted {
    pub(super) token: Token,
    pub(super) spot: Spot,
}

/// Reads tokens one after another.
pub(super) struct Lexer<'a> {
    rest: std::str::Chars<'a>,
    spot: Spot,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // nginx takes a byte order mark for a part of the first word, and so refuses the file; nobody misses that.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { rest: text.chars(), spot: Spot { line: 1, column: 1 } }
    }

    pub(super) const fn spot(&self) -> Spot {
        self.spot
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mark = self.rest.next()?;
        if mark == '\n' {
            self.spot = Spot { line: self.spot.line.saturating_add(1), column: 1 };
        } else {
            self.spot.column = self.spot.column.saturating_add(1);
        }
        Some(mark)
    }

    /// The next token; none at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Spotted>, DocumentError> {
        loop {
            let spot = self.spot;
            let token = match self.peek() {
                None => return Ok(None),
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                    continue;
                }
                Some('#') => {
                    while self.peek().is_some_and(|mark| mark != '\n') {
                        self.bump();
                    }
                    continue;
                }
                Some(';') => self.mark(Token::End),
                Some('{') => self.mark(Token::Open),
                Some('}') => self.mark(Token::Close),
                Some(quote @ ('"' | '\'')) => Token::Word(self.quoted(quote, spot)?),
                Some(_) => Token::Word(self.plain(spot)?),
            };
            return Ok(Some(Spotted { token, spot }));
        }
    }

    fn mark(&mut self, token: Token) -> Token {
        self.bump();
        token
    }

    /// A word in quotes. Behind it a space, `;`, `{` or `)` must follow.
    fn quoted(&mut self, quote: char, begin: Spot) -> Result<String, DocumentError> {
        self.bump();
        let mut word = String::new();
        loop {
            let spot = self.spot;
            match self.bump() {
                None => {
                    let message = "the quotes that begin here are never closed";
                    return Err(DocumentError::new(begin, message));
                }
                Some('\0') => return Err(DocumentError::new(spot, "a NUL in the file")),
                Some('\\') => self.escaped(&mut word),
                Some(mark) if mark == quote => break,
                Some(mark) => word.push(mark),
            }
            bounded(&word, begin)?;
        }
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => Ok(word),
            Some(mark) => {
                let message = format!("unexpected {mark:?} behind closing quotes");
                Err(DocumentError::new(self.spot, message))
            }
        }
    }

    /// A word without quotes, up to a space, `;` or `{` that does not follow a dollar sign.
    fn plain(&mut self, begin: Spot) -> Result<String, DocumentError> {
        let mut word = String::new();
        let mut dollar = false;
        loop {
            let spot = self.spot;
            match self.peek() {
                None | Some(' ' | '\t' | '\r' | '\n' | ';') => break,
                Some('{') if !dollar => break,
                Some('\0') => return Err(DocumentError::new(spot, "a NUL in the file")),
                Some('\\') => {
                    self.bump();
                    self.escaped(&mut word);
                    dollar = false;
                }
                Some(mark) => {
                    self.bump();
                    word.push(mark);
                    dollar = mark == '$';
                }
            }
            bounded(&word, begin)?;
        }
        Ok(word)
    }

    /// What a backslash makes of the next character. Before any other character it stays.
    fn escaped(&mut self, word: &mut String) {
        match self.bump() {
            Some(mark @ ('"' | '\'' | '\\')) => word.push(mark),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(mark) => {
                word.push('\\');
                word.push(mark);
            }
            None => word.push('\\'),
        }
    }
}

fn bounded(word: &str, begin: Spot) -> Result<(), DocumentError> {
    if word.len() > WORD_BYTES {
        let message = format!("a word of more than {WORD_BYTES} bytes: is a quote missing?");
        return Err(DocumentError::new(begin, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, String> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        while let Some(spotted) = lexer.next().map_err(|error| error.to_string())? {
            all.push(match spotted.token {
                Token::Word(word) => word,
                Token::End => String::from("<;>"),
                Token::Open => String::from("<{>"),
                Token::Close => String::from("<}>"),
            });
        }
        Ok(all)
    }

    #[test]
    fn words_end_where_nginx_ends_them() {
        for (text, wanted) in [
            ("a b;", &["a", "b", "<;>"][..]),
            ("a{b;}", &["a", "<{>", "b", "<;>", "<}>"]),
            ("a ${b}c;", &["a", "${b}c", "<;>"]),
            ("a # c ; {\nb;", &["a", "b", "<;>"]),
            ("a b#c;", &["a", "b#c", "<;>"]),
            ("a \"b c\" 'd;{}';", &["a", "b c", "d;{}", "<;>"]),
            (r#"a "b\"c" 'd\'e' f\ g;"#, &["a", "b\"c", "d'e", "f\\ g", "<;>"]),
            (r"a \.php$ b\\c \t;", &["a", "\\.php$", "b\\c", "\t", "<;>"]),
            ("a b'c d;", &["a", "b'c", "d", "<;>"]),
            ("if ($a = \"b\") {", &["if", "($a", "=", "b", ")", "<{>"]),
            ("a }b;", &["a", "<}>", "b", "<;>"]),
            ("\u{feff}a;", &["a", "<;>"]),
            ("", &[]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_word_is_refused_with_its_place() {
        for (text, wanted) in [
            ("a\n  \"b", "2:3: the quotes"),
            ("a \"b\"c;", "1:6: unexpected 'c'"),
            ("a b\0;", "1:4: a NUL"),
        ] {
            assert!(words(text).unwrap_err().starts_with(wanted), "{text}");
        }
        assert!(words(&"a".repeat(5000)).unwrap_err().contains("4096 bytes"));
    }
}
