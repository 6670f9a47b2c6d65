//! One place where log lines go: a file, standard output or standard error.
//!
//! In: batches of whole lines. A write that fails loses its lines and is counted; it never ends the
//! process and never leaves half a line in front of the next one. A file is opened anew when asked for
//! and when its name leads to another file (rotated by moving it away).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ferrule_config::model::LogTarget;
use rustix::fs::{Mode, OFlags, fcntl_setfl};

/// Where lines go, open.
pub struct LogOutput {
    sink: Sink,
    /// The last byte written was not a line feed: a write failed half way.
    torn: bool,
    /// Batches lost since the last one that was written whole.
    lost: u64,
}

enum Sink {
    File { path: PathBuf, file: File },
    Stream(Box<dyn Write + Send>),
}

/// What became of a batch.
#[derive(Debug)]
pub enum Written {
    /// All of it was written, after so many lost batches.
    Whole {
        /// Batches lost before this one.
        lost_before: u64,
    },
    /// It is lost, in part or as a whole.
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
            LogTarget::Stderr => Sink::Stream(Box::new(io::stderr())),
            LogTarget::Stdout => Sink::Stream(Box::new(io::stdout())),
            LogTarget::File(path) => {
                Sink::File { path: path.clone(), file: open_for_appending(path)? }
            }
        };
        Ok(Self { sink, torn: false, lost: 0 })
    }

    /// Lines go to this writer.
    #[cfg(test)]
    pub(crate) fn to_writer(writer: Box<dyn Write + Send>) -> Self {
        Self { sink: Sink::Stream(writer), torn: false, lost: 0 }
    }

    /// Writes whole lines.
    pub fn write(&mut self, lines: &[u8]) -> Written {
        self.write_pieces([lines, &[]])
    }

    /// The same for lines that lie in two pieces, perhaps with a line across the gap.
    pub fn write_pieces(&mut self, [first, second]: [&[u8]; 2]) -> Written {
        let result = if self.torn { self.write_all(b"\n") } else { Ok(()) };
        let result = result.and_then(|()| self.write_all(first));
        match result.and_then(|()| self.write_all(second)) {
            Ok(()) => Written::Whole { lost_before: std::mem::take(&mut self.lost) },
            Err(error) => {
                self.lost = self.lost.saturating_add(1);
                Written::Lost { error, first: self.lost == 1 }
            }
        }
    }

    /// `write_all` that remembers whether it stopped inside a line.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let result = match &mut self.sink {
                Sink::File { file, .. } => file.write(bytes),
                Sink::Stream(stream) => stream.write(bytes),
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
            Sink::File { .. } => Ok(()),
            Sink::Stream(stream) => stream.flush(),
        }
    }

    /// Opens the file anew; what cannot be opened leaves the old one in use. Streams stay.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Sink::File { path, file } = &mut self.sink {
            *file = open_for_appending(path)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Does the name lead to another file than the one that is open, or to none?
    #[must_use]
    pub fn moved(&self) -> bool {
        let Sink::File { path, file } = &self.sink else { return false };
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
            Sink::File { path, .. } => write!(out, "LogOutput({})", path.display()),
            Sink::Stream(_) => out.write_str("LogOutput(stream)"),
        }
    }
}

/// Logs name clients and what they asked for, so others may not read them. Opening waits for nobody, so
/// a FIFO without a reader is an error; writing is for the log's own thread, which may wait.
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
        assert!(matches!(output.write(b"one\n"), Written::Whole { lost_before: 0 }));
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
        assert!(matches!(output.write(b"still\n"), Written::Whole { .. }));
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
        assert!(matches!(LogOutput::open(&target).unwrap().write(b"x\n"), Written::Whole { .. }));
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
        assert!(matches!(output.write_pieces([b"one\ntw", b"o\n"]), Written::Whole { .. }));
        assert_eq!(*held.lock().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_full_disk_loses_lines_and_never_joins_two() {
        let room = Arc::new(Mutex::new(6));
        let held = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { room: Arc::clone(&room), held: Arc::clone(&held) };
        let mut output = LogOutput::to_writer(Box::new(disk));
        assert!(matches!(output.write(b"one\ntwo\n"), Written::Lost { first: true, .. }));
        assert!(matches!(output.write(b"three\n"), Written::Lost { first: false, .. }));
        *room.lock().unwrap() = 100;
        assert!(matches!(output.write(b"four\n"), Written::Whole { lost_before: 2 }));
        assert_eq!(held.lock().unwrap().as_slice(), b"one\ntw\nfour\n");
    }
}
