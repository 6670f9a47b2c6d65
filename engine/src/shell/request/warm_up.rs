//! Opens connections to upstream nodes ahead of the requests that will use them.
//!
//! Off the path of every request: once a tick the core sees what lacks, and each connection is opened by a task
//! of its own, as one for a request would be.

use std::rc::Rc;

use super::lease::{LeaseRequest, give_back_unused, obtain};
use crate::exchange::rewrite::upstream_name;
use crate::exchange::warm_up::{WarmOpened, WarmOpening};
use crate::plan::{HostBuf, NodeId};
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::net;

/// Begins to open what lacks now.
pub(crate) fn tick(core: &Rc<Core>) {
    if core.draining.get() {
        return;
    }
    let live = core.live();
    loop {
        // To a node that is not asked, or takes no more, nothing is opened: as if it had all that it needs.
        let is_fit = |node: NodeId| {
            let state = live.node_states.get(node);
            let wanted = live.node_states.waits(node.upstream).is_some_and(|all| all.count() > 0);
            state.is_none_or(|state| state.health.takes_part() && !state.places.is_full())
                && !wanted
        };
        let idle = |node| if is_fit(node) { live.connections.get(node).idle } else { u64::MAX };
        let next = live.warm_up.borrow_mut().next(core.clock.elapsed_ms(), idle);
        let Some(opening) = next else { return };
        net::spawn(open(Rc::clone(core), Rc::clone(&live), opening));
    }
}

async fn open(core: Rc<Core>, live: Rc<LiveGeneration>, opening: WarmOpening) {
    let opened = try_to_open(&core, &live, &opening).await;
    let draw = u64::try_from(core.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
    live.warm_up.borrow_mut().ended(&opening, opened, core.clock.elapsed_ms(), draw);
}

async fn try_to_open(core: &Core, live: &Rc<LiveGeneration>, opening: &WarmOpening) -> WarmOpened {
    let plan = live.generation.plan.upstream(opening.node.upstream);
    let Some(node) = plan.nodes.get(opening.node.node.0 as usize) else {
        return WarmOpened::Failed;
    };
    let host = HostBuf::default();
    let wanted = LeaseRequest {
        upstream: opening.node.upstream,
        node: opening.node.node,
        server_name: upstream_name(plan, &host, node),
        timeout: plan.timeout.connect,
        fresh: true,
        proxy_header: &[],
        waiting: None,
        goes_first: false,
    };
    let Ok(lease) = obtain(core, live, wanted).await else { return WarmOpened::Failed };
    // Another generation opens its own, with its own settings.
    if core.is_current(live) && !core.draining.get() {
        give_back_unused(core, plan, lease);
    }
    WarmOpened::Well
}
