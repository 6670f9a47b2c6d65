//! How much the nodes of an upstream take, as its keys have it.

use super::writer::{Writer, text};
use crate::model::{Upstream, UpstreamQueue};
use crate::values::duration_text;

/// The limits of the nodes stand with the nodes.
pub(super) fn dump_queue(out: &mut Writer, upstream: &Upstream) {
    if upstream.nodes.iter().all(|node| node.connections_limit() == 0) {
        return;
    }
    let UpstreamQueue { size, timeout, status } = upstream.queue;
    let (timeout, status) = (text(&duration_text(timeout)), status.code());
    let table = format!("{{ size = {size}, timeout = {timeout}, status = {status} }}");
    out.line("queue", table);
}
