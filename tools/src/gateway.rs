//! The real `ferrule` binary on a configuration text.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;

use crate::clock::PATIENCE;
use crate::process::{Process, ferrule_binary, free_port};

/// Which kernel interface drives the sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// `io_driver = "io_uring"`
    IoUring,
    /// `io_driver = "epoll"`
    Epoll,
}

/// A configuration, before it is written.
///
/// The text may hold `@NAME@` words: values from [`Self::set`], and otherwise a free port each, to be
/// asked for with [`Gateway::port`]. `[runtime]` and `[log]` are written by us.
#[derive(Clone, Debug)]
pub struct Setup {
    dir: PathBuf,
    name: String,
    text: String,
    runtime: String,
    root: String,
    log: String,
    level: &'static str,
    error_format: &'static str,
    values: BTreeMap<String, String>,
    launcher: Vec<String>,
    binary: PathBuf,
    fast_path: bool,
}

/// A running gateway. Ends with the value.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Its configuration file.
    pub file: PathBuf,
    setup: Setup,
}

impl fmt::Display for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// Names the setting of `runtime.tls_fast_path` for every gateway that is started: `off` or `on`.
const FAST_PATH: &str = "FERRULE_TESTS_TLS_FAST_PATH";

/// Do gateways carry TLS 1.3 by their own record layer?
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how `check` runs the same tests on both settings")]
pub fn tls_fast_path() -> bool {
    !std::env::var(FAST_PATH).is_ok_and(|word| word == "off")
}

impl Setup {
    /// A configuration in `dir`, where its relative paths count from; one worker, unpinned.
    #[must_use]
    pub fn new(dir: &Path, driver: Driver, text: &str) -> Self {
        Self {
            dir: dir.to_path_buf(),
            name: String::from("ferrule"),
            text: text.to_owned(),
            runtime: format!(
                "workers = 1\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\n\
                 io_driver = \"{driver}\"\n"
            ),
            root: String::new(),
            log: String::new(),
            level: "debug",
            error_format: "",
            values: BTreeMap::new(),
            launcher: Vec::new(),
            binary: PathBuf::new(),
            fast_path: tls_fast_path(),
        }
    }

    /// The name of its files in the directory, if there are several.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Replaces `@NAME@`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Adds a line in front of all tables.
    #[must_use]
    pub fn root_line(mut self, line: &str) -> Self {
        self.root.push_str(line);
        self.root.push('\n');
        self
    }

    /// Replaces the `[runtime]` lines.
    #[must_use]
    pub fn runtime(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.runtime);
        self
    }

    /// Adds a line to `[runtime]`.
    #[must_use]
    pub fn runtime_line(mut self, line: &str) -> Self {
        self.runtime.push_str(line);
        self.runtime.push('\n');
        self
    }

    /// Adds a line to `[log]`.
    #[must_use]
    pub fn log_line(mut self, line: &str) -> Self {
        self.log.push_str(line);
        self.log.push('\n');
        self
    }

    /// Sets `runtime.tls_fast_path`, whatever the environment says.
    #[must_use]
    pub const fn fast_path(mut self, on: bool) -> Self {
        self.fast_path = on;
        self
    }

    /// Logs no more than production would.
    #[must_use]
    pub const fn quiet(mut self) -> Self {
        self.level = "info";
        self
    }

    /// Writes diagnostics as JSON.
    #[must_use]
    pub const fn json_errors(mut self) -> Self {
        self.error_format = ", format = \"json\"";
        self
    }

    /// Starts it behind a launcher such as `taskset -c 0`.
    #[must_use]
    pub fn under(mut self, launcher: &[&str]) -> Self {
        self.launcher = launcher.iter().map(ToString::to_string).collect();
        self
    }

    /// Takes this binary instead of the one built beside us.
    #[must_use]
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = path.to_path_buf();
        self
    }

    /// The whole file, with every `@NAME@` replaced.
    fn render(&mut self) -> String {
        let mut text = format!(
            "{}[runtime]\ntls_fast_path = {}\n{}\n[log]\nerror = {{ path = \"stderr\", level = \"{}\"{} }}\n{}\n{}",
            self.root,
            self.fast_path,
            self.runtime,
            self.level,
            self.error_format,
            self.log,
            self.text
        );
        loop {
            let Some((before, rest)) = text.split_once('@') else { return text };
            let (name, after) = rest.split_once('@').expect("an even number of @ signs");
            let value =
                self.values.entry(name.to_owned()).or_insert_with(|| free_port().to_string());
            text = format!("{before}{value}{after}");
        }
    }

    fn write(&mut self) -> PathBuf {
        let file = self.dir.join(format!("{}.toml", self.name));
        let text = self.render();
        fs::write(&file, text).expect("a writable directory");
        file
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let binary =
            if self.binary.as_os_str().is_empty() { ferrule_binary() } else { self.binary.clone() };
        let mut words = self.launcher.iter().map(PathBuf::from).chain([binary]);
        let mut command = Command::new(words.next().expect("at least the binary"));
        command.args(words).args(arguments);
        command
    }

    /// Starts it, and waits until every listener named by a `@port@` answers.
    #[must_use]
    pub fn start(mut self) -> Gateway {
        let file = self.write();
        let mut command = self.command(&["run", "-c"]);
        command.arg(&file);
        let process = Process::start(command, &self.dir.join(format!("{}.log", self.name)));
        let mut gateway = Gateway { process, file, setup: self };
        gateway.process.wait_for_output(0, "that it is ready", |text| text.contains(" ready: "));
        for port in gateway.listeners() {
            gateway.process.wait_for_port(port);
        }
        gateway
    }

    /// Runs it where it cannot start: how it ended, and all it wrote.
    #[must_use]
    pub fn run_to_end(mut self) -> (ExitStatus, String) {
        let file = self.write();
        let mut command = self.command(&["run", "-c"]);
        command.arg(&file);
        let log = self.dir.join(format!("{}.log", self.name));
        let mut process = Process::start(command, &log);
        let status = process.wait(PATIENCE).expect("it ends by itself");
        (status, process.output())
    }

    /// Runs `ferrule check` on it: the exit code, and all it printed.
    #[must_use]
    pub fn check(mut self) -> (Option<i32>, String) {
        let file = self.write();
        let done = self.command(&["check", "-c"]).arg(&file).output().expect("ferrule");
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

impl Gateway {
    /// The port that stands for `@name@`.
    #[must_use]
    pub fn port(&self, name: &str) -> u16 {
        let value = self.setup.values.get(name);
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no port @{name}@"))
    }

    /// Every port on an `address = "127.0.0.1:..."` line.
    fn listeners(&self) -> Vec<u16> {
        let text = fs::read_to_string(&self.file).expect("the file we wrote");
        text.lines()
            .filter_map(|line| line.trim().strip_prefix("address = \"127.0.0.1:"))
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Puts `text` in the place of the configuration.
    pub fn rewrite(&mut self, text: &str) {
        text.clone_into(&mut self.setup.text);
        let _ = self.setup.write();
    }

    /// Puts `text` in the place of the configuration, signals, and waits for the log to say how it went.
    pub fn reload(&mut self, text: &str) -> Reloaded {
        self.rewrite(text);
        self.signal_reload()
    }

    /// Signals, and waits for the log to say how it went.
    pub fn signal_reload(&mut self) -> Reloaded {
        let from = self.process.output().len();
        self.process.signal(Signal::HUP);
        self.process.wait_for_output(from, "how the reload went", |text| outcome(text).is_some());
        let text = self.process.output();
        outcome(text.get(from..).unwrap_or_default()).expect("just seen")
    }

    /// Asks it to drain and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.wait(PATIENCE)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it has not ended in time.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let status = self.process.wait(patience);
        status.unwrap_or_else(|| panic!("did not end:\n{}", self.log()))
    }
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reloaded {
    /// The new configuration serves.
    Taken,
    /// The old one still does.
    Refused,
}

fn outcome(text: &str) -> Option<Reloaded> {
    // A refusal has a line for each reason, and this one last.
    if text.contains("stays in force") {
        Some(Reloaded::Refused)
    } else if text.contains("reloaded") {
        Some(Reloaded::Taken)
    } else {
        None
    }
}
