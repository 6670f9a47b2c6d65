//! Processes we start: found, watched, and never left behind.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{PATIENCE, poll};

/// A program gets this long until it listens: a server on a JVM takes its time beside other tests. One that
/// ends is not waited for.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A child process with its output in a file. Ends with the value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both its outputs in `log`.
    #[must_use]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let out = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let err = out.try_clone().expect("a descriptor to spare");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { child, name, log: log.to_path_buf() }
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it wrote so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("({}: {error})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Waits until something accepts on this port; panics with the output if nothing does.
    pub fn wait_for_port(&mut self, port: u16) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let open = poll(START_PATIENCE, || {
            if self.exited().is_some() {
                return Some(false);
            }
            TcpStream::connect_timeout(&address, PATIENCE).is_ok().then_some(true)
        });
        assert!(
            open == Some(true),
            "{} does not listen on port {port}:\n{}",
            self.name,
            self.output()
        );
    }

    /// Waits until the output behind its first `from` bytes satisfies `found`.
    pub fn wait_for_output(&mut self, from: usize, what: &str, found: impl Fn(&str) -> bool) {
        let seen = poll(PATIENCE, || {
            let output = self.output();
            let found = output.get(from..).is_some_and(&found);
            (found || self.exited().is_some()).then_some(found)
        });
        assert!(seen == Some(true), "{} never said {what}:\n{}", self.name, self.output());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a child has an id"), signal).expect("our own child");
    }

    /// Has it ended?
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits for its end, at most for `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        poll(patience, || self.exited())
    }

    /// Asks it to end, and waits; kills it if that does not help.
    pub fn stop(&mut self) {
        if self.exited().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        if self.wait(Duration::from_secs(3)).is_none() {
            self.kill();
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if self.exited().is_none() {
            // Both can only fail if it is gone already, which is what we want.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports given out by this process; the locks keep other processes of ours off them.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on, and that no other process using this function will be given.
///
/// Below the range the kernel takes for outgoing connections, so that none of those gets in the way.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    let spread = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = (spread + step) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("below COUNT");
        let path = std::env::temp_dir().join(format!("ferrule-port-{port}"));
        let Ok(lock) = File::create(&path) else { continue };
        // Asked by connecting: a listener of ours would for a moment live on in any child that another
        // thread starts right now, and keep the port.
        if lock.try_lock().is_err() || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            continue;
        }
        TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lock);
        return port;
    }
    panic!("no free port among {COUNT}");
}

/// The directory cargo builds this profile into: ours, or the one above `deps`.
#[must_use]
pub fn build_dir() -> PathBuf {
    let own = std::env::current_exe().expect("our own path");
    let dir = own.parent().expect("a file is in a directory");
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir.parent().expect("deps is in a directory").to_path_buf()
    } else {
        dir.to_path_buf()
    }
}

/// The `ferrule` binary of the profile that we were built with.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn ferrule_binary() -> PathBuf {
    let path = build_dir().join("ferrule");
    assert!(
        path.is_file(),
        "{} is missing; build it first: cargo build -p ferrule-engine{}",
        path.display(),
        if cfg!(debug_assertions) { "" } else { " --release" }
    );
    path
}

/// Cargo as a person calls it: without what `cargo run` puts into our environment.
///
/// Build scripts ask for some of these variables (`ring` for `CARGO_MANIFEST_DIR`), so with them cargo
/// would build half of the tree again.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_the_package =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if of_the_package.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// The top of the source tree.
#[must_use]
pub fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tools is in the tree").to_path_buf()
}

/// Runs a shell script in `dir`; panics with its output if it fails.
pub fn shell(dir: &Path, script: &str) -> String {
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{script}\nended with {}:\n{text}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    text
}
