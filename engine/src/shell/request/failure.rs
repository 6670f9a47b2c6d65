//! What is logged of upstream nodes that fail.
//!
//! Of a node that fails on and on there is one line, one when it is set aside, and another when it works
//! again: see [`health`](crate::health).

use crate::health::NodeTrouble;
use crate::plan::NodeId;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;

/// Why a try failed, for the log: words of a fixed list, and the name that was sent to the node if that may
/// have mattered.
#[derive(Clone, Copy)]
pub(crate) struct FailureReason<'a> {
    /// What went wrong, in words an operator can act on.
    pub(crate) text: &'a str,
    /// The server name of a handshake.
    pub(crate) name: Option<&'a str>,
    /// The key of the limit that a response was over.
    pub(crate) limit: Option<&'a str>,
}

/// A try failed: logs it if that is news.
pub(super) fn log_failure(
    core: &Core,
    live: &LiveGeneration,
    node: NodeId,
    reason: FailureReason<'_>,
) {
    let Some(state) = live.node_states.get(node) else { return };
    let Some(trouble) = state.log.failed(reason.text, core.clock.unix_seconds().unsigned_abs())
    else {
        return;
    };
    let plan = live.generation.plan.upstream(node.upstream);
    let text = plan.nodes.get(node.node.0 as usize).map_or("", |node| &*node.text);
    let FailureReason { text: reason, name, limit } = reason;
    match trouble {
        NodeTrouble::Begins => {
            tracing::warn!(
                upstream = &*plan.id,
                node = text,
                name,
                reason,
                limit,
                "an upstream node fails"
            );
        }
        NodeTrouble::OtherReason(failures) => tracing::warn!(
            upstream = &*plan.id,
            node = text,
            name,
            reason,
            limit,
            failed = failures.tries,
            seconds = failures.seconds,
            "an upstream node fails for another reason"
        ),
        NodeTrouble::Persists(failures) => tracing::warn!(
            upstream = &*plan.id,
            node = text,
            name,
            reason,
            failed = failures.tries,
            seconds = failures.seconds,
            "an upstream node still fails"
        ),
    }
}

/// A try was answered: logs it if that is news.
pub(super) fn log_success(core: &Core, live: &LiveGeneration, node: NodeId) {
    let Some(state) = live.node_states.get(node) else { return };
    let worked = state.log.worked(core.clock.unix_seconds().unsigned_abs());
    let Some(failures) = worked else { return };
    let plan = live.generation.plan.upstream(node.upstream);
    let text = plan.nodes.get(node.node.0 as usize).map_or("", |node| &*node.text);
    tracing::info!(
        upstream = &*plan.id,
        node = text,
        failed = failures.tries,
        seconds = failures.seconds,
        "an upstream node works again"
    );
}
