//! What the names of upstream nodes lead to, as far as that is known.
//!
//! In: what lookups came to, and which addresses fail their checks. Out: when a name is looked up again, and the
//! addresses of nodes. The last good answer is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ferrule_config::model::NodeAddress;

use crate::control::checks::CheckBoard;
use crate::control::names::{Found, LookUpError, LookUpKey, ResolvedName};
use crate::control::state::name_status::NameAnswer;
use crate::setup::addresses::NameTarget;
use crate::setup::{Addresses, Generation};

/// The first pause after a failure; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The addresses known, by name.
#[derive(Debug, Default)]
pub(super) struct AddressTable {
    pub(super) by_name: BTreeMap<LookUpKey, NameState>,
}

/// The state of one name.
#[derive(Debug, Default)]
pub(super) struct NameState {
    /// The last good answer, in the order of the resolver.
    pub(super) found: Vec<Found>,
    failures: u32,
    /// When to look the name up again; `None` is at once.
    pub(super) due: Option<Instant>,
}

impl NameState {
    /// For those who look at it.
    pub(super) fn answer(&self) -> NameAnswer {
        let Self { found, failures, due } = self;
        NameAnswer { found: found.clone(), answered: None, due: *due, failures: *failures }
    }
}

impl AddressTable {
    pub(super) fn knows(&self, key: &LookUpKey) -> bool {
        self.by_name.get(key).is_some_and(|state| !state.found.is_empty())
    }

    pub(super) fn is_due(&self, key: &LookUpKey, now: Instant) -> bool {
        self.by_name.get(key).and_then(|state| state.due).is_none_or(|due| due <= now)
    }

    /// The addresses of a generation's nodes, without those that fail their checks.
    pub(super) fn build(&self, generation: &Generation, checks: &CheckBoard) -> Addresses {
        let lookup = |address: &NodeAddress| {
            let state = LookUpKey::of(address).and_then(|key| self.by_name.get(&key));
            let found = state.map(|state| state.found.as_slice()).unwrap_or_default();
            let by_node = if let NodeAddress::Name { port, .. } = address { *port } else { 0 };
            let target = |found: &Found| NameTarget {
                address: SocketAddr::new(found.address, found.port.unwrap_or(by_node)),
                priority: found.priority,
                weight: found.weight,
            };
            found.iter().map(target).collect()
        };
        let fails = |upstream: &str, address| checks.fails(upstream, address);
        Addresses::build(generation.number, &generation.config, &lookup, &fails)
    }

    /// Records an answer, and logs a first failure or recovery.
    pub(super) fn record(
        &mut self,
        key: &LookUpKey,
        result: Result<ResolvedName, LookUpError>,
        now: Instant,
    ) {
        let state = self.by_name.entry(key.clone()).or_default();
        match result {
            Ok(ResolvedName { found, ttl }) => {
                if state.failures > 0 {
                    tracing::info!(name = key.name, "the name of an upstream node resolves again");
                }
                state.failures = 0;
                state.due = now.checked_add(ttl);
                // Servers rotate their addresses; another order alone is no change.
                let set = |list: &[Found]| list.iter().copied().collect::<BTreeSet<Found>>();
                if set(&state.found) != set(&found) {
                    state.found = found;
                }
            }
            Err(error) => {
                let pause = RETRY_MIN.saturating_mul(1_u32 << state.failures.min(5)).min(RETRY_MAX);
                state.due = now.checked_add(pause);
                state.failures = state.failures.saturating_add(1);
                if state.failures == 1 {
                    let (error, held) = (error.to_string(), state.found.len());
                    tracing::warn!(
                        name = key.name,
                        error,
                        held,
                        "cannot resolve the name of an upstream node"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::control::process::clock;

    const TTL: Duration = Duration::from_secs(7);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn failure() -> Result<ResolvedName, LookUpError> {
        Err(LookUpError::NoSuchName)
    }

    fn answer(addresses: &[&str]) -> ResolvedName {
        let plain = |text: &&str| Found { priority: 0, address: ip(text), port: None, weight: 1 };
        ResolvedName { found: addresses.iter().map(plain).collect(), ttl: TTL }
    }

    fn host(name: &str) -> LookUpKey {
        LookUpKey { service: false, name: name.to_owned() }
    }

    fn addresses(table: &AddressTable) -> Vec<IpAddr> {
        table.by_name[&host("a")].found.iter().map(|found| found.address).collect()
    }

    #[test]
    fn a_failure_keeps_the_last_good_answer_and_asks_sooner() {
        let now = clock::monotonic();
        let mut table = AddressTable::default();
        table.record(&host("a"), Ok(answer(&["10.0.0.1"])), now);
        assert_eq!(table.by_name[&host("a")].due, Some(now + TTL));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            table.record(&host("a"), failure(), now);
            let due = table.by_name[&host("a")].due;
            pauses.push(due.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(addresses(&table), [ip("10.0.0.1")]);
        table.record(&host("a"), Ok(answer(&["10.0.0.2"])), now);
        assert_eq!(addresses(&table), [ip("10.0.0.2")]);
        assert_eq!(table.by_name[&host("a")].due, Some(now + TTL));
    }

    #[test]
    fn another_order_is_no_change() {
        let now = clock::monotonic();
        let mut table = AddressTable::default();
        table.record(&host("a"), Ok(answer(&["10.0.0.1", "::1"])), now);
        table.record(&host("a"), Ok(answer(&["::1", "10.0.0.1"])), now);
        assert_eq!(addresses(&table), [ip("10.0.0.1"), ip("::1")]);
    }
}
