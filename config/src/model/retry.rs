//! `[[upstreams]]`: when another try may answer a request whose first one failed.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::words::Word;

/// What an upstream's keys say about further tries; none by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryPolicy {
    /// `retries`: further tries on other nodes.
    pub retries: u32,
    /// `retry_timeout`: no further try begins so long after the first.
    pub timeout: Duration,
    /// `retry_on`: which failures another node is asked after.
    pub on: RetryOn,
    /// `retry_non_idempotent`: also requests that may not be sent twice.
    pub non_idempotent: bool,
    /// `retry_budget`
    pub budget: RetryBudget,
    /// `retry_buffer`: bytes of a request's body that are held while it is sent; 0: only what came with
    /// its head.
    pub buffer: u64,
}

/// `upstreams.retry_budget`: how many further tries of requests that have left there may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryBudget {
    /// Of a hundred requests.
    pub percent: u32,
    /// In a second, however few requests there are; of each core.
    pub min_per_second: u32,
}

/// A word of `upstreams.retry_on`.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RetryCause {
    /// No connection came about.
    Connect,
    /// The connection ended before a response.
    Lost,
    /// No response in time.
    Timeout,
    /// A response that is not one.
    BadResponse,
    /// A response with this status.
    #[strum(serialize = "403")]
    Forbidden,
    /// A response with this status.
    #[strum(serialize = "404")]
    NotFound,
    /// A response with this status.
    #[strum(serialize = "429")]
    TooManyRequests,
    /// A response with this status.
    #[strum(serialize = "500")]
    InternalError,
    /// A response with this status.
    #[strum(serialize = "502")]
    BadGateway,
    /// A response with this status.
    #[strum(serialize = "503")]
    Unavailable,
    /// A response with this status.
    #[strum(serialize = "504")]
    GatewayTimeout,
}

/// `upstreams.retry_on`: a set of causes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryOn {
    bits: u16,
}

impl RetryOn {
    /// No cause.
    pub const NONE: Self = Self { bits: 0 };

    /// These causes.
    #[must_use]
    pub fn of(causes: &[RetryCause]) -> Self {
        Self { bits: causes.iter().fold(0, |bits, cause| bits | 1 << *cause as u16) }
    }

    /// Is the cause one of them?
    #[must_use]
    pub const fn contains(self, cause: RetryCause) -> bool {
        self.bits & (1 << cause as u16) != 0
    }

    /// Is a response with this status one of them?
    #[must_use]
    pub const fn contains_status(self, status: u16) -> bool {
        match status {
            403 => self.contains(RetryCause::Forbidden),
            404 => self.contains(RetryCause::NotFound),
            429 => self.contains(RetryCause::TooManyRequests),
            500 => self.contains(RetryCause::InternalError),
            502 => self.contains(RetryCause::BadGateway),
            503 => self.contains(RetryCause::Unavailable),
            504 => self.contains(RetryCause::GatewayTimeout),
            _ => false,
        }
    }

    /// Their words, in the order of [`RetryCause`].
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let all = RetryCause::VALUES.iter().copied();
        all.filter(move |cause| self.contains(*cause)).map(Word::word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_its_word() {
        for status in 100..600 {
            let word = status.to_string();
            let all = RetryOn::of(RetryCause::VALUES).contains_status(status);
            assert_eq!(all, RetryCause::WORDS.contains(&word.as_str()), "{status}");
            if let Some(cause) = RetryCause::of_word(&word) {
                assert!(RetryOn::of(&[cause]).contains_status(status));
                assert_eq!(RetryOn::of(&[cause]).words().collect::<Vec<_>>(), [word]);
            }
        }
        assert_eq!(RetryOn::of(&[]), RetryOn::NONE);
        assert_eq!(RetryOn::NONE.words().count(), 0);
    }
}
