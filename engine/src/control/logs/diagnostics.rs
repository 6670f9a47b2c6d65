//! Diagnostics: `tracing` events become lines of the error log.
//!
//! An event is rendered by the thread that it happens on, and goes to the bounded buffer of the log
//! writer: not even a blocked standard error holds up a data core. A reload can change the level.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use ferrule_config::model::Level;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

use super::writer::LogWriter;
use crate::control::process::clock;
use crate::report::RateLimit;

/// Panics that are written in one second.
const PANICS_PER_SECOND: u32 = 5;

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub struct LevelSwitch(reload::Handle<LevelFilter, Registry>);

impl LevelSwitch {
    /// Writes events of this level and above from now on.
    pub fn set(&self, level: Level) {
        // It fails only if there is no subscriber any more, and then nothing is written.
        drop(self.0.reload(filter(level)));
    }
}

/// Sends every event of this process to the log writer. Only the first call has an effect.
#[must_use]
pub fn start(writer: &LogWriter, level: Level) -> LevelSwitch {
    let (subscriber, switch) = subscriber(writer, level);
    drop(tracing::subscriber::set_global_default(subscriber));
    switch
}

fn subscriber(writer: &LogWriter, level: Level) -> (impl Subscriber + Send + Sync, LevelSwitch) {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(DiagnosticWriter(writer.clone()));
    (tracing_subscriber::registry().with(filter).with(lines), LevelSwitch(handle))
}

/// Writes panics to the error log, so many in a second (a peer may have found out how to cause them), and to standard error as before: if the panic ends the process,
/// the log writer may not get to it.
pub fn log_panics() {
    let before = std::panic::take_hook();
    let limit = Mutex::new(RateLimit::<1>::new(PANICS_PER_SECOND));
    std::panic::set_hook(Box::new(move |panic| {
        let second = clock::unix_seconds().unsigned_abs();
        let allowed = limit.lock().unwrap_or_else(PoisonError::into_inner).allow(0, second);
        let Some(suppressed) = allowed else { return };
        tracing::error!(suppressed, "{panic}");
        before(panic);
    }));
}

const fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}

/// Makes writers that pass lines to the log writer.
struct DiagnosticWriter(LogWriter);

impl<'a> MakeWriter<'a> for DiagnosticWriter {
    type Writer = DiagnosticLine<'a>;

    fn make_writer(&'a self) -> DiagnosticLine<'a> {
        DiagnosticLine(&self.0)
    }
}

/// Passes on one line. The subscriber writes each event with one call, so there is nothing to collect.
struct DiagnosticLine<'a>(&'a LogWriter);

impl Write for DiagnosticLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.diagnostics(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::{Log, LogTarget};

    use super::*;
    use crate::control::logs::writer::LogOutputs;

    #[test]
    fn events_become_lines_and_the_level_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("error.log");
        let log = Log {
            error: LogTarget::File(file.clone()),
            level: Level::Warn,
            access: None,
            handshake_failures: false,
        };
        let writer = LogWriter::start(LogOutputs::open(&log).unwrap(), Vec::new()).unwrap();
        let (subscriber, switch) = subscriber(&writer, Level::Warn);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("too quiet");
            tracing::warn!(peer = "127.0.0.1\n", "loud enough");
            switch.set(Level::Info);
            tracing::info!("loud enough now");
        });
        writer.stop();
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        // A value is quoted, so a peer's text cannot start a line of its own.
        assert!(lines[0].ends_with(r#"WARN loud enough peer="127.0.0.1\n""#), "{text}");
        assert!(lines[1].ends_with("INFO loud enough now"), "{text}");
    }
}
