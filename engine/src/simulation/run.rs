//! One run: everybody is set going, and at the end the rest is counted.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::certificates::TestCertificates;
use super::client;
use super::context::RunContext;
use super::fate::{NodeFate, Outage};
use super::gateway::Gateway;
use super::journal::RunJournal;
use super::outage;
use super::setting::{Mode, Setting};
use crate::shell::transport::net::{sleep, spawn};
use crate::simulation::network::tasks::{self, Stuck};
use crate::simulation::network::world::{self, Weather, below};

/// A run that takes longer than this has stopped moving.
const LATEST: Duration = Duration::from_secs(900);

/// After the last client has left, everything of Ferrule's ends within this time.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// And nodes that do not read notice that within this time.
const AT_LAST: Duration = Duration::from_secs(150);

/// The result of a run.
pub(super) struct RunResult {
    pub(super) violations: Vec<String>,
    pub(super) asks: usize,
    pub(super) delivered: usize,
    pub(super) met: BTreeSet<Outage>,
    story: Vec<String>,
    setting: Setting,
}

impl RunResult {
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

/// Prints a line for whoever watches.
#[expect(clippy::print_stderr, reason = "for people")]
pub(super) fn tell(text: &str) {
    eprintln!("{text}");
}

/// The whole run of a seed.
pub(super) fn run_seed(mode: Mode, seed: u64, aloud: bool) -> RunResult {
    run_drawn(mode, seed, aloud, Setting::draw)
}

/// The whole run of a seed whose settings are drawn like this.
pub(super) fn run_drawn(
    mode: Mode,
    seed: u64,
    aloud: bool,
    draw: fn(Mode) -> Setting,
) -> RunResult {
    world::begin(seed, Weather::default());
    let setting = draw(mode);
    let weather = setting.weather();
    let calm = weather.is_calm();
    world::set_weather(weather);
    let certificates = (mode != Mode::Plain).then(TestCertificates::get);
    let gateway = Rc::new(Gateway::of(&setting, certificates));
    let run = Rc::new(RunContext {
        clients_left: Cell::new(setting.clients + usize::from(setting.has_outages())),
        calm,
        journal: RunJournal::default(),
        tls: certificates.map(|certificates| certificates.peers(below(3) == 0)),
        setting,
    });
    gateway.start();
    let fates: Vec<_> = (0..run.setting.nodes).map(NodeFate::new).collect();
    fates.iter().for_each(|fate| outage::launch(&run, fate));
    if run.setting.has_outages() {
        spawn(outage::befall(Rc::clone(&run), fates));
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
    let mut found = to_its_end(&run, &gateway);
    tasks::clear();
    let mut book = run.journal.close();
    found.append(&mut book.violations);
    let asks = book.asks();
    let (delivered, story, setting) = (book.delivered, book.story, run.setting.clone());
    let ended = RunResult { violations: found, asks, delivered, met: book.met, story, setting };
    if aloud {
        tell(&format!("{:?}\n{}", ended.setting, ended.story.join("\n")));
    }
    ended
}

/// Runs until everybody has left; returns what is wrong then.
fn to_its_end(run: &RunContext, gateway: &Gateway) -> Vec<String> {
    if let Err(stuck) = tasks::run(LATEST, || run.clients_left.get() == 0) {
        return vec![format!("{stuck:?}: {} clients wait", run.clients_left.get())];
    }
    gateway.drain();
    let core = &gateway.core;
    // What is there for ever: every node's listener, and the timer. The rest may still be due.
    let Setting { nodes, drain, reload, .. } = &run.setting;
    let permanent = nodes + 1 + usize::from(*drain) + usize::from(*reload);
    let latest = world::now() + AFTERWARDS;
    let ended = tasks::run(latest, || core.open_connections.get() == 0);
    let mut found = gateway.leftovers(*nodes);
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
