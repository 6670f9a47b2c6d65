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
use crate::control::process::pid_file::PidFile;
use crate::control::state::commands::NO_UPGRADE;
use crate::control::state::pending_upgrade::Overtaken;
use crate::control::state::status::{DRIVERS_JOINT, ReloadAnswer};
use crate::control::state::upgrades::UpgradedTo;
use crate::control::upgrade::messages::{FromNew, NotServing};
use crate::control::upgrade::offer::{OfferedSockets, ReadyProcess, TakenSockets, UpgradeOffer};
use crate::control::upgrade::self_test;
use crate::control::upgrade::takeover::Takeover;
use crate::health::Admin;
use crate::setup::Driver;
use crate::setup::inherited::SelfTestSockets;
use crate::setup::listeners::PreparedListeners;

/// How long the cores may take to listen as they are told.
const CORES_PATIENCE: Duration = Duration::from_secs(5);
/// How long the cores of a new process may take to start.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Why a new process does not take over.
const TOLD_TO_STOP: &str = "it was told to stop";

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
            Err(reasons) => self.refuse_upgrade(number, NotServing::untouched(reasons)),
        }
    }

    fn offer(&self, number: u64) -> Result<UpgradeOffer, Vec<String>> {
        if self.commands.is_stopping() {
            return Err(vec![NO_UPGRADE.to_owned()]);
        }
        let states = self.status.node_states();
        let orders =
            states.nodes().iter().filter(|node| node.state.health.admin() != Admin::Enabled);
        let orders = orders.count();
        if orders > 0 {
            tracing::warn!(
                orders,
                "upgrade: the new process does not know the orders of `ferrule ctl`"
            );
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
        let ready = offer.result().map_err(NotServing::untouched);
        if let Err(refused) = ready.and_then(|process| self.give_way(number, process)) {
            self.refuse_upgrade(number, refused);
        }
    }

    /// A process that has failed has been killed by now.
    fn refuse_upgrade(&self, number: u64, refused: NotServing) {
        let NotServing { reasons, may_have_accepted } = refused;
        self.listeners.tighten();
        for reason in &reasons {
            tracing::error!("upgrade refused: {reason}");
        }
        if may_have_accepted {
            tracing::error!(
                "this process serves on; connections that the new one has accepted are lost"
            );
        } else {
            tracing::error!("this process serves on; no connection was touched");
        }
        if let Some(Err(error)) = self.pid_file.as_ref().map(PidFile::restore) {
            tracing::error!("runtime.pid_file: cannot be written again: {error}");
        }
        self.status.upgrades.record(number, Err(reasons));
        self.commands.end_upgrade(false);
    }

    /// The new process begins to accept connections, and this one stops to.
    fn give_way(&mut self, number: u64, process: ReadyProcess) -> Result<(), NotServing> {
        // Before stops are held: this process closes none of these if it loses a core meanwhile.
        self.listeners.share();
        let taken = self.let_go(&process).inspect_err(|_| self.listeners.own())?;
        let TakenSockets { listeners, metrics, admin } = taken;
        let to = UpgradedTo { pid: process.id(), version: process.version.clone() };
        tracing::info!(pid = to.pid, version = to.version, "upgrade: the new process serves");
        let former = self.former.take();
        if let Some(former) = &former {
            // It watches over this process, whose end does not matter any more, as long as the new one serves.
            former.relieve();
        }
        self.manager.main_process(to.pid);
        process.named();
        if metrics {
            self.endpoints.release_metrics();
        }
        if admin {
            self.endpoints.release_admin();
        }
        let pid = to.pid;
        // Whoever waits for it finds the new process at the admin socket.
        self.status.upgrades.record(number, Ok(to));
        self.listeners.release(&listeners);
        self.listen_but_for(&listeners);
        let Overtaken { stop, reload, tickets } = self.commands.end_upgrade(true);
        if stop {
            process.signal(Signal::TERM);
        } else if reload {
            process.signal(Signal::HUP);
        }
        for ticket in tickets {
            self.status.answer_ticket(ticket, Ok(ReloadAnswer::PassedOn { pid }));
        }
        process.let_go(former, &self.commands);
        Ok(())
    }

    /// Lets the new process accept. If the drivers differ, this one rests from before that on.
    fn let_go(&self, process: &ReadyProcess) -> Result<TakenSockets, NotServing> {
        if !self.commands.hold_stops() {
            return Err(NotServing::untouched(vec![NO_UPGRADE.to_owned()]));
        }
        // Whether a socket blocks is one flag for both processes, and the drivers differ in what they need.
        let rests = !share_one_driver(&process.driver, &self.status.drivers());
        let all: Vec<ListenAddress> =
            self.current.config.listens.iter().map(Listen::listen_address).collect();
        if rests {
            self.listen_but_for(&all);
        }
        process.go().inspect_err(|_| {
            if rests {
                self.listen_but_for(&[]);
            }
        })
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

    /// Takes over from the former process, once this one has proved that it can serve. If it may not, it ends at
    /// once: the former process serves on.
    pub(super) fn take_over(&mut self, successor: Successor) -> bool {
        let Successor { mut takeover, prepared, tests } = successor;
        match self.try_to_take_over(&mut takeover, prepared, &tests) {
            Ok(()) => {
                self.former = Some(takeover.settle());
                true
            }
            Err(failure) => {
                for reason in &failure.reasons {
                    tracing::error!("the upgrade to this process failed: {reason}");
                }
                takeover.fail(failure);
                // Nothing is to be drained: no client has been accepted, or there is no core to serve it.
                self.commands.abandon();
                false
            }
        }
    }

    fn try_to_take_over(
        &mut self,
        takeover: &mut Takeover,
        prepared: PreparedListeners,
        tests: &SelfTestSockets,
    ) -> Result<(), NotServing> {
        let one = |words: String| NotServing::untouched(vec![words]);
        let late = wait_for_cores(&self.links, self.current.number, START_PATIENCE);
        if !late.is_empty() {
            return Err(one(format!("cores do not listen: {late:?}")));
        }
        let questions = self_test::tests(&self.current.config, tests, self.links.len());
        let commands = Arc::clone(&self.commands);
        takeover
            .ready(self.status.drivers(), questions, &|| !commands.is_stopping())
            .map_err(one)?;
        // From here on a stop waits until it is known who serves.
        if !commands.hold_stops() {
            return Err(one(TOLD_TO_STOP.to_owned()));
        }
        let current = Arc::clone(&self.current);
        self.endpoints.inherit(std::mem::take(&mut takeover.endpoints), &current.config);
        let endpoints = self.endpoints.prepare(&current.config).map_err(one)?;
        if commands.is_stopping() {
            return Err(one(TOLD_TO_STOP.to_owned()));
        }
        // The last step that may fail: what listens from here on gets connections.
        self.listeners.listen(&prepared).map_err(|errors| NotServing {
            reasons: errors.iter().map(ToString::to_string).collect(),
            may_have_accepted: false,
        })?;
        let listening = prepared.addresses().to_vec();
        self.post(&self.current, &prepared, &self.resolver.known(&self.current));
        self.listeners.commit(prepared);
        self.endpoints.commit(endpoints);
        let late = wait_for_handover(&self.links, CORES_PATIENCE);
        if !late.is_empty() {
            // The others accept: to end now would reset what they have. What waits for a late one waits.
            tracing::warn!(?late, "upgrade: cores do not accept yet");
        }
        if self.status.is_lost() {
            let reasons = vec![String::from("a core has ended")];
            return Err(NotServing { reasons, may_have_accepted: true });
        }
        let serving = FromNew::Serving {
            listeners: listening.into_iter().map(Into::into).collect(),
            metrics: self.endpoints.has_inherited_metrics(),
            admin: self.endpoints.has_inherited_admin(),
        };
        self.status.upgrades.continue_from(takeover.taken, takeover.refused);
        if let Err(words) = takeover.serving(&serving) {
            // Its sockets are here, and nobody else serves.
            tracing::warn!("{words}; this process serves all the same");
        }
        self.listeners.own();
        self.endpoints.own();
        commands.end_upgrade(false);
        self.manager.speak();
        // The former process's is replaced: it leaves what does not hold its number. Only now, because a slow file
        // system must not keep that process waiting for us to serve.
        if let Err(words) = self.write_pid_file(&current.config) {
            tracing::error!("{words}");
        }
        Ok(())
    }
}

/// Do all cores of two processes run on the same driver? One that has several may have them on other cores.
fn share_one_driver(new: &str, former: &str) -> bool {
    let one = !former.contains(DRIVERS_JOINT) && former != Driver::Unknown.text();
    new == former && one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_share_a_driver_if_all_their_cores_have_the_same() {
        let [uring, epoll] = [Driver::UringDeferred, Driver::Epoll].map(Driver::text);
        let both = [epoll, uring].join(DRIVERS_JOINT);
        assert!(share_one_driver(uring, uring) && share_one_driver(epoll, epoll));
        assert!(!share_one_driver(uring, epoll) && !share_one_driver(&both, &both));
        assert!(!share_one_driver(epoll, &both) && !share_one_driver("unknown", "unknown"));
    }
}
