//! `limits`, compiled: every limit once, and which of them a route asks.

use std::collections::HashMap;

use ferrule_config::model::{LimitKind, LimitRule, RequestLimit, Route};

use super::balance::HashKey;
use super::ids::{LimitId, index};
use super::template::Compiler;
use super::value_writer::escape_json;

/// A limit.
#[derive(Debug)]
pub struct LimitPlan {
    /// What it is called in logs and metrics, and known by over a reload: its group, or where it stands.
    pub name: Box<str>,
    /// As configured.
    pub limit: RequestLimit,
    /// What tells requests apart.
    pub key: HashKey,
    /// The body of the answer to a request that is refused; `None` is an error text of ours.
    pub body: Option<Box<[u8]>>,
}

impl LimitPlan {
    /// Do answers say how many requests are left?
    #[must_use]
    pub const fn shows_headers(&self) -> bool {
        matches!(self.limit.rule, LimitRule::Requests(rule) if rule.show_headers)
    }
}

/// What a limit is known by: groups of different kinds are different ones.
#[derive(Debug, Eq, Hash, PartialEq)]
struct LimitName {
    kind: LimitKind,
    name: Box<str>,
}

/// Gathers the limits of all routes, those that share a group once.
#[derive(Debug, Default)]
pub(super) struct LimitTable {
    limits: Vec<LimitPlan>,
    known: HashMap<LimitName, LimitId>,
}

impl LimitTable {
    /// Those that a route asks, in their order.
    pub(super) fn of_route(&mut self, route: &Route, compiler: &mut Compiler) -> Box<[LimitId]> {
        let mut own = HashMap::<LimitKind, usize>::new();
        let ids = route.limits.iter().map(|limit| {
            let kind = limit.rule.kind();
            let name = limit.group.clone().unwrap_or_else(|| {
                let at = own.entry(kind).or_default();
                let name = format!("routes {} {}[{at}]", route.id, <&str>::from(kind));
                *at += 1;
                name
            });
            let name = name.into_boxed_str();
            *self.known.entry(LimitName { kind, name: name.clone() }).or_insert_with(|| {
                let id = LimitId(index(self.limits.len()));
                let key = HashKey::of(&limit.key, compiler);
                let body = limit.message.as_deref().map(message_body);
                self.limits.push(LimitPlan { name, limit: limit.clone(), key, body });
                id
            })
        });
        ids.collect()
    }

    /// All of them.
    pub(super) fn into_limits(self) -> Vec<LimitPlan> {
        self.limits
    }
}

/// As APISIX has it.
fn message_body(message: &str) -> Box<[u8]> {
    let mut body = b"{\"error_msg\":\"".to_vec();
    escape_json(message.as_bytes(), &mut body);
    body.extend_from_slice(b"\"}");
    body.into()
}
