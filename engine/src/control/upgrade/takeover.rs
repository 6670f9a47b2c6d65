//! The new process's part of an upgrade: takes the sockets of the former process, and speaks to it.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_peercred, socket_type};
use socket2::SockRef;

use super::channel::{Channel, Patience};
use super::messages::{self, FromFormer, FromNew, NotServing, SelfTest, VERSION};
use crate::control::process::clock;
use crate::control::process::environment;
use crate::setup::inherited::InheritedSockets;

/// How long the former process may take to send everything.
const SOCKETS_PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take until it says [`FromFormer::Go`]: it has to ask every core and listener.
const GO_PATIENCE: Duration = Duration::from_secs(600);
/// How long it may take until it has told the service manager of this process.
const NAME_PATIENCE: Duration = Duration::from_secs(5);
/// How long a message to it may take.
const SEND_PATIENCE: Duration = Duration::from_secs(5);

/// An upgrade in which this process is the new one.
#[derive(Debug)]
pub(crate) struct Takeover {
    channel: Channel,
    /// The sockets of the listeners.
    pub(crate) listeners: InheritedSockets,
    /// The other sockets.
    pub(crate) endpoints: InheritedEndpoints,
    /// How many upgrades were taken before this one.
    pub(crate) taken: u64,
    /// How many were refused.
    pub(crate) refused: u64,
}

/// The sockets of endpoints.
#[derive(Debug, Default)]
pub(crate) struct InheritedEndpoints {
    /// The listener of the metrics endpoint.
    pub(crate) metrics: Option<InheritedMetrics>,
    /// The admin socket.
    pub(crate) admin: Option<InheritedAdmin>,
}

/// The listener of the metrics endpoint.
#[derive(Debug)]
pub(crate) struct InheritedMetrics {
    /// As configured.
    pub(crate) address: SocketAddr,
    /// It.
    pub(crate) socket: TcpListener,
}

/// The admin socket.
#[derive(Debug)]
pub(crate) struct InheritedAdmin {
    /// As configured.
    pub(crate) path: PathBuf,
    /// It.
    pub(crate) socket: UnixListener,
}

impl Takeover {
    /// Takes what the process hands over that has started this one; `None` if an operator has.
    ///
    /// # Errors
    /// It is not what it should be, in words. The former process knows.
    pub(crate) fn accept() -> Result<Option<Self>, String> {
        let Some(word) = environment::upgrade() else { return Ok(None) };
        let mut takeover = Self {
            channel: channel(&word)?,
            listeners: InheritedSockets::default(),
            endpoints: InheritedEndpoints::default(),
            taken: 0,
            refused: 0,
        };
        match takeover.receive_all() {
            Ok(()) => Ok(Some(takeover)),
            Err(words) => {
                takeover.fail(NotServing::untouched(vec![words.clone()]));
                Err(words)
            }
        }
    }

    fn receive_all(&mut self) -> Result<(), String> {
        let patience = Patience { until: clock::monotonic() + SOCKETS_PATIENCE, goes_on: &|| true };
        loop {
            let received = self.channel.receive(&patience).map_err(|error| of_former(&error))?;
            let alone = || String::from("a message came without its descriptor");
            match received.message {
                FromFormer::Hold { listen } => {
                    let descriptor = received.descriptor.ok_or_else(alone)?;
                    self.listeners.add_hold(listen.into(), descriptor)?;
                }
                FromFormer::Socket { listen, core } => {
                    let descriptor = received.descriptor.ok_or_else(alone)?;
                    self.listeners.add_socket(listen.into(), core, descriptor)?;
                }
                FromFormer::Metrics { address } => {
                    let descriptor = received.descriptor.ok_or_else(alone)?;
                    self.endpoints.metrics = Some(metrics(address, descriptor)?);
                }
                FromFormer::Admin { path } => {
                    let descriptor = received.descriptor.ok_or_else(alone)?;
                    self.endpoints.admin = Some(admin(path, descriptor)?);
                }
                FromFormer::Complete { taken, refused } => {
                    (self.taken, self.refused) = (taken, refused);
                    return Ok(());
                }
                FromFormer::Go | FromFormer::Named => {
                    return Err(String::from("it goes on before it is complete"));
                }
            }
        }
    }

    /// Says that this process cannot serve.
    pub(crate) fn fail(&self, failure: NotServing) {
        let NotServing { reasons, may_have_accepted: accepted } = failure;
        // If the former process does not hear it, it sees the end of this one.
        drop(self.send(&FromNew::Failed { reasons: messages::bounded(reasons), accepted }));
    }

    /// Says that this process could serve, and waits until it may.
    ///
    /// # Errors
    /// It may not, in words.
    pub(crate) fn ready(
        &self,
        driver: String,
        tests: Vec<SelfTest>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.send(&FromNew::Ready { version, driver, tests })?;
        let patience = Patience { until: clock::monotonic() + GO_PATIENCE, goes_on };
        match self.channel.receive(&patience).map(|received| received.message) {
            Ok(FromFormer::Go) => Ok(()),
            Ok(_) => Err(String::from("the former process: it says more than it may")),
            Err(error) => Err(of_former(&error)),
        }
    }

    /// Says that all cores of this process accept connections, and waits until the service manager knows of this
    /// process.
    ///
    /// # Errors
    /// Nobody hears it.
    pub(crate) fn serving(&self, message: &FromNew) -> Result<(), String> {
        self.send(message)?;
        let until = clock::monotonic() + NAME_PATIENCE;
        let patience = Patience { until, goes_on: &|| true };
        // A former process that ends instead, or is late, leaves this one the only one all the same.
        drop(self.channel.receive::<FromFormer>(&patience));
        Ok(())
    }

    /// Says that this process needs nothing more.
    pub(crate) fn settle(self) -> FormerProcess {
        // A former process that is gone by now waits for nothing.
        drop(self.send(&FromNew::Settled));
        FormerProcess(self.channel)
    }

    fn send(&self, message: &FromNew) -> Result<(), String> {
        send(&self.channel, message)
    }
}

/// The process that this one has taken over from, which may still drain.
#[derive(Debug)]
pub(crate) struct FormerProcess(Channel);

impl FormerProcess {
    /// Says that another process has taken over from this one.
    pub(crate) fn relieve(&self) {
        // One that has drained by now does not need to know.
        drop(send(&self.0, &FromNew::Relieved));
    }

    /// Says that this other process has failed.
    pub(crate) fn lose(&self) {
        drop(send(&self.0, &FromNew::Lost));
    }
}

fn send(channel: &Channel, message: &FromNew) -> Result<(), String> {
    let patience = Patience { until: clock::monotonic() + SEND_PATIENCE, goes_on: &|| true };
    channel.send(message, None, &patience).map_err(|error| of_former(&error))
}

fn of_former(error: &super::channel::ChannelError) -> String {
    format!("the former process: {error}")
}

/// The channel to the process that has started this one: the standard input, if the variable is about it.
fn channel(word: &str) -> Result<Channel, String> {
    let wrong = |words: &str| Err(format!("{} is set, but {words}", messages::VARIABLE));
    let Some(former) = word.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix(':')) else {
        return wrong("not by a version of this program that can hand over to this one");
    };
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
    if former.parse().ok() != parent {
        return wrong("not by the process that has started this one");
    }
    let stdin = std::io::stdin();
    let socket = match stdin.as_fd().try_clone_to_owned() {
        Ok(socket) if socket_type(&socket) == Ok(SocketType::SEQPACKET) => socket,
        _ => return wrong("the standard input is no connection to the former process"),
    };
    let peer = socket_peercred(&socket).ok().map(|peer| peer.pid.as_raw_nonzero().get());
    if peer != parent {
        return wrong("the standard input comes from another process");
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("/dev/null: {error}"))?;
    rustix::stdio::dup2_stdin(&null).map_err(|error| format!("the standard input: {error}"))?;
    Ok(Channel::of(socket))
}

fn metrics(address: SocketAddr, descriptor: OwnedFd) -> Result<InheritedMetrics, String> {
    let socket = TcpListener::from(descriptor);
    let bound = socket.local_addr().ok();
    let fits = bound.is_some_and(|bound| {
        bound.ip() == address.ip() && [0, bound.port()].contains(&address.port())
    });
    if !fits || !matches!(SockRef::from(&socket).is_listener(), Ok(true)) {
        return Err(format!("what came as the listener of metrics does not listen on {address}"));
    }
    Ok(InheritedMetrics { address, socket })
}

fn admin(path: PathBuf, descriptor: OwnedFd) -> Result<InheritedAdmin, String> {
    let socket = UnixListener::from(descriptor);
    let bound = socket.local_addr().ok();
    let fits = bound.is_some_and(|bound| bound.as_pathname() == Some(&path));
    if !fits || !matches!(SockRef::from(&socket).is_listener(), Ok(true)) {
        let path = path.display();
        return Err(format!("what came as the admin socket does not listen at {path}"));
    }
    Ok(InheritedAdmin { path, socket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_somebody_else_is_refused() {
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero();
        for (word, says) in [
            (String::from("9:1"), "version"),
            (String::from("1"), "version"),
            (String::from("1:x"), "not by the process"),
            (format!("1:{}", std::process::id()), "not by the process"),
            (format!("1:{parent}"), "standard input"),
        ] {
            let error = channel(&word).unwrap_err();
            assert!(error.contains(says), "{word}: {error}");
        }
    }

    #[test]
    fn endpoints_are_what_they_are_said_to_be() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let copy = || OwnedFd::from(socket.try_clone().unwrap());
        assert!(metrics("127.0.0.1:0".parse().unwrap(), copy()).is_ok());
        assert!(metrics("127.0.0.2:0".parse().unwrap(), copy()).is_err());
        assert!(metrics("127.0.0.1:1".parse().unwrap(), copy()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctl.sock");
        let socket = UnixListener::bind(&path).unwrap();
        assert!(admin(folder.path().join("other"), socket.try_clone().unwrap().into()).is_err());
        assert!(admin(path.clone(), copy()).is_err());
        assert!(admin(path, socket.into()).is_ok());
    }
}
