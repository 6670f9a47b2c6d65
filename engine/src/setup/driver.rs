//! Which kernel interface a core runs on: what every core tells control.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which kernel interface drives a core's sockets: the rungs of the ladder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Driver {
    /// The core has not said yet.
    #[default]
    Unknown = 0,
    /// `io_uring`, single issuer, deferred task work (6.1 and later).
    UringDeferred = 1,
    /// `io_uring`, cooperative task work (5.19 and later).
    UringCooperative = 2,
    /// `io_uring` without flags.
    UringPlain = 3,
    /// epoll.
    Epoll = 4,
}

impl Driver {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UringDeferred => "io_uring (single issuer, deferred task work)",
            Self::UringCooperative => "io_uring (cooperative task work)",
            Self::UringPlain => "io_uring (no flags)",
            Self::Epoll => "epoll",
        }
    }
}

/// A [`Driver`] that the core stores and control reads.
#[derive(Debug, Default)]
pub struct DriverCell(AtomicU8);

impl DriverCell {
    /// The driver, as far as the core has said.
    #[must_use]
    pub fn get(&self) -> Driver {
        match self.0.load(Ordering::Acquire) {
            1 => Driver::UringDeferred,
            2 => Driver::UringCooperative,
            3 => Driver::UringPlain,
            4 => Driver::Epoll,
            _ => Driver::Unknown,
        }
    }

    /// Core: this is what I run on.
    pub fn set(&self, driver: Driver) {
        self.0.store(driver as u8, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_read_as_it_was_set() {
        let cell = DriverCell::default();
        assert_eq!(cell.get(), Driver::Unknown);
        for driver in
            [Driver::UringDeferred, Driver::UringCooperative, Driver::UringPlain, Driver::Epoll]
        {
            cell.set(driver);
            assert_eq!(cell.get(), driver);
        }
    }
}
