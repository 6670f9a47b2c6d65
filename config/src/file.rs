//! How every file that a configuration names is read, the configuration itself included.
//!
//! In: a path and how long the file may be. Out: its bytes and its mode, or why not, in words. Never
//! waits for somebody else: a FIFO, a socket, a device or a directory in the file's place is named and
//! left alone, and no more is read than was allowed, however long the file turns out to be.

use std::fmt;
use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// A file as it was when it was opened.
#[derive(Clone, Eq, PartialEq)]
pub struct RegularFile {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Permission bits and the kind of file, as `stat` has them.
    pub mode: u32,
}

/// What it holds may be a secret.
impl fmt::Debug for RegularFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RegularFile({} bytes, mode {:o})", self.bytes.len(), self.mode)
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub enum FileError {
    /// It cannot be opened or read.
    Io(io::Error),
    /// It is no regular file, but this.
    NotRegular(&'static str),
    /// It is longer than this.
    TooLarge(u64),
}

impl FileError {
    /// The whole sentence about the file of this name.
    #[must_use]
    pub fn about(&self, name: &dyn fmt::Display) -> String {
        match self {
            Self::Io(error) => format!("cannot read {name}: {error}"),
            Self::NotRegular(_) | Self::TooLarge(_) => format!("{name} is {self}"),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::NotRegular(kind) => write!(out, "{kind}, not a regular file"),
            Self::TooLarge(max) if max % (1 << 20) == 0 => {
                write!(out, "larger than {} MiB", max >> 20)
            }
            Self::TooLarge(max) if max % (1 << 10) == 0 => {
                write!(out, "larger than {} KiB", max >> 10)
            }
            Self::TooLarge(max) => write!(out, "larger than {max} bytes"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a regular file of at most `max` bytes; symbolic links are followed.
///
/// # Errors
/// It cannot be opened or read, is no regular file, or is longer.
pub fn read_file(path: &Path, max: u64) -> Result<RegularFile, FileError> {
    // Asked before it is opened, because to open some devices is to use them, and asked of what was
    // opened, because a name may lead elsewhere by then.
    regular(std::fs::metadata(path)?.file_type())?;
    // Without NONBLOCK a FIFO would hold us until somebody writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let found = file.metadata()?;
    regular(found.file_type())?;
    if found.len() > max {
        return Err(FileError::TooLarge(max));
    }
    // Room for all of it and one more: what grows while it is read is moved, and a moved secret lies
    // in two places.
    let room = usize::try_from(found.len().saturating_add(1)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(FileError::TooLarge(max));
    }
    Ok(RegularFile { bytes, mode: found.mode() })
}

fn regular(kind: FileType) -> Result<(), FileError> {
    let other = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        _ => "something else",
    };
    Err(FileError::NotRegular(other))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use rustix::fs::{CWD, FileType as Kind, mknodat};

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn whatever_is_no_regular_file_is_named_and_never_waited_for() {
        let folder = Folder::new("ferrule-kinds");
        let at = |name: &str| folder.0.join(name);
        mknodat(CWD, at("fifo"), Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _bell = UnixListener::bind(at("socket")).unwrap();
        symlink(at("fifo"), at("link")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        for (path, words) in [
            (at("fifo"), "is a FIFO, not a regular file"),
            (at("link"), "is a FIFO, not a regular file"),
            (at("socket"), "is a socket, not a regular file"),
            (at("."), "is a directory, not a regular file"),
            (PathBuf::from("/dev/zero"), "is a device, not a regular file"),
            (PathBuf::from("/dev/tty"), "is a device, not a regular file"),
            (at("loop"), "cannot read x: Too many levels of symbolic links"),
            (at("dangling"), "cannot read x: No such file"),
        ] {
            let error = read_file(&path, 10).unwrap_err().about(&"x");
            assert!(error.contains(words), "{}: {error}", path.display());
        }
    }

    #[test]
    fn no_more_is_read_than_was_allowed() {
        let folder = Folder::new("ferrule-sizes");
        let path = folder.0.join("file");
        for (len, max, taken) in [(0, 0, true), (4, 4, true), (5, 4, false), (5, u64::MAX, true)] {
            std::fs::write(&path, vec![7; len]).unwrap();
            let read = read_file(&path, max);
            assert_eq!(read.is_ok(), taken, "{len} of {max}");
            assert!(read.is_err() || read.is_ok_and(|file| file.bytes.len() == len));
        }
        // Its size is not what `stat` says.
        let error = read_file(Path::new("/proc/self/status"), 16).unwrap_err();
        assert!(matches!(error, FileError::TooLarge(16)), "{error}");
        let huge = File::create(&path).unwrap();
        huge.set_len(1 << 40).unwrap();
        let error = read_file(&path, 4 << 20).unwrap_err();
        assert_eq!(error.about(&"x"), "x is larger than 4 MiB");
    }

    #[test]
    fn the_mode_is_that_of_what_was_read() {
        let folder = Folder::new("ferrule-modes");
        let path = folder.0.join("file");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_file(&path, 10).unwrap().mode & 0o777, 0o640);
    }
}
