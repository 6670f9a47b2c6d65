//! Metric families of limits of requests, by limit.

use super::families::{Family, number};
use crate::limits::{LimitCount, Limits};

/// So many limits are shown.
const LIMITS_MAX: usize = 1_024;

/// The limits that are configured now.
pub(super) fn request_limits(limits: &Limits) -> [Family; 2] {
    let mut limited = Family::counter(
        "ferrule_limited",
        "Requests that a limit has refused, has held back (delayed), or has counted together with those of \
             other keys because it had no room for one more (crowded).",
    )
    .labelled(&["limit", "kind", "action"]);
    let mut keys = Family::gauge(
        "ferrule_limit_keys",
        "Keys that a limit knows of now, at most 65536; one whose time is over counts until its room is needed.",
    )
    .labelled(&["limit", "kind"]);
    for limit in limits.each().take(LIMITS_MAX) {
        let kind: &str = limit.kind.into();
        let labels = || vec![("limit", limit.name.to_string()), ("kind", kind.to_owned())];
        for count in LimitCount::ALL {
            let action = [("action", count.word().to_owned())];
            let labels = labels().into_iter().chain(action).collect();
            limited.push(labels, number(limit.count(count)));
        }
        keys.push(labels(), number(limit.keys() as u64));
    }
    [limited, keys]
}
