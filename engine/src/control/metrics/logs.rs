//! Lines that the logs have lost, and lines that they have in a shorter form.

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

/// How many lines of each log were too long for a datagram.
pub(super) fn cut_lines(lost: &LostLines) -> Family {
    let mut family = Family::counter(
        "ferrule_log_lines_cut",
        "Lines that were too long for a datagram to a syslog server or the journal: they are there in a \
         shorter form, which says so.",
    );
    for (log, lines) in [("access", lost.access_cut.get()), ("error", lost.error_cut.get())] {
        family.push(vec![("log", log.to_owned())], number(lines));
    }
    family
}
