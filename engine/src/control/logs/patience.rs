//! How long the writer of logs waits for a reader, and why it stopped.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::control::process::clock;

/// How long a reader may take to make room. One that keeps up gets everything in one round, however small its
/// pipe is; one that has stopped delays the other log by no more than this.
const READER_WAIT: Duration = Duration::from_millis(10);
/// How long one batch may wait for its reader, all waits together; what is left then is for the next round. One that
/// is slow, a little for each line, delays the other log by no more than this.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// The patience that one batch has with its reader.
#[derive(Debug)]
pub(super) struct WaitBudget {
    left: Duration,
}

impl WaitBudget {
    /// That of a batch.
    pub(super) const fn new() -> Self {
        Self { left: BATCH_WAIT }
    }

    /// Can something be written within [`READER_WAIT`], and within what is left? An error counts as yes: writing tells
    /// which one it is.
    pub(super) fn is_writable(&mut self, sink: BorrowedFd<'_>) -> bool {
        let wait = READER_WAIT.min(self.left);
        let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let mut wanted = [PollFd::from_borrowed_fd(sink, PollFlags::OUT)];
        let begun = clock::monotonic();
        let found = poll(&mut wanted, Some(&wait));
        self.left = self.left.saturating_sub(begun.elapsed());
        found != Ok(0)
    }
}

/// Why writing stopped.
pub(super) enum WriteStop {
    /// Nobody has read what was written before.
    Stalled,
    /// The kernel refuses it.
    Failed(io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// However many waits there are in one batch.
    #[test]
    fn a_batch_has_patience_once() {
        let (sink, _reader) = UnixStream::pair().unwrap();
        sink.set_nonblocking(true).unwrap();
        while rustix::io::write(&sink, &[0; 4096]).is_ok() {}
        let (begun, mut budget) = (clock::monotonic(), WaitBudget::new());
        for _ in 0..1_000 {
            assert!(!budget.is_writable(sink.as_fd()));
        }
        assert_eq!(budget.left, Duration::ZERO);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
