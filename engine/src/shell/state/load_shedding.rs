//! What is done when the kernel has no descriptor or memory for us.
//!
//! First, connections that nobody uses are ended: idle ones to upstreams, then the client connections
//! that have been idle the longest. If that does not help for some rounds, clients that wait in the accept
//! queue are turned away, with the one descriptor that each listener keeps in reserve: a client that is
//! refused can try another gateway, one that hangs in a queue cannot. Nothing has to be restarted:
//! accepting goes on as soon as descriptors are free.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::core::Core;
use super::log_limits::LogCause;
use crate::report::Counter;
use crate::shell::transport::net::{Descriptor, TcpListener};

/// Client connections ended in one go.
const IDLE_ENDED: usize = 32;

/// Rounds of back-off before anybody is turned away: idle connections need a tick to end.
const ROUNDS_PATIENT: u32 = 4;

/// Clients turned away in one round.
const TURNED_AWAY: usize = 16;

/// Reads of what a client has sent that is turned away; more than fits into the socket of a new connection.
const READS_MAX: usize = 32;

/// The response on a plain listener, sent without reading a request: there is no room for one.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Content-Length: 39\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"error_msg\":\"503 Service Unavailable\"}";

/// No descriptors (of the process, of the machine), no buffers, no memory.
#[must_use]
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Ends connections that nobody uses, and logs it.
pub(crate) fn relieve(core: &Core, error: &io::Error) {
    core.give_up_idle();
    let ended = core.deadlines.end_idlest(IDLE_ENDED);
    if let Some(suppressed) = core.allow_log(LogCause::Exhausted) {
        let open = core.open_connections.get();
        tracing::warn!(
            %error,
            open,
            ended,
            suppressed,
            "out of descriptors or memory: ending idle connections; raise LimitNOFILE or lower \
             runtime.max_connections"
        );
    }
}

/// How one listener sheds load: its reserve, and how often accepting has failed.
#[derive(Debug, Default)]
pub(crate) struct LoadShedder {
    reserve: Option<OwnedFd>,
    rounds: u32,
}

impl LoadShedder {
    /// With a descriptor in reserve, if there is one.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { reserve: reserve(), rounds: 0 }
    }

    /// An accept succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.rounds = 0;
        if self.reserve.is_none() {
            self.reserve = reserve();
        }
    }

    /// An accept failed because there is nothing left.
    /// Clients on a listener without TLS are told so.
    pub(crate) fn failed(
        &mut self,
        core: &Core,
        socket: &TcpListener,
        tls: bool,
        error: &io::Error,
    ) {
        relieve(core, error);
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds <= ROUNDS_PATIENT {
            return;
        }
        // Closed, so that there is one to accept with.
        self.reserve = None;
        for _ in 0..TURNED_AWAY {
            let Some(client) = Descriptor::of(socket).accept_now() else { break };
            core.count(Counter::AcceptedShed);
            if !tls {
                tell_busy(&client);
            }
        }
        self.reserve = reserve();
    }
}

/// Sends the response, as much as the socket takes at once, which is all of it. What the client has sent so far is
/// taken off first: a socket that is closed with bytes unread resets its connection, and a client may lose the
/// response over that.
fn tell_busy(client: impl AsFd) {
    let mut unread = [0; 4_096];
    for _ in 0..READS_MAX {
        match recv(&client, &mut unread, RecvFlags::DONTWAIT) {
            Ok((1.., _)) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let _ = send(&client, BUSY, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

fn reserve() -> Option<OwnedFd> {
    File::open("/dev/null").ok().map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn exhaustion_is_told_from_other_errors() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_exhaustion(&errno.into()), "{errno}");
        }
        assert!(!is_exhaustion(&Errno::CONNABORTED.into()));
        assert!(!is_exhaustion(&io::Error::other("x")));
    }

    #[test]
    fn a_client_that_is_turned_away_meets_no_reset() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(&vec![b'x'; 50_000]).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        // All of it is there before it is turned away.
        assert!(accepted.peek(&mut [0; 8]).unwrap() > 0);
        tell_busy(&accepted);
        drop(accepted);
        let mut told = Vec::new();
        assert_eq!(client.read_to_end(&mut told).unwrap(), BUSY.len());
        assert_eq!(told, BUSY);
    }

    #[test]
    fn the_answer_is_whole() {
        let text = str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
    }
}
