//! Upgrades, as far as they concern what is in force: what is handed over, who listens when, and how it ends.
//!
//! In: the order to begin, the end of the offer (`control/upgrade/offer.rs`), or, in a new process, what the
//! former one hands over. Out: a process that drains and one that serves; or this one, which serves as before.

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::{Listen, ListenAddress};
use rustix::process::Signal;

use super::core_waits::{wait_for_cores, wait_for_handover};
use super::reloader::{NAMES_PATIENCE, Reloader};
use crate::control::state::commands::{NO_UPGRADE, Overtaken};
use crate::control::state::upgrades::{UpgradeResult, UpgradedTo};
use crate::control::upgrade::messages::FromNew;
use crate::control::upgrade::offer::{OfferedSockets, ReadyProcess, TakenSockets, UpgradeOffer};
use crate::control::upgrade::self_test;
use crate::control::upgrade::takeover::Takeover;
use crate::setup::inherited::SelfTestSockets;
use crate::setup::listeners::PreparedListeners;

/// How long the cores may take to listen as they are told.
const CORES_PATIENCE: Duration = Duration::from_secs(5);
/// How long the cores of a new process may take to start.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What a new process has opened by the time that it starts its cores.
#[derive(Debug)]
pub(super) struct Successor {
    /// Its line to the former process.
    pub(super) takeover: Takeover,
    /// Where it will listen.
    pub(super) prepared: PreparedListeners,
    /// Where it listens until it has proved itself.
    pub(super) tests: SelfTestSockets,
}

impl Reloader {
    /// Starts the new process.
    pub(super) fn begin_upgrade(&mut self, number: u64) {
        let started = self.offer(number);
        match started {
            Ok(offer) => self.offer = Some(offer),
            Err(reasons) => self.refuse_upgrade(number, reasons),
        }
    }

    fn offer(&self, number: u64) -> Result<UpgradeOffer, Vec<String>> {
        if self.commands.is_stopping() {
            return Err(vec![NO_UPGRADE.to_owned()]);
        }
        let no_descriptor = |error: std::io::Error| vec![error.to_string()];
        let upgrades = self.status.upgrades.get();
        let sockets = OfferedSockets {
            listeners: self.listeners.offered(),
            metrics: self.endpoints.offer_metrics().map_err(no_descriptor)?,
            admin: self.endpoints.offer_admin().map_err(no_descriptor)?,
            taken: upgrades.taken,
            refused: upgrades.refused,
        };
        let patience = self.current.config.runtime.upgrade_timeout;
        UpgradeOffer::start(number, self.program.clone(), sockets, patience, &self.commands)
            .map_err(no_descriptor)
    }

    /// Ends an upgrade that is under way: the process ends.
    pub(super) fn abandon_upgrade(&mut self) {
        if let Some(offer) = self.offer.take() {
            // The thread knows that the process stops. The new process is killed with this value.
            drop(offer.result());
        }
    }

    /// Lets the new process take over, if it can serve.
    pub(super) fn end_upgrade(&mut self) {
        let Some(offer) = self.offer.take() else { return };
        let number = offer.number;
        match offer.result().and_then(|process| self.give_way(number, process)) {
            Ok(()) => {}
            Err(reasons) => self.refuse_upgrade(number, reasons),
        }
    }

    /// A process that has failed has been killed by now.
    fn refuse_upgrade(&self, number: u64, reasons: Vec<String>) {
        self.listeners.tighten();
        for reason in &reasons {
            tracing::error!("upgrade refused: {reason}");
        }
        tracing::error!("this process serves on; no connection was touched");
        self.record_upgrade(number, Err(reasons));
        self.commands.end_upgrade(false);
    }

    fn record_upgrade(&self, number: u64, result: UpgradeResult) {
        self.status.upgrades.record(number, result);
    }

    /// The new process begins to accept connections, and this one stops to.
    fn give_way(&mut self, number: u64, process: ReadyProcess) -> Result<(), Vec<String>> {
        if !self.commands.hold_stops() {
            return Err(vec![NO_UPGRADE.to_owned()]);
        }
        // Whether a socket blocks is one flag for both processes, and the drivers differ in what they need.
        let rests = process.driver != self.status.drivers();
        let all: Vec<ListenAddress> =
            self.current.config.listens.iter().map(Listen::listen_address).collect();
        if rests {
            self.listen_but_for(&all);
        }
        let taken = match process.go() {
            Ok(taken) => taken,
            Err(reasons) => {
                if rests {
                    self.listen_but_for(&[]);
                }
                return Err(reasons);
            }
        };
        let TakenSockets { listeners, metrics, admin } = taken;
        let to = UpgradedTo { pid: process.id(), version: process.version.clone() };
        tracing::info!(pid = to.pid, version = to.version, "upgrade: the new process serves");
        self.manager.main_process(to.pid);
        if metrics {
            self.endpoints.release_metrics();
        }
        if admin {
            self.endpoints.release_admin();
        }
        // Whoever waits for it finds the new process at the admin socket.
        self.record_upgrade(number, Ok(to));
        self.listen_but_for(&listeners);
        self.listeners.release(&listeners);
        let Overtaken { stop, reload } = self.commands.end_upgrade(true);
        if stop {
            process.signal(Signal::TERM);
        } else if reload {
            process.signal(Signal::HUP);
        }
        process.let_go();
        Ok(())
    }

    /// Makes the cores accept by all sockets but these, and waits until they do.
    fn listen_but_for(&self, taken: &[ListenAddress]) {
        let sockets = self.listeners.kept_but(&self.current.config, taken);
        let addresses = self.resolver.known(&self.current);
        self.post(&self.current, &sockets, &addresses);
        let late = wait_for_handover(&self.links, CORES_PATIENCE);
        if !late.is_empty() {
            tracing::warn!(?late, "upgrade: cores do not listen yet as they should");
        }
    }

    /// Serves, as the new process of an upgrade, by sockets of its own.
    pub(super) fn hand_over_for_tests(&self, shown: &PreparedListeners, tests: &SelfTestSockets) {
        let addresses = self.resolver.find(&self.current, NAMES_PATIENCE);
        self.post_with(&self.current, &|core| tests.of_core(core), shown, &addresses);
    }

    /// Takes over from the former process, once this one has proved that it can serve. If it may not, it ends:
    /// the former process serves on.
    pub(super) fn take_over(&mut self, successor: Successor) -> bool {
        let Successor { mut takeover, prepared, tests } = successor;
        match self.try_to_take_over(&mut takeover, prepared, &tests) {
            Ok(()) => true,
            Err(reasons) => {
                for reason in &reasons {
                    tracing::error!("the upgrade to this process failed: {reason}");
                }
                takeover.fail(reasons);
                // Nothing is to be drained: no client has been accepted, or the former process ends this one.
                self.commands.stop();
                self.commands.stop();
                false
            }
        }
    }

    fn try_to_take_over(
        &mut self,
        takeover: &mut Takeover,
        prepared: PreparedListeners,
        tests: &SelfTestSockets,
    ) -> Result<(), Vec<String>> {
        let one = |words: String| vec![words];
        let late = wait_for_cores(&self.links, self.current.number, START_PATIENCE);
        if !late.is_empty() {
            return Err(one(format!("cores do not listen: {late:?}")));
        }
        let questions = self_test::tests(&self.current.config, tests, self.links.len());
        let commands = Arc::clone(&self.commands);
        takeover
            .ready(self.status.drivers(), questions, &|| !commands.is_stopping())
            .map_err(one)?;
        self.endpoints.inherit(std::mem::take(&mut takeover.endpoints));
        let endpoints = self.endpoints.prepare(&self.current.config).map_err(one)?;
        // The last step that may fail: what listens from here on gets connections.
        self.listeners
            .listen(&prepared)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let listening = prepared.addresses().to_vec();
        self.post(&self.current, &prepared, &self.resolver.known(&self.current));
        self.listeners.commit(prepared);
        self.endpoints.commit(endpoints);
        let late = wait_for_handover(&self.links, CORES_PATIENCE);
        if !late.is_empty() {
            return Err(one(format!("cores do not accept: {late:?}")));
        }
        let serving = FromNew::Serving {
            listeners: listening.into_iter().map(Into::into).collect(),
            metrics: self.endpoints.has_inherited_metrics(),
            admin: self.endpoints.has_inherited_admin(),
        };
        // The former process's is replaced: it leaves what does not hold its number.
        if let Err(words) = self.write_pid_file(&Arc::clone(&self.current).config) {
            tracing::error!("{words}");
        }
        if let Err(words) = takeover.serving(&serving) {
            // Its sockets are here, and nobody else serves.
            tracing::warn!("{words}; this process serves all the same");
        }
        self.listeners.own();
        self.endpoints.own();
        self.status.upgrades.continue_from(takeover.taken, takeover.refused);
        Ok(())
    }
}
