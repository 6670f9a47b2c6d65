//! TLS without a socket: records in, plaintext out, and back.
//!
//! In: ciphertext in a rented buffer. Out: the payload of one record at a time, opened by rustls,
//! and whatever the protocol wants to say back, collected as pending and sent in front of the
//! next message. A plaintext connection is a session that hands bytes through.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{HandshakeKind, ProtocolVersion};

use super::buffers::{Buffer, PLAIN_BYTES_MAX};

/// The most a record adds to its plaintext: header, explicit nonce, tag, content type.
pub const RECORD_OVERHEAD_MAX: usize = 5 + 8 + 16 + 1;

/// What bytes of a connection mean.
pub enum Session {
    /// Themselves.
    Plain,
    /// We are the server.
    Server(Box<UnbufferedServerConnection>),
    /// We are the client.
    Client(Box<UnbufferedClientConnection>),
}

/// What a session has to say, and what it has to remember of what it heard.
#[derive(Debug, Default)]
pub struct Said {
    /// Protocol bytes waiting for the next send: flights, tickets, alerts.
    pub pending: Vec<u8>,
    /// A copy of the received bytes that rustls has looked at and not finished with.
    ///
    /// rustls keeps offsets into them while half a handshake message is there, and panics if it is
    /// handed anything else; but the buffer itself may be with the kernel when we want to send.
    unread: Vec<u8>,
    /// The session has failed; only what is pending may still be sent.
    failed: bool,
}

impl Said {
    /// Notes what is left in `input` when no whole record is there any more.
    fn note(&mut self, input: &Buffer) {
        self.unread.clear();
        self.unread.extend_from_slice(input.filled());
    }

    /// Has the session failed? Its alert is the last that may be sent.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Gives memory back: the connection is idle now.
    pub fn settle(&mut self) {
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
    }
}

/// What opening found.
#[derive(Debug, Eq, PartialEq)]
pub enum Opened<R> {
    /// A payload, and what the caller made of it.
    Data(R),
    /// No whole record is left; read more.
    More,
    /// The peer has said that nothing follows (`close_notify`).
    Closed,
}

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It needs more from the peer; what is pending must be sent first.
    NeedsRead,
    /// Done; what is pending may be sent together with the first message.
    Done,
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionError {
    /// rustls refused; an alert is pending.
    Tls(Box<rustls::Error>),
    /// The peer closed within its handshake.
    Closed,
    /// The output did not fit, or the keys are used up: our own fault or the end of a connection.
    Exhausted,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Plain => "Plain",
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

/// Both of rustls's unbuffered connections, as one.
trait Endpoint {
    type Data;
    /// May the peer speak before we have? A server may hear its first request with the last flight;
    /// an answer to a request that was never sent is an attack (nginx CVE-2026-1642).
    const HEARS_FIRST: bool;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn handshaking(&self) -> bool;
    /// Is there something encoded that nobody has taken yet?
    fn has_more_to_say(&self) -> bool;
}

impl Endpoint for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const HEARS_FIRST: bool = true;

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(input)
    }

    fn handshaking(&self) -> bool {
        self.is_handshaking()
    }

    fn has_more_to_say(&self) -> bool {
        self.wants_write()
    }
}

impl Endpoint for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const HEARS_FIRST: bool = false;

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(input)
    }

    fn handshaking(&self) -> bool {
        self.is_handshaking()
    }

    fn has_more_to_say(&self) -> bool {
        self.wants_write()
    }
}

impl Session {
    /// Is this connection encrypted?
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Does the peer wait for the last flight of the handshake that has just ended? A TLS 1.2
    /// client does; everywhere else the next message may carry it.
    #[must_use]
    pub fn awaits_last_flight(&self) -> bool {
        match self {
            Self::Server(connection) => {
                connection.protocol_version() == Some(ProtocolVersion::TLSv1_2)
            }
            Self::Plain | Self::Client(_) => false,
        }
    }

    /// The chain of a peer whose session was resumed, which nobody has looked at in this handshake.
    #[must_use]
    pub fn resumed_peer(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Self::Client(connection)
                if connection.handshake_kind() == Some(HandshakeKind::Resumed) =>
            {
                Some(connection.peer_certificates().unwrap_or_default())
            }
            Self::Plain | Self::Server(_) | Self::Client(_) => None,
        }
    }

    /// Opens the next record of `input` and hands its payload (at most 2^14 bytes) to `take`.
    ///
    /// # Errors
    /// The peer broke the protocol; what is pending holds the alert then.
    pub fn open_next<R>(
        &mut self,
        input: &mut Buffer,
        said: &mut Said,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<Opened<R>, SessionError> {
        match self {
            Self::Plain => {
                let filled = input.filled();
                let count = filled.len().min(PLAIN_BYTES_MAX);
                let Some(piece) = filled.get(..count).filter(|piece| !piece.is_empty()) else {
                    return Ok(Opened::More);
                };
                let taken = take(piece);
                input.consume(count);
                Ok(Opened::Data(taken))
            }
            Self::Server(connection) => open(&mut **connection, input, said, take),
            Self::Client(connection) => open(&mut **connection, input, said, take),
        }
    }

    /// Appends `plain` (at most 2^14 bytes) to `output` as one record.
    ///
    /// # Errors
    /// [`SessionError::Exhausted`] if the room does not suffice for the record and what is pending,
    /// or the connection may not send any more.
    pub fn seal(
        &mut self,
        plain: &[u8],
        said: &mut Said,
        output: &mut Buffer,
    ) -> Result<(), SessionError> {
        debug_assert!(plain.len() <= PLAIN_BYTES_MAX);
        match self {
            Self::Plain => {
                if output.append(plain) == plain.len() {
                    Ok(())
                } else {
                    Err(SessionError::Exhausted)
                }
            }
            Self::Server(connection) => seal(&mut **connection, plain, said, output),
            Self::Client(connection) => seal(&mut **connection, plain, said, output),
        }
    }

    /// Drives a handshake as far as `input` reaches.
    ///
    /// # Errors
    /// The handshake failed; what is pending holds the alert.
    pub fn handshake(
        &mut self,
        input: &mut Buffer,
        said: &mut Said,
    ) -> Result<Progress, SessionError> {
        match self {
            Self::Plain => Ok(Progress::Done),
            Self::Server(connection) => handshake(&mut **connection, input, said),
            Self::Client(connection) => handshake(&mut **connection, input, said),
        }
    }

    /// Puts `close_notify` into what is pending.
    pub fn close(&mut self, said: &mut Said) {
        match self {
            Self::Plain => {}
            Self::Server(connection) => close(&mut **connection, said),
            Self::Client(connection) => close(&mut **connection, said),
        }
    }
}

/// Appends a chunk that rustls wants sent.
fn encode<Data>(chunk: &mut rustls::unbuffered::EncodeTlsData<'_, Data>, pending: &mut Vec<u8>) {
    let start = pending.len();
    match chunk.encode(&mut []) {
        Ok(_) | Err(EncodeError::AlreadyEncoded) => {}
        Err(EncodeError::InsufficientSize(needed)) => {
            pending.resize(start + needed.required_size, 0);
            let room = pending.get_mut(start..).unwrap_or_default();
            let written = chunk.encode(room).unwrap_or(0);
            pending.truncate(start + written);
        }
    }
}

/// The session has failed: takes the alert that rustls has ready, and nothing more after it. Asked
/// once more, it would look at the same wrong bytes again.
fn fail(connection: &mut impl Endpoint, input: &mut Buffer, said: &mut Said) {
    said.failed = true;
    while connection.has_more_to_say() {
        let UnbufferedStatus { discard, state } = connection.process(input.filled_mut());
        let Ok(ConnectionState::EncodeTlsData(mut chunk)) = state else { return };
        encode(&mut chunk, &mut said.pending);
        input.consume(discard);
    }
}

fn open<C: Endpoint, R>(
    connection: &mut C,
    input: &mut Buffer,
    said: &mut Said,
    take: impl FnOnce(&[u8]) -> R,
) -> Result<Opened<R>, SessionError> {
    if said.failed {
        return Err(SessionError::Closed);
    }
    let mut take = Some(take);
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process(input.filled_mut());
        let found = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    take.take().map(|take| Ok(Opened::Data(take(record.payload))))
                }
                Some(Err(error)) => Some(Err(SessionError::Tls(Box::new(error)))),
                None => Some(Ok(Opened::More)),
            },
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                encode(&mut chunk, &mut said.pending);
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Ok(Opened::Closed)),
            // Early data is never offered or accepted; anything new in rustls is not ours to guess.
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                Some(Ok(Opened::More))
            }
            Ok(_) => Some(Err(SessionError::Closed)),
            Err(error) => Some(Err(SessionError::Tls(Box::new(error)))),
        };
        input.consume(discard);
        match found {
            None => {}
            Some(Err(error)) => {
                fail(connection, input, said);
                return Err(error);
            }
            Some(Ok(found)) => {
                match found {
                    Opened::Data(_) => said.unread.clear(),
                    Opened::More | Opened::Closed => said.note(input),
                }
                return Ok(found);
            }
        }
    }
}

fn seal(
    connection: &mut impl Endpoint,
    plain: &[u8],
    said: &mut Said,
    output: &mut Buffer,
) -> Result<(), SessionError> {
    if said.failed {
        return Err(SessionError::Closed);
    }
    let Said { pending, unread, .. } = said;
    loop {
        match connection.process(unread).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                flush_pending(pending, output)?;
                return match traffic.encrypt(plain, output.spare_mut()) {
                    Ok(written) => {
                        output.fill(written);
                        Ok(())
                    }
                    Err(EncryptError::InsufficientSize(_) | EncryptError::EncryptExhausted) => {
                        Err(SessionError::Exhausted)
                    }
                };
            }
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => encode(&mut chunk, pending),
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            // The peer is done sending; we may still answer.
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) => return Err(SessionError::Closed),
            Err(error) => return Err(SessionError::Tls(Box::new(error))),
        }
    }
}

/// Moves what the protocol has to say in front of what we have to say.
///
/// # Errors
/// [`SessionError::Exhausted`] without enough room.
pub fn flush_pending(pending: &mut Vec<u8>, output: &mut Buffer) -> Result<(), SessionError> {
    if pending.is_empty() {
        return Ok(());
    }
    if output.spare() < pending.len() {
        return Err(SessionError::Exhausted);
    }
    output.append(pending);
    pending.clear();
    // A handshake's flight is kilobytes; an idle connection keeps none of it.
    pending.shrink_to(0);
    Ok(())
}

fn handshake<C: Endpoint>(
    connection: &mut C,
    input: &mut Buffer,
    said: &mut Said,
) -> Result<Progress, SessionError> {
    loop {
        let UnbufferedStatus { discard, state } = connection.process(input.filled_mut());
        let progress = match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                encode(&mut chunk, &mut said.pending);
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            Ok(ConnectionState::BlockedHandshake) => Some(Ok(Progress::NeedsRead)),
            // A server that asks for no certificate may write before the client has finished.
            Ok(ConnectionState::WriteTraffic(_)) => Some(Ok(Progress::NeedsRead)),
            // The first message came with the last flight. It stays inside until it is opened.
            Ok(ConnectionState::ReadTraffic(_)) if C::HEARS_FIRST => Some(Ok(Progress::Done)),
            Ok(_) => Some(Err(SessionError::Closed)),
            Err(error) => Some(Err(SessionError::Tls(Box::new(error)))),
        };
        input.consume(discard);
        match progress {
            None => {}
            Some(Err(error)) => {
                fail(connection, input, said);
                return Err(error);
            }
            Some(Ok(progress)) => {
                let done = !connection.handshaking();
                said.note(input);
                return Ok(if done { Progress::Done } else { progress });
            }
        }
    }
}

fn close(connection: &mut impl Endpoint, said: &mut Said) {
    if said.failed {
        return;
    }
    let Said { pending, unread, .. } = said;
    for _ in 0..16 {
        match connection.process(unread).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let start = pending.len();
                pending.resize(start + 256, 0);
                let room = pending.get_mut(start..).unwrap_or_default();
                let written = traffic.queue_close_notify(room).unwrap_or(0);
                pending.truncate(start + written);
                return;
            }
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => encode(&mut chunk, pending),
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            Ok(ConnectionState::PeerClosed) => {}
            _ => return,
        }
    }
}
