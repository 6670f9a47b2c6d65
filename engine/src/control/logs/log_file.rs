//! The file, pipe or device that a log is written to.
//!
//! In: its path. Out: a descriptor to append to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, fcntl_setfl};

use crate::control::process::directory;

/// How every log is opened, apart from making it.
const FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);

/// Can it be opened, as far as that can be told without making it, and without a word to who reads it? This
/// is the first step of [`open`].
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return directory::can_hold(path),
        Err(error) => return Err(error),
    };
    if found.is_file() {
        // That alone changes nothing in it.
        drop(rustix::fs::open(path, FLAGS, Mode::empty())?);
        return Ok(());
    }
    if found.is_dir() || found.is_socket() {
        let what = if found.is_dir() { "directory" } else { "socket" };
        let words = format!("it is a {what}; a log is a file, a pipe or a device");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    // Whoever reads a pipe would see its end when we close it again.
    Ok(accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS)?)
}

/// Does a file end without a line feed? One that cannot be read, or is no file, is taken to end with one.
pub(super) fn ends_inside_line(path: &Path) -> bool {
    let last_byte = || -> io::Result<u8> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        if !std::fs::metadata(path)?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        file.seek(SeekFrom::End(-1))?;
        let mut last = [b'\n'];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    last_byte().is_ok_and(|byte| byte != b'\n')
}

/// Logs name clients and their requests, so other users may not read them. Opening does not block: a
/// FIFO without a reader is an error. Writing to a file may block, because a thread of its own does it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    let mode = Mode::from_raw_mode(0o640);
    let file = rustix::fs::open(path, FLAGS | OFlags::CREATE, mode).map_err(|error| {
        if error == rustix::io::Errno::NXIO {
            return io::Error::new(io::ErrorKind::NotConnected, "nobody reads this pipe");
        }
        error.into()
    })?;
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check` says of a path, `open` does; and `check` makes nothing.
    #[test]
    fn check_and_open_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "kept\n").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink("no/where", path("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, good) in [
            ("file", true),
            ("new", true),
            ("folder", false),
            ("socket", false),
            ("dangling", false),
            ("no/new", false),
            ("file/new", false),
            ("/dev/null", true),
        ] {
            let path = path(name);
            let is_there = path.exists();
            assert_eq!(check(&path).is_ok(), good, "{name}");
            assert_eq!(path.exists(), is_there, "{name}");
            assert_eq!(open(&path).is_ok(), good, "{name}");
        }
        assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "kept\n");
    }
}
