//! One query and its answer, over UDP, and over TCP if the answer is too long for that.
//!
//! The id is drawn anew for each query, the port is the kernel's choice, and the socket is connected: an answer
//! from another address never gets here, and one that does not fit the query is passed over while there is time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::message::{MessageFault, Query, RecordType, Records};
use crate::control::process::clock;

/// Longer answers over UDP are not sent to those who do not ask for them (RFC 1035, section 4.2.1); they are
/// read whole all the same.
const UDP_BYTES_MAX: usize = 4096;
/// Messages that answer something else and are passed over; behind them, somebody is guessing.
const FOREIGN_MAX: u32 = 64;

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("{0} is no name of DNS")]
    Name(String),
    #[error(transparent)]
    Failed(#[from] io::Error),
    #[error(transparent)]
    Fault(#[from] MessageFault),
}

/// Asks one server, and waits for `timeout` at most over each transport.
pub(super) fn ask(
    server: SocketAddr,
    name: &str,
    wanted: RecordType,
    timeout: Duration,
) -> Result<Records, ExchangeError> {
    let mut id = [0; 2];
    let drawn = SystemRandom::new().fill(&mut id);
    drawn.map_err(|_| io::Error::other("no random bits"))?;
    let query = Query::new(u16::from_be_bytes(id), name, wanted)
        .ok_or_else(|| ExchangeError::Name(name.to_owned()))?;
    match over_udp(server, &query, timeout) {
        Err(ExchangeError::Fault(MessageFault::Truncated)) => over_tcp(server, &query, timeout),
        other => other,
    }
}

/// The time that is left, which is never nothing: a socket takes that for no limit.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(clock::monotonic());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Sockets with a limit of time say that they would block.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn over_udp(
    server: SocketAddr,
    query: &Query,
    timeout: Duration,
) -> Result<Records, ExchangeError> {
    let deadline = clock::monotonic() + timeout;
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.send(query.bytes())?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    for _ in 0..FOREIGN_MAX {
        socket.set_read_timeout(Some(left(deadline)?))?;
        let len = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(timed_out)?,
        };
        match query.read(buffer.get(..len).unwrap_or_default()) {
            Err(MessageFault::Foreign) => {}
            other => return Ok(other?),
        }
    }
    Err(MessageFault::Foreign.into())
}

fn over_tcp(
    server: SocketAddr,
    query: &Query,
    timeout: Duration,
) -> Result<Records, ExchangeError> {
    let deadline = clock::monotonic() + timeout;
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    let len = u16::try_from(query.bytes().len()).unwrap_or(u16::MAX);
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(&[&len.to_be_bytes()[..], query.bytes()].concat()).map_err(timed_out)?;
    let mut len = [0; 2];
    read_exact(&mut stream, &mut len, deadline)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    read_exact(&mut stream, &mut answer, deadline)?;
    Ok(query.read(&answer)?)
}

/// Reads all of it before the deadline, however small the pieces are.
fn read_exact(stream: &mut TcpStream, mut to: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !to.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(to) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => to = to.get_mut(len..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
    Ok(())
}
