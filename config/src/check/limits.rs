//! How much the nodes of an upstream take: `max_connections`, `max_requests` and `queue`.

use crate::check::context::Check;
use crate::model::{Node, QueueStatus, UpstreamQueue};
use crate::raw::Raw;

impl Check<'_> {
    pub(super) fn queue(&mut self, raw: &Raw, nodes: &[Node]) -> UpstreamQueue {
        let absent = raw.absent_table("queue");
        let table = raw.table("queue").unwrap_or(&absent);
        let limited = nodes.iter().any(|node| node.connections_limit() > 0);
        let broken = raw.is_broken("max_connections") || raw.is_broken("max_requests");
        if !limited && !nodes.is_empty() && raw.has("queue") && !broken {
            let message = "nothing is waited for: no node has a limit";
            let help = "set `max_connections` or `max_requests`, or take `queue` out";
            self.error(raw.at("queue"), raw.path("queue"), message, help);
        }
        let status = match table.int("status") {
            429_u32 => QueueStatus::TooManyRequests,
            503 => QueueStatus::Unavailable,
            other => {
                if !table.is_broken("status") {
                    let message = format!("{other} does not say that there is too much to do");
                    let help = Some("write 503 or 429".to_owned());
                    self.problems.push_at(table.at("status"), table.path("status"), message, help);
                }
                QueueStatus::Unavailable
            }
        };
        UpstreamQueue { size: table.int("size"), timeout: table.duration("timeout"), status }
    }
}
