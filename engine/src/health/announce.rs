//! What is told when a node's state changes, whoever has changed it: one line of the log, and one event.

use super::changes::ChangeKind;
use super::events::{EventKind, NodeEvent};
use super::standing::{Moment, PanicEdge, Reported};
use super::states::NodeStates;
use crate::plan::{NodeId, UpstreamId};

/// Writes the lines that are due, and tells those who listen.
pub fn announce(states: &NodeStates, node: NodeId, reported: Reported, when: Moment) {
    if let Some(change) = reported.change {
        announce_change(states, node, change, when);
    }
    if let Some(edge) = reported.panic {
        announce_panic(states, node.upstream, edge, when.unix_seconds);
    }
}

fn announce_change(states: &NodeStates, node: NodeId, change: ChangeKind, when: Moment) {
    let Some(named) = states.nodes_of(node.upstream).get(node.node.0 as usize) else { return };
    let (upstream, text, state) = (&*named.upstream, &*named.node, &named.state);
    let found = state.health.status(when.now_ms);
    states.events().push(NodeEvent {
        unix_seconds: when.unix_seconds,
        upstream: upstream.into(),
        what: EventKind::Node {
            node: text.into(),
            change: change.word(),
            state: found.state,
            reason: state.health.check_reason(),
            again_in_ms: found.until_ms.map(|until| until.saturating_sub(when.now_ms)),
        },
    });
    match change {
        ChangeKind::TcpFailures
        | ChangeKind::Timeouts
        | ChangeKind::HttpFailures
        | ChangeKind::SuccessRate
        | ChangeKind::FailurePercentage
        | ChangeKind::Latency => {
            let until = found.until_ms.unwrap_or(when.now_ms);
            let milliseconds = until.saturating_sub(when.now_ms);
            let reason = change.word();
            tracing::warn!(
                upstream,
                node = text,
                reason,
                milliseconds,
                "an upstream node is set aside"
            );
        }
        ChangeKind::Answered | ChangeKind::CheckPassed => {
            let failures = state.log.settle(when.unix_seconds);
            let (failed, seconds) = failures.map(|found| (found.tries, found.seconds)).unzip();
            tracing::info!(upstream, node = text, failed, seconds, "an upstream node works again");
        }
        ChangeKind::CheckFailed => {
            let reason = state.health.check_reason();
            tracing::warn!(upstream, node = text, reason, "an upstream node fails its check");
        }
        ChangeKind::Draining | ChangeKind::Disabled | ChangeKind::Enabled => {
            let state = change.word();
            tracing::info!(
                upstream,
                node = text,
                state,
                "an operator has set an upstream node's state"
            );
        }
    }
}

/// An upstream's nodes are used in another way.
pub fn announce_panic(
    states: &NodeStates,
    upstream: UpstreamId,
    edge: PanicEdge,
    unix_seconds: u64,
) {
    let view = states.view(upstream);
    let nodes = states.nodes_of(upstream).first();
    let upstream = nodes.map_or("", |named| &*named.upstream);
    let (healthy, nodes) = (view.healthy, view.eligible);
    let begins = edge == PanicEdge::Begins;
    let what = EventKind::Panic { begins, healthy, eligible: nodes };
    states.events().push(NodeEvent { unix_seconds, upstream: upstream.into(), what });
    match edge {
        PanicEdge::Begins => tracing::error!(
            upstream,
            healthy,
            nodes,
            "too few nodes of an upstream are healthy: all of them are asked"
        ),
        PanicEdge::Ends => tracing::warn!(
            upstream,
            healthy,
            nodes,
            "enough nodes of an upstream are healthy again: only those are asked"
        ),
    }
}
