//! Directives and their blocks, with the included files in their place.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::document::{DocumentError, LIMITS, Spot};

use super::files::{Files, is_pattern, matching};
use super::lexer::{Lexer, Token};

/// Blocks within each other.
const DEPTH: usize = 32;

/// Files that include each other.
const INCLUDES: usize = 16;

/// The file of nginx's own that says which endings of files have which types.
const TYPES: &str = "mime.types";

/// A word of a directive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) spot: Spot,
}

/// A directive, with what is in its block.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<Word>,
    pub(super) block: Option<Vec<Self>>,
    pub(super) spot: Spot,
    /// The included file in which it stands; none for the file that was named.
    pub(super) file: Option<Rc<str>>,
    /// Where it stands: `http.server[0].location /.proxy_pass`.
    pub(super) path: String,
}

impl Directive {
    /// An argument, or nothing where there is none.
    pub(super) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", |word| word.text.as_str())
    }

    pub(super) fn inner(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The locations in the block, and those within them.
    pub(super) fn locations(&self) -> Vec<&Self> {
        let mut all = Vec::new();
        for one in self.inner().iter().filter(|one| one.name == "location") {
            all.push(one);
            all.extend(one.locations());
        }
        all
    }

    /// The texts of all arguments.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.args.iter().map(|word| word.text.as_str())
    }
}

/// An error and the file in which it is.
#[derive(Debug)]
pub(super) struct TreeError {
    pub(super) file: Option<Rc<str>>,
    pub(super) error: DocumentError,
}

/// Reads a configuration and what it includes.
pub(super) struct TreeReader<'a> {
    pub(super) files: &'a dyn Files,
    /// What relative paths count from.
    pub(super) folder: &'a Path,
    /// Files that are being read, the outermost first.
    open: Vec<PathBuf>,
    bytes: usize,
    directives: usize,
    /// Includes of files that cannot be read and say nothing about a request.
    pub(super) left_out: Vec<Directive>,
}

/// The text of a file, while it is read.
struct OpenText<'a> {
    lexer: Lexer<'a>,
    file: Option<Rc<str>>,
}

impl OpenText<'_> {
    fn wrong(&self, spot: Spot, message: impl Into<String>) -> TreeError {
        TreeError { file: self.file.clone(), error: DocumentError::new(spot, message) }
    }
}

impl<'a> TreeReader<'a> {
    pub(super) const fn new(files: &'a dyn Files, folder: &'a Path) -> Self {
        Self { files, folder, open: Vec::new(), bytes: 0, directives: 0, left_out: Vec::new() }
    }

    /// The directives of the file that was named.
    pub(super) fn read(&mut self, path: &Path, bytes: &[u8]) -> Result<Vec<Directive>, TreeError> {
        self.open.push(path.to_owned());
        self.read_bytes(None, bytes, "", 0)
    }

    fn read_bytes(
        &mut self,
        file: Option<Rc<str>>,
        bytes: &[u8],
        path: &str,
        depth: usize,
    ) -> Result<Vec<Directive>, TreeError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        let text = text_of(bytes).map_err(|error| TreeError { file: file.clone(), error })?;
        let mut source = OpenText { lexer: Lexer::new(text), file };
        if self.bytes > LIMITS.bytes {
            let message = format!("more than {} bytes, those of includes among them", LIMITS.bytes);
            return Err(source.wrong(Spot { line: 1, column: 1 }, message));
        }
        let mut all = Vec::new();
        self.read_block(&mut source, path, depth, None, &mut all)?;
        Ok(all)
    }

    /// Reads up to the brace that closes the block which was opened at `open`, or to the end of the file.
    fn read_block(
        &mut self,
        source: &mut OpenText<'_>,
        path: &str,
        depth: usize,
        open: Option<Spot>,
        all: &mut Vec<Directive>,
    ) -> Result<(), TreeError> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            let next = source.lexer.next();
            let next = next.map_err(|error| TreeError { file: source.file.clone(), error })?;
            let Some(next) = next else {
                let end = source.lexer.spot();
                return match (words.first(), open) {
                    (Some(_), _) => Err(source.wrong(end, "the file ends where `;` should be")),
                    (None, Some(_)) => Err(source.wrong(end, "the file ends where `}` should be")),
                    (None, None) => Ok(()),
                };
            };
            match next.token {
                Token::Word(text) => words.push(Word { text, spot: next.spot }),
                Token::Close if words.is_empty() && open.is_some() => return Ok(()),
                Token::End if !words.is_empty() => {
                    let directive =
                        self.directive(source, std::mem::take(&mut words), path, all)?;
                    if directive.name == "include" {
                        self.include(&directive, path, depth, all)?;
                    } else {
                        all.push(directive);
                    }
                }
                Token::Open if !words.is_empty() => {
                    let mut directive =
                        self.directive(source, std::mem::take(&mut words), path, all)?;
                    if directive.name.ends_with("_by_lua_block") {
                        let message = format!("`{}`: Lua is not converted", directive.name);
                        return Err(source.wrong(directive.spot, message));
                    }
                    if depth >= DEPTH {
                        let message = format!("more than {DEPTH} blocks within each other");
                        return Err(source.wrong(next.spot, message));
                    }
                    let mut inner = Vec::new();
                    let depth = depth.saturating_add(1);
                    self.read_block(source, &directive.path, depth, Some(next.spot), &mut inner)?;
                    directive.block = Some(inner);
                    all.push(directive);
                }
                Token::End => return Err(source.wrong(next.spot, "unexpected `;`")),
                Token::Open => return Err(source.wrong(next.spot, "unexpected `{`")),
                Token::Close => return Err(source.wrong(next.spot, "unexpected `}`")),
            }
        }
    }

    fn directive(
        &mut self,
        source: &OpenText<'_>,
        words: Vec<Word>,
        path: &str,
        before: &[Directive],
    ) -> Result<Directive, TreeError> {
        self.directives = self.directives.saturating_add(1);
        let mut words = words.into_iter();
        let Some(name) = words.next() else {
            return Err(source.wrong(Spot::default(), "a directive without a name"));
        };
        if self.directives > LIMITS.nodes {
            let message = format!("more than {} directives", LIMITS.nodes);
            return Err(source.wrong(name.spot, message));
        }
        let args: Vec<Word> = words.collect();
        let is_in_map = path.starts_with("http.map ") || path.starts_with("map ");
        let own = match name.text.as_str() {
            "server" if path == "http" => {
                let number = before.iter().filter(|one| one.name == "server").count();
                format!("server[{number}]")
            }
            "location" | "upstream" | "map" if !is_in_map => {
                let texts: Vec<&str> = args.iter().map(|word| word.text.as_str()).collect();
                format!("{} {}", name.text, texts.join(" "))
            }
            // A key of a map may be a secret.
            _ if is_in_map => format!("line[{}]", before.len()),
            other => other.to_owned(),
        };
        let path = if path.is_empty() { own } else { format!("{path}.{own}") };
        let (name, spot) = (name.text, name.spot);
        Ok(Directive { name, args, block: None, spot, file: source.file.clone(), path })
    }

    /// Puts the files of an `include` in its place.
    fn include(
        &mut self,
        directive: &Directive,
        path: &str,
        depth: usize,
        all: &mut Vec<Directive>,
    ) -> Result<(), TreeError> {
        let wrong = |message: String| TreeError {
            file: directive.file.clone(),
            error: DocumentError::new(directive.spot, message),
        };
        let [word] = directive.args.as_slice() else {
            return Err(wrong(String::from("`include` takes one file or pattern")));
        };
        let pattern = self.folder.join(&word.text);
        let found =
            if is_pattern(&word.text) { matching(&pattern, self.files) } else { vec![pattern] };
        for file in found {
            let name = file.display().to_string();
            if self.open.contains(&file) {
                return Err(wrong(format!("{name} includes itself")));
            }
            if self.open.len() >= INCLUDES {
                return Err(wrong(format!("more than {INCLUDES} files include each other")));
            }
            let bytes = self.files.read(&file);
            if bytes.is_err() && file.file_name().is_some_and(|name| name == TYPES) {
                self.left_out.push(directive.clone());
                continue;
            }
            let bytes = bytes.map_err(|error| wrong(format!("{name} cannot be read: {error}")))?;
            self.open.push(file);
            let inner = self.read_bytes(Some(Rc::from(name)), &bytes, path, depth)?;
            self.open.pop();
            renumber(all, inner);
        }
        Ok(())
    }
}

/// Adds what was included; servers get numbers that are not taken yet.
fn renumber(all: &mut Vec<Directive>, inner: Vec<Directive>) {
    for mut directive in inner {
        if directive.path.starts_with("http.server[") {
            let number = all.iter().filter(|one| one.name == "server").count();
            let old = directive.path.clone();
            rename(&mut directive, &old, &format!("http.server[{number}]"));
        }
        all.push(directive);
    }
}

fn rename(directive: &mut Directive, old: &str, new: &str) {
    if let Some(rest) = directive.path.strip_prefix(old) {
        directive.path = format!("{new}{rest}");
    }
    for inner in directive.block.iter_mut().flatten() {
        rename(inner, old, new);
    }
}

/// The text of a file, or the place of its first byte that is none.
fn text_of(bytes: &[u8]) -> Result<&str, DocumentError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let good = std::str::from_utf8(good).unwrap_or_default();
        let line = good.matches('\n').count().saturating_add(1);
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count();
        let spot = Spot { line, column: column.saturating_add(1) };
        DocumentError::new(spot, "this byte is not UTF-8")
    })
}
