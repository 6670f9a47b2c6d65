//! From files to the data cores: the first load, every reload, files that change by themselves, and the
//! names of upstream nodes.

pub(crate) mod loader;
pub mod reloader;
mod reread;
pub mod resolve;
mod watch;
