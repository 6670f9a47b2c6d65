//! The one thread that writes logs.
//!
//! In: access log lines from the ring of each core, and diagnostics from any thread through a bounded
//! buffer. Out: lines in files or on streams. A core never waits for the writer, and never wakes it: the
//! writer checks the rings every 10 ms while there are lines, and every 100 ms at the latest. Lines for an
//! output that nobody reads wait in the rings, and do not keep those of the other log.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule_config::model::Level;

use super::line::{Diagnostic, LineForm};
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
    lost: Arc<LostLines>,
}

#[derive(Debug, Default)]
struct Inbox {
    diagnostics: Vec<u8>,
    /// How each of them is written.
    form: LineForm,
    /// Those that go to the outputs of before, because they have a form that the new ones do not take.
    before: Vec<u8>,
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
        lock(&shared.inbox).form = outputs.error_form;
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
    pub(super) fn form(&self) -> LineForm {
        lock(&self.shared.inbox).form
    }

    /// Gives a diagnostic to the writer. It is dropped and counted if too many wait.
    pub(super) fn diagnostic(&self, diagnostic: &Diagnostic) {
        let time = clock::utc();
        let mut form = self.form();
        // The outputs may change meanwhile.
        while let Err(other) = self.push(diagnostic.line(form, &time).as_bytes(), form) {
            form = other;
        }
    }

    /// Gives a line of this form to the writer; the error is the form that is wanted now.
    fn push(&self, line: &[u8], form: LineForm) -> Result<(), LineForm> {
        let mut inbox = lock(&self.shared.inbox);
        if inbox.form != form {
            return Err(inbox.form);
        }
        if inbox.diagnostics.len().saturating_add(line.len()) > DIAGNOSTICS_BYTES_MAX {
            inbox.dropped = inbox.dropped.saturating_add(1);
            self.shared.lost.error_full.add(1);
        } else {
            inbox.diagnostics.extend_from_slice(line);
        }
        drop(inbox);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Writes to these outputs from now on.
    pub fn redirect(&self, outputs: LogOutputs) {
        let mut inbox = lock(&self.shared.inbox);
        if inbox.form.is_record != outputs.error_form.is_record {
            // What waits was made for the outputs of before, and cannot go to these.
            let waiting = std::mem::take(&mut inbox.diagnostics);
            if inbox.outputs.is_none() {
                inbox.before = waiting;
            } else {
                self.shared.lost.error_full.add(line_count(&waiting));
            }
        }
        inbox.form = outputs.error_form;
        inbox.outputs = Some(outputs);
        drop(inbox);
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
                lost = lost.saturating_add(line_count(first)).saturating_add(line_count(second));
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
        let is_record = |outputs: &LogOutputs| outputs.error_form.is_record;
        let ends_form =
            inbox.outputs.as_ref().is_some_and(|next| is_record(next) != is_record(&self.outputs));
        let before = std::mem::take(&mut inbox.before);
        if !is_blocked && !ends_form {
            // Lines of before go first: after two changes at once the outputs have their form again.
            if before.is_empty() {
                std::mem::swap(&mut inbox.diagnostics, &mut self.batch);
            } else {
                self.batch.extend_from_slice(&before);
                self.batch.append(&mut inbox.diagnostics);
            }
            dropped = std::mem::take(&mut inbox.dropped);
        } else if self.batch.len() <= 2 * DIAGNOSTICS_BYTES_MAX {
            self.batch.extend_from_slice(&before);
        } else {
            self.shared.lost.error_full.add(line_count(&before));
        }
        let outputs = inbox.outputs.take();
        let reopen = std::mem::take(&mut inbox.reopen);
        is_stopping = inbox.stop;
        drop(inbox);
        if ends_form {
            self.write_diagnostics();
            self.shared.lost.error_failed.add(line_count(&std::mem::take(&mut self.batch)));
        }
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
        self.shared.lost.error_cut.add(self.outputs.error.take_cut());
        // There is no other place to report that the error log cannot be written.
        if let Some(OutputChange::Recovered { lost }) = change {
            self.write_note(&format!("the error log is written again; {lost} lines are lost"));
        }
        progress
    }

    /// Writes the lines in the rings. A reader that does not keep up is waited for once a round, and each ring comes
    /// first in its turn.
    fn write_access(&mut self) -> Progress {
        let now = clock::monotonic();
        let mut progress = Progress::Idle;
        let mut changes = Vec::new();
        let mut is_stalled = false;
        let next = usize::from(self.rings.len() > 1);
        self.rings.rotate_left(next);
        for ring in &mut self.rings {
            if is_stalled {
                break;
            }
            let access = &mut self.outputs.access;
            let lost_lines = &self.shared.lost;
            ring.take(|first, second| {
                let waiting = first.len().saturating_add(second.len());
                let Some(access) = access else { return waiting };
                let BatchResult { taken, lost, change } = access.write_pieces([first, second], now);
                lost_lines.access_failed.add(lost);
                lost_lines.access_cut.add(access.take_cut());
                changes.extend(change);
                is_stalled = taken < waiting;
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
        let line = diagnostic.line(self.outputs.error_form, &clock::utc());
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

fn line_count(lines: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', lines).count()).unwrap_or(u64::MAX)
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
mod tests;
