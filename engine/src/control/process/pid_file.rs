//! The file with the number of the process, for those who send signals by it.
//!
//! It is written whole or not at all: before the cores start, or, in an upgrade, by the new process when it serves. Only the
//! process whose number it holds removes it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::directory;

/// Bytes of the file: a number and a line feed.
const BYTES_MAX: u64 = 64;

/// The file of this process. It is removed with the value.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes it.
    ///
    /// # Errors
    /// The file system's, or there is something else of that name.
    pub(crate) fn write(path: &Path) -> io::Result<Self> {
        write(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Writes it again, if it is another process's by now.
    ///
    /// # Errors
    /// As for [`PidFile::write`].
    pub(crate) fn restore(&self) -> io::Result<()> {
        if self.is_ours() { Ok(()) } else { write(&self.0) }
    }

    fn is_ours(&self) -> bool {
        let read = ferrule_config::read_file(&self.0, BYTES_MAX).ok();
        let text = read.and_then(|read| String::from_utf8(read.bytes).ok());
        text.and_then(|text| text.trim().parse().ok()) == Some(std::process::id())
    }
}

fn write(path: &Path) -> io::Result<()> {
    check(path)?;
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let new_one = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let mut file = fs::File::from(rustix::fs::open(&new, new_one, mode)?);
    let written = file
        .write_all(format!("{}\n", std::process::id()).as_bytes())
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // What is left of it would be in the way next time.
        drop(fs::remove_file(&new));
        return Err(error);
    }
    Ok(())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours() {
            // There is no way left to report that this failed.
            drop(fs::remove_file(&self.0));
        }
    }
}

/// Can a file of this name be made? Nothing is made.
///
/// # Errors
/// Why not.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(io::Error::other("there is something that is not a regular file"))
        }
        _ => directory::can_hold(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ferrule.pid");
        fs::write(&path, "1\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        file.restore().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "it is another process's now");
        drop(PidFile::write(&path).unwrap());
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(PidFile::write(&link).is_err() && PidFile::write(folder.path()).is_err());
        assert!(PidFile::write(&folder.path().join("no/ferrule.pid")).is_err());
    }
}
