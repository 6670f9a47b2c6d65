//! Directories in which something is to be made.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Links that are followed from one to the next.
const LINKS_MAX: usize = 16;

/// Can a file of this name be made, as far as its directory is concerned? Nothing is made.
///
/// # Errors
/// There is no such directory, or this user may not write to it.
pub(crate) fn can_hold(path: &Path) -> io::Result<()> {
    let place = end_of_links(path);
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let found = fs::metadata(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("there is no directory {}", directory.display()))
        }
        _ => error,
    })?;
    if !found.is_dir() {
        let words = format!("{} is not a directory", directory.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, words));
    }
    let write = Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, directory, write, AtFlags::EACCESS).map_err(|error| {
        let error = io::Error::from(error);
        let words = format!("no file can be made in {}: {error}", directory.display());
        io::Error::new(error.kind(), words)
    })
}

/// Is a directory of this user or of root, and may nobody else write to it?
///
/// # Errors
/// Who else may, or it cannot be looked at.
pub(crate) fn is_closed(directory: &Path) -> io::Result<()> {
    let found = fs::metadata(directory)?;
    let own = rustix::process::geteuid().as_raw();
    let words = if found.uid() != 0 && found.uid() != own {
        format!("{} is of user {}", directory.display(), found.uid())
    } else if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        format!("others may write to {} (mode {mode:04o})", directory.display())
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
}

/// What a link without a file behind it would lead to.
fn end_of_links(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&place) else { break };
        place = place.parent().map_or_else(|| next.clone(), |parent| parent.join(&next));
    }
    place
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_others_may_write_to_is_not_closed() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, closed) in [(0o700, true), (0o755, true), (0o775, false), (0o1777, false)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_closed(folder.path()).is_ok(), closed, "{mode:o}");
        }
    }

    #[test]
    fn a_directory_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(can_hold(&path("new")).is_ok());
        assert!(!path("new").exists());
        let missing = can_hold(&path("no/new")).unwrap_err();
        assert_eq!(missing.to_string(), format!("there is no directory {}", path("no").display()));
        fs::write(path("file"), "").unwrap();
        let wrong = can_hold(&path("file/new")).unwrap_err();
        assert_eq!(wrong.to_string(), format!("{} is not a directory", path("file").display()));
        std::os::unix::fs::symlink("no/target", path("link")).unwrap();
        assert!(can_hold(&path("link")).is_err());
        std::os::unix::fs::symlink("target", path("good")).unwrap();
        assert!(can_hold(&path("good")).is_ok());
    }
}
