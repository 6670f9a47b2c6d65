//! Which connections are ended first when memory runs short: those that have stalled the longest.
//!
//! A connection makes progress when an exchange begins or ends, or when enough of its bytes have moved; a
//! byte now and then is no progress. Only memory that waits counts: an idle connection, or one that
//! waits for a response, holds next to none and is left alone.

use super::table::{ArmedAction, NEVER, Shut, TimerTable};
use crate::shell::transport::buffers::BufferSize;

/// This many bytes are progress.
const GAIN_BYTES: u32 = 4_096;

/// A connection that made progress within these two seconds may be about to make some again.
const PATIENCE_TICKS: u32 = 20;

/// What ending stalled connections frees.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reclaimed {
    /// Waits that were ended.
    pub(crate) count: usize,
    /// Bytes of memory that they held.
    pub(crate) bytes: usize,
}

impl TimerTable {
    /// Makes the connections that have been stalled the longest due at the next tick, until that frees so
    /// many bytes.
    pub(super) fn end_stalled(&mut self, bytes: usize) -> Reclaimed {
        let soon = self.now.saturating_add(1);
        let mut waiting: Vec<(u32, usize)> = (0..self.due.len())
            .filter_map(|slot| Some((self.stalled_since(slot)?, slot)))
            .collect();
        waiting.sort_unstable();
        let mut ended = Reclaimed::default();
        for (_, slot) in waiting {
            if ended.bytes >= bytes {
                break;
            }
            if let Some(due) = self.due.get_mut(slot) {
                *due = soon;
            }
            let held =
                self.held.get(slot).and_then(|held| usize::try_from(*held).ok()).unwrap_or(0);
            ended.count += 1;
            ended.bytes += held;
        }
        ended
    }

    /// The tick at which the connection of a slot last made progress, if it may be ended now.
    fn stalled_since(&self, slot: usize) -> Option<u32> {
        let (due, held) = (*self.due.get(slot)?, *self.held.get(slot)?);
        let since = self.progress.get(slot).copied().unwrap_or(self.now);
        let large = usize::try_from(held).is_ok_and(|held| held > BufferSize::Small.bytes());
        let rests = self.idle.get(slot).copied().unwrap_or(true);
        let ends = matches!(
            self.actions.get(slot),
            Some(Some(ArmedAction { shut: Shut::Read | Shut::Both, .. }))
        );
        let late = since.saturating_add(PATIENCE_TICKS) <= self.now;
        let waits = due != NEVER && due > self.now.saturating_add(1);
        (waits && large && !rests && ends && late).then_some(since)
    }

    /// Notes bytes of the slot's connection; enough of them are progress.
    pub(super) fn note_bytes(&mut self, slot: usize, bytes: usize) {
        let Some(gained) = self.gained.get_mut(slot) else { return };
        *gained = gained.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if *gained >= GAIN_BYTES {
            self.note_progress(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shell::transport::deadlines::{Deadlines, Timer};
    use crate::shell::transport::net::{Descriptor, UnixStream};

    const LONG: Duration = Duration::from_secs(60);

    fn pass(deadlines: &Deadlines, ticks: u32) {
        for _ in 0..ticks {
            deadlines.tick();
        }
    }

    #[test]
    fn who_has_not_got_on_for_the_longest_goes_first() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let descriptor = Descriptor::of(&ours);
        let bytes = BufferSize::Record.bytes();
        let timers: Vec<Timer> = (0..7).map(|_| deadlines.timer()).collect();
        for timer in &timers {
            timer.set_held_bytes(bytes);
            timer.arm(LONG, descriptor, Shut::Both);
        }
        // Of the rest: one holds next to nothing, one waits for a next request, and one does not wait.
        timers[4].set_held_bytes(BufferSize::Small.bytes());
        timers[5].arm_idle(LONG, descriptor, Shut::Read);
        timers[6].disarm();
        pass(&deadlines, 5);
        timers[1].note_progress();
        pass(&deadlines, 5);
        timers[0].note_bytes(GAIN_BYTES as usize);
        // A byte now and then is no progress.
        for _ in 0..PATIENCE_TICKS {
            timers[2].note_bytes(1);
            timers[2].arm(LONG, descriptor, Shut::Both);
            pass(&deadlines, 1);
        }
        timers[3].note_progress();
        assert_eq!(deadlines.end_stalled(1), Reclaimed { count: 1, bytes });
        assert_eq!((deadlines.tick(), timers[2].fired()), (1, true));
        assert_eq!(deadlines.end_stalled(bytes + 1), Reclaimed { count: 2, bytes: 2 * bytes });
        assert_eq!(deadlines.end_stalled(usize::MAX), Reclaimed::default(), "they are ended once");
        pass(&deadlines, 1);
        assert!(timers[0].fired() && timers[1].fired());
        assert!(!timers[3].fired(), "it has just got on");
        assert_eq!(deadlines.end_stalled(usize::MAX), Reclaimed::default());
    }
}
