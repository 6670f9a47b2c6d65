//! The configuration file: text in, checked values or a full list of problems out.
//!
//! The way of a file: [`raw`] (field for field, with its place) → [`check`] (every problem, not only
//! the first) → [`model`] (values that work). What needs cryptography (does this key match that
//! certificate?) is checked by `ferrule-engine`, which adds its findings to the same
//! [`problem::Problems`].

pub mod model;
pub mod problem;
pub mod template;

pub use model::Config;
pub use problem::{Place, Problem, Problems};
