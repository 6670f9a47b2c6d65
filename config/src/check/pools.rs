//! `upstreams.keepalive_pool`: connections that are kept, and those that are opened ahead of requests.

use crate::check::context::Check;
use crate::model::{KeepalivePool, Node, PassHost, Upstream};
use crate::raw::Raw;

/// What the table of an upstream says.
pub(super) fn pool(raw: &Raw) -> KeepalivePool {
    let absent = raw.absent_table("keepalive_pool");
    let table = raw.table("keepalive_pool").unwrap_or(&absent);
    KeepalivePool {
        size: table.int("size"),
        idle_timeout: table.duration("idle_timeout"),
        requests: table.int("requests"),
        max_age: table.duration("max_age"),
        min_idle: table.int("min_idle"),
    }
}

impl Check<'_> {
    /// Connections that are opened ahead must be fit for the requests to come, and must have room.
    pub(super) fn pool_can_be_warm(&mut self, raw: &Raw, upstream: &Upstream) {
        let pool = upstream.pool;
        let Some(table) = raw.table("keepalive_pool").filter(|_| pool.min_idle > 0) else { return };
        let (place, path) = (table.at("min_idle"), table.path("min_idle"));
        if upstream.proxy_protocol.is_some() {
            let message =
                "a connection that begins with a PROXY protocol header is opened for its client";
            let help = "take `min_idle` out, or `proxy_protocol`";
            return self.error(place, path, message, help);
        }
        let passes = upstream.pass_host == PassHost::Pass;
        if passes && upstream.tls.as_ref().is_some_and(|tls| tls.server_name.is_none()) {
            let message = "which server name to ask for is not known before the request";
            let help = "set `tls.server_name`, or `pass_host` to \"node\" or \"rewrite\"";
            return self.error(place, path, message, help);
        }
        let limits = upstream.nodes.iter().map(Node::connections_limit);
        if let Some(limit) = limits.filter(|limit| (1..pool.min_idle).contains(limit)).min() {
            let message = format!("a node takes {limit} connections of all cores together");
            let help = Some("set `min_idle` lower, or `max_connections` higher".to_owned());
            self.problems.push_at(place, path, message, help);
            return;
        }
        let live = upstream.nodes.iter().filter(|node| node.weight > 0).count();
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        let wanted = pool.min_idle.saturating_mul(live);
        if wanted > pool.size {
            let message = format!(
                "`min_idle` of {live} nodes is {wanted} connections, and `size` keeps {}",
                pool.size
            );
            let help = Some(format!("set `size` to at least {wanted}, or `min_idle` lower"));
            self.problems.push_at(place, path, message, help);
        }
    }
}
