//! The socket pair between the two processes of an upgrade: whole messages, some of which carry a descriptor.
//!
//! Every wait ends at a time, and when the caller does not want to go on.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::process::clock;

/// The longest message.
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// How often a wait asks whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why nothing was sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The other process has closed its end, or has ended.
    #[error("it has closed the connection to this process")]
    Closed,
    /// The time is over.
    #[error("it took too long")]
    TimedOut,
    /// The caller does not want to go on.
    #[error("this process was told to stop")]
    Stopped,
    /// The message means nothing.
    #[error("it sent what this process does not understand: {0}")]
    NotUnderstood(String),
    /// The kernel's.
    #[error(transparent)]
    System(#[from] Errno),
}

/// Until when to wait, and whether to go on.
pub(crate) struct Patience<'p> {
    /// The end of every wait.
    pub(crate) until: Instant,
    /// False ends it before.
    pub(crate) goes_on: &'p dyn Fn() -> bool,
}

/// A message and the descriptor that it came with.
#[derive(Debug)]
pub(crate) struct Received<M> {
    /// What it says.
    pub(crate) message: M,
    /// At most one.
    pub(crate) descriptor: Option<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// Both ends.
#[derive(Debug)]
pub(crate) struct ChannelPair {
    /// Of this process.
    pub(crate) ours: Channel,
    /// For the other one.
    pub(crate) theirs: OwnedFd,
}

impl Channel {
    /// Makes both ends.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn pair() -> rustix::io::Result<ChannelPair> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok(ChannelPair { ours: Self(ours), theirs })
    }

    /// The end that this process was given.
    pub(crate) const fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It could not be sent.
    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptor: Option<BorrowedFd<'_>>,
        patience: &Patience<'_>,
    ) -> Result<(), ChannelError> {
        let text = serde_json::to_vec(message)
            .map_err(|error| ChannelError::NotUnderstood(error.to_string()))?;
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty()
                && !control.push(SendAncillaryMessage::ScmRights(&descriptors))
            {
                return Err(Errno::NOBUFS.into());
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::OUT, patience)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// None came, or it is not understood.
    pub(crate) fn receive<M: DeserializeOwned>(
        &self,
        patience: &Patience<'_>,
    ) -> Result<Received<M>, ChannelError> {
        let mut buf = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let mut pieces = [IoSliceMut::new(&mut buf)];
            let received = match recvmsg(&self.0, &mut pieces, &mut control, flags) {
                Ok(received) => received,
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.wait(PollFlags::IN, patience)?;
                    continue;
                }
                Err(Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(error.into()),
            };
            if received.bytes == 0 {
                return Err(ChannelError::Closed);
            }
            let mut descriptors = control.drain().filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                _ => None,
            });
            let descriptor = descriptors.next().and_then(|mut rights| rights.next());
            drop(descriptors);
            if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
                return Err(ChannelError::NotUnderstood(String::from("it is too long")));
            }
            let text = buf.get(..received.bytes).unwrap_or_default();
            let message = serde_json::from_slice(text)
                .map_err(|error| ChannelError::NotUnderstood(error.to_string()))?;
            return Ok(Received { message, descriptor });
        }
    }

    fn wait(&self, what: PollFlags, patience: &Patience<'_>) -> Result<(), ChannelError> {
        if !(patience.goes_on)() {
            return Err(ChannelError::Stopped);
        }
        let left = patience.until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(ChannelError::TimedOut);
        }
        let pause = left.min(LOOK_EVERY);
        let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
        match poll(&mut [PollFd::new(&self.0, what)], Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon(goes_on: &dyn Fn() -> bool) -> Patience<'_> {
        Patience { until: clock::monotonic() + Duration::from_millis(20), goes_on }
    }

    #[test]
    fn messages_and_descriptors_arrive_whole() {
        let ChannelPair { ours, theirs } = Channel::pair().unwrap();
        let theirs = Channel::of(theirs);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        ours.send(&"first", Some(socket.as_fd()), &soon(&|| true)).unwrap();
        ours.send(&"second", None, &soon(&|| true)).unwrap();
        let first: Received<String> = theirs.receive(&soon(&|| true)).unwrap();
        let copy = std::net::TcpListener::from(first.descriptor.unwrap());
        assert_eq!(copy.local_addr().unwrap(), socket.local_addr().unwrap());
        let second: Received<String> = theirs.receive(&soon(&|| true)).unwrap();
        assert!(first.message == "first" && second.message == "second");
        assert!(second.descriptor.is_none());
        let late = theirs.receive::<String>(&soon(&|| true)).unwrap_err();
        assert!(matches!(late, ChannelError::TimedOut));
        let stopped = theirs.receive::<String>(&soon(&|| false)).unwrap_err();
        assert!(matches!(stopped, ChannelError::Stopped));
        ours.send(&1, None, &soon(&|| true)).unwrap();
        let odd = theirs.receive::<String>(&soon(&|| true)).unwrap_err();
        assert!(matches!(odd, ChannelError::NotUnderstood(_)));
        drop(theirs);
        assert!(matches!(ours.send(&1, None, &soon(&|| true)), Err(ChannelError::Closed)));
        assert!(matches!(ours.receive::<String>(&soon(&|| true)), Err(ChannelError::Closed)));
    }
}
