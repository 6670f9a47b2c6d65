//! Diagnostics: `tracing` events become lines of the error log.
//!
//! An event is rendered by the thread that it happens on, and goes to the bounded buffer of the log
//! writer: not even a blocked standard error holds up a data core. A reload can change the level.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use ferrule_config::model::Level;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use super::line::{Diagnostic, LineForm};
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
    let lines = DiagnosticLines(writer.clone());
    (tracing_subscriber::registry().with(filter).with(lines), LevelSwitch(handle))
}

/// Writes panics to the error log, so many in a second (a peer may have found out how to cause them), and to
/// standard error: if the panic ends the process, the log writer may not get to it. There it has the form of
/// the error log too.
pub fn log_panics(writer: &LogWriter) {
    let before = std::panic::take_hook();
    let writer = writer.clone();
    let limit = Mutex::new(RateLimit::<1>::new(PANICS_PER_SECOND));
    std::panic::set_hook(Box::new(move |panic| {
        let second = clock::unix_seconds().unsigned_abs();
        let allowed = limit.lock().unwrap_or_else(PoisonError::into_inner).allow(0, second);
        let Some(suppressed) = allowed else { return };
        tracing::error!(suppressed, "{panic}");
        if writer.form().is_json {
            let diagnostic = Diagnostic::new(Level::Error, panic.to_string());
            let form = LineForm { is_json: true, is_record: false };
            let line = diagnostic.line(form, &clock::utc());
            drop(io::stderr().write_all(line.as_bytes()));
        } else {
            before(panic);
        }
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

/// Passes events to the log writer, each as one line.
struct DiagnosticLines(LogWriter);

impl<S: Subscriber> Layer<S> for DiagnosticLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.diagnostic(&Diagnostic::of(event));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrule_config::Place;
    use ferrule_config::model::{ErrorFormat, Log, LogTarget};

    use super::*;
    use crate::control::logs::outputs::LogOutputs;

    /// The lines of these events, written in this format.
    fn lines(format: ErrorFormat, events: impl FnOnce(&LevelSwitch)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("error.log");
        let log = Log {
            error: LogTarget::File(file.clone()),
            error_place: Place::default(),
            level: Level::Warn,
            error_format: format,
            access: None,
            handshake_failures: false,
        };
        let outputs = LogOutputs::open(&log).unwrap();
        let writer = LogWriter::start(outputs, Vec::new(), &Arc::default()).unwrap();
        let (subscriber, switch) = subscriber(&writer, Level::Warn);
        tracing::subscriber::with_default(subscriber, || events(&switch));
        writer.stop();
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn events_become_lines_and_the_level_can_change() {
        let lines = lines(ErrorFormat::Text, |switch| {
            tracing::info!("too quiet");
            tracing::warn!(peer = "127.0.0.1\n", "loud enough");
            switch.set(Level::Info);
            let error = io::Error::other("no room x=1");
            tracing::info!(%error, count = 3_u32, none = Option::<u64>::None, "loud enough now");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        // A value is quoted, so a peer's text cannot start a line of its own.
        assert!(lines[0].ends_with(r#" WARN loud enough peer="127.0.0.1\n""#), "{lines:?}");
        let wanted = r#" INFO loud enough now error="no room x=1" count=3"#;
        assert!(lines[1].ends_with(wanted), "{lines:?}");
        assert!(
            lines[0].split(' ').next().is_some_and(|time| time.len() == 24 && time.ends_with('Z'))
        );
    }

    #[test]
    fn events_can_be_json() {
        let lines = lines(ErrorFormat::Json, |_| {
            tracing::error!(peer = "a\n\"b", ok = true, count = -3, "a {} line", "good");
        });
        let read: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(read["level"], "error");
        assert_eq!(read["message"], "a good line");
        let fields = serde_json::json!({ "peer": "a\n\"b", "ok": true, "count": -3 });
        assert_eq!(read["fields"], fields);
    }
}
