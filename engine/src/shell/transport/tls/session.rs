//! TLS without a socket: records in, plaintext out, and back.
//!
//! In: ciphertext in a rented buffer. Out: the payload of one record at a time, and whatever the
//! protocol wants to say back, collected as pending and sent in front of the next message. rustls does
//! every handshake (`unbuffered`); once it is over, TLS 1.3 may go on with our own record layer
//! ([`crate::tls::record`]). A plaintext connection is a session that hands bytes through.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};

use super::outcome::{HandshakeProgress, Opened, SessionError};
use super::output::TlsOutput;
use super::{fast, unbuffered};
use crate::shell::transport::buffers::{Buffer, PLAIN_BYTES_MAX};
use crate::tls::peer::UpstreamHandshake;
use crate::tls::record::{KEY_UPDATE_BYTES, OVERHEAD_BYTES, RecordLayer};

/// The most that sealing adds to its plaintext: header, content type and tag, or TLS 1.2's explicit
/// nonce; and a `KeyUpdate` in front of it.
pub const RECORD_OVERHEAD_MAX: usize = OVERHEAD_BYTES + KEY_UPDATE_BYTES;

const _: () = assert!(RECORD_OVERHEAD_MAX >= 5 + 8 + 16, "TLS 1.2 adds this much");

/// How the bytes of a connection become plaintext, and back.
pub enum Session {
    /// Without TLS: the bytes are the plaintext.
    Plain,
    /// We are the server, and rustls opens and seals.
    Server(Box<UnbufferedServerConnection>),
    /// We are the client, and rustls opens and seals.
    Client(Box<UnbufferedClientConnection>),
    /// TLS 1.3, and we open and seal.
    Fast(Box<RecordLayer>),
    /// TLS 1.3 whose keys could not be taken over from rustls: nothing can be opened or sealed.
    Over,
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
    pub fn enable_fast_path(&mut self, tls_output: &TlsOutput) -> Result<(), SessionError> {
        let is_13 = |version| version == Some(ProtocolVersion::TLSv1_3);
        let records = match std::mem::replace(self, Self::Over) {
            Self::Server(connection) if is_13(connection.protocol_version()) => {
                RecordLayer::of_server(*connection)
            }
            Self::Client(connection) if is_13(connection.protocol_version()) => {
                RecordLayer::of_client(*connection)
            }
            other => {
                *self = other;
                return Ok(());
            }
        };
        // Bytes that rustls has seen and not finished with would be lost. No handshake ends so: its
        // keys may not change within a message (RFC 8446, section 5.1).
        if tls_output.held > 0 || tls_output.failed {
            return Err(SessionError::Closed);
        }
        *self = Self::Fast(Box::new(records.map_err(SessionError::Tls)?));
        Ok(())
    }

    /// Processes the tickets that came with the peer's last flight, before our first request.
    ///
    /// # Errors
    /// As [`Session::open_next`]; also if there is data, because an answer to a request that was never
    /// sent is an attack (nginx CVE-2026-1642).
    pub fn process_tickets(
        &mut self,
        input: &mut Buffer,
        tls_output: &mut TlsOutput,
    ) -> Result<(), SessionError> {
        if let Self::Plain = self {
            return Ok(());
        }
        if let Opened::More = self.open_next(input, tls_output, |_| ())? {
            return Ok(());
        }
        tls_output.failed = true;
        Err(SessionError::Closed)
    }

    /// The upstream that we have just met, for as long as rustls knows it.
    #[must_use]
    pub fn peer(&self) -> Option<UpstreamHandshake<'_>> {
        match self {
            Self::Client(connection) => Some(UpstreamHandshake {
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
        tls_output: &mut TlsOutput,
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
            Self::Server(connection) => {
                unbuffered::open(&mut **connection, input, tls_output, take)
            }
            Self::Client(connection) => {
                unbuffered::open(&mut **connection, input, tls_output, take)
            }
            Self::Fast(records) => fast::open(records, input, tls_output, take),
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
        tls_output: &mut TlsOutput,
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
            Self::Server(connection) => {
                unbuffered::seal(&mut **connection, plain, tls_output, output)
            }
            Self::Client(connection) => {
                unbuffered::seal(&mut **connection, plain, tls_output, output)
            }
            Self::Fast(records) => fast::seal(records, plain, tls_output, output),
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
        tls_output: &mut TlsOutput,
    ) -> Result<HandshakeProgress, SessionError> {
        match self {
            Self::Plain | Self::Fast(_) => Ok(HandshakeProgress::Done),
            Self::Server(connection) => unbuffered::handshake(&mut **connection, input, tls_output),
            Self::Client(connection) => unbuffered::handshake(&mut **connection, input, tls_output),
            Self::Over => Err(SessionError::Closed),
        }
    }

    /// Queues what TLS owes the peer without waiting for data of ours: the answer to a `KeyUpdate`.
    pub fn queue_due_replies(&mut self, tls_output: &mut TlsOutput) {
        if tls_output.failed {
            return;
        }
        match self {
            Self::Plain | Self::Over => {}
            Self::Server(connection) => {
                unbuffered::queue_due_replies(&mut **connection, tls_output);
            }
            Self::Client(connection) => {
                unbuffered::queue_due_replies(&mut **connection, tls_output);
            }
            Self::Fast(records) => records.write_pending_key_update(&mut tls_output.pending),
        }
    }

    /// Queues `close_notify`.
    pub fn queue_close_notify(&mut self, tls_output: &mut TlsOutput) {
        match self {
            Self::Plain | Self::Over => {}
            Self::Server(connection) => {
                unbuffered::queue_close_notify(&mut **connection, tls_output);
            }
            Self::Client(connection) => {
                unbuffered::queue_close_notify(&mut **connection, tls_output);
            }
            Self::Fast(records) => {
                if !tls_output.failed {
                    records.close(&mut tls_output.pending);
                }
            }
        }
    }
}
