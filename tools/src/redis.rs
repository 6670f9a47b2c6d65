//! A real Valkey or Redis, in the foreground, with its own directory and nothing of the system's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, free_port};

/// A running server. Ends with the value; what it holds is in memory alone.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub process: Process,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Redis {
    /// Starts it on this port with these further options, as `--requirepass secret`, and waits for it.
    #[must_use]
    pub fn start(dir: &Path, port: u16, options: &[&str]) -> Self {
        let text = port.to_string();
        // A cluster's nodes also speak to each other, by default on a port that may be somebody else's.
        let bus = free_port().to_string();
        let mut command = Command::new(binary());
        let is_tls = options.contains(&"--tls-port");
        command.args(["--port", if is_tls { "0" } else { &text }]);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--cluster-port", &bus]).args(options).arg("--dir").arg(dir);
        let mut process = Process::start(command, &dir.join(format!("redis-{port}.log")));
        process.wait_for_port(port);
        Self { process, port }
    }
}

/// Valkey where it is installed, else Redis.
fn binary() -> PathBuf {
    let found = ["/usr/bin/valkey-server", "/usr/bin/redis-server"].map(PathBuf::from);
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("redis-server"))
}
