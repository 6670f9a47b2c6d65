//! The file, pipe or device that a log is written to.
//!
//! In: its path. Out: a descriptor to append to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags, fcntl_setfl};

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
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mode = Mode::from_raw_mode(0o640);
    let file = rustix::fs::open(path, flags | OFlags::NONBLOCK, mode)?;
    fcntl_setfl(&file, flags & OFlags::APPEND)?;
    Ok(File::from(file))
}
