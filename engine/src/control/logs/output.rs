//! One place where log lines go: a file, standard output or standard error.
//!
//! In: batches of whole lines. Out: what happened to each. A write that fails loses its lines and is
//! counted; it never ends the process, and never leaves half a line before the next one. A file can be
//! opened again, when its name leads to another file (log rotation by moving it away).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ferrule_config::model::LogTarget;
use rustix::fs::{Mode, OFlags, fcntl_setfl};

/// An open output for lines.
pub struct LogOutput {
    sink: LogSink,
    /// The last byte written was not a line feed: a write failed in the middle of a line.
    torn: bool,
    /// Batches lost since the last one that was written whole.
    lost: u64,
}

enum LogSink {
    File { path: PathBuf, file: File },
    Stream(Box<dyn Write + Send>),
}

/// What happened to a batch of lines.
#[derive(Debug)]
pub enum BatchResult {
    /// All of it was written.
    Written {
        /// Batches lost just before this one.
        lost_before: u64,
    },
    /// Some or all of it is lost.
    Lost {
        /// Why.
        error: io::Error,
        /// Is this the first one in a row?
        first: bool,
    },
}

impl LogOutput {
    /// Opens a target; a file is made if it is missing, and only ever appended to.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(target: &LogTarget) -> io::Result<Self> {
        let sink = match target {
            LogTarget::Stderr => LogSink::Stream(Box::new(io::stderr())),
            LogTarget::Stdout => LogSink::Stream(Box::new(io::stdout())),
            LogTarget::File(path) => {
                LogSink::File { path: path.clone(), file: open_for_appending(path)? }
            }
        };
        Ok(Self { sink, torn: false, lost: 0 })
    }

    /// DiagnosticWriter go to this writer.
    #[cfg(test)]
    pub(crate) fn to_writer(writer: Box<dyn Write + Send>) -> Self {
        Self { sink: LogSink::Stream(writer), torn: false, lost: 0 }
    }

    /// Writes whole lines.
    pub fn write(&mut self, lines: &[u8]) -> BatchResult {
        self.write_pieces([lines, &[]])
    }

    /// Writes whole lines that lie in two pieces; a line may begin in one and end in the other.
    pub fn write_pieces(&mut self, [first, second]: [&[u8]; 2]) -> BatchResult {
        let result = if self.torn { self.write_all(b"\n") } else { Ok(()) };
        let result = result.and_then(|()| self.write_all(first));
        match result.and_then(|()| self.write_all(second)) {
            Ok(()) => BatchResult::Written { lost_before: std::mem::take(&mut self.lost) },
            Err(error) => {
                self.lost = self.lost.saturating_add(1);
                BatchResult::Lost { error, first: self.lost == 1 }
            }
        }
    }

    /// `write_all` that remembers whether it stopped inside a line.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let result = match &mut self.sink {
                LogSink::File { file, .. } => file.write(bytes),
                LogSink::Stream(stream) => stream.write(bytes),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (done, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
                    self.torn = done.last() != Some(&b'\n');
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match &mut self.sink {
            LogSink::File { .. } => Ok(()),
            LogSink::Stream(stream) => stream.flush(),
        }
    }

    /// Opens the file again; if it cannot be opened, the old one stays in use. A stream stays as it is.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let LogSink::File { path, file } = &mut self.sink {
            *file = open_for_appending(path)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Does the name of the file lead to another file than the open one, or to none?
    #[must_use]
    pub fn moved(&self) -> bool {
        let LogSink::File { path, file } = &self.sink else { return false };
        let Ok(open) = file.metadata() else { return false };
        match std::fs::metadata(path) {
            Ok(named) => (named.dev(), named.ino()) != (open.dev(), open.ino()),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl std::fmt::Debug for LogOutput {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.sink {
            LogSink::File { path, .. } => write!(out, "LogOutput({})", path.display()),
            LogSink::Stream(_) => out.write_str("LogOutput(stream)"),
        }
    }
}

/// Logs name clients and their requests, so other users may not read them. Opening does not block: a
/// FIFO without a reader is an error. Writing may block, because a thread of its own does it.
fn open_for_appending(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mode = Mode::from_raw_mode(0o640);
    let file = rustix::fs::open(path, flags | OFlags::NONBLOCK, mode)?;
    fcntl_setfl(&file, flags & OFlags::APPEND)?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_moved_file_is_noticed_and_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut output = LogOutput::open(&LogTarget::File(path.clone())).unwrap();
        assert!(!output.moved());
        assert!(matches!(output.write(b"one\n"), BatchResult::Written { lost_before: 0 }));
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        assert!(output.moved());
        output.write(b"two\n");
        output.reopen().unwrap();
        assert!(!output.moved());
        output.write(b"three\n");
        let old = std::fs::read_to_string(folder.path().join("access.log.1")).unwrap();
        assert_eq!(old, "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_stays_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/access.log");
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let mut output = LogOutput::open(&LogTarget::File(path)).unwrap();
        std::fs::rename(folder.path().join("sub"), folder.path().join("gone")).unwrap();
        assert!(output.reopen().is_err());
        assert!(matches!(output.write(b"still\n"), BatchResult::Written { .. }));
        let kept = std::fs::read_to_string(folder.path().join("gone/access.log")).unwrap();
        assert_eq!(kept, "still\n");
    }

    #[test]
    fn a_fifo_that_nobody_reads_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let target = LogTarget::File(path.clone());
        assert!(LogOutput::open(&target).is_err());
        let reader = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, mode).unwrap();
        assert!(matches!(
            LogOutput::open(&target).unwrap().write(b"x\n"),
            BatchResult::Written { .. }
        ));
        let mut line = [0; 8];
        assert_eq!(rustix::io::read(&reader, &mut line).unwrap(), 2);
    }

    /// Takes so many bytes, then is full until told otherwise.
    struct Disk {
        room: Arc<Mutex<usize>>,
        held: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let count = bytes.len().min(*room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= count;
            self.held.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_in_two_pieces_is_one_line() {
        let room = Arc::new(Mutex::new(100));
        let held = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { room: Arc::clone(&room), held: Arc::clone(&held) };
        let mut output = LogOutput::to_writer(Box::new(disk));
        assert!(matches!(output.write_pieces([b"one\ntw", b"o\n"]), BatchResult::Written { .. }));
        assert_eq!(*held.lock().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_full_disk_loses_lines_and_never_joins_two() {
        let room = Arc::new(Mutex::new(6));
        let held = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { room: Arc::clone(&room), held: Arc::clone(&held) };
        let mut output = LogOutput::to_writer(Box::new(disk));
        assert!(matches!(output.write(b"one\ntwo\n"), BatchResult::Lost { first: true, .. }));
        assert!(matches!(output.write(b"three\n"), BatchResult::Lost { first: false, .. }));
        *room.lock().unwrap() = 100;
        assert!(matches!(output.write(b"four\n"), BatchResult::Written { lost_before: 2 }));
        assert_eq!(held.lock().unwrap().as_slice(), b"one\ntw\nfour\n");
    }
}
