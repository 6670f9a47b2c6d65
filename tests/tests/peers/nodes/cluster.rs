//! Four nodes that are processes of their own, and what is done to them.
//!
//! As root they live in a network namespace, where a node's address can vanish so that packets to it are dropped
//! without an answer. Else a black hole is a listener whose backlog is full.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ferrule_tests::{PATIENCE, free_port, poll};
use ferrule_tools::process::{Process, build_dir};
use rustix::process::Signal;

/// How many nodes there are.
pub(super) const NODES: u8 = 4;

/// What is done to a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Killed,
    Stalled,
    BlackHoled,
    Garbage,
    Slow,
}

impl Fault {
    /// For the table.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stalled => "stopped",
            Self::BlackHoled => "black-holed",
            Self::Garbage => "garbage",
            Self::Slow => "slow",
        }
    }
}

pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    space: Option<Namespace>,
}

pub(super) struct Node {
    pub(super) address: SocketAddr,
    /// A line for every request that it was asked.
    pub(super) seen: PathBuf,
    process: Option<Process>,
    plug: Option<Plug>,
}

/// A listener that takes no connection any more: whoever asks for one hears nothing.
struct Plug {
    _listener: TcpListener,
    _filling: Vec<TcpStream>,
}

/// A network of its own, with one address for each node.
struct Namespace {
    name: String,
    link: String,
    subnet: u8,
}

impl Cluster {
    pub(super) fn start(dir: &Path) -> Self {
        let space = Namespace::new();
        let nodes = (1..=NODES).map(|number| {
            let ip = space.as_ref().map_or(Ipv4Addr::LOCALHOST, |space| space.address(number));
            Node {
                address: (ip, free_port()).into(),
                seen: dir.join(format!("node-{number}.seen")),
                process: None,
                plug: None,
            }
        });
        let mut cluster = Self { nodes: nodes.collect(), space };
        for at in 0..cluster.nodes.len() {
            cluster.launch(at);
        }
        cluster
    }

    /// How packets of a black-holed node get lost.
    pub(super) const fn black_hole(&self) -> &'static str {
        if self.space.is_some() { "dropped packets" } else { "a full backlog" }
    }

    fn launch(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let binary = build_dir().join("node");
        assert!(binary.is_file(), "build it first: cargo build -p ferrule-tools --bin node");
        let mut command = match &self.space {
            Some(space) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &space.name]).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command.arg(node.address.to_string()).arg(&node.seen);
        node.process = Some(Process::start(command, &node.seen.with_extension("log")));
        let up = poll(PATIENCE, || TcpStream::connect_timeout(&node.address, PATIENCE).ok());
        assert!(up.is_some(), "node {at} does not listen");
    }

    pub(super) fn inflict(&mut self, at: usize, fault: Fault) {
        let node = &mut self.nodes[at];
        match (fault, &self.space) {
            (Fault::Killed, _) => node.kill(),
            (Fault::Stalled, _) => node.signal(Signal::STOP),
            (Fault::BlackHoled, Some(space)) => space.set(at, false),
            (Fault::BlackHoled, None) => {
                node.kill();
                node.plug = Plug::at(node.address);
            }
            (Fault::Garbage, _) => node.order("garbage"),
            (Fault::Slow, _) => node.order("slow"),
        }
    }

    pub(super) fn heal(&mut self, at: usize, fault: Fault) {
        match (fault, &self.space) {
            (Fault::Stalled, _) => self.nodes[at].signal(Signal::CONT),
            (Fault::BlackHoled, Some(space)) => space.set(at, true),
            (Fault::Killed, _) | (Fault::BlackHoled, None) => {
                self.nodes[at].plug = None;
                self.launch(at);
            }
            (Fault::Garbage | Fault::Slow, _) => self.nodes[at].order("well"),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // A stopped one does not hear that it is to end.
            node.kill();
        }
    }
}

impl Node {
    /// How many requests it has seen.
    pub(super) fn count(&self) -> u64 {
        fs::metadata(&self.seen).map_or(0, |meta| meta.len())
    }

    /// Methods and targets of all requests that it has seen.
    pub(super) fn requests(&self) -> Vec<String> {
        let file = fs::File::open(&self.seen).expect("a node's file");
        BufReader::new(file).lines().map_while(Result::ok).collect()
    }

    fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
        self.process = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Tells it how to answer from now on.
    fn order(&self, word: &str) {
        let told = poll(PATIENCE, || {
            let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            write!(stream, "GET /-/{word} HTTP/1.1\r\nHost: node\r\n\r\n").ok()?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).ok()?;
            (!line.is_empty()).then_some(())
        });
        assert!(told.is_some(), "{} does not take orders", self.address);
    }
}

impl Plug {
    fn at(address: SocketAddr) -> Option<Self> {
        let listener = poll(PATIENCE, || TcpListener::bind(address).ok())?;
        rustix::net::listen(&listener, 0).ok()?;
        let dial = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let filling = (0..8).map_while(|_| dial()).collect();
        Some(Self { _listener: listener, _filling: filling })
    }
}

/// Runs `ip`; false if it fails.
fn ip(words: &str) -> bool {
    let done = Command::new("ip").args(words.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

impl Namespace {
    /// `None` where we may not make one.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() * 8 + COUNT.fetch_add(1, Ordering::SeqCst) % 8;
        let name = format!("ferrule-{number}");
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        let subnet = u8::try_from(number % 250).expect("below 250");
        let space = Self { link: format!("fe{number}"), name, subnet };
        let Self { name, link, subnet } = &space;
        let gateway = format!("10.213.{subnet}.254");
        let made = ip(&format!("link add {link} type veth peer name far netns {name}"))
            && ip(&format!("addr add {gateway}/24 dev {link}"))
            && ip(&format!("link set {link} up"))
            && ip(&format!("-n {name} link set lo up"))
            && ip(&format!("-n {name} link set far up"))
            && ip(&format!("-n {name} route add {gateway}/32 dev far"));
        let mac = space.mac()?;
        let known = (1..=NODES).all(|node| {
            let address = space.address(node);
            // Without this, an address that vanishes would be unreachable after three seconds.
            ip(&format!("-n {name} addr add {address}/32 dev far"))
                && ip(&format!("neigh replace {address} lladdr {mac} dev {link} nud permanent"))
        });
        (made && known).then_some(space)
    }

    fn mac(&self) -> Option<String> {
        let show = ["-n", &self.name, "-o", "link", "show", "far"];
        let done = Command::new("ip").args(show).output().ok()?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        Some(text.split("link/ether ").nth(1)?.split(' ').next()?.to_owned())
    }

    const fn address(&self, node: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.subnet, node)
    }

    /// The address of a node is there, or packets to it are dropped.
    fn set(&self, at: usize, there: bool) {
        let address = self.address(u8::try_from(at + 1).expect("few nodes"));
        let word = if there { "add" } else { "del" };
        assert!(
            ip(&format!("-n {} addr {word} {address}/32 dev far", self.name)),
            "{word} {address}"
        );
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // With it, both ends of the link go.
        ip(&format!("netns del {}", self.name));
    }
}
