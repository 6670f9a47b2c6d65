//! How this process was started, so that an upgrade can start the program of the same path again.
//!
//! The path is the one that was named at the start: a link stays a link, so that it may point to another file by
//! then. A name without a directory is looked up in `PATH`, as the shell has done. Is the file there not the one
//! that runs (some programs choose any name for `argv[0]`)? Then it is the path that the kernel knows.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::control::process::environment;

/// The program that runs, as the kernel knows it.
const RUNNING: &str = "/proc/self/exe";
/// What the kernel adds to the name of a file that is gone.
const DELETED: &str = " (deleted)";

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// With `argv[0]`.
    arguments: Vec<OsString>,
}

impl Program {
    /// That of this process. To be called at its start, before the file can have been replaced.
    pub(crate) fn of_this_process() -> Self {
        let arguments: Vec<OsString> = env::args_os().collect();
        let name = arguments.first().map(PathBuf::from).unwrap_or_default();
        let search = environment::search_path();
        let named = find(&name, search.as_deref(), &|path| is_running(path));
        let path = named.or_else(running).unwrap_or(name);
        Self { path, arguments }
    }

    /// Where its file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The command that starts it with the same arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        let mut arguments = self.arguments.iter();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments);
        command
    }
}

/// The absolute path of a program that was started by this name.
fn find(
    name: &Path,
    search: Option<&std::ffi::OsStr>,
    fits: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if name.as_os_str().is_empty() {
        return None;
    }
    if name.components().count() > 1 || name.is_absolute() {
        // Not canonical: links are followed when it is started.
        return std::path::absolute(name).ok().filter(|path| fits(path));
    }
    let places = env::split_paths(search?).map(|place| place.join(name));
    places.filter_map(|path| std::path::absolute(path).ok()).find(|path| fits(path))
}

fn is_running(path: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|found| [found.dev(), found.ino()]).ok();
    let running = file(Path::new(RUNNING));
    running.is_some() && file(path) == running
}

fn running() -> Option<PathBuf> {
    let path = fs::read_link(RUNNING).ok()?;
    let text = path.to_str()?;
    Some(PathBuf::from(text.strip_suffix(DELETED).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("v1"), folder.path().join("current"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let is_there = |path: &Path| path.exists();
        let search = env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        let found = |name: &str| find(Path::new(name), Some(&search), &is_there);
        assert_eq!(found("current"), Some(link.clone()), "a link stays a link");
        assert_eq!(found(link.to_str().unwrap()), Some(link));
        assert_eq!((found("missing"), found("")), (None, None));
        assert_eq!(found("/etc/../etc/missing"), None);
    }

    #[test]
    fn this_process_knows_its_file() {
        let program = Program::of_this_process();
        assert!(program.path().is_absolute() && is_running(program.path()));
        assert_eq!(program.command().get_program(), program.path());
    }
}
