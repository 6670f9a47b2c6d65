//! Tells the service manager what this process does: systemd's protocol of `sd_notify(3)`.
//!
//! In: the environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`). Out: datagrams. Own code rather than the
//! `sd-notify` crate: it is one datagram, and that crate takes the variables out of the environment, which other
//! threads may be reading. Without the variable, or if the manager does not listen, nothing is sent.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::environment;

/// Where to send, and how often the manager wants a sign of life.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    line: Option<ManagerSocket>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct ManagerSocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl ServiceManager {
    /// The one that has started this process, or the process that this one takes over from.
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
        Ok(Self { watchdog: watchdog.filter(|time| !time.is_zero()), ..manager })
    }

    fn at(name: &str) -> Result<Self, String> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None if name.starts_with('/') => SocketAddr::from_pathname(name),
            None => return Err(String::from("it is neither a path nor an abstract name")),
        };
        let address = address.map_err(|error| error.to_string())?;
        let socket = UnixDatagram::unbound().map_err(|error| error.to_string())?;
        // A manager that does not read is not waited for.
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self { line: Some(ManagerSocket { socket, address }), watchdog: None })
    }

    fn send(&self, text: &str) {
        if let Some(ManagerSocket { socket, address }) = &self.line
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// It serves, also after a reload, taken or not.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
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

    /// Another process serves now. The manager believes it of the process that it has known so far alone.
    pub(crate) fn main_process(&self, pid: u32) {
        self.send(&format!("MAINPID={pid}"));
    }

    /// A sign of life.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
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
