//! Lines that the logs have lost.

use super::families::{Family, number};
use crate::control::logs::lost_lines::LostLines;
use crate::report::{Counter, CounterSums};

/// How many lines each log has lost, and why.
pub(super) fn lost_lines(counters: &CounterSums, lost: &LostLines) -> Family {
    let mut family = Family::counter(
        "ferrule_log_lines_dropped",
        "Lines that are in no log. Reason `buffer_full`: too many at once, or nobody reads the pipe that \
         they go to. Reason `write_failed`: the disk is full, or the pipe has no reader any more.",
    );
    for (log, reason, lines) in [
        ("access", "buffer_full", counters.get(Counter::LogDropped)),
        ("access", "write_failed", lost.access_failed.get()),
        ("error", "buffer_full", lost.error_full.get()),
        ("error", "write_failed", lost.error_failed.get()),
    ] {
        let labels = vec![("log", log.to_owned()), ("reason", reason.to_owned())];
        family.push(labels, number(lines));
    }
    family
}
