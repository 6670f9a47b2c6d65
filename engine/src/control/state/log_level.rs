//! The level of the error log: the file's, or what an operator has set until the next reload.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrule_config::model::Level;

use crate::control::logs::diagnostics::LevelSwitch;

/// The level, for whoever sets or shows it.
#[derive(Debug, Default)]
pub(crate) struct LogLevel(Mutex<LevelFields>);

#[derive(Debug, Default)]
struct LevelFields {
    /// `None` before the logs are open.
    switch: Option<LevelSwitch>,
    view: Option<LevelView>,
}

/// What is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LevelView {
    /// The level.
    pub(crate) level: Level,
    /// That of the configuration in force.
    pub(crate) configured: Level,
}

impl LogLevel {
    fn lock(&self) -> MutexGuard<'_, LevelFields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The logs are open, at this level.
    pub(crate) fn start(&self, switch: LevelSwitch, level: Level) {
        let view = Some(LevelView { level, configured: level });
        *self.lock() = LevelFields { switch: Some(switch), view };
    }

    /// A configuration with this level is put into force: what an operator has set ends.
    pub(crate) fn follow(&self, configured: Level) {
        let mut fields = self.lock();
        fields.view = Some(LevelView { level: configured, configured });
        fields.apply();
    }

    /// An operator sets this level, until the next reload.
    pub(crate) fn set(&self, level: Level) {
        let mut fields = self.lock();
        if let Some(view) = &mut fields.view {
            view.level = level;
        }
        fields.apply();
    }

    /// What is in force; `None` before the logs are open.
    pub(crate) fn get(&self) -> Option<LevelView> {
        self.lock().view
    }
}

impl LevelFields {
    fn apply(&self) {
        if let (Some(switch), Some(view)) = (&self.switch, self.view) {
            switch.set(view.level);
        }
    }
}
