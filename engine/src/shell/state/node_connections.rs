//! How many connections one core has to each upstream node: those that are open, and those of them that wait
//! in the pool.
//!
//! A connection counts itself: it holds an [`OpenNodeConnection`], which is dropped with it. What is counted goes
//! on over a reload, because connections do; once a second it is shown to whoever looks. With it goes the place
//! that the connection has at its node, of all cores together.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::place_queue::PlaceQueue;
use crate::health::NodePlace;
use crate::plan::NodeId;
use crate::report::{Meters, NodeConnections};

/// Counts one open connection until it is dropped.
pub(crate) struct OpenNodeConnection {
    node: Rc<ConnectedNode>,
    /// Given back behind the count.
    place: NodePlace,
    idle: bool,
}

/// A node, as its connections know it.
#[derive(Default)]
struct ConnectedNode {
    count: Cell<NodeConnections>,
    /// Who waits for one of them, where a node of the upstream has a limit.
    queue: RefCell<Option<Rc<PlaceQueue>>>,
}

/// The connections to all nodes of one generation that this core has ever connected to, and to those of
/// earlier generations that are gone from the configuration.
#[derive(Default)]
pub(crate) struct ConnectionTable {
    nodes: RefCell<HashMap<NodeId, Rc<ConnectedNode>, RandomState>>,
    gone: RefCell<Vec<Rc<ConnectedNode>>>,
}

impl OpenNodeConnection {
    /// Its connection goes into the pool, or comes out of it.
    pub(crate) fn set_idle(&mut self, idle: bool) {
        let mut count = self.node.count.get();
        match (self.idle, idle) {
            (false, true) => count.idle += 1,
            (true, false) => count.idle -= 1,
            _ => return,
        }
        self.node.count.set(count);
        self.idle = idle;
    }

    /// Who may wait for it on this core.
    pub(crate) fn queue(&self) -> Option<Rc<PlaceQueue>> {
        self.node.queue.borrow().clone()
    }

    /// Has its node as many connections as it takes?
    pub(crate) fn is_one_of_all(&self) -> bool {
        self.place.is_last()
    }

    /// Does it lead where this other one does?
    pub(crate) fn is_to_node_of(&self, table: &ConnectionTable, node: NodeId) -> bool {
        table.nodes.borrow().get(&node).is_some_and(|known| Rc::ptr_eq(known, &self.node))
    }
}

impl Drop for OpenNodeConnection {
    fn drop(&mut self) {
        self.set_idle(false);
        let mut count = self.node.count.get();
        count.open -= 1;
        self.node.count.set(count);
        if let Some(queue) = self.queue() {
            queue.call_first();
        }
    }
}

impl ConnectionTable {
    /// A connection to this node is opened, for which `place` was taken; `queue` has those who wait for one.
    pub(crate) fn opened(
        &self,
        node: NodeId,
        place: NodePlace,
        queue: impl FnOnce() -> Option<Rc<PlaceQueue>>,
    ) -> OpenNodeConnection {
        let mut nodes = self.nodes.borrow_mut();
        let node = Rc::clone(nodes.entry(node).or_insert_with(|| {
            Rc::new(ConnectedNode { count: Cell::default(), queue: RefCell::new(queue()) })
        }));
        let count = node.count.get();
        node.count.set(NodeConnections { open: count.open + 1, ..count });
        OpenNodeConnection { node, place, idle: false }
    }

    /// The connections to this node.
    #[must_use]
    pub(crate) fn get(&self, node: NodeId) -> NodeConnections {
        self.nodes.borrow().get(&node).map(|node| node.count.get()).unwrap_or_default()
    }

    /// Goes on with what the table of the generation before has counted; `now_at` tells which node of this
    /// generation a node of that one is, if it is still there, and `queue` who waits for it.
    pub(crate) fn go_on(
        &self,
        before: &Self,
        now_at: impl Fn(NodeId) -> Option<NodeId>,
        queue: impl Fn(NodeId) -> Option<Rc<PlaceQueue>>,
    ) {
        let open = |node: &Rc<ConnectedNode>| node.count.get().open > 0;
        let mut gone: Vec<_> =
            before.gone.borrow().iter().filter(|node| open(node)).cloned().collect();
        for (node, connections) in &*before.nodes.borrow() {
            match now_at(*node) {
                Some(node) => {
                    connections.queue.replace(queue(node));
                    self.nodes.borrow_mut().insert(node, Rc::clone(connections));
                }
                None if open(connections) => gone.push(Rc::clone(connections)),
                None => {}
            }
        }
        self.gone.replace(gone);
    }

    /// Shows the counts.
    pub(crate) fn publish(&self, meters: &Meters) {
        let mut others = NodeConnections::default();
        let mut add = |count: NodeConnections| {
            others.open += count.open;
            others.idle += count.idle;
        };
        for (node, connected) in &*self.nodes.borrow() {
            let (meters, shared) = (meters.node(*node), meters.other_nodes());
            if std::ptr::eq(meters, shared) {
                add(connected.count.get());
            } else {
                meters.set_connections(connected.count.get());
            }
        }
        self.gone.borrow().iter().for_each(|connected| add(connected.count.get()));
        meters.other_nodes().set_connections(others);
    }

    /// Shows that nothing is counted here any more.
    pub(crate) fn withdraw(&self, meters: &Meters) {
        let none = NodeConnections::default();
        self.nodes.borrow().keys().for_each(|node| meters.node(*node).set_connections(none));
        meters.other_nodes().set_connections(none);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::health::NodePlaces;
    use crate::plan::{NodeIndex, UpstreamId};
    use crate::report::NodeSums;

    fn node(index: u32) -> NodeId {
        NodeId { upstream: UpstreamId(0), node: NodeIndex(index) }
    }

    fn opened(table: &ConnectionTable, at: u32) -> OpenNodeConnection {
        let place = Arc::new(NodePlaces::default()).take();
        table.opened(node(at), place.expect("there is no limit"), || None)
    }

    fn shown(meters: &Meters) -> Vec<NodeConnections> {
        let each = meters.nodes().map(|(_, node)| {
            let mut sums = NodeSums::default();
            node.sum_into(&mut sums);
            sums.connections
        });
        each.collect()
    }

    const fn count(open: u64, idle: u64) -> NodeConnections {
        NodeConnections { open, idle }
    }

    #[test]
    fn connections_are_counted_until_they_are_dropped() {
        let (table, meters) = (ConnectionTable::default(), Meters::new(0, 0, &[], 0, [2]));
        let (mut first, second) = (opened(&table, 0), opened(&table, 0));
        let other = opened(&table, 1);
        first.set_idle(true);
        first.set_idle(true);
        assert_eq!((table.get(node(0)), table.get(node(1))), (count(2, 1), count(1, 0)));
        table.publish(&meters);
        assert_eq!(shown(&meters), [count(2, 1), count(1, 0), count(0, 0)]);
        first.set_idle(false);
        drop((second, other));
        assert_eq!((table.get(node(0)), table.get(node(1))), (count(1, 0), count(0, 0)));
        first.set_idle(true);
        drop(first);
        table.publish(&meters);
        assert_eq!(shown(&meters), [count(0, 0); 3]);
    }

    /// The second node is the first of the next generation, and the first is gone.
    #[test]
    fn counts_go_on_over_a_reload() {
        let (before, meters) = (ConnectionTable::default(), Meters::new(0, 0, &[], 0, [2]));
        let (removed, mut kept) = (opened(&before, 0), opened(&before, 1));
        before.publish(&meters);
        let (now, fresh) = (ConnectionTable::default(), Meters::new(0, 0, &[], 0, [1]));
        now.go_on(&before, |old| (old == node(1)).then(|| node(0)), |_| None);
        before.withdraw(&meters);
        assert_eq!(shown(&meters), [count(0, 0); 3]);
        kept.set_idle(true);
        now.publish(&fresh);
        assert_eq!(shown(&fresh), [count(1, 1), count(1, 0)]);
        drop((removed, kept));
        now.publish(&fresh);
        assert_eq!(shown(&fresh), [count(0, 0); 2]);
        let last = ConnectionTable::default();
        last.go_on(&now, |_| None, |_| None);
        assert!(last.gone.borrow().is_empty(), "what is closed is forgotten");
    }
}
