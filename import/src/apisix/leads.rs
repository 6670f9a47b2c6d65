//! Where the requests of a route or service go, and what APISIX answers where they go nowhere.

use crate::document::{Node, Value};

use super::objects::{DeadEnd, Objects, id_of};

/// What helps where something that another object names is not there.
pub(super) const DROP: &str = " (--drop-invalid answers as APISIX answers then)";

/// Why an upstream that APISIX takes passes no request on, if it never does.
pub(super) fn dead_end(upstream: &Node, objects: &Objects<'_>) -> Option<DeadEnd> {
    if let Some(id) = upstream.get("tls").and_then(|tls| tls.get("client_cert_id")).and_then(id_of)
        && !objects.has_client_certificate(&id)
    {
        let why = format!("there is no client certificate of the id {id:?}");
        return Some(DeadEnd::new(502, why));
    }
    let weightless = |node: Option<&Node>| node.is_some_and(|node| node.value == Value::Integer(0));
    match &upstream.get("nodes")?.value {
        Value::List(nodes) if nodes.is_empty() => Some(DeadEnd::new(503, "there is no node")),
        Value::Table(lines) if lines.is_empty() => Some(DeadEnd::new(503, "there is no node")),
        Value::List(nodes) if nodes.iter().all(|node| weightless(node.get("weight"))) => {
            Some(DeadEnd::new(502, "all nodes have the weight 0"))
        }
        Value::Table(lines) if lines.iter().all(|line| weightless(Some(&line.node))) => {
            Some(DeadEnd::new(502, "all nodes have the weight 0"))
        }
        Value::Table(lines) if lines.iter().all(|line| is_bare_ipv6(&line.key)) => {
            Some(DeadEnd::new(502, "an IPv6 address stands without its brackets"))
        }
        _ => None,
    }
}

fn is_bare_ipv6(key: &str) -> bool {
    !key.starts_with('[') && key.matches(':').count() > 1
}

/// Where an object's requests go.
pub(super) enum Leads {
    /// To an upstream, its own or one that it names.
    Upstream,
    /// Nowhere: it says nothing about it.
    Nowhere,
    Dead(DeadEnd),
}

/// Where the requests of a route or service go; its id counts where both are given.
pub(super) fn leads(node: &Node, objects: &Objects<'_>) -> Leads {
    let id = node.get("upstream_id").filter(|node| node.value != Value::Null);
    let inline = node.get("upstream").filter(|node| node.value != Value::Null);
    match (id.map(id_of), inline) {
        (Some(Some(id)), _) if objects.has_upstream(&id) => Leads::Upstream,
        (Some(id), _) => {
            let id = id.unwrap_or_default();
            let none = || DeadEnd::new(502, format!("there is no upstream of the id {id:?}"));
            Leads::Dead(objects.dead_upstreams.get(&id).cloned().unwrap_or_else(none))
        }
        (None, Some(node)) => dead_end(node, objects).map_or(Leads::Upstream, Leads::Dead),
        (None, None) => Leads::Nowhere,
    }
}
