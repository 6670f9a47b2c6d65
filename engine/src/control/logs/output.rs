//! One place where log lines go: a file, standard output, standard error, a syslog server or the journal.
//!
//! In: batches of whole lines. Out: what happened to each. Nobody waits for a pipe that nobody reads: its
//! lines stay where they are. Lines that the kernel refuses are lost and counted; a line of which only the
//! beginning was written is completed before the next one. A file can be opened again, when its name leads
//! to another file (log rotation by moving it away).

use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use ferrule_config::model::LogTarget;
use rustix::fs::fstat;

use super::datagram_socket::DatagramSocket;
use super::log_file;
use super::log_sink::LogSink;
use super::patience::{WaitBudget, WriteStop};
use super::record::LogKind;

/// An output that takes nothing for this long is reported.
const STALL_PATIENCE: Duration = Duration::from_secs(1);
/// An output is well again when it has refused nothing for this long: a disk on the edge of full does not
/// change its state with every line.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(1);

/// An open output for lines.
#[derive(Debug)]
pub struct LogOutput {
    sink: LogSink,
    /// What is still missing of a line whose beginning was written.
    rest: Vec<u8>,
    health: OutputHealth,
    kind: LogKind,
}

/// How writing goes.
#[derive(Clone, Copy, Debug)]
enum OutputHealth {
    Good,
    /// Nobody has read what was written before.
    Stalled {
        since: Instant,
        reported: bool,
    },
    /// The kernel refuses lines; the last time was then.
    Failing {
        last: Instant,
        lost: u64,
    },
}

/// What happened to a batch of lines.
#[derive(Debug)]
pub struct BatchResult {
    /// So many of its bytes are done with: written or lost. The others are to be offered again; they begin
    /// with a whole line.
    pub taken: usize,
    /// So many of its lines are lost.
    pub lost: u64,
    /// What the operator should know, once each time it begins or ends.
    pub change: Option<OutputChange>,
}

/// How writing to an output has changed.
#[derive(Debug)]
pub enum OutputChange {
    /// Lines are being lost.
    Failing(io::Error),
    /// Lines are waiting, because nobody reads what was written.
    Stalled,
    /// Lines are written again.
    Recovered {
        /// So many were lost meanwhile.
        lost: u64,
    },
}

impl LogOutput {
    /// Opens a target for a log; a file is made if it is missing, and only ever appended to.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the path is none of a socket.
    pub(super) fn open(target: &LogTarget, kind: LogKind) -> io::Result<Self> {
        if let Some(socket) = DatagramSocket::new(target, kind)? {
            let (sink, rest) = (LogSink::Datagrams(socket), Vec::new());
            return Ok(Self { sink, rest, health: OutputHealth::Good, kind });
        }
        let (sink, rest) = match target {
            LogTarget::Stderr | LogTarget::Syslog(_) | LogTarget::Journald(_) => {
                (LogSink::Stderr(io::stderr()), Vec::new())
            }
            LogTarget::Stdout => (LogSink::Stdout(io::stdout()), Vec::new()),
            LogTarget::File(path) => {
                let file = log_file::open(path)?;
                // The end of a process, or of the disk, may have cut off the last line.
                let rest = if log_file::ends_inside_line(path) { vec![b'\n'] } else { Vec::new() };
                (LogSink::File { path: path.clone(), file }, rest)
            }
        };
        Ok(Self { sink, rest, health: OutputHealth::Good, kind })
    }

    /// Writes what it can of whole lines.
    pub fn write(&mut self, lines: &[u8], now: Instant) -> BatchResult {
        self.write_pieces([lines, &[]], now)
    }

    /// Writes what it can of whole lines that lie in two pieces; a line may begin in one and end in the
    /// other.
    pub fn write_pieces(&mut self, [first, second]: [&[u8]; 2], now: Instant) -> BatchResult {
        let total = first.len().saturating_add(second.len());
        if total == 0 {
            return BatchResult { taken: 0, lost: 0, change: self.recovered(now) };
        }
        let (mut written, mut budget) = (0, WaitBudget::new());
        let stop = self
            .write_rest(&mut budget)
            .and_then(|()| self.write_both([first, second], &mut written, &mut budget));
        let Err(stop) = stop else {
            let change = self.written(now);
            return BatchResult { taken: total, lost: 0, change };
        };
        let taken = written.saturating_add(self.keep_rest([first, second], written));
        match stop {
            WriteStop::Stalled => {
                BatchResult { taken, lost: 0, change: self.stalled(now, taken > 0) }
            }
            WriteStop::Failed(error) => {
                let lost = count_lines([first, second], taken);
                let change = self.failed(error, lost, now);
                BatchResult { taken: total, lost, change }
            }
        }
    }

    /// Writes both pieces, to where only whole lines go by whole lines.
    fn write_both(
        &mut self,
        [first, second]: [&[u8]; 2],
        written: &mut usize,
        budget: &mut WaitBudget,
    ) -> Result<(), WriteStop> {
        let begun = if self.sink.takes_lines() { lines_end(first) } else { first.len() };
        let (whole, begun) = first.split_at(begun);
        self.sink.write_all(whole, written, budget)?;
        if begun.is_empty() {
            return self.sink.write_all(second, written, budget);
        }
        let end = memchr::memchr(b'\n', second).map_or(second.len(), |at| at.saturating_add(1));
        let (end, rest) = second.split_at(end);
        self.sink.write_all(&[begun, end].concat(), written, budget)?;
        self.sink.write_all(rest, written, budget)
    }

    /// Writes what is missing of a line.
    fn write_rest(&mut self, budget: &mut WaitBudget) -> Result<(), WriteStop> {
        let rest = mem::take(&mut self.rest);
        let mut written = 0;
        let result = self.sink.write_all(&rest, &mut written, budget);
        self.rest = rest.get(written..).unwrap_or_default().to_vec();
        result
    }

    /// Keeps the rest of the line that was written up to here. Returns its length.
    fn keep_rest(&mut self, [first, second]: [&[u8]; 2], written: usize) -> usize {
        let before = written
            .checked_sub(1)
            .and_then(|at| first.get(at).or_else(|| second.get(at.wrapping_sub(first.len()))));
        if before.is_none_or(|byte| *byte == b'\n') {
            return 0;
        }
        let (one, two) = behind([first, second], written);
        let bytes = one.iter().chain(two).copied();
        let line = bytes.scan(false, |ended, byte| {
            let take = !*ended;
            *ended |= byte == b'\n';
            take.then_some(byte)
        });
        self.rest.extend(line);
        self.rest.len()
    }

    /// A batch was written whole.
    fn written(&mut self, now: Instant) -> Option<OutputChange> {
        match self.health {
            OutputHealth::Good => None,
            OutputHealth::Stalled { reported, .. } => {
                self.health = OutputHealth::Good;
                reported.then_some(OutputChange::Recovered { lost: 0 })
            }
            OutputHealth::Failing { .. } => self.recovered(now),
        }
    }

    /// Is it well again, now that no line is refused any more?
    fn recovered(&mut self, now: Instant) -> Option<OutputChange> {
        let OutputHealth::Failing { last, lost } = self.health else { return None };
        if now.duration_since(last) < RECOVERY_PATIENCE {
            return None;
        }
        self.health = OutputHealth::Good;
        Some(OutputChange::Recovered { lost })
    }

    /// Nobody reads. `moved`: some of the batch was taken all the same.
    fn stalled(&mut self, now: Instant, moved: bool) -> Option<OutputChange> {
        match &mut self.health {
            OutputHealth::Stalled { since, reported } => {
                if moved && !*reported {
                    *since = now;
                } else if !*reported && now.duration_since(*since) >= STALL_PATIENCE {
                    *reported = true;
                    return Some(OutputChange::Stalled);
                }
            }
            OutputHealth::Good => {
                self.health = OutputHealth::Stalled { since: now, reported: false };
            }
            OutputHealth::Failing { .. } => {}
        }
        None
    }

    fn failed(&mut self, error: io::Error, more: u64, now: Instant) -> Option<OutputChange> {
        if let OutputHealth::Failing { last, lost } = &mut self.health {
            *last = now;
            *lost = lost.saturating_add(more);
            return None;
        }
        self.health = OutputHealth::Failing { last: now, lost: more };
        Some(OutputChange::Failing(error))
    }

    /// Opens the file again; if it cannot be opened, the old one stays in use. A stream stays as it is.
    /// Returns how many lines are lost by that: one, if the old file ends inside it.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn reopen(&mut self) -> io::Result<u64> {
        let LogSink::File { path, .. } = &self.sink else { return Ok(0) };
        let mut opened = Self::open(&LogTarget::File(path.clone()), self.kind)?;
        mem::swap(self, &mut opened);
        Ok(self.succeed(opened))
    }

    /// Goes on where another output ends: if both lead to the same file, with the rest of its line. Returns
    /// how many lines are lost: one, if the other output ends inside it.
    pub fn succeed(&mut self, mut other: Self) -> u64 {
        let identity = |output: &Self| {
            let found = output.sink.fd().and_then(|open| fstat(open).ok());
            found.map(|found| (found.st_dev, found.st_ino))
        };
        if identity(self) == identity(&other) && identity(self).is_some() {
            self.rest = mem::take(&mut other.rest);
            self.health = other.health;
            return 0;
        }
        other.end()
    }

    /// Tries to complete the last line. Returns how many lines are lost: one, if that cannot be.
    pub fn end(&mut self) -> u64 {
        let ended = self.write_rest(&mut WaitBudget::new()).is_ok();
        // Of a whole line only its end may be missing.
        u64::from(!ended && self.rest.len() > 1)
    }

    /// How many lines were cut, so that they fit into a datagram, since the last call.
    pub(super) const fn take_cut(&mut self) -> u64 {
        match &mut self.sink {
            LogSink::Datagrams(socket) => socket.take_cut(),
            LogSink::File { .. } | LogSink::Stdout(_) | LogSink::Stderr(_) => 0,
        }
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

/// Where the last whole line of these bytes ends.
fn lines_end(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |at| at.saturating_add(1))
}

/// What lies behind so many bytes of two pieces.
fn behind([first, second]: [&[u8]; 2], offset: usize) -> (&[u8], &[u8]) {
    match first.get(offset..) {
        Some(rest) => (rest, second),
        None => (&[], second.get(offset.saturating_sub(first.len())..).unwrap_or_default()),
    }
}

/// How many lines end behind so many bytes of two pieces.
fn count_lines(pieces: [&[u8]; 2], offset: usize) -> u64 {
    let (one, two) = behind(pieces, offset);
    let ends = memchr::memchr_iter(b'\n', one).count() + memchr::memchr_iter(b'\n', two).count();
    u64::try_from(ends).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::path::Path;

    use rustix::fs::{FileType, Mode, OFlags};

    use super::*;
    use crate::control::process::clock;

    fn open(path: &Path) -> io::Result<LogOutput> {
        LogOutput::open(&LogTarget::File(path.to_owned()), LogKind::Access)
    }

    fn written(output: &mut LogOutput, lines: &[u8]) {
        let result = output.write(lines, clock::monotonic());
        assert!(
            matches!(result, BatchResult { taken, lost: 0, .. } if taken == lines.len()),
            "{result:?}"
        );
    }

    fn fifo(path: &Path) {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0).unwrap();
    }

    fn reader(path: &Path) -> File {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        File::from(rustix::fs::open(path, flags, Mode::empty()).unwrap())
    }

    #[test]
    fn a_moved_file_is_noticed_and_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut output = open(&path).unwrap();
        assert!(!output.moved());
        written(&mut output, b"one\n");
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        assert!(output.moved());
        written(&mut output, b"two\n");
        assert_eq!(output.reopen().unwrap(), 0);
        assert!(!output.moved());
        written(&mut output, b"three\n");
        let old = std::fs::read_to_string(folder.path().join("access.log.1")).unwrap();
        assert_eq!(old, "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_stays_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/access.log");
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let mut output = open(&path).unwrap();
        std::fs::rename(folder.path().join("sub"), folder.path().join("gone")).unwrap();
        assert!(output.reopen().is_err());
        written(&mut output, b"still\n");
        let kept = std::fs::read_to_string(folder.path().join("gone/access.log")).unwrap();
        assert_eq!(kept, "still\n");
    }

    #[test]
    fn a_line_that_another_process_left_unfinished_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "whole\nhal").unwrap();
        for _ in 0..2 {
            written(&mut open(&path).unwrap(), b"next\n");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\nhal\nnext\nnext\n");
    }

    #[test]
    fn a_line_in_two_pieces_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut output = open(&path).unwrap();
        let result = output.write_pieces([b"one\ntw", b"o\n"], clock::monotonic());
        assert!(matches!(result, BatchResult { taken: 8, lost: 0, change: None }), "{result:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_fifo_that_nobody_has_open_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fifo(&path);
        assert!(open(&path).is_err());
        let mut reader = reader(&path);
        written(&mut open(&path).unwrap(), b"x\n");
        let mut line = [0; 8];
        assert_eq!(reader.read(&mut line).unwrap(), 2);
    }

    /// Lines that a reader does not take wait outside; it gets each of them once, and whole, however long
    /// they are.
    #[test]
    fn a_reader_that_pauses_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fifo(&path);
        let mut reader = reader(&path);
        let mut output = open(&path).unwrap();
        let mut now = clock::monotonic();
        let lines: Vec<u8> = (0..5_000)
            .flat_map(|number| format!("{number}:{}\n", "x".repeat(number % 97)).into_bytes())
            .collect();
        let (mut left, mut got, mut changes) = (&lines[..], Vec::new(), Vec::new());
        while !left.is_empty() || got.len() < lines.len() {
            let half = left.len() / 2;
            let result = output.write_pieces([&left[..half], &left[half..]], now);
            assert_eq!(result.lost, 0);
            left = &left[result.taken..];
            changes.extend(result.change);
            now += STALL_PATIENCE;
            let again = output.write_pieces([left, &[]], now);
            left = &left[again.taken..];
            changes.extend(again.change);
            let mut piece = vec![0; 10_000];
            let count = reader.read(&mut piece).unwrap_or(0);
            got.extend_from_slice(&piece[..count]);
        }
        assert!(got == lines);
        assert!(
            matches!(changes[..], [OutputChange::Stalled, OutputChange::Recovered { lost: 0 }]),
            "{changes:?}"
        );
    }

    #[test]
    fn lines_that_nobody_can_get_are_counted_and_told_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fifo(&path);
        let first = reader(&path);
        let mut output = open(&path).unwrap();
        let now = clock::monotonic();
        written(&mut output, b"one\n");
        drop(first);
        let result = output.write(b"two\nthree\n", now);
        assert!(matches!(
            result,
            BatchResult { taken: 10, lost: 2, change: Some(OutputChange::Failing(_)) }
        ));
        let result = output.write(b"four\n", now);
        assert!(matches!(result, BatchResult { taken: 5, lost: 1, change: None }));
        let mut second = reader(&path);
        written(&mut output, b"five\n");
        let change = output.write(b"", now + RECOVERY_PATIENCE).change;
        assert!(matches!(change, Some(OutputChange::Recovered { lost: 3 })), "{change:?}");
        let mut text = [0; 32];
        let count = second.read(&mut text).unwrap();
        assert!(text[..count].ends_with(b"five\n"));
    }

    #[test]
    fn a_device_that_is_full_takes_nothing() {
        let mut output = open(Path::new("/dev/full")).unwrap();
        let result = output.write(b"one\ntwo\n", clock::monotonic());
        assert!(matches!(result, BatchResult { taken: 8, lost: 2, change: Some(_) }), "{result:?}");
        assert_eq!(output.end(), 0);
    }

    /// A write that ends anywhere in a batch: what was begun is kept to the end of its line, and the lines
    /// behind it are counted.
    #[test]
    fn a_line_that_was_begun_is_kept_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let lines = b"one\ntwo\n\nfour\n";
        for split in 0..=lines.len() {
            for stop in 0..=lines.len() {
                let path = folder.path().join("access.log");
                let mut output = open(&path).unwrap();
                let pieces = [&lines[..split], &lines[split..]];
                let kept = output.keep_rest(pieces, stop);
                let behind = &lines[stop..];
                let wanted = if stop == 0 || lines[stop - 1] == b'\n' {
                    &behind[..0]
                } else {
                    &behind[..=behind.iter().position(|byte| *byte == b'\n').unwrap()]
                };
                assert_eq!((output.rest.as_slice(), kept), (wanted, wanted.len()));
                let lost = lines[stop + kept..].iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(count_lines(pieces, stop + kept), lost as u64, "{split} {stop}");
            }
        }
    }
}
