//! TLS without a socket: records in, plaintext out, and back.
//!
//! In: ciphertext in a rented buffer. Out: the payload of one record at a time, and whatever the
//! protocol wants to say back, collected as pending and sent in front of the next message. rustls does
//! every handshake (`unbuffered`); once it is over, TLS 1.3 may go on
//! with our own record layer ([`crate::tls::record`]). A plaintext connection is a session that hands
//! bytes through.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};

use super::buffers::{Buffer, PLAIN_BYTES_MAX};
use super::unbuffered;
use crate::tls::peer::Met;
use crate::tls::record::{
    Fault, Found, KEY_UPDATE_BYTES, OVERHEAD_BYTES, Records, SealError, Step,
};

/// The most that sealing adds to its plaintext: header, content type and tag, or TLS 1.2's explicit
/// nonce; and a `KeyUpdate` in front of it.
pub const RECORD_OVERHEAD_MAX: usize = OVERHEAD_BYTES + KEY_UPDATE_BYTES;

const _: () = assert!(RECORD_OVERHEAD_MAX >= 5 + 8 + 16, "TLS 1.2 adds this much");

/// What bytes of a connection mean.
pub enum Session {
    /// Themselves.
    Plain,
    /// We are the server, and rustls opens and seals.
    Server(Box<UnbufferedServerConnection>),
    /// We are the client, and rustls opens and seals.
    Client(Box<UnbufferedClientConnection>),
    /// TLS 1.3, and we open and seal.
    Fast(Box<Records>),
    /// Nothing any more: the keys could not be taken over.
    Over,
}

/// What a session has to say, and what it has to remember of what it heard.
#[derive(Default)]
pub struct Said {
    /// Protocol bytes waiting for the next send: flights, tickets, alerts.
    pub pending: Vec<u8>,
    /// Received bytes, at the front of the buffer, that rustls has looked at and not finished with: the
    /// records of a handshake message whose end has not come.
    pub(crate) held: usize,
    /// A copy of those bytes.
    ///
    /// rustls keeps offsets into them, and panics if it is handed anything else; but the buffer itself
    /// may be with the kernel when we want to send.
    pub(crate) unread: Vec<u8>,
    /// The session has failed; only what is pending may still be sent.
    pub(crate) failed: bool,
}

/// Lengths only.
impl std::fmt::Debug for Said {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Said")
            .field("pending", &self.pending.len())
            .field("unread", &self.unread.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Said {
    /// Notes what rustls holds of `input` when no whole record is there any more.
    pub(crate) fn note(&mut self, input: &Buffer) {
        self.unread.clear();
        self.unread.extend_from_slice(input.filled().get(..self.held).unwrap_or_default());
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
    /// Our own record layer refused; an alert is pending.
    Record(Fault),
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
            Self::Fast(_) => "Fast",
            Self::Over => "Over",
        })
    }
}

impl Session {
    /// Is this connection encrypted?
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Are we the server of a handshake that rustls drives?
    #[must_use]
    pub const fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// The handshake is over: from here on TLS 1.3 is opened and sealed by our own record layer.
    /// What rustls knows of the session must have been asked before.
    ///
    /// # Errors
    /// rustls does not give its keys away. The session is over then.
    pub fn quicken(&mut self, said: &Said) -> Result<(), SessionError> {
        let is_13 = |version| version == Some(ProtocolVersion::TLSv1_3);
        let records = match std::mem::replace(self, Self::Over) {
            Self::Server(connection) if is_13(connection.protocol_version()) => {
                Records::of_server(*connection)
            }
            Self::Client(connection) if is_13(connection.protocol_version()) => {
                Records::of_client(*connection)
            }
            other => {
                *self = other;
                return Ok(());
            }
        };
        // Bytes that rustls has seen and not finished with would be lost. No handshake ends so: its
        // keys may not change within a message (RFC 8446, section 5.1).
        if said.held > 0 || said.failed {
            return Err(SessionError::Closed);
        }
        *self = Self::Fast(Box::new(records.map_err(SessionError::Tls)?));
        Ok(())
    }

    /// Hears what came with the peer's last flight, before we have asked anything: tickets.
    ///
    /// # Errors
    /// As [`Session::open_next`]; and an answer to a request that was never sent is an attack
    /// (nginx CVE-2026-1642).
    pub fn hear_out(&mut self, input: &mut Buffer, said: &mut Said) -> Result<(), SessionError> {
        if let Self::Plain = self {
            return Ok(());
        }
        if let Opened::More = self.open_next(input, said, |_| ())? {
            return Ok(());
        }
        said.failed = true;
        Err(SessionError::Closed)
    }

    /// The upstream that we have just met, for as long as rustls knows it.
    #[must_use]
    pub fn peer(&self) -> Option<Met<'_>> {
        match self {
            Self::Client(connection) => Some(Met {
                chain: connection.peer_certificates().unwrap_or_default(),
                resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
                version: connection.protocol_version(),
            }),
            Self::Plain | Self::Server(_) | Self::Fast(_) | Self::Over => None,
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
            Self::Server(connection) => unbuffered::open(&mut **connection, input, said, take),
            Self::Client(connection) => unbuffered::open(&mut **connection, input, said, take),
            Self::Fast(records) => open(records, input, said, take),
            Self::Over => Err(SessionError::Closed),
        }
    }

    /// Appends `plain` (at most 2^14 bytes) to `output` as one record.
    ///
    /// # Errors
    /// [`SessionError::Exhausted`] if the room does not suffice for the record (with
    /// [`RECORD_OVERHEAD_MAX`] beyond its plaintext) and what is pending, or the connection may not
    /// send any more.
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
            Self::Server(connection) => unbuffered::seal(&mut **connection, plain, said, output),
            Self::Client(connection) => unbuffered::seal(&mut **connection, plain, said, output),
            Self::Fast(records) => seal(records, plain, said, output),
            Self::Over => Err(SessionError::Closed),
        }
    }

    /// Drives a handshake as far as `input` reaches, and not a record further: what is behind the
    /// peer's last flight stays in `input`.
    ///
    /// # Errors
    /// The handshake failed; what is pending holds the alert.
    pub fn handshake(
        &mut self,
        input: &mut Buffer,
        said: &mut Said,
    ) -> Result<Progress, SessionError> {
        match self {
            Self::Plain | Self::Fast(_) => Ok(Progress::Done),
            Self::Server(connection) => unbuffered::handshake(&mut **connection, input, said),
            Self::Client(connection) => unbuffered::handshake(&mut **connection, input, said),
            Self::Over => Err(SessionError::Closed),
        }
    }

    /// Puts what TLS owes the peer into what is pending, as far as it does not need to wait for data:
    /// the answer to a `KeyUpdate`.
    pub fn say_what_is_due(&mut self, said: &mut Said) {
        if said.failed {
            return;
        }
        match self {
            Self::Plain | Self::Over => {}
            Self::Server(connection) => unbuffered::say_what_is_due(&mut **connection, said),
            Self::Client(connection) => unbuffered::say_what_is_due(&mut **connection, said),
            Self::Fast(records) => records.say_what_is_due(&mut said.pending),
        }
    }

    /// Puts `close_notify` into what is pending.
    pub fn close(&mut self, said: &mut Said) {
        match self {
            Self::Plain | Self::Over => {}
            Self::Server(connection) => unbuffered::close(&mut **connection, said),
            Self::Client(connection) => unbuffered::close(&mut **connection, said),
            Self::Fast(records) => {
                if !said.failed {
                    records.close(&mut said.pending);
                }
            }
        }
    }
}

fn open<R>(
    records: &mut Records,
    input: &mut Buffer,
    said: &mut Said,
    take: impl FnOnce(&[u8]) -> R,
) -> Result<Opened<R>, SessionError> {
    if said.failed {
        return Err(SessionError::Closed);
    }
    loop {
        let Step { found, consumed } = match records.open(input.filled_mut()) {
            Ok(step) => step,
            Err(fault) => return Err(fail(records, said, fault)),
        };
        let opened = match found {
            Found::Data(place) => {
                let payload = input.filled().get(place).unwrap_or_default();
                Opened::Data(take(payload))
            }
            Found::Nothing => {
                input.consume(consumed);
                continue;
            }
            Found::More => Opened::More,
            Found::Closed => Opened::Closed,
        };
        input.consume(consumed);
        return Ok(opened);
    }
}

/// The peer broke the protocol: the alert that says so is all that may still be sent.
pub(crate) fn fail(records: &mut Records, said: &mut Said, fault: Fault) -> SessionError {
    said.failed = true;
    records.end(&mut said.pending);
    SessionError::Record(fault)
}

fn seal(
    records: &mut Records,
    plain: &[u8],
    said: &mut Said,
    output: &mut Buffer,
) -> Result<(), SessionError> {
    if said.failed {
        return Err(SessionError::Closed);
    }
    flush_pending(&mut said.pending, output)?;
    match records.seal(plain, output.spare_mut()) {
        Ok(written) => {
            output.fill(written);
            Ok(())
        }
        Err(SealError::NoRoom) => Err(SessionError::Exhausted),
        Err(SealError::Ended) => Err(SessionError::Closed),
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
