//! Diagnostics: `tracing` events become lines of the error log.
//!
//! An event is rendered where it happens and handed to the log writer's bounded buffer, so not even a
//! blocked standard error holds up a data core. The level can change with a reload.

use std::io::{self, Write};

use ferrule_config::model::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

use super::log_writer::LogWriter;

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub struct LevelSwitch(reload::Handle<LevelFilter, Registry>);

impl LevelSwitch {
    /// Writes this level and everything graver from now on.
    pub fn set(&self, level: Level) {
        // It fails only if the subscriber is gone, and then nobody writes anything.
        drop(self.0.reload(filter(level)));
    }
}

/// Sends every event of this process to the log writer. A second call changes nothing but the level
/// that its own switch controls, which nobody listens to: events stay with the first.
#[must_use]
pub fn start(writer: &LogWriter, level: Level) -> LevelSwitch {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(Lines(writer.clone()));
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    drop(tracing::subscriber::set_global_default(subscriber));
    LevelSwitch(handle)
}

/// Writes every panic to the error log too. Standard error keeps getting it: if the process dies of it,
/// the log writer may not come round any more.
pub fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
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

/// Makes writers that hand their lines over.
struct Lines(LogWriter);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// The subscriber writes each event with one call, so this need not collect.
struct Line<'a>(&'a LogWriter);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.diagnostics(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
