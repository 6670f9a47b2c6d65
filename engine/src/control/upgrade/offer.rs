//! The former process's part of an upgrade until the new process has proved itself: a thread of its own, because
//! the new process may take its time, or hang.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::channel::{Channel, ChannelError, ChannelPair, Patience, Received};
use super::messages::{FromFormer, FromNew, NotServing, VARIABLE, VERSION};
use super::program::Program;
use super::self_test;
use super::takeover::FormerProcess;
use crate::control::process::clock;
use crate::control::state::commands::CommandQueue;
use crate::setup::listening_sockets::ListeningSockets;

/// How long the new process may take from [`FromFormer::Go`] until its cores accept. It waits for late ones for five
/// seconds.
const GO_PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take after that until it has written the file with its number.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// How long the exit of a process that has closed its end may take.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);
/// How often that is looked at.
const EXIT_CHECK_EVERY: Duration = Duration::from_millis(5);

/// Environment variables that are for this process alone, of `sd_listen_fds(3)`.
const OWN_VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES"];

/// What is handed over.
#[derive(Debug)]
pub(crate) struct OfferedSockets {
    /// The listeners.
    pub(crate) listeners: Vec<Arc<ListeningSockets>>,
    /// The listener of the metrics endpoint.
    pub(crate) metrics: Option<OfferedMetrics>,
    /// The admin socket.
    pub(crate) admin: Option<OfferedAdmin>,
    /// How many upgrades were taken so far.
    pub(crate) taken: u64,
    /// How many were refused.
    pub(crate) refused: u64,
}

/// The listener of the metrics endpoint.
#[derive(Debug)]
pub(crate) struct OfferedMetrics {
    /// As configured.
    pub(crate) address: SocketAddr,
    /// It.
    pub(crate) socket: OwnedFd,
}

/// The admin socket.
#[derive(Debug)]
pub(crate) struct OfferedAdmin {
    /// As configured.
    pub(crate) path: PathBuf,
    /// It.
    pub(crate) socket: OwnedFd,
}

/// An upgrade that is under way.
#[derive(Debug)]
pub(crate) struct UpgradeOffer {
    /// Which one, counted from the start of this process.
    pub(crate) number: u64,
    thread: JoinHandle<Result<ReadyProcess, Vec<String>>>,
}

/// A new process that has proved that it can serve.
#[derive(Debug)]
pub(crate) struct ReadyProcess {
    process: NewProcess,
    channel: Channel,
    /// The version of its program.
    pub(crate) version: String,
    /// The drivers of its cores.
    pub(crate) driver: String,
}

/// What a new process has taken over.
#[derive(Debug)]
pub(crate) struct TakenSockets {
    /// The addresses, as configured.
    pub(crate) listeners: Vec<ferrule_config::model::ListenAddress>,
    /// The listener of the metrics endpoint.
    pub(crate) metrics: bool,
    /// The admin socket.
    pub(crate) admin: bool,
}

/// A process that is killed when this is dropped, unless it was let go.
#[derive(Debug)]
struct NewProcess(Option<Child>);

impl NewProcess {
    fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    /// How it has ended, if it has or does at once; in words.
    fn exit(&mut self) -> Option<String> {
        let child = self.0.as_mut()?;
        let end = clock::monotonic() + EXIT_PATIENCE;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(format!("the new process ended ({status}) before it was ready"));
            }
            if clock::monotonic() >= end {
                return None;
            }
            std::thread::park_timeout(EXIT_CHECK_EVERY);
        }
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Nobody has waited for it, so its number is still its own.
            drop(child.kill());
            // A process that waits for a file system ends when that answers: nobody waits for it here.
            wait_apart(child, |_| {});
        }
    }
}

/// Waits for the end of a process in a thread that nobody waits for.
fn wait_apart(mut child: Child, ended: impl FnOnce(ExitStatus) + Send + 'static) {
    let thread = std::thread::Builder::new().name("ferrule-child".into());
    let waiting = thread.spawn(move || {
        if let Ok(status) = child.wait() {
            ended(status);
        }
    });
    if let Err(error) = waiting {
        tracing::warn!(%error, "no thread to see the end of the new process");
    }
}

/// Tells the queue that the offer has ended, also if its thread panics.
struct OfferEndNotice(Arc<CommandQueue>);

impl Drop for OfferEndNotice {
    fn drop(&mut self) {
        self.0.end_offer();
    }
}

impl UpgradeOffer {
    /// Starts the program, and tells the queue when it is known whether it can serve.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        number: u64,
        program: Program,
        sockets: OfferedSockets,
        patience: Duration,
        commands: &Arc<CommandQueue>,
    ) -> std::io::Result<Self> {
        let commands = Arc::clone(commands);
        let thread = std::thread::Builder::new().name("ferrule-upgrade".into());
        let thread = thread.spawn(move || {
            let _notice = OfferEndNotice(Arc::clone(&commands));
            let result = offer(&program, &sockets, patience, &|| !commands.is_stopping());
            drop(sockets);
            result
        })?;
        Ok(Self { number, thread })
    }

    /// Waits for the end of it.
    ///
    /// # Errors
    /// Every reason why the new process cannot serve. It has been killed.
    pub(crate) fn result(self) -> Result<ReadyProcess, Vec<String>> {
        let panicked = |_| Err(vec![String::from("the thread of the upgrade has panicked")]);
        self.thread.join().unwrap_or_else(panicked)
    }
}

fn offer(
    program: &Program,
    sockets: &OfferedSockets,
    time: Duration,
    goes_on: &dyn Fn() -> bool,
) -> Result<ReadyProcess, Vec<String>> {
    let patience = Patience { until: clock::monotonic() + time, goes_on };
    let path = program.path().display();
    let ChannelPair { ours: channel, theirs } =
        Channel::pair().map_err(|error| vec![format!("no socket pair: {error}")])?;
    let mut command = program.command();
    for variable in OWN_VARIABLES {
        command.env_remove(variable);
    }
    command.env(VARIABLE, format!("{VERSION}:{}", std::process::id())).stdin(Stdio::from(theirs));
    let child = command.spawn().map_err(|error| vec![format!("cannot start {path}: {error}")])?;
    // It holds the other end, which the new process alone must have.
    drop(command);
    let mut process = NewProcess(Some(child));
    tracing::info!(pid = process.id(), "upgrade: {path} has been started");
    let said = send_all(&channel, sockets, &patience)
        .and_then(|()| channel.receive(&patience).map(|received| received.message));
    match said {
        Ok(FromNew::Ready { version, driver, tests }) => {
            self_test::run(&tests, &patience)
                .map_err(|words| vec![format!("the new process: {words}")])?;
            Ok(ReadyProcess { process, channel, version, driver })
        }
        Ok(FromNew::Failed { reasons, .. }) => Err(reasons),
        Ok(FromNew::Serving { .. } | FromNew::Settled | FromNew::Relieved | FromNew::Lost) => {
            Err(vec![String::from("the new process says that it serves before it may")])
        }
        Err(ChannelError::TimedOut) => Err(vec![format!(
            "the new process was not ready within {} ms (runtime.upgrade_timeout)",
            time.as_millis()
        )]),
        Err(ChannelError::Closed) => {
            Err(vec![process.exit().unwrap_or_else(|| of_new(&ChannelError::Closed))])
        }
        Err(error) => Err(vec![of_new(&error)]),
    }
}

fn of_new(error: &ChannelError) -> String {
    format!("the new process: {error}")
}

fn send_all(
    channel: &Channel,
    sockets: &OfferedSockets,
    patience: &Patience<'_>,
) -> Result<(), ChannelError> {
    for address in &sockets.listeners {
        let listen = address.address().into();
        let hold = Some(address.hold().socket().as_fd());
        channel.send(&FromFormer::Hold { listen }, hold, patience)?;
        for (core, socket) in address.sockets().iter().enumerate() {
            let message = FromFormer::Socket { listen, core };
            channel.send(&message, Some(socket.as_fd()), patience)?;
        }
    }
    if let Some(OfferedMetrics { address, socket }) = &sockets.metrics {
        let message = FromFormer::Metrics { address: *address };
        channel.send(&message, Some(socket.as_fd()), patience)?;
    }
    if let Some(OfferedAdmin { path, socket }) = &sockets.admin {
        let message = FromFormer::Admin { path: path.clone() };
        channel.send(&message, Some(socket.as_fd()), patience)?;
    }
    let OfferedSockets { taken, refused, .. } = *sockets;
    channel.send(&FromFormer::Complete { taken, refused }, None, patience)
}

impl ReadyProcess {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Lets it accept connections, and waits until all its cores do.
    ///
    /// # Errors
    /// Every reason why they do not.
    pub(crate) fn go(&self) -> Result<TakenSockets, NotServing> {
        let patience = Patience { until: clock::monotonic() + GO_PATIENCE, goes_on: &|| true };
        let said = self
            .channel
            .send(&FromFormer::Go, None, &patience)
            .and_then(|()| self.channel.receive(&patience));
        match said.map(|received| received.message) {
            Ok(FromNew::Serving { listeners, metrics, admin }) => Ok(TakenSockets {
                listeners: listeners.into_iter().map(Into::into).collect(),
                metrics,
                admin,
            }),
            Ok(FromNew::Failed { reasons, accepted }) => {
                Err(NotServing { reasons, may_have_accepted: accepted })
            }
            Ok(FromNew::Ready { .. } | FromNew::Settled | FromNew::Relieved | FromNew::Lost) => {
                let reasons = vec![String::from("the new process says what it may not say yet")];
                Err(NotServing { reasons, may_have_accepted: true })
            }
            Err(error) => {
                Err(NotServing { reasons: vec![of_new(&error)], may_have_accepted: true })
            }
        }
    }

    /// Says that the service manager knows of it.
    pub(crate) fn named(&self) {
        let until = clock::monotonic() + SETTLE_PATIENCE;
        let patience = Patience { until, goes_on: &|| true };
        if let Err(error) = self.channel.send(&FromFormer::Named, None, &patience) {
            tracing::warn!("upgrade: {}", of_new(&error));
        }
    }

    /// Passes a signal on that was for the process that serves.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        if let Some(process) = process {
            // It is our child, and nobody has waited for it. It may have ended.
            let _: rustix::io::Result<()> = kill_process(process, signal);
        }
    }

    /// From now on it lives without this process, which learns only if it fails while it serves: then nobody does,
    /// and whoever this process has taken over from learns it, too. Waits a little until the file with its number is
    /// written, so that this process does not remove it.
    pub(crate) fn let_go(mut self, former: Option<FormerProcess>, commands: &Arc<CommandQueue>) {
        let pid = self.id();
        let until = clock::monotonic() + SETTLE_PATIENCE;
        // One of an earlier version closes its end instead.
        drop(self.channel.receive::<FromNew>(&Patience { until, goes_on: &|| true }));
        let Some(child) = self.process.0.take() else { return };
        let (commands, channel) = (Arc::clone(commands), self.channel);
        wait_apart(child, move |status| {
            if status.success() {
                // It was told to stop, or has been relieved itself.
                if !was_relieved(&channel) {
                    commands.end_successor();
                }
                return;
            }
            tracing::error!(pid, "the process that has taken over has ended ({status})");
            if was_relieved(&channel) {
                tracing::info!(pid, "another process had taken over from it: that one serves");
                return;
            }
            if let Some(former) = former {
                // It takes this process for one whose end does not matter.
                former.lose();
            }
            commands.lose_successor();
        });
    }
}

/// Had another process taken over from the one at the other end, before that ended, and did it still serve for all that
/// was known there? What was said is still to be read.
fn was_relieved(channel: &Channel) -> bool {
    let patience = Patience { until: clock::monotonic(), goes_on: &|| true };
    let mut relieved = false;
    while let Ok(Received { message, .. }) = channel.receive::<FromNew>(&patience) {
        match message {
            FromNew::Relieved => relieved = true,
            FromNew::Lost => relieved = false,
            _ => {}
        }
    }
    relieved
}
