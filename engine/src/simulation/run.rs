//! One run: everybody is set going, and at the end the rest is counted.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use strum::EnumCount;

use super::ledger::Ledger;
use super::material::{Material, Peers};
use super::setting::{Mode, Setting};
use super::{client, node};
use crate::plan::ListenerId;
use crate::report::{Counter, log_ring};
use crate::setup::connection_counts::ConnectionCounts;
use crate::setup::{Addresses, CoreLink, Generation, Handover, assemble};
use crate::shell::accept::{self, ListenerState};
use crate::shell::service::ConnectionService;
use crate::shell::state::core::{Core, DRAIN_GRACE};
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::buffers::BufferSize;
use crate::shell::transport::net::{Canceller, TcpListener, sleep, spawn};
use crate::shell::worker;
use crate::simulation::network::tasks::{self, Stuck};
use crate::simulation::network::world::{self, Weather, below};

/// A run that takes longer than this has stopped moving.
const LATEST: Duration = Duration::from_secs(900);

/// After the last client has left, everything of Ferrule's ends within this time.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// And nodes that do not listen notice it within this one.
const AT_LAST: Duration = Duration::from_secs(150);

/// What all peers of a run know.
pub(super) struct Run {
    pub(super) setting: Setting,
    pub(super) ledger: Ledger,
    pub(super) clients_left: Cell<usize>,
    tls: Option<Peers>,
}

/// What a run came to.
pub(super) struct Ended {
    pub(super) violations: Vec<String>,
    pub(super) asks: usize,
    pub(super) delivered: usize,
    story: Vec<String>,
    setting: Setting,
}

impl Ended {
    pub(super) fn describe(&self, seed: u64, mode: Mode) -> String {
        format!(
            "FERRULE_SEED={seed} ({mode:?}) fails:\n  {}\n  {:?}",
            self.violations.join("\n  "),
            self.setting
        )
    }
}

/// A number in the environment.
#[expect(clippy::disallowed_methods, reason = "how many runs is asked for by hand")]
pub(super) fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Says something to whoever watches.
#[expect(clippy::print_stderr, reason = "for people")]
pub(super) fn tell(text: &str) {
    eprintln!("{text}");
}

/// Ferrule itself.
pub(super) struct Gateway {
    pub(super) core: Rc<Core>,
    pub(super) service: Rc<ConnectionService>,
    accepting: Rc<ListenerState>,
    canceller: Cell<Option<Canceller>>,
    handover: Handover,
}

impl Gateway {
    pub(super) fn of(setting: &Setting, material: Option<&Material>) -> Self {
        let generation = Arc::new(generation(setting, material));
        let addresses = Addresses::build(1, &generation.config, &|_| None);
        let meters = Arc::new(generation.meters());
        let addresses = Arc::new(addresses);
        let handover = Handover { generation, listeners: Vec::new(), addresses, meters };
        let seed = world::draw();
        let (log, _) = log_ring(1 << 10);
        let fast = setting.mode == Mode::Tls { fast: true };
        let core = Core::new(
            Arc::new(CoreLink::new(0)),
            log,
            LiveGeneration::new(&handover, seed),
            seed,
            fast,
            usize::MAX,
        );
        let accepting = ListenerState {
            listener: Cell::new(ListenerId(0)),
            connections_max: 1_000,
            connection_counts: Arc::new(ConnectionCounts::default()),
            ending: Cell::new(false),
        };
        let core = Rc::new(core);
        Self {
            service: Rc::new(ConnectionService::new(Rc::clone(&core))),
            core,
            accepting: Rc::new(accepting),
            canceller: Cell::new(Some(Canceller::new())),
            handover,
        }
    }

    fn start(self: &Rc<Self>) {
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
    fn reload(&self) {
        self.core.set_live(LiveGeneration::new(&self.handover, world::draw()));
        self.service.registry.review_all();
        self.core.inspection.begin_again();
    }

    /// Accepts no more, and finishes what is there.
    fn drain(&self) {
        if self.core.draining.replace(true) {
            return;
        }
        self.accepting.ending.set(true);
        self.canceller.set(self.canceller.take().map(Canceller::cancel));
        self.core.deadlines.hasten_idle(DRAIN_GRACE);
    }

    /// What is left over when everybody has left.
    fn leftovers(&self) -> Vec<String> {
        let core = &self.core;
        let mut found = Vec::new();
        if core.open.get() > 0 {
            found.push(format!("{} client connections are open", core.open.get()));
        }
        core.pool.borrow_mut().clear(drop);
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

fn generation(setting: &Setting, material: Option<&Material>) -> Generation {
    let (server, upstream) = material.map(Material::tables).unwrap_or_default();
    let text = setting.config((&server, &upstream));
    let path = Path::new("/simulation.toml");
    let draft = ferrule_config::read_text(path, text.clone(), &|_| None);
    let draft = draft.unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let now = 1_795_301_728;
    assemble(draft, &Arc::default(), 1, now).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

impl Run {
    /// The whole run of a seed.
    pub(super) fn of(mode: Mode, seed: u64, aloud: bool) -> Ended {
        world::begin(seed, Weather::default());
        let setting = Setting::draw(mode);
        world::set_weather(setting.weather());
        let material = (mode != Mode::Plain).then(Material::get);
        let gateway = Rc::new(Gateway::of(&setting, material));
        let run = Rc::new(Self {
            clients_left: Cell::new(setting.clients),
            ledger: Ledger::default(),
            tls: material.map(|material| material.peers(below(3) == 0)),
            setting,
        });
        gateway.start();
        for number in 0..run.setting.nodes {
            spawn(node::node(Rc::clone(&run), number));
        }
        for _ in 0..run.setting.clients {
            spawn(client::client(Rc::clone(&run)));
        }
        if run.setting.reload {
            let gateway = Rc::clone(&gateway);
            spawn(async move {
                sleep(Duration::from_millis(below(8_000) as u64)).await;
                gateway.reload();
            });
        }
        if run.setting.drain {
            let gateway = Rc::clone(&gateway);
            spawn(async move {
                sleep(Duration::from_millis(below(8_000) as u64)).await;
                gateway.drain();
            });
        }
        let mut found = run.to_its_end(&gateway);
        tasks::clear();
        let mut book = run.ledger.close();
        found.append(&mut book.violations);
        let asks = book.asks();
        let (delivered, story, setting) = (book.delivered, book.story, run.setting.clone());
        let ended = Ended { violations: found, asks, delivered, story, setting };
        if aloud {
            tell(&format!("{:?}\n{}", ended.setting, ended.story.join("\n")));
        }
        ended
    }

    fn to_its_end(&self, gateway: &Gateway) -> Vec<String> {
        if let Err(stuck) = tasks::run(LATEST, || self.clients_left.get() == 0) {
            return vec![format!("{stuck:?}: {} clients wait", self.clients_left.get())];
        }
        gateway.drain();
        let core = &gateway.core;
        // What is there for ever: every node's listener, and the timer. The rest may still be due.
        let Setting { nodes, drain, reload, .. } = &self.setting;
        let permanent = nodes + 1 + usize::from(*drain) + usize::from(*reload);
        let latest = world::now() + AFTERWARDS;
        let ended = tasks::run(latest, || core.open.get() == 0);
        let mut found = gateway.leftovers();
        let latest = world::now() + AT_LAST;
        let ended = ended.and_then(|()| tasks::run(latest, || tasks::live() <= permanent));
        match ended {
            Ok(()) => {}
            Err(Stuck::Deadlock) => found.push("nothing is due".to_owned()),
            Err(Stuck::TooLong) => {
                found.push(format!("{} tasks are left", tasks::live().saturating_sub(permanent)));
            }
        }
        found
    }

    /// A client's side of TLS, if there is to be any.
    pub(super) fn client_tls(&self) -> Option<rustls::Connection> {
        self.tls.as_ref().map(Peers::client)
    }

    /// A node's side of TLS, if there is to be any.
    pub(super) fn node_tls(&self) -> Option<rustls::Connection> {
        self.tls.as_ref().map(Peers::node)
    }
}
