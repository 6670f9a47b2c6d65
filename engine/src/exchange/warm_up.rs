//! Which connections to open ahead of requests (`keepalive_pool.min_idle`).
//!
//! In: the time, and how many connections to a node are idle. Out: the node that one should be opened to next.
//! What fails is tried again later and later. Only so many are opened at a time, and the first ones are spread
//! over half a second: neither we nor a node meet them all at once.

use crate::plan::{NodeId, NodeIndex, UpstreamId, UpstreamPlan};

/// Connections that a core opens ahead at a time.
const OPENING_MAX: u32 = 32;
/// Nodes that are looked at in one go.
const LOOKS_MAX: usize = 256;
/// Within this many milliseconds, a core opens its first connections.
const START: u64 = 500;
/// The pause behind the first failure, in milliseconds; it doubles with each further one.
const PAUSE: u64 = 1_000;
/// The longest pause.
const PAUSE_MAX: u64 = 60_000;

/// What a core opens ahead.
#[derive(Debug, Default)]
pub struct WarmUp {
    nodes: Vec<WarmNode>,
    /// The node that is looked at next.
    at: usize,
    opening: u32,
    /// Nothing is opened before this time, in milliseconds of the caller's clock.
    paused_until_ms: u64,
}

#[derive(Debug)]
struct WarmNode {
    id: NodeId,
    wanted: u32,
    opening: u32,
    failures: u32,
    /// Nothing is opened to it before this time.
    due_ms: u64,
}

/// A connection that is to be opened. Its end is told to [`WarmUp::ended`].
#[derive(Debug, Eq, PartialEq)]
pub struct WarmOpening {
    /// The node.
    pub node: NodeId,
    at: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WarmOpened {
    /// It is in the pool, or was not needed any more.
    Well,
    /// It could not be opened.
    Failed,
}

/// A number below `most`, by `draw`.
const fn spread(draw: u64, most: u64) -> u64 {
    (draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % most
}

impl WarmUp {
    /// What these upstreams want, from now on. A node without a weight gets nothing.
    #[must_use]
    pub fn of(upstreams: &[UpstreamPlan], now_ms: u64) -> Self {
        let warm = (0..).zip(upstreams).filter(|(_, upstream)| upstream.pool.min_idle > 0);
        let nodes = warm.flat_map(|(at, upstream)| {
            let live = (0..).zip(&upstream.nodes).filter(|(_, node)| node.weight > 0);
            live.map(move |(node, _)| {
                let id = NodeId { upstream: UpstreamId(at), node: NodeIndex(node) };
                let draw = now_ms.wrapping_add(u64::from(at) << 32 | u64::from(node));
                let due_ms = now_ms.saturating_add(spread(draw, START));
                let wanted = upstream.pool.min_idle;
                WarmNode { id, wanted, opening: 0, failures: 0, due_ms }
            })
        });
        Self { nodes: nodes.collect(), ..Self::default() }
    }

    /// The next connection to open, if one lacks; `idle` says how many there are. `None` ends a round.
    pub fn next(&mut self, now_ms: u64, idle: impl Fn(NodeId) -> u64) -> Option<WarmOpening> {
        if now_ms < self.paused_until_ms || self.opening >= OPENING_MAX {
            return None;
        }
        for _ in 0..self.nodes.len().min(LOOKS_MAX) {
            let at = self.at;
            self.at = (at + 1) % self.nodes.len();
            let node = self.nodes.get_mut(at)?;
            if node.due_ms > now_ms {
                continue;
            }
            // One that fails is tried with one connection.
            let wanted = if node.failures == 0 { node.wanted } else { 1 };
            if node.opening < wanted && idle(node.id) + u64::from(node.opening) < node.wanted.into()
            {
                node.opening += 1;
                self.opening += 1;
                return Some(WarmOpening { node: node.id, at });
            }
        }
        None
    }

    /// A connection that was to be opened is, or is not. `draw` spreads the pauses.
    pub fn ended(&mut self, opening: &WarmOpening, opened: WarmOpened, now_ms: u64, draw: u64) {
        self.opening = self.opening.saturating_sub(1);
        let Some(node) = self.nodes.get_mut(opening.at) else { return };
        node.opening = node.opening.saturating_sub(1);
        match opened {
            WarmOpened::Well => node.failures = 0,
            // Of several that were under way, one counts.
            WarmOpened::Failed if node.due_ms > now_ms => {}
            WarmOpened::Failed => {
                let pause = PAUSE_MAX.min(PAUSE << node.failures.min(16));
                node.failures = node.failures.saturating_add(1);
                node.due_ms = now_ms.saturating_add(pause - spread(draw, pause / 4));
            }
        }
    }

    /// Descriptors or memory have run out: nothing is opened ahead for a while.
    pub fn pause(&mut self, now_ms: u64) {
        self.paused_until_ms = now_ms.saturating_add(PAUSE_MAX / 2);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Plan, fixture};

    const NOW: u64 = 1_000_000;

    /// One upstream with two nodes, each of which wants three.
    fn warm_up() -> (WarmUp, [NodeId; 2]) {
        let mut config = fixture::config();
        config.upstreams.truncate(1);
        config.upstreams[0].pool.min_idle = 3;
        let plan = Plan::build(&config);
        let id = |node| NodeId { upstream: UpstreamId(0), node: NodeIndex(node) };
        (WarmUp::of(plan.upstreams(), NOW), [id(0), id(1)])
    }

    #[test]
    fn every_node_gets_what_it_wants_and_no_more() {
        let (mut warm_up, nodes) = warm_up();
        let mut opened = BTreeMap::new();
        let started = NOW + START;
        while let Some(opening) = warm_up.next(started, |_| 0) {
            *opened.entry(opening.node).or_insert(0) += 1;
        }
        assert_eq!(opened, BTreeMap::from(nodes.map(|node| (node, 3))));
        // All of them are idle, then two are used.
        let (mut warm_up, nodes) = self::warm_up();
        assert_eq!(warm_up.next(started, |_| 3), None);
        let idle = |node| if node == nodes[1] { 1 } else { 3 };
        let lacking: Vec<_> = std::iter::from_fn(|| warm_up.next(started, idle))
            .map(|opening| opening.node)
            .collect();
        assert_eq!(lacking, [nodes[1]; 2]);
    }

    #[test]
    fn nobody_is_warmed_who_does_not_want_it() {
        let mut config = fixture::config();
        let plan = Plan::build(&config);
        assert!(WarmUp::of(plan.upstreams(), NOW).nodes.is_empty());
        config.upstreams[0].pool.min_idle = 1;
        for node in &mut config.upstreams[0].nodes {
            node.weight = 0;
        }
        let plan = Plan::build(&config);
        let mut warm_up = WarmUp::of(plan.upstreams(), NOW);
        assert_eq!(warm_up.next(NOW + START, |_| 0), None);
    }

    #[test]
    fn what_fails_is_tried_later_and_later_and_alone() {
        let (mut warm_up, nodes) = warm_up();
        let idle = |node| if node == nodes[0] { 3 } else { 0 };
        let mut now = NOW + START;
        let together: Vec<_> = std::iter::from_fn(|| warm_up.next(now, idle)).collect();
        assert_eq!(together.len(), 3);
        for opening in together {
            warm_up.ended(&opening, WarmOpened::Failed, now, 7);
        }
        let mut pauses = Vec::new();
        for draw in 0..9 {
            let began = now;
            let opening = loop {
                if let Some(opening) = warm_up.next(now, idle) {
                    break opening;
                }
                now += 10;
            };
            assert_eq!(warm_up.next(now, idle), None, "one at a time");
            pauses.push(now - began);
            warm_up.ended(&opening, WarmOpened::Failed, now, draw);
        }
        for (pause, wanted) in pauses.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
            let most = wanted * 1_000;
            assert!((most * 3 / 4..=most + 10).contains(pause), "{pauses:?}");
        }
        // It is back: the others follow at once.
        now += PAUSE_MAX;
        let opening = warm_up.next(now, idle).unwrap();
        warm_up.ended(&opening, WarmOpened::Well, now, 0);
        assert_eq!(std::iter::from_fn(|| warm_up.next(now, idle)).count(), 3);
    }

    #[test]
    fn so_many_are_opened_at_a_time() {
        let (mut warm_up, _) = warm_up();
        warm_up.nodes.iter_mut().for_each(|node| node.wanted = 1_000);
        let now = NOW + START;
        let first: Vec<_> = std::iter::from_fn(|| warm_up.next(now, |_| 0)).collect();
        assert_eq!(first.len(), OPENING_MAX as usize);
        warm_up.ended(&first[0], WarmOpened::Well, now, 0);
        assert!(warm_up.next(now, |_| 0).is_some());
        assert!(warm_up.next(now, |_| 0).is_none());
        // There is no room for more of them.
        first.iter().for_each(|opening| warm_up.ended(opening, WarmOpened::Well, now, 0));
        warm_up.pause(now);
        assert!(warm_up.next(now + PAUSE_MAX / 2 - 1, |_| 0).is_none());
        assert!(warm_up.next(now + PAUSE_MAX / 2, |_| 0).is_some());
    }
}
