//! The connections to a store: to one server, or to those of a cluster that keys are at.

use std::collections::BTreeMap;

use ferrule_config::model::{Store, StoreNode, StorePolicy};
use redis::{Cmd, Value};

use super::connection::{StoreConnection, nonsense};
use super::fault::StoreFault;
use super::script::{CountScript, numbers};
use super::slots::SlotTable;
use crate::limits::{LimitOffer, StoreOutcome};
use crate::tls::client::UpstreamTls;

/// Connections by server, each opened when it is needed.
pub(super) struct StoreSession {
    connections: BTreeMap<String, StoreConnection>,
    /// Of a cluster, once it was asked.
    slots: Option<SlotTable>,
    script: CountScript,
    /// Since when keys are answered with another place each time, as limits count time.
    moving_since: Option<u64>,
}

/// A slot moves for so long at most, in nanoseconds; then its keys are not counted together, and that is said.
const MOVING_MAX: u64 = 2_000_000_000;

/// A store, and how its TLS is done.
#[derive(Clone, Copy)]
pub(super) struct StoreAccess<'a> {
    pub(super) store: &'a Store,
    pub(super) tls: Option<&'a UpstreamTls>,
}

/// An offer that goes to a server, and its key there.
struct ToldOffer<'a> {
    offer: &'a LimitOffer,
    key: String,
}

impl StoreSession {
    pub(super) fn new() -> Self {
        let script = CountScript::new();
        Self { connections: BTreeMap::new(), slots: None, script, moving_since: None }
    }

    /// Closes all connections: nobody knows what is still under way on them.
    pub(super) fn restart(&mut self) {
        self.connections.clear();
        self.slots = None;
    }

    /// Asks whether it is there.
    pub(super) fn look(&mut self, access: StoreAccess<'_>) -> Result<(), StoreFault> {
        let Some(node) = access.store.nodes.first() else { return Ok(()) };
        match access.store.policy {
            StorePolicy::RedisCluster => {
                self.slots = None;
                self.find_slots(access).map(|_| ())
            }
            StorePolicy::Redis => {
                let answers = self.connection(access, node)?.exchange(&[redis::cmd("PING")])?;
                match answers.as_slice() {
                    [Value::SimpleString(_)] => Ok(()),
                    [Value::ServerError(error)] => Err(StoreFault::answered(error)),
                    _ => Err(nonsense()),
                }
            }
        }
    }

    /// Exchanges counts: each offer has its answer then, or is withdrawn. `now` is when the answers are there.
    pub(super) fn exchange(
        &mut self,
        access: StoreAccess<'_>,
        offers: &[LimitOffer],
        now: &dyn Fn() -> u64,
    ) -> Result<(), StoreFault> {
        let done = self.try_exchange(access, offers, now);
        if done.is_err() {
            // Those that have been answered are told again, and are counted once.
            offers.iter().for_each(LimitOffer::withdraw);
        }
        done
    }

    fn try_exchange(
        &mut self,
        access: StoreAccess<'_>,
        offers: &[LimitOffer],
        now: &dyn Fn() -> u64,
    ) -> Result<(), StoreFault> {
        let mut by_node: BTreeMap<String, (StoreNode, Vec<ToldOffer<'_>>)> = BTreeMap::new();
        for offer in offers {
            let key = offer.store_key();
            let node = self.node_of(access, &key)?;
            let entry = by_node.entry(node.to_string()).or_insert_with(|| (node, Vec::new()));
            entry.1.push(ToldOffer { offer, key });
        }
        let mut moved = false;
        for (node, told) in by_node.values() {
            moved |= self.tell(access, node, told, now)?;
        }
        if !moved {
            self.moving_since = None;
            return Ok(());
        }
        self.slots = None;
        let now = now();
        let since = *self.moving_since.get_or_insert(now);
        if now.saturating_sub(since) > MOVING_MAX {
            return Err(StoreFault::new(
                StoreOutcome::Refused,
                "keys are at no node of the cluster",
            ));
        }
        Ok(())
    }

    fn node_of(&mut self, access: StoreAccess<'_>, key: &str) -> Result<StoreNode, StoreFault> {
        let found = match access.store.policy {
            StorePolicy::Redis => access.store.nodes.first(),
            StorePolicy::RedisCluster => self.find_slots(access)?.node_of(key),
        };
        let nobody =
            || StoreFault::new(StoreOutcome::Refused, "no node of the cluster has some keys");
        found.cloned().ok_or_else(nobody)
    }

    /// Who has which slots, asked of the first node that answers.
    fn find_slots(&mut self, access: StoreAccess<'_>) -> Result<&SlotTable, StoreFault> {
        if self.slots.is_none() {
            let mut command = redis::cmd("CLUSTER");
            command.arg("SLOTS");
            let mut last = nonsense();
            for node in &access.store.nodes {
                let asked = self.connection(access, node);
                let answers = asked.and_then(|node| node.exchange(std::slice::from_ref(&command)));
                match answers.as_deref() {
                    Ok([Value::ServerError(error)]) => last = StoreFault::answered(error),
                    Ok([answer]) => match SlotTable::read(answer, node) {
                        Some(table) => {
                            // Nodes that have left are let go.
                            let named = |node: &str| {
                                access.store.nodes.iter().any(|one| one.to_string() == node)
                            };
                            self.connections.retain(|node, _| table.names(node) || named(node));
                            self.slots = Some(table);
                            break;
                        }
                        None => last = nonsense(),
                    },
                    Ok(_) => last = nonsense(),
                    Err(fault) => {
                        self.connections.remove(&node.to_string());
                        last = fault.clone();
                    }
                }
            }
            return self.slots.as_ref().ok_or(last);
        }
        self.slots.as_ref().ok_or_else(nonsense)
    }

    fn connection(
        &mut self,
        access: StoreAccess<'_>,
        node: &StoreNode,
    ) -> Result<&mut StoreConnection, StoreFault> {
        let name = node.to_string();
        if !self.connections.contains_key(&name) {
            let connection = StoreConnection::open(access.store, node, access.tls)?;
            self.connections.insert(name.clone(), connection);
        }
        self.connections.get_mut(&name).ok_or_else(nonsense)
    }

    /// Tells one server; are some keys not there any more?
    fn tell(
        &mut self,
        access: StoreAccess<'_>,
        node: &StoreNode,
        told: &[ToldOffer<'_>],
        now: &dyn Fn() -> u64,
    ) -> Result<bool, StoreFault> {
        let commands: Vec<Cmd> =
            told.iter().map(|told| self.script.count(told.offer, &told.key)).collect();
        let load = CountScript::load();
        let connection = self.connection(access, node)?;
        let mut answers = connection.exchange(&commands)?;
        let unknown = |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT");
        if answers.iter().any(unknown) {
            if let [Value::ServerError(error)] = connection.exchange(&[load])?.as_slice() {
                return Err(StoreFault::answered(error));
            }
            answers = connection.exchange(&commands)?;
        }
        let now = now();
        let mut moved = false;
        for (told, answer) in told.iter().zip(&answers) {
            match answer {
                // A slot that moves: counted here alone, until the cluster says where it is.
                Value::ServerError(error)
                    if matches!(error.code(), "ASK" | "MOVED" | "TRYAGAIN")
                        && self.slots.is_some() =>
                {
                    moved = true;
                    told.offer.withdraw();
                }
                Value::ServerError(error) => return Err(StoreFault::answered(error)),
                answer => {
                    let taken = numbers(answer).is_some_and(|found| told.offer.adopt(found, now));
                    if !taken {
                        return Err(nonsense());
                    }
                }
            }
        }
        Ok(moved)
    }
}
