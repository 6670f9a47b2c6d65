//! Running, draining or stopping: what control tells every core.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the process is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Phase {
    /// Accept and serve.
    #[default]
    Running = 0,
    /// Another process has taken over: as `Draining`, but idle connections wait for a request as they did before. That
    /// one is answered, and the connection is closed then. Closing it earlier would lose a request that is on its way.
    Relieved = 1,
    /// Accept until control has closed the listeners; finish what is there, `Connection: close` on every response. Idle
    /// connections are closed soon.
    Draining = 2,
    /// Close everything now.
    Stopping = 3,
}

/// A [`Phase`] that only moves forward.
#[derive(Debug, Default)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    /// The phase now.
    #[must_use]
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Relieved,
            2 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Moves on; moving back is ignored. Control only (one writer).
    pub fn advance(&self, phase: Phase) {
        if phase as u8 > self.0.load(Ordering::Relaxed) {
            self.0.store(phase as u8, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_move_forward() {
        let phase = PhaseCell::default();
        assert_eq!(phase.get(), Phase::Running);
        phase.advance(Phase::Stopping);
        phase.advance(Phase::Draining);
        assert_eq!(phase.get(), Phase::Stopping);
    }
}
