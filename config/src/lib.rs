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
mod include;
mod json_template;
mod load;
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
pub mod search_pattern;
pub mod template;

pub use file::{FileError, RegularFile, read_file, read_own_file, reserve_descriptors};
pub use host_names::HostAddress;
pub use json_template::{JsonPiece, JsonTemplate, JsonTemplateError};
pub use load::{defaults, read, read_text};
pub use model::Config;
pub use place::Place;
pub use problem::{Position, Problem, Problems, Severity};
pub use reference::reference;
pub use render::Report;
pub use schema::schema;
pub use values::FIELD_NAME_BYTES_MAX;
pub use values::number;
pub use variables::Listed;

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
