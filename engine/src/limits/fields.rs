//! What a client is told of a limit: fields of its answer.

use super::core_limits::Quota;
use crate::exchange::response_block::ResponseBlock;

/// What is left of a window, by the names of APISIX: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in
/// seconds.
pub fn show_quota(quota: Quota, block: &mut ResponseBlock) {
    let mut digits = itoa::Buffer::new();
    block.set(b"X-RateLimit-Limit", digits.format(quota.limit).as_bytes());
    block.set(b"X-RateLimit-Remaining", digits.format(quota.remaining).as_bytes());
    block.set(b"X-RateLimit-Reset", digits.format(seconds(quota.reset_ns)).as_bytes());
}

/// When another request may pass (RFC 9110, section 10.2.3).
pub fn show_retry(retry_ns: u64, block: &mut ResponseBlock) {
    block.set(b"Retry-After", itoa::Buffer::new().format(seconds(retry_ns)).as_bytes());
}

/// Whole seconds, rounded up: whoever waits as long as he is told is not refused again.
const fn seconds(ns: u64) -> u64 {
    ns.div_ceil(1_000_000_000)
}
