//! How every file that a configuration names is read, the configuration itself included.
//!
//! In: a path and how long the file may be. Out: its bytes and its mode, or why not, in words. Never
//! waits for somebody else: a FIFO, a socket, a device or a directory in the file's place is named and
//! left alone, and no more is read than was allowed, however long the file turns out to be.

use std::fmt;
use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, Errno};

/// A file as it was when it was opened.
#[derive(Clone, Eq, PartialEq)]
pub struct RegularFile {
    /// All of it.
    pub bytes: Vec<u8>,
    /// When its contents were written last, Unix seconds.
    pub modified: i64,
    /// Permission bits and the kind of file, as `stat` has them.
    pub mode: u32,
}

impl RegularFile {
    /// What others than its owner can do to it, in words; `None` for nothing. Who may only run it learns
    /// nothing by that.
    #[must_use]
    pub const fn open_to_others(&self) -> Option<&'static str> {
        match (self.mode & 0o044 != 0, self.mode & 0o022 != 0) {
            (false, false) => None,
            (true, false) => Some("read"),
            (false, true) => Some("written"),
            (true, true) => Some("read and written"),
        }
    }
}

/// What it holds may be a secret.
impl fmt::Debug for RegularFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RegularFile({} bytes, mode {:o})", self.bytes.len(), self.mode)
    }
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no regular file, but this.
    #[error("{0}, not a regular file")]
    NotRegular(&'static str),
    /// It is longer than this.
    #[error("larger than {}", length_text(*.0))]
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

/// A length in the largest unit that has no remainder.
fn length_text(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
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
    let file = File::from(spare().open(path, flags)?);
    let read = read_open(&file, max);
    spare().keep(OwnedFd::from(file));
    read
}

/// Reads a file that the process keeps for itself: of its own user or of root, and behind no symbolic link.
///
/// # Errors
/// As for [`read_file`], and where it is somebody else's.
pub fn read_own_file(path: &Path, max: u64) -> Result<RegularFile, FileError> {
    let kind = std::fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        return Err(io::Error::other("it is a symbolic link").into());
    }
    regular(kind)?;
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(spare().open(path, flags)?);
    let owner = file.metadata()?.uid();
    let read = if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        read_open(&file, max)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's").into())
    };
    spare().keep(OwnedFd::from(file));
    read
}

fn read_open(file: &File, max: u64) -> Result<RegularFile, FileError> {
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
    Ok(RegularFile { bytes, modified: found.mtime(), mode: found.mode() })
}

/// Descriptors in reserve, so that files can be read when strangers hold all that the process may have.
#[derive(Debug)]
struct Spare {
    wanted: usize,
    /// Of `/dev/null`; the first is what the others are made from.
    held: Vec<OwnedFd>,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare { wanted: 0, held: Vec::new() });

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps so many descriptors in reserve for [`read_file`] from now on.
pub fn reserve_descriptors(wanted: usize) {
    let mut spare = spare();
    spare.wanted = wanted;
    spare.fill();
}

impl Spare {
    /// Without a descriptor left, one of the reserve makes room; another one if somebody was faster.
    fn open(&mut self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        loop {
            match rustix::fs::open(path, flags, Mode::empty()) {
                Err(Errno::MFILE | Errno::NFILE) if self.held.len() > 1 => drop(self.held.pop()),
                opened => return Ok(opened?),
            }
        }
    }

    /// Takes the descriptor of a file that has been read into the reserve if one is missing there: never
    /// free in between, nobody else gets it.
    fn keep(&mut self, mut file: OwnedFd) {
        if let Some(first) = self.held.first()
            && self.held.len() < self.wanted
            && rustix::io::dup3(first, &mut file, DupFlags::CLOEXEC).is_ok()
        {
            self.held.push(file);
            self.fill();
        }
    }

    fn fill(&mut self) {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        while self.held.len() < self.wanted
            && let Ok(null) = rustix::fs::open("/dev/null", flags, Mode::empty())
        {
            self.held.push(null);
        }
    }
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

    /// In a process of its own a flood would take them; here others only find the reserve smaller.
    #[test]
    fn the_reserve_is_whole_again_after_every_file() {
        let null = |_| rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
        let mut spare = Spare { wanted: 3, held: (0..3).map(null).collect() };
        for _ in 0..5 {
            // One made room.
            drop(spare.held.pop());
            let file = spare.open(Path::new("/proc/self/status"), OFlags::RDONLY).unwrap();
            spare.keep(file);
            assert_eq!(spare.held.len(), 3);
        }
        let file = null(0);
        spare.keep(file);
        assert_eq!(spare.held.len(), 3, "and no larger");
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
