//! Who is compared, and how each is set up for the job.

mod envoy;
mod ferrule;
mod haproxy;
mod nginx;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use ferrule_tools::gateway::Gateway;
use ferrule_tools::haproxy::Haproxy;
use ferrule_tools::nginx::Nginx;
use ferrule_tools::process::{Process, build_dir, ferrule_binary, free_port};
use strum::{IntoStaticStr, VariantArray};

use crate::case::{Setting, Tls};
use crate::stage::{Layout, Stage, cores, is_there, launcher};

/// A proxy. They take turns in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Peer {
    /// Debian's, the one that ratios are to.
    Nginx,
    /// Debian's.
    Haproxy,
    /// With BoringSSL, from its wheel.
    Envoy,
    /// Ours.
    Ferrule,
    /// Ours, all records by rustls.
    FerruleRustls,
    /// Ours, built in another way.
    FerruleOther,
    /// Bytes both ways and nothing else: the limit for plaintext.
    Relay,
    /// HAProxy in TCP mode: TLS on both sides, but no HTTP, no headers and no pool.
    TlsRelay,
}

/// A proxy at work. Ends with the value.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) port: u16,
    running: Running,
}

enum Running {
    Nginx(Nginx),
    Haproxy(Haproxy),
    Process(Process),
    Ferrule(Box<Gateway>),
}

/// Where a proxy is to run, in which setting, in front of which port.
pub(crate) struct Place<'a> {
    /// Certificates and the rest.
    pub(crate) stage: &'a Stage,
    /// What it has to do.
    pub(crate) setting: Setting,
    /// The upstream's port.
    pub(crate) upstream: u16,
    /// `taskset -c CORES`, and more.
    pub(crate) launcher: Vec<String>,
}

impl<'a> Place<'a> {
    /// On the proxy's core, in front of the upstream.
    pub(crate) fn new(stage: &'a Stage, setting: Setting) -> Self {
        Self::on(stage, setting, &Layout::single(cores()))
    }

    /// On these cores.
    pub(crate) fn on(stage: &'a Stage, setting: Setting, layout: &Layout) -> Self {
        let upstream = stage.upstream_port(setting.tls);
        Self { stage, setting, upstream, launcher: launcher(&layout.proxy) }
    }

    fn words(&self) -> Vec<&str> {
        self.launcher.iter().map(String::as_str).collect()
    }

    fn command(&self, program: &Path) -> Command {
        let mut words = self.launcher.iter();
        let mut command = Command::new(words.next().expect("a launcher"));
        command.args(words).arg(program);
        command
    }
}

impl Proxy {
    /// Its first process.
    pub(crate) fn id(&self) -> u32 {
        match &self.running {
            Running::Nginx(nginx) => nginx.process.id(),
            Running::Haproxy(haproxy) => haproxy.process.id(),
            Running::Process(process) => process.id(),
            Running::Ferrule(gateway) => gateway.process.id(),
        }
    }
}

impl Peer {
    /// In tables.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// Does less than the job: a bound, not a competitor.
    pub(crate) const fn is_limit(self) -> bool {
        matches!(self, Self::Relay | Self::TlsRelay)
    }

    /// Ours, in any dress.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Ferrule | Self::FerruleRustls | Self::FerruleOther)
    }

    /// Can it be asked for this at all?
    pub(crate) const fn does(self, tls: Tls) -> bool {
        match self {
            Self::Nginx | Self::Haproxy | Self::Envoy | Self::Ferrule | Self::FerruleOther => true,
            Self::FerruleRustls | Self::TlsRelay => matches!(tls, Tls::V13),
            Self::Relay => matches!(tls, Tls::Off),
        }
    }

    /// Why it cannot be run here.
    pub(crate) fn missing(self, stage: &Stage) -> Option<String> {
        let missing = match self {
            Self::Nginx => !is_there("nginx"),
            Self::Haproxy | Self::TlsRelay => !is_there("haproxy"),
            Self::Envoy => stage.envoy.is_none(),
            Self::Ferrule | Self::FerruleRustls => !build_dir().join("ferrule").is_file(),
            Self::FerruleOther => stage.other.is_none(),
            Self::Relay => !build_dir().join("relay").is_file(),
        };
        missing.then(|| match self {
            Self::Nginx => String::from("not installed: apt install nginx"),
            Self::Haproxy | Self::TlsRelay => String::from("not installed: apt install haproxy"),
            Self::Envoy => String::from("not found: run bench/envoy, or name it with --envoy PATH"),
            Self::FerruleOther => String::from("no such file: name it with --against FILE"),
            Self::Ferrule | Self::FerruleRustls | Self::Relay => String::from("not built"),
        })
    }

    /// What exactly is measured.
    pub(crate) fn version(self, stage: &Stage) -> String {
        let said = |program: &Path, word: &str| {
            let done = Command::new(program).arg(word).output();
            done.map_or_else(
                |error| error.to_string(),
                |done| String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(),
            )
        };
        match self {
            Self::Nginx => nginx::version(&said(&ferrule_tools::nginx::binary(), "-V")),
            Self::Haproxy => haproxy::version(&said(&ferrule_tools::haproxy::binary(), "-vv")),
            Self::Envoy => stage
                .envoy
                .as_deref()
                .map_or_else(String::new, |binary| envoy::version(&said(binary, "--version"))),
            Self::Ferrule => said(&ferrule_binary(), "--version").trim().replace('\n', ", "),
            Self::FerruleRustls => {
                String::from("the same with tls_fast_path = false: all records by rustls")
            }
            Self::FerruleOther => String::from("another build, named with --against"),
            Self::Relay => String::from(
                "bench/src/bin/relay.rs: epoll, bytes both ways, no HTTP, no pool; a limit, not a peer",
            ),
            Self::TlsRelay => String::from(
                "the same HAProxy in TCP mode, TLS on both sides, no HTTP, no headers, no pool; a limit",
            ),
        }
    }

    /// Starts it, or says why that failed.
    pub(crate) fn start(self, place: &Place<'_>) -> Result<Proxy, String> {
        // The harness stops at the first surprise; here a peer that does not start is left out.
        catch_unwind(AssertUnwindSafe(|| self.start_or_panic(place))).map_err(|panic| said(&*panic))
    }

    fn start_or_panic(self, place: &Place<'_>) -> Proxy {
        let dir = place.stage.dir();
        let port = free_port();
        let running = match self {
            Self::Nginx => Running::Nginx(nginx::start(place, port)),
            Self::Haproxy => Running::Haproxy(haproxy::start(place, port, haproxy::Mode::Http)),
            Self::TlsRelay => Running::Haproxy(haproxy::start(place, port, haproxy::Mode::Tcp)),
            Self::Envoy => Running::Process(envoy::start(place, port)),
            Self::Ferrule | Self::FerruleRustls | Self::FerruleOther => {
                let other = place.stage.other.as_deref().filter(|_| self == Self::FerruleOther);
                let gateway = ferrule::start(place, port, self != Self::FerruleRustls, other);
                Running::Ferrule(Box::new(gateway))
            }
            Self::Relay => {
                let mut command = place.command(&build_dir().join("relay"));
                command.args([port.to_string(), place.upstream.to_string()]);
                let mut process = Process::start(command, &dir.join(format!("relay-{port}.log")));
                process.wait_for_port(port);
                Running::Process(process)
            }
        };
        Proxy { port, running }
    }
}

/// nginx's file, for a test to break.
#[cfg(test)]
pub(crate) fn nginx_config(place: &Place<'_>, port: u16) -> String {
    nginx::config(place, port)
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}
