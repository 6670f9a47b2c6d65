//! The proxies that are reloaded and upgraded, each as its manual says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_tests::{Driver, Gateway, PATIENCE, Setup, free_port, poll};
use ferrule_tools::process::{Process, ferrule_binary};
use ferrule_tools::{haproxy, nginx};
use rustix::process::{Pid, Signal, kill_process};

/// What is behind each of them, over plain HTTP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    /// Answers every request.
    pub(super) answers: u16,
    /// Has an echo over WebSockets.
    pub(super) echo: u16,
}

/// A proxy at work, in a directory with `server.crt`, `server.key` and `ca.crt`. Ends with the value.
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) port: u16,
    dir: PathBuf,
    runs: Running,
}

enum Running {
    Ferrule(Box<Gateway>),
    Nginx,
    Haproxy(Process),
}

/// The program that a link in the directory leads to, so that it can be replaced.
const PROGRAM: &str = "program";

const FERRULE: &str = r#"
[http]
connections_per_address = 0
keepalive_requests = 1000000000

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/chat"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@echo@" = 1 }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@answers@" = 1 }
"#;

pub(super) fn ferrule(dir: &Path, driver: Driver, behind: Behind) -> Proxy {
    symlink(ferrule_binary(), dir.join(PROGRAM)).expect("a link");
    let runtime = format!(
        "workers = 1\ncpu_affinity = false\nmax_connections = 16384\nwatch_files = false\n\
         pid_file = \"pid\"\nshutdown_timeout = \"20s\"\nio_driver = \"{driver}\"\n"
    );
    let setup = Setup::new(dir, driver, FERRULE).runtime(&runtime).binary(&dir.join(PROGRAM));
    let setup = setup.set("answers", &behind.answers).set("echo", &behind.echo).quiet();
    let gateway = setup.start();
    let (name, port) = (format!("Ferrule, {driver}"), gateway.port("front"));
    Proxy { name, port, dir: dir.to_path_buf(), runs: Running::Ferrule(Box::new(gateway)) }
}

pub(super) fn nginx(dir: &Path, behind: Behind) -> Proxy {
    let (port, Behind { answers, echo }, at) = (free_port(), behind, dir.display());
    let text = format!(
        "worker_processes 1; user root; pid {at}/pid; error_log {at}/error.log info;\n\
         worker_rlimit_nofile 65536; worker_shutdown_timeout 20s; events {{ worker_connections 32768; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi; upstream answers {{ server 127.0.0.1:{answers}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate server.crt;\n\
         ssl_certificate_key server.key; ssl_client_certificate ca.crt; ssl_verify_client on;\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n\
         location / {{ proxy_pass http://answers; proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_request_buffering off; }}\n\
         location /chat {{ proxy_pass http://127.0.0.1:{echo}; proxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }} }}\n"
    );
    fs::write(dir.join("nginx.conf"), text).expect("a writable directory");
    symlink(nginx::binary(), dir.join(PROGRAM)).expect("a link");
    let mut command = Command::new(dir.join(PROGRAM));
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
    command.arg("-e").arg(dir.join("error.log"));
    // In the foreground it would ignore USR2. It goes to the background when it listens.
    let mut process = Process::start(command, &dir.join("output.log"));
    assert!(process.wait(PATIENCE).is_some_and(|status| status.success()), "{}", process.output());
    let (name, dir) = ("nginx".to_owned(), dir.to_path_buf());
    Proxy { name, port, dir, runs: Running::Nginx }
}

pub(super) fn haproxy(dir: &Path, behind: Behind) -> Proxy {
    let (port, Behind { answers, echo }, at) = (free_port(), behind, dir.display());
    let text = format!(
        "global\n  nbthread 1\n  maxconn 20000\n  no strict-limits\n  hard-stop-after 20s\n  \
         stats socket {at}/stats.sock mode 600 level admin expose-fd listeners\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  \
         timeout http-keep-alive 75s\n  timeout tunnel 1h\n\
         frontend front\n  bind 127.0.0.1:{port} ssl crt {at}/server.pem ca-file {at}/ca.crt verify required\n  \
         use_backend echo if {{ path /chat }}\n  default_backend answers\n\
         backend answers\n  server one 127.0.0.1:{answers}\nbackend echo\n  server one 127.0.0.1:{echo}\n"
    );
    fs::write(dir.join("haproxy.cfg"), text).expect("a writable directory");
    bundle(dir);
    let mut command = Command::new(haproxy::binary());
    command.arg("-W").arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    let mut process = Process::start(command, &dir.join("output.log"));
    process.wait_for_port(port);
    let (name, dir) = ("HAProxy".to_owned(), dir.to_path_buf());
    Proxy { name, port, dir, runs: Running::Haproxy(process) }
}

/// HAProxy wants certificate and key in one file.
fn bundle(dir: &Path) {
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect("what we wrote");
    let text = read("server.crt") + &read("server.key");
    fs::write(dir.join("server.pem"), text).expect("a writable directory");
}

impl Proxy {
    /// Has it read its configuration and its certificate again.
    pub(super) fn reload(&self) {
        match &self.runs {
            Running::Ferrule(_) | Running::Nginx => signal(self.pid(), Signal::HUP),
            Running::Haproxy(process) => {
                bundle(&self.dir);
                // While its master begins, or begins again, signals are lost.
                let takes_signals = poll(PATIENCE, || takes_usr2(process.id()).then_some(()));
                assert!(takes_signals.is_some(), "{}", process.output());
                process.signal(Signal::USR2);
            }
        }
    }

    /// Has it replaced by a new process of its program. HAProxy knows one way for both.
    pub(super) fn upgrade(&self) {
        let old = self.pid();
        match &self.runs {
            Running::Ferrule(_) => signal(old, Signal::USR2),
            Running::Nginx => {
                self.is_alone();
                signal(old, Signal::USR2);
                let new = poll(PATIENCE, || (self.pid() != old).then_some(()));
                assert!(new.is_some(), "nginx starts a new process");
                signal(old, Signal::QUIT);
            }
            Running::Haproxy(_) => self.reload(),
        }
    }

    /// The same with a program (HAProxy: a configuration) that cannot work; returns when it has been given up.
    pub(super) fn fail_to_upgrade(&self) {
        let (old, file) = (self.pid(), self.dir.join("haproxy.cfg"));
        let given_up = match &self.runs {
            Running::Ferrule(gateway) => {
                self.replace_program(Path::new("/bin/false"));
                let refused = || gateway.log().matches("upgrade refused: ").count();
                let before = refused();
                signal(old, Signal::USR2);
                poll(PATIENCE, || (refused() > before).then_some(()))
            }
            Running::Nginx => {
                self.is_alone();
                self.replace_program(Path::new("/bin/false"));
                let exits = || {
                    let log = fs::read_to_string(self.dir.join("error.log")).unwrap_or_default();
                    log.matches("exited with code").count()
                };
                let before = exits();
                signal(old, Signal::USR2);
                poll(PATIENCE, || (exits() > before && self.pid() == old).then_some(()))
            }
            Running::Haproxy(process) => {
                let text = fs::read_to_string(&file).expect("what we wrote");
                fs::write(&file, format!("{text}nonsense\n")).expect("a writable directory");
                let refused = || process.output().matches("[ALERT]").count();
                let before = refused();
                process.signal(Signal::USR2);
                let given_up = poll(PATIENCE, || (refused() > before).then_some(()));
                fs::write(&file, text).expect("a writable directory");
                given_up
            }
        };
        assert!(given_up.is_some(), "{} gives a broken upgrade up", self.name);
        match &self.runs {
            Running::Ferrule(_) => self.replace_program(&ferrule_binary()),
            Running::Nginx => self.replace_program(&nginx::binary()),
            Running::Haproxy(_) => {}
        }
    }

    /// nginx upgrades only when the process before has ended, which takes `worker_shutdown_timeout`.
    fn is_alone(&self) {
        let alone = poll(PATIENCE * 3, || (!self.dir.join("pid.oldbin").exists()).then_some(()));
        assert!(alone.is_some(), "the process before ends");
    }

    fn replace_program(&self, with: &Path) {
        let new = self.dir.join("program.new");
        symlink(with, &new).expect("a link");
        fs::rename(new, self.dir.join(PROGRAM)).expect("a writable directory");
    }

    /// The process that serves; of nginx and HAProxy the master.
    fn pid(&self) -> u32 {
        match &self.runs {
            Running::Haproxy(process) => process.id(),
            Running::Ferrule(_) | Running::Nginx => {
                let pid = poll(PATIENCE, || {
                    fs::read_to_string(self.dir.join("pid")).ok()?.trim().parse().ok()
                });
                pid.expect("a process writes its number down")
            }
        }
    }
}

impl Drop for Proxy {
    /// Successors are no children of ours: they are known by our directory in their command lines.
    fn drop(&mut self) {
        let at = self.dir.to_string_lossy().into_owned();
        let is_ours = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&at)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| is_ours(*pid)).for_each(|pid| signal(pid, Signal::KILL));
    }
}

/// Does a process catch `SIGUSR2`, and not hold it back (proc(5), `SigCgt` and `SigBlk`)?
fn takes_usr2(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let has = |set: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(set))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        Some(mask >> (Signal::USR2.as_raw() - 1) & 1 == 1)
    };
    has("SigCgt:") == Some(true) && has("SigBlk:") == Some(false)
}

/// It may have ended.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _: rustix::io::Result<()> = kill_process(pid, signal);
    }
}
