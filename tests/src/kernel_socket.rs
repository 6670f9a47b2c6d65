//! What the kernel says of one TCP connection over IPv4 (sock_diag(7)).
//!
//! `/proc/net/tcp` is read in pieces while connections come and go, and may leave any of them out.

use std::io;
use std::net::{SocketAddrV4, TcpStream};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};

/// `SOCK_DIAG_BY_FAMILY`, and `NLM_F_REQUEST`.
const QUESTION: (u16, u16) = (20, 1);
/// The head of a message, and a `struct inet_diag_req_v2`.
const QUESTION_BYTES: usize = 16 + 56;
/// The same, and a `struct inet_diag_msg`.
const ANSWER_BYTES: usize = 16 + 72;

/// One end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KernelSocket {
    /// Bytes that were received and not read.
    pub unread: u32,
    /// Bytes that were written, and that the other end has not acknowledged.
    pub unacknowledged: u32,
    /// Whether a process has it open.
    pub is_open: bool,
}

impl KernelSocket {
    /// The other end of this connection, if it is on this machine and exists.
    ///
    /// # Panics
    /// The kernel does not answer.
    #[must_use]
    pub fn other_end(socket: &TcpStream) -> Option<Self> {
        let (Ok(std::net::SocketAddr::V4(ours)), Ok(std::net::SocketAddr::V4(theirs))) =
            (socket.local_addr(), socket.peer_addr())
        else {
            return None;
        };
        Self::between(theirs, ours).expect("the kernel tells of sockets")
    }

    /// The end with this address of its own.
    fn between(own: SocketAddrV4, other: SocketAddrV4) -> io::Result<Option<Self>> {
        let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, Some(SOCK_DIAG))?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&socket, &question(own, other), SendFlags::empty(), &kernel)?;
        let mut answer = [0; 4_096];
        let (_, bytes) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
        // An error is shorter. Without such a connection the listener of that port answers.
        if bytes < ANSWER_BYTES || answer[20..24] != ports(own, other) {
            return Ok(None);
        }
        let number = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| answer[at + byte]));
        Ok(Some(Self { unread: number(72), unacknowledged: number(76), is_open: number(84) != 0 }))
    }
}

fn ports(own: SocketAddrV4, other: SocketAddrV4) -> [u8; 4] {
    let ([a, b], [c, d]) = (own.port().to_be_bytes(), other.port().to_be_bytes());
    [a, b, c, d]
}

fn question(own: SocketAddrV4, other: SocketAddrV4) -> [u8; QUESTION_BYTES] {
    let mut bytes = [0; QUESTION_BYTES];
    let length = u32::try_from(QUESTION_BYTES).expect("small");
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&QUESTION.0.to_ne_bytes());
    bytes[6..8].copy_from_slice(&QUESTION.1.to_ne_bytes());
    // AF_INET, IPPROTO_TCP; in any state.
    bytes[16..18].copy_from_slice(&[2, 6]);
    bytes[20..24].fill(0xFF);
    bytes[24..28].copy_from_slice(&ports(own, other));
    bytes[28..32].copy_from_slice(&own.ip().octets());
    bytes[44..48].copy_from_slice(&other.ip().octets());
    // INET_DIAG_NOCOOKIE: whichever it is.
    bytes[64..].fill(0xFF);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_other_end_is_found_and_no_listener_in_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client =
            TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (server, _) = listener.accept().expect("the client");
        client.write_all(b"hello").expect("a connection");
        let end = KernelSocket::other_end(&client).expect("it is there");
        assert_eq!(end, KernelSocket { unread: 5, unacknowledged: 0, is_open: true });
        drop(server);
        let end = KernelSocket::other_end(&client);
        assert!(end.is_none_or(|end| !end.is_open), "{end:?}");
    }
}
