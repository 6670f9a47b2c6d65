//! How many lines of one cause a core writes in a second, where a peer decides how many there would be.

use std::cell::RefCell;

use strum::EnumCount;

use crate::exchange::refusal::Refusal;
use crate::report::{HandshakeFault, RateLimit};

/// Lines of one cause that one core writes in a second.
const LINES_PER_SECOND: u32 = 5;

/// Diagnostics whose number a peer decides, and which are therefore limited.
#[derive(Clone, Copy, Debug, EnumCount, Eq, PartialEq)]
pub(crate) enum LogCause {
    /// The kernel had no descriptor or memory for us.
    Exhausted,
    /// A connected client is not trusted any more.
    Revoked,
    /// An address had too many connections.
    Address,
    /// A tunnel lost its right to be.
    Tunnel,
    /// A connection did not begin with a PROXY protocol header that we take.
    ProxyHeader,
    /// The budget for buffers was used up.
    Memory,
    /// A connection ended in a panic.
    Panic,
}

/// Kinds of lines about clients that were turned away: handshakes first, then requests.
const COMPLAINTS: usize = HandshakeFault::COUNT + Refusal::COUNT;

/// The limits of one core.
#[derive(Debug)]
pub(super) struct LogLimits {
    causes: RefCell<RateLimit<{ LogCause::COUNT }>>,
    complaints: RefCell<RateLimit<COMPLAINTS>>,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            causes: RefCell::new(RateLimit::new(LINES_PER_SECOND)),
            complaints: RefCell::new(RateLimit::new(LINES_PER_SECOND)),
        }
    }
}

impl LogLimits {
    /// May a line of this cause be written in this second? With how many were left out before it.
    pub(super) fn allow(&self, cause: LogCause, unix_seconds: i64) -> Option<u64> {
        let second = u64::try_from(unix_seconds).unwrap_or(0);
        self.causes.borrow_mut().allow(cause as usize, second)
    }

    /// The same for a client that was turned away, by the number of the reason.
    pub(super) fn allow_complaint(&self, reason: usize, unix_seconds: i64) -> Option<u64> {
        let second = u64::try_from(unix_seconds).unwrap_or(0);
        self.complaints.borrow_mut().allow(reason, second)
    }
}
