//! Brings files to the data cores: the first load, every reload, files that change without a reload, and the
//! resolved names of upstream nodes.

mod address_table;
pub(crate) mod core_waits;
mod fixed_keys;
pub(crate) mod loader;
mod opening;
mod preconditions;
pub mod reloader;
mod renewal;
pub mod resolver;
pub(crate) mod source;
mod upgrade;
mod watched_files;
