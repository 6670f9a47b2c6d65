//! A real nginx, in the foreground, with its own directory and nothing of the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Process;

/// A running nginx. Ends with the value.
#[derive(Debug)]
pub struct Nginx {
    /// The process; with workers, their master.
    pub process: Process,
    prefix: PathBuf,
}

/// How many processes it runs as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// One process that does everything: quick to start and to kill.
    Single,
    /// A master and one worker, as in production; for measurements.
    MasterAndWorker,
}

impl Nginx {
    /// Starts it with `http`, the text inside `http { }`, and waits for `port`. Relative paths in the
    /// text count from `dir`.
    #[must_use]
    pub fn start(dir: &Path, port: u16, http: &str, shape: Shape) -> Self {
        Self::start_under(&[], dir, port, http, shape)
    }

    /// The same behind a launcher such as `taskset -c 0`.
    #[must_use]
    pub fn start_under(launcher: &[&str], dir: &Path, port: u16, http: &str, shape: Shape) -> Self {
        let prefix = dir.join(format!("nginx-{port}"));
        fs::create_dir_all(&prefix).expect("a writable directory");
        let file = dir.join(format!("nginx-{port}.conf"));
        fs::write(&file, whole_file(&prefix, http, shape)).expect("a writable directory");
        let binary = binary();
        let mut words = launcher.iter().map(PathBuf::from).chain([binary]);
        let mut command = Command::new(words.next().expect("at least nginx itself"));
        command.args(words).arg("-p").arg(&prefix).arg("-c").arg(&file);
        command.arg("-e").arg(prefix.join("error.log"));
        let mut process = Process::start(command, &prefix.join("output.log"));
        process.wait_for_port(port);
        Self { process, prefix }
    }

    /// Its error log so far.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(self.prefix.join("error.log")).unwrap_or_default()
    }
}

fn whole_file(prefix: &Path, http: &str, shape: Shape) -> String {
    let prefix = prefix.display();
    let master = if shape == Shape::Single { "off" } else { "on" };
    format!(
        "daemon off;\nmaster_process {master};\nworker_processes 1;\nuser root;\n\
         pid {prefix}/nginx.pid;\nerror_log {prefix}/error.log info;\n\
         worker_rlimit_nofile 65536;\nevents {{ worker_connections 16384; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n\
         client_body_temp_path {prefix}/body;\n  proxy_temp_path {prefix}/proxy;\n\
         fastcgi_temp_path {prefix}/fastcgi;\n  uwsgi_temp_path {prefix}/uwsgi;\n\
         scgi_temp_path {prefix}/scgi;\n{http}\n}}\n"
    )
}

/// Where Debian puts it, which is not on every user's path.
#[must_use]
pub fn binary() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/nginx");
    if debian.is_file() { debian } else { PathBuf::from("nginx") }
}
