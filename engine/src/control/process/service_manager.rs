//! Tells the service manager what this process does: systemd's protocol of `sd_notify(3)`.
//!
//! In: the environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`). Out: datagrams. Own code rather than the
//! `sd-notify` crate: it is one datagram, and that crate takes the variables out of the environment, which other
//! threads may be reading. Without the variable, or if the manager does not listen, nothing is sent.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrUnix, sendto};
use rustix::time::{ClockId, clock_gettime};

use super::environment;

/// Where to send, and how often the manager wants a sign of life.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    line: Option<ManagerSocket>,
    watchdog: Option<Duration>,
    /// Another process is the main one: what this one says would be taken for its words.
    muted: AtomicBool,
}

#[derive(Debug)]
struct ManagerSocket {
    socket: UnixDatagram,
    address: SocketAddrUnix,
}

/// How long a message waits for a manager whose queue is full.
const SEND_PATIENCE: Duration = Duration::from_secs(1);

impl ServiceManager {
    /// The one that has started this process, or the process that this one takes over from. In the latter case it
    /// is told nothing before [`ServiceManager::speak`].
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` names nothing that can be sent to, in words.
    pub(crate) fn of_environment(takes_over: bool) -> Result<Self, String> {
        let variables = environment::service_manager();
        let Some(name) = variables.notify_socket else { return Ok(Self::default()) };
        let own = variables.watchdog_pid.is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variables.watchdog_usec.filter(|_| own || takes_over);
        let watchdog = watchdog.and_then(|text| text.parse().ok()).map(Duration::from_micros);
        let manager =
            Self::at(&name).map_err(|words| format!("NOTIFY_SOCKET={name:?}: {words}"))?;
        let watchdog = watchdog.filter(|time| !time.is_zero());
        Ok(Self { watchdog, muted: AtomicBool::new(takes_over), ..manager })
    }

    fn at(name: &str) -> Result<Self, String> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None if name.starts_with('/') => SocketAddrUnix::new(name),
            None => return Err(String::from("it is neither a path nor an abstract name")),
        };
        let address = address.map_err(|error| error.to_string())?;
        let socket = UnixDatagram::unbound().map_err(|error| error.to_string())?;
        socket.set_write_timeout(Some(SEND_PATIENCE)).map_err(|error| error.to_string())?;
        Ok(Self { line: Some(ManagerSocket { socket, address }), ..Self::default() })
    }

    /// This process is the main one from now on.
    pub(crate) fn speak(&self) {
        self.muted.store(false, Ordering::Relaxed);
    }

    /// Sends a message; one that finds the queue full waits for a second at most.
    fn send(&self, text: &str) {
        if let Err(error) = self.try_send(text, SendFlags::empty()) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// Sends what the manager must not miss: it would end a service whose start, or whose new process, it does not
    /// know of.
    fn send_important(&self, text: &str) {
        if let Err(error) = self.try_send(text, SendFlags::empty()) {
            let said = text.lines().next().unwrap_or_default();
            tracing::error!(%error, "the service manager has not been told {said}");
        }
    }

    fn try_send(&self, text: &str, flags: SendFlags) -> Result<(), Errno> {
        let Some(ManagerSocket { socket, address }) = &self.line else { return Ok(()) };
        if self.muted.load(Ordering::Relaxed) {
            return Ok(());
        }
        loop {
            match sendto(socket, text.as_bytes(), flags, address) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// It serves, also after a reload, taken or not.
    pub(crate) fn ready(&self, status: &str) {
        self.send_important(&format!("READY=1\nSTATUS={status}"));
    }

    /// It loads its configuration again (`Type=notify-reload`).
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=reloading"));
    }

    /// It drains.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=draining");
    }

    /// Another process serves now. The manager believes it of the process that it has known so far alone. A sign of
    /// life before it gives the other one the whole time until its own first.
    pub(crate) fn main_process(&self, pid: u32) {
        if self.watchdog.is_some() {
            self.alive();
        }
        self.send_important(&format!("MAINPID={pid}"));
    }

    /// A sign of life. It waits for nobody: while the queue is full, there are others in it.
    pub(crate) fn alive(&self) {
        if let Err(error) = self.try_send("WATCHDOG=1", SendFlags::DONTWAIT) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// How often there has to be one: twice in the time that the manager waits.
    pub(crate) fn alive_every(&self) -> Option<Duration> {
        Some(self.watchdog? / 2)
    }
}

/// When the last sign of life was sent.
#[derive(Debug)]
pub(crate) struct Watchdog {
    sent: Option<Instant>,
}

impl Watchdog {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { sent: None }
    }

    /// Sends one if it is time, and the process is alive.
    pub(crate) fn check(
        &mut self,
        manager: &ServiceManager,
        now: Instant,
        is_alive: impl FnOnce() -> bool,
    ) {
        let Some(every) = manager.alive_every() else { return };
        let recent = |sent: Instant| now.saturating_duration_since(sent) < every;
        if !self.sent.is_some_and(recent) && is_alive() {
            manager.alive();
            self.sent = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use super::*;
    use crate::control::process::clock;

    fn said(socket: &UnixDatagram) -> String {
        let mut buf = [0; 512];
        let count = socket.recv(&mut buf).unwrap();
        String::from_utf8(buf[..count].to_vec()).unwrap()
    }

    #[test]
    fn messages_are_those_of_systemd() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("ferrule-test-{}", std::process::id());
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (text, socket) in
            [(path.to_str().unwrap().to_owned(), by_path), (format!("@{name}"), by_name)]
        {
            let manager = ServiceManager::at(&text).unwrap();
            manager.ready("serving");
            assert_eq!(said(&socket), "READY=1\nSTATUS=serving");
            manager.reloading();
            let text = said(&socket);
            let time = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
            assert!(text.starts_with("RELOADING=1\n") && time.unwrap().parse::<u64>().is_ok());
            manager.main_process(7);
            assert_eq!(said(&socket), "MAINPID=7");
        }
        assert!(ServiceManager::at("vsock:2:1").is_err());
    }

    /// A manager that is behind with reading gets what counts all the same, and a sign of life waits for nobody.
    #[test]
    fn a_full_queue_loses_no_message_that_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap()).unwrap();
        // More than a queue holds.
        for _ in 0..5_000 {
            manager.alive();
        }
        let sender = std::thread::spawn(move || {
            manager.ready("serving");
            manager.main_process(7);
        });
        for wanted in ["READY=1\nSTATUS=serving", "MAINPID=7"] {
            while said(&socket) != wanted {}
        }
        sender.join().unwrap();
    }

    #[test]
    fn a_manager_that_never_reads_is_waited_for_in_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap()).unwrap();
        (0..5_000).for_each(|_| manager.alive());
        let begun = clock::monotonic();
        assert_eq!(manager.try_send("READY=1", SendFlags::empty()), Err(Errno::AGAIN));
        assert!(begun.elapsed() >= SEND_PATIENCE && begun.elapsed() < SEND_PATIENCE * 20);
    }

    #[test]
    fn signs_of_life_come_twice_in_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap()).unwrap();
        let manager = ServiceManager { watchdog: Some(Duration::from_secs(10)), ..manager };
        let (mut watchdog, start) = (Watchdog::new(), clock::monotonic());
        let mut sent = |seconds, is_alive| {
            watchdog.check(&manager, start + Duration::from_secs(seconds), || is_alive);
            socket.recv(&mut [0; 64]).is_ok()
        };
        assert!(sent(0, true) && !sent(4, true) && sent(5, true));
        assert!(!sent(20, false) && sent(20, true));
    }
}
