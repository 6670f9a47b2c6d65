//! The configuration file: text in, checked values or a full list of problems out.
//!
//! The way of a file: `raw` (field for field, with its place) -> `check` (every problem, not only
//! the first) -> [`model`] (values that work). What needs cryptography (does this key match that
//! certificate?) is checked by `ferrule-engine`, which adds its findings to the same [`Problems`]:
//! only the configuration file itself is opened here. What the file may hold is said once, in
//! `describe`; the reader, [`schema()`] and [`reference()`] are made from it.
//!
//! ```
//! let text = "[[listen]]\naddress = '0.0.0.0:80'\ntsl = true\n";
//! let path = std::path::Path::new("/etc/ferrule.toml");
//! let draft = ferrule_config::read_text(path, text.to_owned(), &|_| None)?;
//! let Err(problems) = draft.finish() else { unreachable!("there is no `tsl`") };
//! assert!(problems.render_human().contains("did you mean `tls`?"));
//! # Ok::<(), ferrule_config::Problems>(())
//! ```

mod attributes;
mod check;
mod cipher_list;
mod client_match;
mod credential;
mod defaults;
mod describe;
mod distinguished_name;
mod dump;
mod file;
mod foreign;
mod host_names;
mod json_template;
mod place;
mod raw;
mod reference;
mod render;
mod schema;
mod source;
mod syntax;
mod uri_pattern;
pub mod uri_template;
mod values;
mod variable_lookup;
mod variables;
mod words;

pub mod capture_pattern;
pub mod model;
pub mod openssl_ciphers;
pub mod pattern;
pub mod problem;
pub mod template;

use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use toml::de::DeTable;

pub use file::{FileError, RegularFile, read_file, reserve_descriptors};
pub use host_names::HostAddress;
pub use json_template::{JsonPiece, JsonTemplate, JsonTemplateError};
pub use model::Config;
pub use place::Place;
pub use problem::{Position, Problem, Problems, Severity};
pub use reference::reference;
pub use render::Report;
pub use schema::schema;
pub use values::FIELD_NAME_BYTES_MAX;
pub use values::number;
pub use variables::Listed;

use credential::FixedCredential;
use foreign::Format;
use source::Source;

/// No file is longer: places count in 32 bits, and nobody writes this much by hand.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a file gave: a configuration of every object that was whole, and everything that is wrong.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Best effort: an object with a problem may be missing, or stand here with defaults.
    pub config: Config,
    /// What is wrong so far. The engine adds what only certificates can tell.
    pub problems: Problems,
}

impl Draft {
    /// The configuration, if nothing is wrong with it. Warnings do not count; look at
    /// [`Problems::warnings`] before.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish(self) -> Result<Config, Problems> {
        if self.problems.is_empty() { Ok(self.config) } else { Err(self.problems) }
    }
}

/// Reads a file. `env` is asked for the values of `${env:NAME}`.
///
/// # Errors
/// The file cannot be read, or is not TOML. Everything else is in the draft.
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Draft, Problems> {
    let file = read_file(path, FILE_BYTES_MAX).map_err(|error| {
        let mut problems = Problems::of(Source::new(path, ""));
        let message = format!("the file cannot be read: {error}");
        problems.push_at(Place::default(), "", message, None);
        problems
    })?;
    let open = file.open_to_others();
    let text = String::from_utf8(file.bytes).map_err(|error| no_text(path, &error))?;
    let key = source::private_keys(&text).first().copied();
    let mut draft = read_text(path, text, env)?;
    if let Some(what) = open {
        warn_of_secrets(key, what, &mut draft.problems);
    }
    Ok(draft)
}

/// A file that is not UTF-8.
fn no_text(path: &Path, error: &FromUtf8Error) -> Problems {
    let bytes = error.as_bytes();
    if let Some(format) = foreign::of_bytes(bytes) {
        return foreign_file(path, format);
    }
    let good = bytes.get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let mut problems = Problems::of(Source::new(path, str::from_utf8(good).unwrap_or_default()));
    problems.mask_unread();
    let place = Place::of(good.len()..good.len());
    let line = problems.position(place).line;
    let message = format!("line {line} is not UTF-8");
    problems.push_at(place, "", message, Some("save the file as UTF-8".to_owned()));
    problems
}

/// A file that is no TOML at all. Nothing of it is shown: nobody knows where its secrets are.
fn foreign_file(path: &Path, format: Format) -> Problems {
    let mut problems = Problems::of(Source::new(path, ""));
    problems.push_at(Place::default(), "", format.message(), Some(format.help().to_owned()));
    problems
}

/// Says that a file with a private key or a credential in it is open to others than its owner, who can do
/// this with it.
fn warn_of_secrets(key: Option<Place>, what: &str, problems: &mut Problems) {
    if let Some(place) = key {
        let message =
            format!("this file holds a private key, and can be {what} by others than its owner");
        let help = Some("chmod 600, or name a file that holds the key".to_owned());
        problems.warn(Problem { place, field: String::new(), message, help });
    }
    if let Some(FixedCredential { place, field, name }) = problems.fixed_credential().cloned() {
        let message = format!(
            "this file gives `{name}` a fixed value, which may be a credential, and can be {what} by \
             others than its owner"
        );
        let help =
            Some("chmod 600, or take the value from the environment: `${env:NAME}`".to_owned());
        problems.warn(Problem { place, field, message, help });
    }
}

/// Reads text as if it were the content of this file, which need not exist.
///
/// # Errors
/// The text is not TOML. Everything else is in the draft.
#[expect(clippy::needless_pass_by_value, reason = "the text belongs to the problems' source")]
pub fn read_text(
    path: &Path,
    text: String,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Draft, Problems> {
    let mut problems = Problems::of(Source::new(path, &text));
    let (table, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        if let Some(format) = foreign::of_text(&text) {
            return Err(foreign_file(path, format));
        }
        problems.mask_unread();
    } else if table.get_ref().is_empty() {
        let message = "`listen` is missing: there is nothing in this file";
        let help = "docs/getting-started.md has a first file, docs/configuration.md every key";
        problems.push_at(Place::default(), "listen", message, Some(help.to_owned()));
        return Err(problems);
    }
    for error in &errors {
        let place = error.span().map(Place::of).unwrap_or_default();
        problems.push_at(place, "", error.message(), syntax::help(&text, place));
    }
    if !errors.is_empty() {
        return Err(problems);
    }
    let config = read_table(path, &text, table.get_ref(), env, &mut problems);
    Ok(Draft { config, problems })
}

/// What a file means that holds nothing: every key of the process at its default, and no listener, no
/// name, no upstream and no route.
#[must_use]
pub fn defaults() -> Config {
    let (table, _) = DeTable::parse_recoverable("");
    let path = Path::new("ferrule.toml");
    read_table(path, "", table.get_ref(), &|_| None, &mut Problems::of(Source::new(path, "")))
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
