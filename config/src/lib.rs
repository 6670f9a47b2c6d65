//! The configuration file: text in, checked values or a full list of problems out.
//!
//! The way of a file: `raw` (field for field, with its place) -> `check` (every problem, not only
//! the first) -> [`model`] (values that work). What needs cryptography (does this key match that
//! certificate?) is checked by `ferrule-engine`, which adds its findings to the same [`Problems`].
//! What the file may hold is said once, in `describe`: the reader, [`schema`] and [`reference`]
//! are made from it.

mod render;
mod source;
mod variables;

pub mod model;
pub mod problem;
pub mod template;
pub use variables::Listed;

use std::path::Path;

pub use model::Config;
pub use problem::{Place, Position, Problem, Problems, Severity};

/// What a file gave: a configuration of every object that was whole, and everything that is wrong.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Best effort: an object with a problem may be missing, or stand here with defaults.
    pub config: Config,
    /// What is wrong so far. The engine adds what only certificates can tell.
    pub problems: Problems,
}
