//! The socket of a syslog server or of the journal.
//!
//! In: lines. Out: whether the kernel has taken the datagram of each. Nobody is waited for longer than a reader of a
//! pipe; a daemon that was started again, or that comes later than we do, is found with the next line.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ferrule_config::model::{LogTarget, SyslogServer};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, connect,
    send, socket_with,
};

use super::patience::{WaitBudget, WriteStop};
use super::record::{DatagramFormat, LogKind, host_name};
use crate::control::process::clock;

/// Where lines go as datagrams.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    peer: SocketAddrAny,
    format: DatagramFormat,
    kind: LogKind,
    /// `None` until the first line, and after one that could not be sent.
    socket: Option<OwnedFd>,
    /// Lines that were sent cut, and not counted yet.
    cut: u64,
}

impl DatagramSocket {
    /// For this target, if it is one of datagrams. Nothing is opened yet: a daemon that is away keeps no
    /// gateway from starting.
    ///
    /// # Errors
    /// The path is none that a socket can have.
    pub(super) fn new(target: &LogTarget, kind: LogKind) -> io::Result<Option<Self>> {
        let unix = |path: &std::path::Path| SocketAddrUnix::new(path).map(Into::into);
        let (peer, format) = match target {
            LogTarget::Stderr | LogTarget::Stdout | LogTarget::File(_) => return Ok(None),
            LogTarget::Journald(path) => (unix(path)?, DatagramFormat::Journal),
            LogTarget::Syslog(syslog) => {
                let uname = rustix::system::uname();
                let name = || host_name(uname.nodename().to_bytes());
                let (peer, host) = match &syslog.server {
                    SyslogServer::Socket(path) => (unix(path)?, None),
                    SyslogServer::Udp(address) => ((*address).into(), name()),
                };
                let (format, facility) = (syslog.format, syslog.facility);
                let process = std::process::id();
                (peer, DatagramFormat::Syslog { format, facility, host, process })
            }
        };
        Ok(Some(Self { peer, format, kind, socket: None, cut: 0 }))
    }

    /// Sends whole lines, and counts their bytes. The last one may lack its line feed only if it is the only
    /// one. Those that wait for the receiver wait no longer than `budget` has left, all together.
    pub(super) fn send_lines(
        &mut self,
        lines: &[u8],
        written: &mut usize,
        budget: &mut WaitBudget,
    ) -> Result<(), WriteStop> {
        let now = clock::utc();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let datagram = self.format.datagram(text, self.kind, &now);
            self.send(&datagram.bytes, budget)?;
            self.cut = self.cut.saturating_add(u64::from(datagram.is_cut));
            *written = written.saturating_add(line.len());
        }
        Ok(())
    }

    /// Sends one datagram. One that cannot be sent over an old socket is tried over a new one.
    fn send(&mut self, datagram: &[u8], budget: &mut WaitBudget) -> Result<(), WriteStop> {
        let had_socket = self.socket.is_some();
        match self.try_send(datagram, budget) {
            Err(WriteStop::Failed(_)) if had_socket => {
                self.socket = None;
                self.try_send(datagram, budget)
            }
            done => done,
        }
        .inspect_err(|stop| {
            if matches!(stop, WriteStop::Failed(_)) {
                self.socket = None;
            }
        })
    }

    fn try_send(&mut self, datagram: &[u8], budget: &mut WaitBudget) -> Result<(), WriteStop> {
        let failed = |error: Errno| WriteStop::Failed(error.into());
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(open(&self.peer).map_err(failed)?),
        };
        let mut waited = false;
        loop {
            match send(&*socket, datagram, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                // The receiver's queue is full: it gets a moment to make room.
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    if waited || !budget.is_writable(socket.as_fd()) {
                        return Err(WriteStop::Stalled);
                    }
                    waited = true;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// How many lines were sent cut since the last call.
    pub(super) const fn take_cut(&mut self) -> u64 {
        std::mem::replace(&mut self.cut, 0)
    }

    /// The descriptor, if there is one now.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}

/// A socket for this peer alone; connecting one of datagrams waits for nobody.
fn open(peer: &SocketAddrAny) -> rustix::io::Result<OwnedFd> {
    let family: AddressFamily = peer.address_family();
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    connect(&socket, peer)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use super::*;

    /// A receiver that takes a while for each line, however short, delays the writer once a batch.
    #[test]
    fn a_slow_receiver_is_waited_for_once_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut got = 0_usize;
            loop {
                let count = receiver.recv(&mut bytes).unwrap();
                if bytes[..count].starts_with(b"MESSAGE=end\n") {
                    return got;
                }
                got += 1;
                let begun = clock::monotonic();
                while begun.elapsed() < Duration::from_millis(4) {
                    std::thread::yield_now();
                }
            }
        });
        let target = LogTarget::Journald(path);
        let mut socket = DatagramSocket::new(&target, LogKind::Access).unwrap().unwrap();
        let lines = "x\n".repeat(2_000);
        let (begun, mut written) = (clock::monotonic(), 0);
        let stop = socket.send_lines(lines.as_bytes(), &mut written, &mut WaitBudget::new());
        let took = begun.elapsed();
        // Were every line waited for, these would take eight seconds.
        assert!(matches!(stop, Err(WriteStop::Stalled)) && written > 0, "{written}");
        assert!(took < Duration::from_secs(4), "{took:?}");
        let mut end = 0;
        while socket.send_lines(b"end\n", &mut end, &mut WaitBudget::new()).is_err() {}
        assert_eq!(reader.join().unwrap(), written / 2);
    }
}
