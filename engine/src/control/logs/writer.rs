//! The one thread that writes logs.
//!
//! In: access log lines from the ring of each core, and diagnostics from any thread through a bounded
//! buffer. Out: lines in files or on streams. A core never waits for the writer, and never wakes it: the
//! writer checks the rings every 10 ms while there are lines, and every 100 ms at the latest.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule_config::model::Log;

use super::output::{BatchResult, LogOutput};
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

/// Open outputs for both logs.
#[derive(Debug)]
pub struct LogOutputs {
    error: LogOutput,
    access: Option<LogOutput>,
}

impl LogOutputs {
    /// Opens the targets that the configuration names.
    ///
    /// # Errors
    /// The first target that cannot be opened.
    pub fn open(log: &Log) -> Result<Self, LogOpenError> {
        let named = |key| move |error| LogOpenError { key, error };
        let error = LogOutput::open(&log.error).map_err(named("log.error.path"))?;
        let access = log
            .access
            .as_ref()
            .map(|access| LogOutput::open(&access.target))
            .transpose()
            .map_err(named("log.access.path"))?;
        Ok(Self { error, access })
    }
}

/// A log target that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key} cannot be opened: {error}")]
pub struct LogOpenError {
    /// The key of the target in the configuration file.
    pub key: &'static str,
    /// Why it cannot be opened.
    pub error: io::Error,
}

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
    pub fn start(outputs: LogOutputs, rings: Vec<LogConsumer>) -> io::Result<Self> {
        let shared = Arc::new(WriterState::default());
        let writer =
            WriterThread { shared: Arc::clone(&shared), outputs, rings, batch: Vec::new() };
        let _thread: JoinHandle<()> =
            std::thread::Builder::new().name("ferrule-log".into()).spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Gives whole lines of diagnostics to the writer. They are dropped and counted if too many wait.
    pub fn diagnostics(&self, lines: &[u8]) {
        let mut inbox = lock(&self.shared.inbox);
        if inbox.diagnostics.len().saturating_add(lines.len()) > DIAGNOSTICS_BYTES_MAX {
            inbox.dropped = inbox.dropped.saturating_add(1);
        } else {
            inbox.diagnostics.extend_from_slice(lines);
        }
        drop(inbox);
        self.shared.wake.notify_one();
    }

    /// Writes to these outputs from now on.
    pub fn redirect(&self, outputs: LogOutputs) {
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
}

impl WriterThread {
    fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut checked: Instant = clock::monotonic();
        loop {
            let stop = self.take_inbox(pause);
            if checked.elapsed() >= CHECK_FILES_EVERY {
                checked = clock::monotonic();
                self.follow_moved_files();
            }
            self.write_diagnostics();
            let wrote = self.write_access();
            pause = if wrote { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            if stop && !wrote {
                break;
            }
        }
        lock(&self.shared.inbox).ended = true;
        self.shared.ended.notify_all();
    }

    /// Waits until the inbox holds something, this long at most, and takes it. Is it time to end?
    fn take_inbox(&mut self, pause: Duration) -> bool {
        let inbox = lock(&self.shared.inbox);
        let waiting = self.shared.wake.wait_timeout_while(inbox, pause, |inbox| {
            inbox.diagnostics.is_empty() && inbox.outputs.is_none() && !inbox.reopen && !inbox.stop
        });
        let (mut inbox, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut inbox.diagnostics, &mut self.batch);
        let dropped = std::mem::take(&mut inbox.dropped);
        let outputs = inbox.outputs.take();
        let reopen = std::mem::take(&mut inbox.reopen);
        let stop = inbox.stop;
        drop(inbox);
        if let Some(outputs) = outputs {
            // DiagnosticWriter that were made for the old files still go there.
            self.write_access();
            self.outputs = outputs;
        }
        if reopen {
            self.reopen();
        }
        if dropped > 0 {
            self.write_note(&format!("{dropped} diagnostics dropped: too many at once"));
        }
        stop
    }

    fn reopen(&mut self) {
        let error = self.outputs.error.reopen().err();
        let access = self.outputs.access.as_mut().and_then(|access| access.reopen().err());
        for (log, error) in [("error", error), ("access", access)] {
            if let Some(error) = error {
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

    fn write_diagnostics(&mut self) {
        if !self.batch.is_empty() {
            // There is no other place to report that the error log cannot be written.
            let _: BatchResult = self.outputs.error.write(&self.batch);
            self.batch.clear();
        }
    }

    /// Writes the lines in the rings. Were there any?
    fn write_access(&mut self) -> bool {
        let mut wrote = false;
        let mut notes = Vec::new();
        for ring in &mut self.rings {
            if ring.waiting() == 0 {
                continue;
            }
            wrote = true;
            let access = &mut self.outputs.access;
            ring.take(|first, second| {
                let Some(access) = access else { return };
                notes.extend(note_on(access.write_pieces([first, second])));
            });
        }
        for text in notes {
            self.write_note(&text);
        }
        wrote
    }

    /// Writes a diagnostic of the writer itself.
    fn write_note(&mut self, text: &str) {
        let line = format!("{} WARN {text}\n", clock::utc());
        let _: BatchResult = self.outputs.error.write(line.as_bytes());
    }
}

/// What the operator is told of a batch: of the first one lost, and of the first one written after that.
fn note_on(written: BatchResult) -> Option<String> {
    match written {
        BatchResult::Written { lost_before: 0 } | BatchResult::Lost { first: false, .. } => None,
        BatchResult::Written { lost_before } => Some(format!(
            "the access log is written again; {lost_before} batches of lines are lost"
        )),
        BatchResult::Lost { error, first: true } => {
            Some(format!("the access log cannot be written, lines are lost: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferrule_config::model::{AccessFormat, AccessLog, Level, LogTarget};

    use super::*;
    use crate::report::log_ring;

    fn log(folder: &Path, access: &str) -> Log {
        Log {
            error: LogTarget::File(folder.join("error.log")),
            level: Level::Info,
            access: Some(AccessLog {
                target: LogTarget::File(folder.join(access)),
                format: AccessFormat::Combined,
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
        let writer = LogWriter::start(outputs, vec![ring_one, ring_two]).unwrap();
        assert!(one.push(b"from one\n"));
        assert!(two.push(b"from two\n"));
        writer.diagnostics(b"hello\n");
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
        let writer = LogWriter::start(outputs, vec![ring]).unwrap();
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
        writer.diagnostics(b"x\n");
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
            writer.diagnostics(&line);
        }
        let inbox = lock(&shared.inbox);
        assert_eq!((inbox.diagnostics.len(), inbox.dropped), (DIAGNOSTICS_BYTES_MAX, 2));
    }

    #[test]
    fn an_output_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let LogOpenError { key, error } =
            LogOutputs::open(&log(folder.path(), "no/such/folder.log")).unwrap_err();
        assert_eq!((key, error.kind()), ("log.access.path", io::ErrorKind::NotFound));
    }
}
