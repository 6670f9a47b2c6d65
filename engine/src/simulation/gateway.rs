//! Ferrule itself within a run: one core that accepts, reloads and drains as a worker does.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use strum::EnumCount;

use super::certificates::TestCertificates;
use super::setting::{Mode, Setting};
use crate::health::NodeStates;
use crate::plan::{ListenerId, NodeId, NodeIndex, UpstreamId};
use crate::report::{Counter, log_ring};
use crate::setup::connection_counts::ConnectionCounts;
use crate::setup::{Addresses, CoreLink, Generation, Handover, assemble};
use crate::shell::accept::{self, ListenerState};
use crate::shell::client::accepted::AcceptedBy;
use crate::shell::service::ConnectionService;
use crate::shell::state::core::{Core, DRAIN_GRACE};
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::buffers::BufferSize;
use crate::shell::transport::net::{Canceller, TcpListener, spawn};
use crate::shell::worker;
use crate::simulation::network::instant;
use crate::simulation::network::world::{self, below};

/// Ferrule itself.
pub(super) struct Gateway {
    pub(super) core: Rc<Core>,
    pub(super) service: Rc<ConnectionService>,
    accepting: Rc<ListenerState>,
    canceller: Cell<Option<Canceller>>,
    handover: Handover,
}

impl Gateway {
    pub(super) fn of(setting: &Setting, certificates: Option<&TestCertificates>) -> Self {
        let generation = Arc::new(generation(setting, certificates));
        let addresses = Addresses::build(1, &generation.config, &|_| Vec::new(), &|_, _| false);
        let meters = Arc::new(generation.meters());
        let addresses = Arc::new(addresses);
        let node_states = NodeStates::of(&generation.plan, &NodeStates::default(), instant(), 1);
        let node_states = Arc::new(node_states);
        let breakers = Arc::default();
        let handover = Handover {
            generation,
            breakers,
            limits: Arc::default(),
            listeners: Vec::new(),
            released: Vec::new(),
            addresses,
            node_states,
            meters,
        };
        let seed = world::draw();
        let (log, _) = log_ring(1 << 10);
        let fast = setting.mode == Mode::Tls { fast: true };
        let core = Core::new(
            Arc::new(CoreLink::new(0)),
            log,
            LiveGeneration::new(&handover, 0, seed),
            seed,
            fast,
            usize::MAX,
        );
        let core = Rc::new(core);
        let accepting = ListenerState {
            accepts_by: RefCell::new(AcceptedBy::new(core.live(), ListenerId(0))),
            connections_max: 1_000,
            connection_counts: Arc::new(ConnectionCounts::default()),
            ending: Cell::new(false),
        };
        Self {
            service: Rc::new(ConnectionService::new(Rc::clone(&core))),
            core,
            accepting: Rc::new(accepting),
            canceller: Cell::new(Some(Canceller::new())),
            handover,
        }
    }

    pub(super) fn start(self: &Rc<Self>) {
        let canceller = self.canceller.take().unwrap_or_default();
        let listener = TcpListener::bind(Setting::front());
        let (service, state) = (Rc::clone(&self.service), Rc::clone(&self.accepting));
        spawn(accept::run(service, listener, state, canceller.handle()));
        self.canceller.set(Some(canceller));
        let service = Rc::clone(&self.service);
        spawn(async move {
            let core = &service.core;
            loop {
                worker::wait_for_tick(&service).await;
                core.tick();
                service.registry.tick(core);
                if below(10) == 0 {
                    core.inspection.begin();
                }
                if below(50) == 0 {
                    service.trim();
                }
            }
        });
    }

    /// New requests get another generation, which says the same.
    pub(super) fn reload(&self) {
        self.core.set_live(LiveGeneration::new(&self.handover, 0, world::draw()));
        self.accepting.follow(self.core.live(), ListenerId(0));
        self.service.registry.review_all();
        self.core.inspection.begin_again();
    }

    /// Accepts no more, and finishes what is there.
    pub(super) fn drain(&self) {
        if self.core.draining.replace(true) {
            return;
        }
        self.accepting.end();
        self.canceller.set(self.canceller.take().map(Canceller::cancel));
        self.core.closes_idle.set(true);
        self.core.deadlines.hasten_idle(DRAIN_GRACE);
    }

    /// Whatever is still held when everybody has left: nothing should be.
    pub(super) fn leftovers(&self, nodes: usize) -> Vec<String> {
        let core = &self.core;
        let mut found = Vec::new();
        if core.open_connections.get() > 0 {
            found.push(format!("{} client connections are open", core.open_connections.get()));
        }
        core.pool.borrow_mut().clear(drop);
        for node in (0..).map(NodeIndex).take(nodes) {
            let open = core.live().connections.get(NodeId { upstream: UpstreamId(0), node }).open;
            if open > 0 {
                found.push(format!("{open} connections of node {} are counted", node.0));
            }
        }
        if core.buffers.rented() != [0; BufferSize::COUNT] {
            found.push(format!("buffers are out: {:?}", core.buffers.rented()));
        }
        if core.deadlines.in_use() > 0 {
            found.push(format!("{} timers are held", core.deadlines.in_use()));
        }
        if !self.service.registry.is_empty() {
            found.push("the registry is not empty".to_owned());
        }
        if core.counters().get(Counter::Panics) > 0 {
            found.push("a connection panicked".to_owned());
        }
        if world::is_misused() {
            found.push("a descriptor was used after its end was closed".to_owned());
        }
        found
    }
}

fn generation(setting: &Setting, certificates: Option<&TestCertificates>) -> Generation {
    let (server, upstream) = certificates.map(TestCertificates::tables).unwrap_or_default();
    let text = setting.config(&server, &upstream);
    let path = Path::new("/simulation.toml");
    let draft = ferrule_config::read_text(path, text.clone(), &|_| None);
    let draft = draft.unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let now = 1_795_301_728;
    assemble(draft, &Arc::default(), 1, now, None)
        .unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}
