//! The one thread that writes logs.
//!
//! In: access log lines from the ring of each core, and diagnostics from any thread through a bounded
//! buffer. Out: lines in files or on streams. A core never waits for the writer, and never wakes it: the
//! writer checks the rings every 10 ms while there are lines, and every 100 ms at the latest. Lines for an
//! output that nobody reads wait in the rings, and do not keep those of the other log.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule_config::model::{ErrorFormat, Level};

use super::line::Diagnostic;
use super::lost_lines::LostLines;
use super::output::{BatchResult, LogOutput, OutputChange};
use super::outputs::LogOutputs;
use crate::control::process::clock;
use crate::report::LogConsumer;

/// How long the writer pauses after it found lines.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause; the rings hold at least that long (see [`crate::report::log_ring::RING_BYTES`]).
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// How often the writer checks whether a file was moved.
const CHECK_FILES_EVERY: Duration = Duration::from_secs(1);
/// The most diagnostics that may wait; more are dropped and counted.
const DIAGNOSTICS_BYTES_MAX: usize = 256 << 10;
/// How long the last lines may take at the end.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last lines wait for a reader at the end; less, so that their loss is still told.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Handle to the writer's thread. Clones are handles to the same thread.
#[derive(Clone, Debug)]
pub struct LogWriter {
    shared: Arc<WriterState>,
}

#[derive(Debug, Default)]
struct WriterState {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    ended: Condvar,
    /// Diagnostics are written as JSON.
    is_json: AtomicBool,
    lost: Arc<LostLines>,
}

#[derive(Debug, Default)]
struct Inbox {
    diagnostics: Vec<u8>,
    dropped: u64,
    outputs: Option<LogOutputs>,
    reopen: bool,
    stop: bool,
    ended: bool,
}

impl LogWriter {
    /// Starts the thread. It ends with [`LogWriter::stop`].
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        outputs: LogOutputs,
        rings: Vec<LogConsumer>,
        lost: &Arc<LostLines>,
    ) -> io::Result<Self> {
        let shared = Arc::new(WriterState { lost: Arc::clone(lost), ..WriterState::default() });
        shared.set_error_format(outputs.error_format);
        let writer = WriterThread {
            shared: Arc::clone(&shared),
            outputs,
            rings,
            batch: Vec::new(),
            cannot_reopen: false,
        };
        let _thread: JoinHandle<()> =
            std::thread::Builder::new().name("ferrule-log".into()).spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// How diagnostics are to be written.
    pub(super) fn error_format(&self) -> ErrorFormat {
        self.shared.error_format()
    }

    /// Gives the line of a diagnostic to the writer. It is dropped and counted if too many wait.
    pub(super) fn diagnostic(&self, line: &[u8]) {
        let mut inbox = lock(&self.shared.inbox);
        if inbox.diagnostics.len().saturating_add(line.len()) > DIAGNOSTICS_BYTES_MAX {
            inbox.dropped = inbox.dropped.saturating_add(1);
            self.shared.lost.error_full.add(1);
        } else {
            inbox.diagnostics.extend_from_slice(line);
        }
        drop(inbox);
        self.shared.wake.notify_one();
    }

    /// Writes to these outputs from now on.
    pub fn redirect(&self, outputs: LogOutputs) {
        self.shared.set_error_format(outputs.error_format);
        lock(&self.shared.inbox).outputs = Some(outputs);
        self.shared.wake.notify_one();
    }

    /// Opens the files again.
    pub fn reopen(&self) {
        lock(&self.shared.inbox).reopen = true;
        self.shared.wake.notify_one();
    }

    /// Writes what is left and ends the thread. Gives up after two seconds: a pipe may have no reader.
    pub fn stop(&self) {
        let mut inbox = lock(&self.shared.inbox);
        inbox.stop = true;
        self.shared.wake.notify_one();
        let result =
            self.shared.ended.wait_timeout_while(inbox, STOP_PATIENCE, |inbox| !inbox.ended);
        drop(result.unwrap_or_else(PoisonError::into_inner));
    }
}

impl WriterState {
    fn error_format(&self) -> ErrorFormat {
        if self.is_json.load(Ordering::Relaxed) { ErrorFormat::Json } else { ErrorFormat::Text }
    }

    fn set_error_format(&self, format: ErrorFormat) {
        self.is_json.store(format == ErrorFormat::Json, Ordering::Relaxed);
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread works with.
struct WriterThread {
    shared: Arc<WriterState>,
    outputs: LogOutputs,
    rings: Vec<LogConsumer>,
    /// The diagnostics to write. Swapped with those in the inbox, so that no other thread waits for a write.
    batch: Vec<u8>,
    /// A file that was moved could not be opened again, and that was told.
    cannot_reopen: bool,
}

/// How much of the lines that wait one round has written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// There were none.
    Idle,
    /// Some or all of them.
    Moved,
    /// None: they wait for a reader.
    Blocked,
}

impl WriterThread {
    fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut checked: Instant = clock::monotonic();
        let mut stop_by = None;
        loop {
            let stop = self.take_inbox(pause);
            if checked.elapsed() >= CHECK_FILES_EVERY {
                checked = clock::monotonic();
                self.follow_moved_files();
            }
            let progress = self.write_diagnostics().max(self.write_access());
            pause = match progress {
                Progress::Moved => PAUSE_MIN,
                Progress::Idle | Progress::Blocked => (pause * 2).min(PAUSE_MAX),
            };
            if stop {
                let by = *stop_by.get_or_insert_with(|| clock::monotonic() + READER_PATIENCE);
                let is_late = clock::monotonic() >= by;
                if progress == Progress::Idle || (progress == Progress::Blocked && is_late) {
                    break;
                }
            }
        }
        self.end();
        lock(&self.shared.inbox).ended = true;
        self.shared.ended.notify_all();
    }

    /// Counts what cannot be written any more, and tells of it.
    fn end(&mut self) {
        let mut lost = self.outputs.access.as_mut().map_or(0, LogOutput::end);
        for ring in &mut self.rings {
            ring.take(|first, second| {
                let ends = |piece| memchr::memchr_iter(b'\n', piece).count();
                lost = lost.saturating_add((ends(first) + ends(second)) as u64);
                first.len().saturating_add(second.len())
            });
        }
        if lost > 0 {
            self.shared.lost.access_failed.add(lost);
            self.write_note(&format!("the access log ends with {lost} lines lost"));
        }
        self.write_diagnostics();
        self.shared.lost.error_failed.add(self.outputs.error.end());
    }

    /// Waits until the inbox holds something, this long at most, and takes it. Is it time to end?
    fn take_inbox(&mut self, pause: Duration) -> bool {
        let inbox = lock(&self.shared.inbox);
        // While older ones wait for a reader, no new ones are taken.
        let is_blocked = !self.batch.is_empty();
        let mut is_stopping = inbox.stop;
        let waiting = self.shared.wake.wait_timeout_while(inbox, pause, |inbox| {
            (inbox.diagnostics.is_empty() || is_blocked)
                && inbox.outputs.is_none()
                && !inbox.reopen
                && inbox.stop == is_stopping
        });
        let (mut inbox, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if !is_blocked {
            std::mem::swap(&mut inbox.diagnostics, &mut self.batch);
            dropped = std::mem::take(&mut inbox.dropped);
        }
        let outputs = inbox.outputs.take();
        let reopen = std::mem::take(&mut inbox.reopen);
        is_stopping = inbox.stop;
        drop(inbox);
        if let Some(outputs) = outputs {
            self.replace(outputs);
        }
        if reopen {
            self.cannot_reopen = false;
            self.reopen();
        }
        if dropped > 0 {
            self.write_note(&format!("{dropped} diagnostics dropped: too many at once"));
        }
        is_stopping
    }

    /// Writes to these outputs from now on. Lines that were made for the old ones still go there.
    fn replace(&mut self, outputs: LogOutputs) {
        self.write_access();
        let old = std::mem::replace(&mut self.outputs, outputs);
        let lost = &self.shared.lost;
        lost.error_failed.add(self.outputs.error.succeed(old.error));
        if let Some(mut access) = old.access {
            lost.access_failed.add(match &mut self.outputs.access {
                Some(next) => next.succeed(access),
                None => access.end(),
            });
        }
        self.cannot_reopen = false;
    }

    /// Opens the files again. That it cannot is told once.
    fn reopen(&mut self) {
        let lost = &self.shared.lost;
        let mut errors = Vec::new();
        match self.outputs.error.reopen() {
            Ok(lines) => lost.error_failed.add(lines),
            Err(error) => errors.push(("error", error)),
        }
        match self.outputs.access.as_mut().map(LogOutput::reopen) {
            Some(Ok(lines)) => lost.access_failed.add(lines),
            Some(Err(error)) => errors.push(("access", error)),
            None => {}
        }
        let is_told = std::mem::replace(&mut self.cannot_reopen, !errors.is_empty());
        for (log, error) in errors {
            if !is_told {
                self.write_note(&format!(
                    "cannot reopen the {log} log, going on with the old one: {error}"
                ));
            }
        }
    }

    fn follow_moved_files(&mut self) {
        let access = self.outputs.access.as_ref();
        if self.outputs.error.moved() || access.is_some_and(LogOutput::moved) {
            self.reopen();
        }
    }

    fn write_diagnostics(&mut self) -> Progress {
        let now = clock::monotonic();
        let BatchResult { taken, lost, change } = self.outputs.error.write(&self.batch, now);
        let progress = Progress::of(self.batch.len(), taken);
        self.batch.drain(..taken);
        self.shared.lost.error_failed.add(lost);
        // There is no other place to report that the error log cannot be written.
        if let Some(OutputChange::Recovered { lost }) = change {
            self.write_note(&format!("the error log is written again; {lost} lines are lost"));
        }
        progress
    }

    /// Writes the lines in the rings.
    fn write_access(&mut self) -> Progress {
        let now = clock::monotonic();
        let mut progress = Progress::Idle;
        let mut changes = Vec::new();
        for ring in &mut self.rings {
            let access = &mut self.outputs.access;
            let lost_lines = &self.shared.lost;
            ring.take(|first, second| {
                let waiting = first.len().saturating_add(second.len());
                let Some(access) = access else { return waiting };
                let BatchResult { taken, lost, change } = access.write_pieces([first, second], now);
                lost_lines.access_failed.add(lost);
                changes.extend(change);
                progress = progress.max(Progress::of(waiting, taken));
                taken
            });
        }
        for change in changes {
            self.write_note(&note_on(&change));
        }
        progress
    }

    /// Writes a diagnostic of the writer itself, behind those that wait.
    fn write_note(&mut self, text: &str) {
        let diagnostic = Diagnostic::new(Level::Warn, text.to_owned());
        let line = diagnostic.line(self.outputs.error_format, &clock::utc());
        self.batch.extend_from_slice(line.as_bytes());
    }
}

impl Progress {
    const fn of(waiting: usize, taken: usize) -> Self {
        match (waiting, taken) {
            (0, _) => Self::Idle,
            (_, 0) => Self::Blocked,
            _ => Self::Moved,
        }
    }

    /// That of two outputs.
    fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Moved, _) | (_, Self::Moved) => Self::Moved,
            (Self::Blocked, _) | (_, Self::Blocked) => Self::Blocked,
            (Self::Idle, Self::Idle) => Self::Idle,
        }
    }
}

/// What the operator is told.
fn note_on(change: &OutputChange) -> String {
    match change {
        OutputChange::Failing(error) => {
            format!("the access log cannot be written, lines are lost: {error}")
        }
        OutputChange::Stalled => {
            "nobody reads the access log: its lines wait, and are dropped when there are too many"
                .into()
        }
        OutputChange::Recovered { lost } => {
            format!("the access log is written again; {lost} lines are lost")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferrule_config::Place;
    use ferrule_config::model::{AccessFormat, AccessLog, Log, LogTarget};

    use super::*;
    use crate::report::log_ring;

    fn log(folder: &Path, access: &str) -> Log {
        Log {
            error: LogTarget::File(folder.join("error.log")),
            error_place: Place::default(),
            level: Level::Info,
            error_format: ErrorFormat::Text,
            access: Some(AccessLog {
                target: LogTarget::File(folder.join(access)),
                place: Place::default(),
                format: AccessFormat::Combined,
                format_place: Place::default(),
            }),
            handshake_failures: true,
        }
    }

    fn read(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn lines_of_every_core_and_diagnostics_reach_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, ring_one) = log_ring(1024);
        let (mut two, ring_two) = log_ring(1024);
        let outputs = LogOutputs::open(&log(folder.path(), "access.log")).unwrap();
        let writer = LogWriter::start(outputs, vec![ring_one, ring_two], &Arc::default()).unwrap();
        assert!(one.push(b"from one\n"));
        assert!(two.push(b"from two\n"));
        writer.diagnostic(b"hello\n");
        writer.stop();
        let access = read(folder.path(), "access.log");
        let mut lines: Vec<&str> = access.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["from one", "from two"]);
        assert_eq!(read(folder.path(), "error.log"), "hello\n");
    }

    #[test]
    fn a_redirect_keeps_old_lines_in_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut producer, ring) = log_ring(1024);
        let outputs = LogOutputs::open(&log(folder.path(), "old.log")).unwrap();
        let writer = LogWriter::start(outputs, vec![ring], &Arc::default()).unwrap();
        assert!(producer.push(b"before\n"));
        writer.redirect(LogOutputs::open(&log(folder.path(), "new.log")).unwrap());
        // Taken once the inbox is empty again.
        while lock(&writer.shared.inbox).outputs.is_some() {
            std::thread::yield_now();
        }
        // The old lines are written before anything else happens to the rings.
        while read(folder.path(), "old.log").is_empty() {
            std::thread::yield_now();
        }
        writer.diagnostic(b"x\n");
        while read(folder.path(), "error.log").is_empty() {
            std::thread::yield_now();
        }
        assert!(producer.push(b"after\n"));
        writer.stop();
        assert_eq!(read(folder.path(), "old.log"), "before\n");
        assert_eq!(read(folder.path(), "new.log"), "after\n");
    }

    #[test]
    fn too_many_diagnostics_are_dropped_and_counted() {
        let shared = Arc::new(WriterState::default());
        let writer = LogWriter { shared: Arc::clone(&shared) };
        let line = vec![b'x'; DIAGNOSTICS_BYTES_MAX / 2];
        for _ in 0..4 {
            writer.diagnostic(&line);
        }
        let inbox = lock(&shared.inbox);
        assert_eq!((inbox.diagnostics.len(), inbox.dropped), (DIAGNOSTICS_BYTES_MAX, 2));
        assert_eq!(shared.lost.error_full.get(), 2);
    }

    /// Every line is written or counted, and a log that nobody reads does not keep the other one.
    #[test]
    fn a_pipe_that_nobody_reads_keeps_no_diagnostic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        let reader = rustix::fs::open(&path, flags, mode).unwrap();
        let (mut producer, ring) = log_ring(1 << 20);
        let lost = Arc::<LostLines>::default();
        let outputs = LogOutputs::open(&log(folder.path(), "access.log")).unwrap();
        let writer = LogWriter::start(outputs, vec![ring], &lost).unwrap();
        let line = [vec![b'x'; 99], vec![b'\n']].concat();
        for _ in 0..2_000 {
            assert!(producer.push(&line));
        }
        while !read(folder.path(), "error.log").contains("nobody reads the access log") {
            std::thread::yield_now();
        }
        writer.diagnostic(b"still written\n");
        writer.stop();
        assert!(read(folder.path(), "error.log").contains("still written\n"));
        let mut got = 0;
        let mut piece = vec![0; 65_536];
        while let Ok(count) = rustix::io::read(&reader, &mut piece)
            && count > 0
        {
            got += count;
        }
        // The line that was begun is neither whole nor missing from the count.
        assert_eq!((got / 100) as u64 + lost.access_failed.get(), 2_000);
    }
}
