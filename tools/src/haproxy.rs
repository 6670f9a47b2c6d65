//! A real HAProxy, in the foreground, with its own file and nothing of the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Process;

/// A running HAProxy. Ends with the value.
#[derive(Debug)]
pub struct Haproxy {
    /// The process.
    pub process: Process,
}

impl Haproxy {
    /// Starts it with `text`, the sections behind `defaults`, and waits for `port`. Relative paths in
    /// the text count from `dir`.
    #[must_use]
    pub fn start(dir: &Path, port: u16, text: &str) -> Self {
        Self::start_under(&[], dir, port, text)
    }

    /// The same behind a launcher such as `taskset -c 0`.
    #[must_use]
    pub fn start_under(launcher: &[&str], dir: &Path, port: u16, text: &str) -> Self {
        let file = dir.join(format!("haproxy-{port}.cfg"));
        // Where the limit of descriptors cannot be raised to twice `maxconn`, less of them must do.
        let defaults = "global\n  nbthread 1\n  maxconn 20000\n  no strict-limits\n  tune.ssl.default-dh-param 2048\n\
                        defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  \
                        timeout server 30s\n  timeout http-keep-alive 30s\n";
        fs::write(&file, format!("{defaults}{text}\n")).expect("a writable directory");
        let mut words = launcher.iter().map(PathBuf::from).chain([binary()]);
        let mut command = Command::new(words.next().expect("at least haproxy itself"));
        command.args(words).arg("-db").arg("-C").arg(dir).arg("-f").arg(&file);
        let mut process = Process::start(command, &dir.join(format!("haproxy-{port}.log")));
        process.wait_for_port(port);
        Self { process }
    }
}

/// Where Debian puts it, which is not on every user's path.
#[must_use]
pub fn binary() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/haproxy");
    if debian.is_file() { debian } else { PathBuf::from("haproxy") }
}
