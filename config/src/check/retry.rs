//! When another try is made: `retries`, and the keys that begin with `retry_`.

use crate::check::context::Check;
use crate::defaults;
use crate::model::{Node, RetryBudget, RetryCause, RetryOn, RetryPolicy};
use crate::raw::Raw;
use crate::words::Word;

/// nginx's `error`, `timeout` and `invalid_header`: whatever left no response.
const ON_BY_DEFAULT: [RetryCause; 4] =
    [RetryCause::Connect, RetryCause::Lost, RetryCause::Timeout, RetryCause::BadResponse];

impl Check<'_> {
    pub(super) fn retry(&mut self, raw: &Raw, nodes: &[Node]) -> RetryPolicy {
        const ALL: &str = "retry_non_idempotent";
        let live = nodes.iter().filter(|node| node.weight > 0).count();
        let retries = live.saturating_sub(1).min(defaults::RETRIES_MAX_BY_DEFAULT);
        let by_default = u32::try_from(retries).unwrap_or_default();
        let non_idempotent = raw.flag(ALL);
        if non_idempotent {
            let message = "a POST may be carried out twice: it is sent again although a node may \
                           have acted on it";
            let help = "leave it out, unless every node recognises a request that it has seen";
            self.warn(raw.at(ALL), raw.path(ALL), message, help);
        }
        let causes: Option<Vec<_>> = raw
            .words("retry_on")
            .map(|words| words.iter().filter_map(|word| RetryCause::of_word(word)).collect());
        RetryPolicy {
            retries: raw.int_given("retries").unwrap_or(by_default),
            timeout: raw.duration("retry_timeout"),
            on: RetryOn::of(causes.as_deref().unwrap_or(&ON_BY_DEFAULT)),
            non_idempotent,
            budget: budget(raw),
            buffer: raw.size("retry_buffer"),
        }
    }
}

fn budget(raw: &Raw) -> RetryBudget {
    let absent = raw.absent_table("retry_budget");
    let table = raw.table("retry_budget").unwrap_or(&absent);
    RetryBudget { percent: table.int("percent"), min_per_second: table.int("min_per_second") }
}
