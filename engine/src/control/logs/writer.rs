//! The one thread that writes logs.
//!
//! In: access log lines from the ring of each core, and diagnostics from anywhere through a bounded
//! buffer. A core is never made to wait: it is not even told that the writer sleeps, the writer looks,
//! every 10 ms while there is work and every 100 ms at most while there is none.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule_config::model::Log;

use super::output::{LogOutput, Written};
use crate::control::process::clock;
use crate::report::LogConsumer;

/// The writer's rest after it found work.
const REST_MIN: Duration = Duration::from_millis(10);
/// The longest rest; the rings hold at least that long (see [`crate::report::log_ring::RING_BYTES`]).
const REST_MAX: Duration = Duration::from_millis(100);
/// How often the names of the files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(1);
/// Diagnostics that wait; more than this is dropped and counted.
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
    /// Opens what the configuration names.
    ///
    /// # Errors
    /// The first target that cannot be opened, by its key in the file.
    pub fn open(log: &Log) -> Result<Self, (&'static str, io::Error)> {
        let error = LogOutput::open(&log.error).map_err(|error| ("log.error.path", error))?;
        let access = log
            .access
            .as_ref()
            .map(|access| LogOutput::open(&access.target))
            .transpose()
            .map_err(|error| ("log.access.path", error))?;
        Ok(Self { error, access })
    }
}

/// Handle to the writer's thread. Clones talk to the same one.
#[derive(Clone, Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
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
        let shared = Arc::new(Shared::default());
        let scribe = Scribe { shared: Arc::clone(&shared), outputs, rings, batch: Vec::new() };
        let _thread: JoinHandle<()> =
            std::thread::Builder::new().name("ferrule-log".into()).spawn(move || scribe.run())?;
        Ok(Self { shared })
    }

    /// Hands over diagnostics, whole lines. Dropped and counted if too many wait.
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

    /// Writes to these from now on.
    pub fn redirect(&self, outputs: LogOutputs) {
        lock(&self.shared.inbox).outputs = Some(outputs);
        self.shared.wake.notify_one();
    }

    /// Opens the files anew.
    pub fn reopen(&self) {
        lock(&self.shared.inbox).reopen = true;
        self.shared.wake.notify_one();
    }

    /// Writes what waits, then ends the thread; gives up after two seconds (a pipe nobody reads).
    pub fn stop(&self) {
        let mut inbox = lock(&self.shared.inbox);
        inbox.stop = true;
        self.shared.wake.notify_one();
        let result = self.shared.ended.wait_timeout_while(inbox, STOP_PATIENCE, |box_| !box_.ended);
        drop(result.unwrap_or_else(PoisonError::into_inner));
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own side.
struct Scribe {
    shared: Arc<Shared>,
    outputs: LogOutputs,
    rings: Vec<LogConsumer>,
    /// What the thread swaps with the inbox, so that nobody waits for a write.
    batch: Vec<u8>,
}

impl Scribe {
    fn run(mut self) {
        let mut rest = REST_MIN;
        let mut looked: Instant = clock::monotonic();
        loop {
            let stop = self.take_orders(rest);
            if looked.elapsed() >= LOOK_AT_FILES {
                looked = clock::monotonic();
                self.follow_moved_files();
            }
            self.write_diagnostics();
            let worked = self.write_access();
            rest = if worked { REST_MIN } else { (rest * 2).min(REST_MAX) };
            if stop && !worked {
                break;
            }
        }
        lock(&self.shared.inbox).ended = true;
        self.shared.ended.notify_all();
    }

    /// Waits for something to do, `rest` at most, and takes it. Is it time to end?
    fn take_orders(&mut self, rest: Duration) -> bool {
        let inbox = lock(&self.shared.inbox);
        let waiting = self.shared.wake.wait_timeout_while(inbox, rest, |inbox| {
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
            // Lines that were made for the old files still go there.
            self.write_access();
            self.outputs = outputs;
        }
        if reopen {
            self.reopen();
        }
        if dropped > 0 {
            self.say(&format!("{dropped} diagnostics dropped: too many at once"));
        }
        stop
    }

    fn reopen(&mut self) {
        let error = self.outputs.error.reopen().err();
        let access = self.outputs.access.as_mut().and_then(|access| access.reopen().err());
        for (log, error) in [("error", error), ("access", access)] {
            if let Some(error) = error {
                self.say(&format!(
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
            // Nobody is left to be told that the error log itself cannot be written.
            let _: Written = self.outputs.error.write(&self.batch);
            self.batch.clear();
        }
    }

    /// Writes what the rings hold; did they hold anything?
    fn write_access(&mut self) -> bool {
        let mut worked = false;
        let mut remarks = Vec::new();
        for ring in &mut self.rings {
            if ring.waiting() == 0 {
                continue;
            }
            worked = true;
            let access = &mut self.outputs.access;
            ring.take(|first, second| {
                let Some(access) = access else { return };
                remarks.extend(remark(access.write_pieces([first, second])));
            });
        }
        for text in remarks {
            self.say(&text);
        }
        worked
    }

    /// A line of the writer's own.
    fn say(&mut self, text: &str) {
        let line = format!("{} WARN {text}\n", clock::utc());
        let _: Written = self.outputs.error.write(line.as_bytes());
    }
}

/// What an operator should know about a batch: the first that was lost, and the end of losing.
fn remark(written: Written) -> Option<String> {
    match written {
        Written::Whole { lost_before: 0 } | Written::Lost { first: false, .. } => None,
        Written::Whole { lost_before } => Some(format!(
            "the access log is written again; {lost_before} batches of lines are lost"
        )),
        Written::Lost { error, first: true } => {
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
        let shared = Arc::new(Shared::default());
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
        let (key, error) = LogOutputs::open(&log(folder.path(), "no/such/folder.log")).unwrap_err();
        assert_eq!((key, error.kind()), ("log.access.path", io::ErrorKind::NotFound));
    }
}
