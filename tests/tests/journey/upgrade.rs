//! Binary upgrades: a new process takes over, and no client notices.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Raw, Script, Setup, Upstream,
    on_both_drivers, poll, raw, scratch,
};
use ferrule_tools::process::ferrule_binary;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::observe::ctl;
use crate::{tunnel, write_ca};

pub(crate) const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@front@"
mtls_routes = "allow"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A gateway whose program is a link, so that it can be replaced, and every process that came of it.
pub(crate) struct Upgradable {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    alice: Leaf,
    /// Answers to `/held` are given.
    pub(crate) gate: Arc<AtomicBool>,
    /// The newest process last.
    processes: Vec<u32>,
    scratch: tempfile::TempDir,
}

/// Echoes WebSockets at `/chat`, answers `/held` when the gate is open, and everything else at once.
fn script(gate: &Arc<AtomicBool>) -> Script {
    let (gate, tunnels) = (Arc::clone(gate), tunnel::echoing_after());
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            match request.head.target() {
                "/chat" => return tunnels(client),
                "/held" => drop(poll(PATIENCE, || gate.load(Ordering::SeqCst).then_some(()))),
                _ => {}
            }
            if !client.answer(b"fine") {
                return;
            }
        }
    })
}

impl Upgradable {
    pub(crate) fn start(driver: Driver) -> Self {
        Self::start_with(driver, "shutdown_timeout = \"60s\"")
    }

    pub(crate) fn start_with(driver: Driver, runtime: &str) -> Self {
        Self::start_as(driver, runtime, &[])
    }

    /// Behind a launcher.
    pub(crate) fn start_under(driver: Driver, launcher: &[&str]) -> Self {
        Self::start_as(driver, "shutdown_timeout = \"60s\"", launcher)
    }

    fn start_as(driver: Driver, runtime: &str, launcher: &[&str]) -> Self {
        let (scratch, gate) = (scratch(), Arc::new(AtomicBool::new(false)));
        let upstream = Upstream::plain(script(&gate));
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let program = scratch.path().join("program");
        std::os::unix::fs::symlink(ferrule_binary(), &program).expect("a link");
        let gateway = Setup::new(scratch.path(), driver, CONFIG)
            .runtime(&format!(
                "workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n{runtime}\n"
            ))
            .binary(&program)
            .under(launcher)
            .set("upstream", &upstream.port)
            .quiet()
            .start();
        let (alice, processes) = (authority.client("alice"), vec![gateway.process.id()]);
        Self { gateway, upstream, alice, gate, processes, scratch }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Puts another program where the running one was started from.
    pub(crate) fn replace_program(&self, with: &Path) {
        let new = self.dir().join("program.new");
        std::os::unix::fs::symlink(with, &new).expect("a link");
        fs::rename(new, self.dir().join("program")).expect("a writable directory");
    }

    /// Makes a program of a script.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a writable directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        path
    }

    /// Changes the configuration file as it was written.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.gateway.file).expect("the file that we wrote");
        assert!(text.contains(from), "{from}\n{text}");
        fs::write(&self.gateway.file, text.replace(from, to)).expect("a writable directory");
    }

    pub(crate) fn log(&self) -> String {
        self.gateway.log()
    }

    /// The answer to `ferrule ctl upgrade --wait`.
    pub(crate) fn ask_for_upgrade(&self) -> Value {
        let (code, out, error) = ctl(self.dir(), &["--json", "upgrade", "--wait"]);
        let answer: Value = serde_json::from_str(&out).unwrap_or_default();
        assert!(answer.is_object(), "{code:?} {out} {error}\n{}", self.log());
        assert_eq!(code == Some(0), answer["ok"] == true, "{answer}");
        answer
    }

    /// Upgrades, and returns the number of the process that has taken over.
    pub(crate) fn upgrade(&mut self) -> u32 {
        let answer = self.ask_for_upgrade();
        let pid = answer["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        assert!(pid.is_some(), "{answer}\n{}", self.log());
        let pid = pid.expect("just seen");
        assert!(!self.processes.contains(&pid));
        self.processes.push(pid);
        let by_new = poll(PATIENCE, || (self.status()["pid"] == pid).then_some(()));
        assert!(by_new.is_some(), "{}", self.log());
        pid
    }

    /// Takes note of a process that has taken over.
    pub(crate) fn note(&mut self, pid: u32) {
        self.processes.push(pid);
    }

    /// What the process says that has the admin socket; nothing if nobody answers.
    pub(crate) fn status(&self) -> Value {
        let (_, out, _) = ctl(self.dir(), &["--json", "status"]);
        serde_json::from_str(&out).unwrap_or_default()
    }

    pub(crate) fn metrics(&self) -> String {
        let mut raw = raw::plain(self.gateway.port("metrics"));
        raw::get(&mut raw, "localhost", "/metrics").text()
    }

    pub(crate) fn dial(&self) -> Dial {
        Dial::as_client("a.test", &self.alice)
    }

    /// Runs clients of every kind for as long as `work` takes.
    pub(crate) fn under_load(&mut self, work: impl FnOnce(&mut Self)) -> Seen {
        let (seen, over) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let [front, secure] = ["front", "secure"].map(|name| self.gateway.port(name));
        let dial = self.dial();
        let run = |client: &dyn Fn() -> io::Result<()>, count: &AtomicU64| {
            while !over.load(Ordering::Relaxed) {
                match client() {
                    Ok(()) => drop(count.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => seen.lose(&error),
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| run(&|| answered(&mut raw::try_plain(front)?, "x", GET), &seen.plain));
            scope.spawn(|| run(&|| answered(&mut dial.connect(secure)?, "a.test", GET), &seen.tls));
            scope
                .spawn(|| run(&|| answered(&mut raw::try_plain(front)?, "x", POST), &seen.uploads));
            for _ in 0..2 {
                scope.spawn(|| {
                    run(&|| kept(&mut dial.connect(secure)?, &seen.kept, &over), &seen.reconnects);
                });
            }
            // A panic in here must end the clients, too.
            let _over = SetOnDrop(&over);
            work(self);
        });
        Arc::into_inner(seen).expect("all clients have ended")
    }
}

impl Drop for Upgradable {
    fn drop(&mut self) {
        // Those that are not children of this process: by their number, if it is still theirs.
        for pid in &self.processes[1..] {
            let is_ours = fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.contains(&*self.dir().to_string_lossy()));
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| is_ours) {
                let _: rustix::io::Result<()> = kill_process(pid, Signal::KILL);
            }
        }
    }
}

struct SetOnDrop<'f>(&'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What became of the requests of each kind.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    plain: AtomicU64,
    tls: AtomicU64,
    uploads: AtomicU64,
    kept: AtomicU64,
    reconnects: AtomicU64,
    lost: Mutex<Vec<String>>,
}

impl Seen {
    fn lose(&self, error: &io::Error) {
        self.lost.lock().expect("no panic").push(format!("{:?}: {error}", error.kind()));
    }

    pub(crate) fn check(&self, log: &str) {
        let counts = [&self.plain, &self.tls, &self.uploads, &self.kept];
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{self:?}");
        assert!(self.lost.lock().expect("no panic").is_empty(), "{self:?}\n{log}");
    }
}

const GET: &str = "GET / HTTP/1.1\r\n";
const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 100000\r\n";

/// One request on a connection, and whether it was answered.
fn answered(raw: &mut Raw, host: &str, head: &str) -> io::Result<()> {
    raw.send(format!("{head}Host: {host}\r\n\r\n").as_bytes())?;
    if head == POST {
        for _ in 0..10 {
            raw.send(&[b'x'; 10_000])?;
        }
    }
    match raw.response("GET")?.status() {
        200 => Ok(()),
        other => Err(io::Error::other(other.to_string())),
    }
}

/// Requests on one connection, until the server says that it closes.
fn kept(raw: &mut Raw, count: &AtomicU64, over: &AtomicBool) -> io::Result<()> {
    while !over.load(Ordering::Relaxed) {
        raw.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
        let answer = raw.response("GET")?;
        if answer.status() != 200 {
            return Err(io::Error::other(answer.status().to_string()));
        }
        count.fetch_add(1, Ordering::Relaxed);
        if answer.head.get("Connection") == Some("close") {
            return Ok(());
        }
    }
    Ok(())
}

on_both_drivers! {
    /// A chain of them, under load; a tunnel of each process lives on.
    fn ten_upgrades_lose_nothing(driver) {
        let mut place = Upgradable::start(driver);
        let seen = place.under_load(|place| {
            let mut tunnels = Vec::new();
            for _ in 0..10 {
                tunnels.push(tunnel::open(raw::plain(place.gateway.port("front"))));
                place.upgrade();
                tunnels.iter_mut().for_each(|tunnel| tunnel::echo_of(tunnel, b"still here"));
            }
        });
        let log = place.log();
        seen.check(&log);
        assert!(!log.contains("another process listens"), "{log}");
        assert!(place.metrics().contains("ferrule_upgrades_total{result=\"taken\"} 10"));
        assert_eq!(place.status()["upgrades"]["taken"], 10);
        assert!(place.gateway.wait(PATIENCE).success(), "{log}");
    }

    /// Whoever asks on a kept connection after a while is answered, and told to come back on another one. Only the end
    /// of the drain closes those that are silent, and in good order.
    fn idle_connections_are_served_once_more(driver) {
        let mut place = Upgradable::start_with(driver, "shutdown_timeout = \"6s\"");
        let (front, secure) = (place.gateway.port("front"), place.gateway.port("secure"));
        let mut lines = [raw::plain(front), place.dial().connect(secure).expect("a handshake"), raw::plain(front)];
        for line in &mut lines {
            assert_eq!(raw::get(line, "a.test", "/").status(), 200);
        }
        place.upgrade();
        let [plain, tls, silent] = &mut lines;
        // Longer than a stop would leave them.
        let gone = poll(Duration::from_millis(2_500), || place.gateway.process.exited());
        assert!(gone.is_none(), "{}", place.log());
        for line in [plain, tls] {
            let answer = raw::get(line, "a.test", "/");
            assert_eq!((answer.status(), answer.head.get("Connection")), (200, Some("close")));
        }
        assert_eq!(silent.rest().expect("no reset"), b"");
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
        assert!(!place.log().contains("took too long"), "{}", place.log());
    }

    /// The first process finishes what it has, ends by itself, and leaves what is not its own any more.
    fn the_old_process_finishes_and_leaves(driver) {
        let mut place = Upgradable::start(driver);
        let mut held = place.dial().connect(place.gateway.port("secure")).expect("a handshake");
        held.send(b"GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
        poll(PATIENCE, || (place.upstream.seen().len() == 1).then_some(())).expect("the request");
        let idle = raw::plain(place.gateway.port("front"));
        place.gateway.process.signal(Signal::USR2);
        let first = place.gateway.process.id();
        let pid = poll(PATIENCE, || place.status()["pid"].as_u64().filter(|pid| *pid != u64::from(first)));
        assert!(pid.is_some(), "{}", place.log());
        let pid = pid.expect("just seen");
        place.note(u32::try_from(pid).expect("a process number"));
        // The new process serves, the old one still has a request.
        assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
        assert!(place.gateway.process.exited().is_none(), "{}", place.log());
        let drains = poll(PATIENCE, || place.log().contains("draining: ").then_some(()));
        assert!(drains.is_some(), "{}", place.log());
        place.gate.store(true, Ordering::SeqCst);
        let answer = held.response("GET").expect("an answer");
        assert_eq!((answer.status(), answer.head.get("Connection")), (200, Some("close")));
        drop(idle);
        assert!(place.gateway.wait(PATIENCE).success(), "{}", place.log());
        assert_eq!(place.status()["pid"], pid, "the admin socket is still there");
        assert!(place.metrics().contains("ferrule_upgrades_total{result=\"taken\"} 1"));
        assert_eq!(raw::plain_get(place.gateway.port("front"), "x", "/").status(), 200);
        // What it was told by the former process is not told to anybody else.
        let again = place.upgrade();
        assert_ne!(u64::from(again), pid);
    }
}
