//! From the files to what is said in them: which are read, what is wrong with one as a whole, who else may read it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::credential::FixedCredential;
use crate::file::{RegularFile, read_file};
use crate::foreign::{self, Format};
use crate::include::{self, IncludePattern};
use crate::place::Place;
use crate::problem::{Problem, Problems};
use crate::source::{self, FileText, Source};
use crate::{Config, Draft, check, describe, raw, syntax};

/// No file is longer, and not all of them together: places count in 32 bits, and nobody writes this much by hand.
const BYTES_MAX: u64 = 64 << 20;

/// What is read for a pattern of `include`, or why nothing is.
type Include<'a> = &'a mut dyn FnMut(&IncludePattern) -> Result<Vec<FileText>, String>;

/// Reads a file, and those that it includes. `env` is asked for the values of `${env:NAME}`.
///
/// # Errors
/// A file cannot be read, or is not TOML. Everything else is in the draft.
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Draft, Problems> {
    let file = read_file(path, BYTES_MAX).map_err(|error| {
        let mut problems = Problems::of(Source::new(path, ""));
        let message = format!("the file cannot be read: {error}");
        problems.push_at(Place::default(), "", message, None);
        problems
    })?;
    let mut open = vec![file.open_to_others()];
    let main = text_of(path, file)?;
    let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut known = HashSet::from([whole(path)]);
    let mut bytes = main.text.len() as u64;
    let draft = read_all(&main, env, &mut |pattern| {
        let mut texts = Vec::new();
        for path in include::files(pattern, path)? {
            if !known.insert(whole(&path)) {
                return Err(format!("{} is included twice", path.display()));
            }
            if known.len() > include::FILES_MAX {
                return Err(format!("more than {} files are included", include::FILES_MAX));
            }
            let file = read_file(&path, BYTES_MAX.saturating_sub(bytes))
                .map_err(|error| error.about(&path.display()))?;
            bytes += file.bytes.len() as u64;
            open.push(file.open_to_others());
            texts.push(
                text_of(&path, file)
                    .map_err(|_| format!("{} is not UTF-8, or no TOML", path.display()))?,
            );
        }
        Ok(texts)
    });
    let mut draft = draft?;
    for (number, what) in open.into_iter().enumerate() {
        if let Some(what) = what {
            warn_of_secrets(number, what, &mut draft.problems);
        }
    }
    Ok(draft)
}

/// Reads text as if it were the content of this file, which need not exist. It includes no other.
///
/// # Errors
/// The text is not TOML. Everything else is in the draft.
pub fn read_text(
    path: &Path,
    text: String,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Draft, Problems> {
    let main = FileText { path: path.to_owned(), text };
    read_all(&main, env, &mut |_| Err("no file is read here".to_owned()))
}

/// What a file means that holds nothing: every key of the process at its default, and no listener, no
/// name, no upstream and no route.
#[must_use]
pub fn defaults() -> Config {
    let (table, _) = DeTable::parse_recoverable("");
    let path = Path::new("ferrule.toml");
    read_table(path, "", table.get_ref(), &|_| None, &mut Problems::of(Source::new(path, "")))
}

/// A file that is text.
fn text_of(path: &Path, file: RegularFile) -> Result<FileText, Problems> {
    let error = match String::from_utf8(file.bytes) {
        Ok(text) => return Ok(FileText { path: path.to_owned(), text }),
        Err(error) => error,
    };
    let bytes = error.as_bytes();
    if let Some(format) = foreign::of_bytes(bytes) {
        return Err(foreign_file(path, format));
    }
    let good = bytes.get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let mut problems = Problems::of(Source::new(path, str::from_utf8(good).unwrap_or_default()));
    problems.mask_unread();
    let place = Place::of(good.len()..good.len());
    let line = problems.position(place).line;
    let message = format!("line {line} is not UTF-8");
    problems.push_at(place, "", message, Some("save the file as UTF-8".to_owned()));
    Err(problems)
}

/// A file that is no TOML at all. Nothing of it is shown: nobody knows where its secrets are.
fn foreign_file(path: &Path, format: Format) -> Problems {
    let mut problems = Problems::of(Source::new(path, ""));
    problems.push_at(Place::default(), "", format.message(), Some(format.help().to_owned()));
    problems
}

/// Says that a file with a private key or a credential in it is open to others than its owner, who can do
/// this with it.
fn warn_of_secrets(file: usize, what: &str, problems: &mut Problems) {
    if let Some(place) = problems.source().private_key(file) {
        let message =
            format!("this file holds a private key, and can be {what} by others than its owner");
        let help = Some("chmod 600, or name a file that holds the key".to_owned());
        problems.warn(Problem { place, field: String::new(), message, help });
    }
    if let Some(FixedCredential { place, field, name }) = problems.fixed_credential(file).cloned() {
        let message = format!(
            "this file gives `{name}` a fixed value, which may be a credential, and can be {what} by \
             others than its owner"
        );
        let help =
            Some("chmod 600, or take the value from the environment: `${env:NAME}`".to_owned());
        problems.warn(Problem { place, field, message, help });
    }
}

/// Reads the main file and what it includes as one.
fn read_all(
    main: &FileText,
    env: &dyn Fn(&str) -> Option<String>,
    include: Include<'_>,
) -> Result<Draft, Problems> {
    let (parsed, errors) = DeTable::parse_recoverable(&main.text);
    let included = if errors.is_empty() {
        Included::of(parsed.get_ref(), include)
    } else {
        Included::default()
    };
    let files: Vec<&FileText> = std::iter::once(main).chain(&included.files).collect();
    let mut problems = Problems::of(Source::of(&files));
    tell(main, 0, &errors, &mut problems)?;
    included.errors.into_iter().for_each(|problem| problems.push(problem));
    included.warnings.into_iter().for_each(|problem| problems.warn(problem));
    let mut unread = !errors.is_empty();
    let mut table = parsed.into_inner();
    let mut offset = source::len_of(main);
    for file in &included.files {
        let (more, errors) = DeTable::parse_recoverable(&file.text);
        unread |= !errors.is_empty();
        tell(file, offset, &errors, &mut problems)?;
        let at = |place| {
            format!(
                "{}:{}",
                problems.source().file_of(place).display(),
                problems.position(place).line
            )
        };
        let faults = include::merge(&mut table, more.into_inner(), offset, &at);
        faults.into_iter().for_each(|fault| problems.push(fault));
        offset += source::len_of(file);
    }
    if unread {
        problems.mask_unread();
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if table.is_empty() {
        let message = "`listen` is missing: there is nothing in this file";
        let help = "docs/getting-started.md has a first file, docs/configuration.md every key";
        problems.push_at(Place::default(), "listen", message, Some(help.to_owned()));
        return Err(problems);
    }
    let text = source::joined(&files);
    let config = read_table(&main.path, &text, &table, env, &mut problems);
    Ok(Draft { config, problems })
}

fn read_table(
    path: &Path,
    text: &str,
    table: &DeTable<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Config {
    let mut reader = raw::Reader { text, env, problems: &mut *problems, at: None };
    let root = reader.table(&describe::ROOT, table, Place::default(), String::new());
    let file: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    check::check(&root, &file, problems)
}

/// The files that the main one includes.
#[derive(Default)]
struct Included {
    files: Vec<FileText>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Included {
    /// Reads them. What is wrong with one does not hide what is wrong with the next.
    fn of(main: &DeTable<'_>, include: Include<'_>) -> Self {
        let mut included = Self::default();
        for pattern in include::patterns(main) {
            match include(&pattern) {
                Ok(files) if files.is_empty() => {
                    included.warnings.push(pattern.problem("no file has such a name".to_owned()));
                }
                Ok(files) => included.files.extend(files),
                Err(message) => included.errors.push(pattern.problem(message)),
            }
        }
        included
    }
}

/// Reports what is no TOML in a file that begins at `offset` of all texts.
///
/// # Errors
/// It is something else altogether.
fn tell(
    file: &FileText,
    offset: usize,
    errors: &[toml::de::Error],
    problems: &mut Problems,
) -> Result<(), Problems> {
    if errors.is_empty() {
        return Ok(());
    }
    if let Some(format) = foreign::of_text(&file.text) {
        return Err(foreign_file(&file.path, format));
    }
    for error in errors {
        let span = error.span();
        let place = span.clone().map(|span| Place::of(span.start + offset..span.end + offset));
        let help = syntax::help(&file.text, span.map(Place::of).unwrap_or_default());
        problems.push_at(place.unwrap_or_default(), "", error.message(), help);
    }
    Ok(())
}
