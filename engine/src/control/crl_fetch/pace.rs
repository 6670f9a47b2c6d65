//! When a list is fetched again.

use std::time::Duration;

/// The first wait behind a failure; it doubles from there.
const RETRY_MIN: Duration = Duration::from_secs(5);
/// The longest wait behind failures.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// However soon a list ends, its server is not asked more often than this, unless `refresh` says so.
const ENDING_MIN: Duration = Duration::from_secs(30);

/// How long to wait behind a success: `refresh`, or half of what is left (seconds) of the list that ends first,
/// so that its successor is here before it ends.
pub(super) fn after_success(refresh: Duration, left: Option<i64>) -> Duration {
    let Some(left) = left else { return refresh };
    let half = Duration::from_secs(left.max(0).unsigned_abs() / 2);
    refresh.min(half.max(ENDING_MIN))
}

/// How long to wait behind so many failures in a row.
pub(super) fn after_failure(refresh: Duration, failures: u32) -> Duration {
    let doubled = RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(RETRY_MAX).min(refresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_list_is_fetched_before_it_ends() {
        let seconds = |left| after_success(HOUR, left).as_secs();
        assert_eq!([None, Some(86_400), Some(600)].map(seconds), [3_600, 3_600, 300]);
        assert_eq!([Some(7), Some(0), Some(-5), Some(i64::MIN)].map(seconds), [30; 4]);
        assert_eq!(after_success(Duration::from_secs(1), Some(7)).as_secs(), 1);
    }

    #[test]
    fn failures_are_tried_again_less_and_less_often() {
        let seconds = |failures| after_failure(HOUR, failures).as_secs();
        assert_eq!([0, 1, 2, 3, 8, u32::MAX].map(seconds), [5, 5, 10, 20, 600, 600]);
        assert_eq!(after_failure(Duration::from_secs(2), 4).as_secs(), 2);
    }
}
