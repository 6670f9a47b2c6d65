//! Metric families of limits of requests, by limit.

use strum::VariantArray;

use super::families::{Family, number};
use crate::limits::{LimitCount, Limits, StoreOutcome};

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

/// The stores that limits are counted in; `now` is a time as limits count it.
pub(super) fn stores(limits: &Limits, now: u64) -> [Family; 3] {
    let mut up = Family::gauge(
        "ferrule_limit_store_up",
        "1 while what other gateways have counted is known from the store, 0 while it is away.",
    )
    .labelled(&["store"]);
    let mut exchanges = Family::counter(
        "ferrule_limit_store_exchanges",
        "Exchanges of counts with a store, by how they have ended: done, or why not.",
    )
    .labelled(&["store", "result"]);
    let mut keys = Family::counter(
        "ferrule_limit_store_keys",
        "Counts of keys that a store was told, and has answered to.",
    )
    .labelled(&["store"]);
    for link in limits.stores() {
        let label = || ("store", link.definition.id.clone());
        up.push(vec![label()], f64::from(u8::from(!link.is_away(now))));
        for outcome in StoreOutcome::VARIANTS {
            let labels = vec![label(), ("result", outcome.word().to_owned())];
            exchanges.push(labels, number(link.count(*outcome)));
        }
        keys.push(vec![label()], number(link.keys()));
    }
    [up, exchanges, keys]
}
