//! How many lines each log has lost, beside those that a core could not hand over.
//!
//! The cores count what their full rings drop ([`Counter::LogDropped`](crate::report::Counter::LogDropped));
//! here is what the writer counts.

use crate::report::SharedCount;

/// Lines that are in no log, since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct LostLines {
    /// Lines of the access log that could not be written. Counted by the writer alone.
    pub(crate) access_failed: SharedCount,
    /// Lines of the error log that could not be written. Counted by the writer alone.
    pub(crate) error_failed: SharedCount,
    /// Lines of the error log for which the buffer had no room. Counted by whoever holds its lock.
    pub(crate) error_full: SharedCount,
    /// Lines of the access log that were too long for a datagram, and are there in a shorter form. Counted by the
    /// writer alone.
    pub(crate) access_cut: SharedCount,
    /// Likewise lines of the error log.
    pub(crate) error_cut: SharedCount,
}
