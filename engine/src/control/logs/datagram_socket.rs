//! The socket of a syslog server or of the journal.
//!
//! In: datagrams. Out: whether the kernel has taken each. Nobody is waited for longer than a reader of a pipe;
//! a daemon that was started again, or that comes later than we do, is found with the next line.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ferrule_config::model::{LogTarget, SyslogServer};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, connect,
    send, socket_with,
};

use super::log_sink::{WriteStop, is_writable};
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
        Ok(Some(Self { peer, format, kind, socket: None }))
    }

    /// Sends whole lines, and counts their bytes. The last one may lack its line feed only if it is the only
    /// one.
    pub(super) fn send_lines(
        &mut self,
        lines: &[u8],
        written: &mut usize,
    ) -> Result<(), WriteStop> {
        let now = clock::utc();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let datagram = self.format.datagram(text, self.kind, &now);
            self.send(&datagram)?;
            *written = written.saturating_add(line.len());
        }
        Ok(())
    }

    /// Sends one datagram. One that cannot be sent over an old socket is tried over a new one.
    fn send(&mut self, datagram: &[u8]) -> Result<(), WriteStop> {
        let had_socket = self.socket.is_some();
        match self.try_send(datagram) {
            Err(WriteStop::Failed(_)) if had_socket => {
                self.socket = None;
                self.try_send(datagram)
            }
            done => done,
        }
        .inspect_err(|stop| {
            if matches!(stop, WriteStop::Failed(_)) {
                self.socket = None;
            }
        })
    }

    fn try_send(&mut self, datagram: &[u8]) -> Result<(), WriteStop> {
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
                    if waited || !is_writable(socket.as_fd()) {
                        return Err(WriteStop::Stalled);
                    }
                    waited = true;
                }
                Err(error) => return Err(failed(error)),
            }
        }
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
