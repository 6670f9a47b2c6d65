//! Drives rustls's unbuffered connections: every handshake, and all of TLS 1.2.
//!
//! rustls is shown one record after the other, never two at once. So it is known what it holds on to
//! (the records of a handshake message that is not whole, and nothing else), and nothing behind the
//! peer's last flight is lost when our own record layer takes over.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, PeerMisbehaved, ProtocolVersion};

use super::outcome::{HandshakeProgress, Opened, SessionError};
use super::output::{TlsOutput, flush_pending};
use crate::shell::transport::buffers::{Buffer, RECORD_BYTES_MAX};
use crate::tls::record::{CONTENT_BYTES_MAX, Fault};
use crate::tls::stand_in::stand_in;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Both of rustls's unbuffered connections, as one.
pub(crate) trait UnbufferedConnection {
    type Data;
    /// Bytes of records that rustls may hold on to once the handshake is over.
    const HELD_BYTES_MAX: usize;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn handshaking(&self) -> bool;
    /// Is there something encoded that nobody has taken yet?
    fn has_output(&self) -> bool;
    /// Is the protocol TLS 1.3?
    fn is_tls13(&self) -> bool;
    /// Is the protocol TLS 1.3, and everything that comes protected, but for what is always plain?
    fn reads_protected(&self) -> bool;
}

impl UnbufferedConnection for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    // Clients have hardly anything to say then.
    const HELD_BYTES_MAX: usize = RECORD_BYTES_MAX;

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(input)
    }

    fn handshaking(&self) -> bool {
        self.is_handshaking()
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn is_tls13(&self) -> bool {
        self.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn reads_protected(&self) -> bool {
        // The key exchange is complete when our ServerHello is made.
        self.is_tls13() && self.negotiated_key_exchange_group().is_some()
    }
}

impl UnbufferedConnection for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    // A ticket may be 2^16 bytes long.
    const HELD_BYTES_MAX: usize = 5 * RECORD_BYTES_MAX;

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(input)
    }

    fn handshaking(&self) -> bool {
        self.is_handshaking()
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn is_tls13(&self) -> bool {
        self.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn reads_protected(&self) -> bool {
        // What a server sends in the plain after its ServerHello does not authenticate.
        self.is_tls13() && !self.is_handshaking()
    }
}

/// Refuses the next record if its header, or so much of it as there is, says that it cannot be: rustls has
/// other words for that, or none.
fn refuse_header(
    connection: &mut impl UnbufferedConnection,
    input: &Buffer,
    tls_output: &mut TlsOutput,
) -> Option<SessionError> {
    let behind = input.filled().get(tls_output.held..)?;
    let (kind, header) = (*behind.first()?, behind.first_chunk::<5>());
    let body_bytes = header.map(|[.., high, low]| usize::from(u16::from_be_bytes([*high, *low])));
    let (handshaking, tls13) = (connection.handshaking(), connection.is_tls13());
    let longest = CONTENT_BYTES_MAX + if tls13 { 256 } else { 2048 };
    let filled = body_bytes != Some(0);
    let known = match kind {
        APPLICATION_DATA => true,
        CHANGE_CIPHER_SPEC => filled && handshaking,
        ALERT => filled && (handshaking || !tls13),
        HANDSHAKE => filled && !connection.reads_protected(),
        _ => false,
    };
    let fault = if !known {
        // Section 5 of RFC 8446.
        Fault::UnexpectedRecord
    } else if !handshaking && behind.iter().skip(1).take(2).any(|version| *version != 3) {
        // The version is authenticated, and this is not the one that was agreed on.
        Fault::Forged
    } else if body_bytes.is_some_and(|bytes| bytes > longest) {
        Fault::Oversized
    } else {
        return None;
    };
    if connection.has_output() {
        return None;
    }
    refuse(connection, input.filled().get(..tls_output.held)?, tls_output, fault);
    Some(SessionError::Record(fault))
}

/// How much of a buffer rustls is shown.
#[derive(Clone, Copy)]
struct Window {
    /// So many bytes.
    shown: usize,
    /// So many of them are in whole records.
    whole: usize,
    /// It is shown a record that it has not seen.
    fresh: bool,
}

impl Window {
    /// What rustls holds already, and the next record; of that all there is, if it is not whole, because
    /// a header may be wrong by itself. Nothing new while rustls has something to say: it would say
    /// that first, and the record would not be looked at.
    fn next(
        input: &Buffer,
        tls_output: &TlsOutput,
        connection: &impl UnbufferedConnection,
    ) -> Self {
        let held = tls_output.held;
        let filled = input.filled();
        if connection.has_output() {
            return Self { shown: held, whole: held, fresh: false };
        }
        let header = filled.get(held..).and_then(<[u8]>::first_chunk::<5>);
        let end = header
            .map(|[_, _, _, high, low]| held + 5 + usize::from(u16::from_be_bytes([*high, *low])));
        match end.filter(|end| *end <= filled.len()) {
            Some(end) => Self { shown: end, whole: end, fresh: true },
            None => Self { shown: filled.len(), whole: held, fresh: false },
        }
    }

    /// Only what rustls holds.
    const fn old(tls_output: &TlsOutput) -> Self {
        Self { shown: tls_output.held, whole: tls_output.held, fresh: false }
    }

    fn of<'b>(&self, input: &'b mut Buffer) -> &'b mut [u8] {
        input.filled_mut().get_mut(..self.shown).unwrap_or_default()
    }

    /// rustls is done with the first `discard` bytes.
    fn discard(self, discard: usize, input: &mut Buffer, tls_output: &mut TlsOutput) {
        input.consume(discard);
        tls_output.held = self.whole.saturating_sub(discard);
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

/// The session has failed: the alert that rustls has ready is all that may still be said, or the one that
/// it should have had. `before`: bytes that it held when it was shown the record.
fn fail(
    connection: &mut impl UnbufferedConnection,
    input: &Buffer,
    tls_output: &mut TlsOutput,
    error: Error,
    before: usize,
) -> SessionError {
    tls_output.failed = true;
    let held = |bytes| input.filled().get(..bytes).unwrap_or_default();
    match &error {
        _ if connection.has_output() => take_alert(connection, &mut Vec::new(), tls_output),
        // It has none for a message that is too long.
        Error::InvalidMessage(_) => {
            refuse(connection, held(tls_output.held), tls_output, Fault::BrokenMessage);
        }
        // These are found before the record counts as read; it would be in the way of another.
        Error::PeerMisbehaved(
            PeerMisbehaved::MessageInterleavedWithHandshakeMessage
            | PeerMisbehaved::TooManyEmptyFragments
            | PeerMisbehaved::IllegalTlsInnerPlaintext,
        ) => refuse(connection, held(before), tls_output, Fault::UnexpectedRecord),
        Error::PeerMisbehaved(_) => {
            refuse(connection, held(tls_output.held), tls_output, Fault::UnexpectedRecord);
        }
        _ => {}
    }
    match error {
        Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec) => {
            SessionError::Record(Fault::UnexpectedRecord)
        }
        error => SessionError::Tls(Box::new(error)),
    }
}

/// Makes rustls say this fault's alert: it is shown `held`, which it knows, and a record that cannot be.
fn refuse(
    connection: &mut impl UnbufferedConnection,
    held: &[u8],
    tls_output: &mut TlsOutput,
    fault: Fault,
) {
    tls_output.failed = true;
    let mut shown = held.to_vec();
    take_alert(connection, &mut shown, tls_output);
    let start = tls_output.pending.len();
    let alert = fault.alert().unwrap_or_default();
    // Before there are keys, a session that has failed already looks at headers only.
    for record in [&stand_in(alert)[..], &[APPLICATION_DATA, 3, 3, 0xff, 0xff]] {
        shown.extend_from_slice(record);
        // Whole messages that wait before it come first, one at a time. Each has four bytes of header.
        for _ in 0..shown.len() / 4 + 2 {
            if connection.has_output() {
                break;
            }
            let UnbufferedStatus { discard, state } = connection.process(&mut shown);
            if let Ok(ConnectionState::TransmitTlsData(sent)) = state {
                sent.done();
            }
            shown.drain(..discard.min(shown.len()));
        }
        take_alert(connection, &mut shown, tls_output);
        match tls_output.pending.get_mut(start..).unwrap_or_default() {
            [] => shown.truncate(shown.len().saturating_sub(record.len())),
            // In the plain; it may be another one then.
            [ALERT, _, _, 0, 2, _, description] => {
                *description = alert;
                return;
            }
            _ => return,
        }
    }
}

/// Takes what rustls has ready. Asked for more, it would look at the same wrong bytes again.
fn take_alert(
    connection: &mut impl UnbufferedConnection,
    shown: &mut Vec<u8>,
    tls_output: &mut TlsOutput,
) {
    while connection.has_output() {
        let UnbufferedStatus { discard, state } = connection.process(shown);
        let Ok(ConnectionState::EncodeTlsData(mut chunk)) = state else { return };
        encode(&mut chunk, &mut tls_output.pending);
        shown.drain(..discard.min(shown.len()));
    }
}

pub(crate) fn open<C: UnbufferedConnection, R>(
    connection: &mut C,
    input: &mut Buffer,
    tls_output: &mut TlsOutput,
    take: impl FnOnce(&[u8]) -> R,
) -> Result<Opened<R>, SessionError> {
    if tls_output.failed {
        return Err(SessionError::Closed);
    }
    let mut take = Some(take);
    loop {
        if let Some(error) = refuse_header(connection, input, tls_output) {
            return Err(error);
        }
        let (window, mut before) = (Window::next(input, tls_output, connection), tls_output.held);
        let UnbufferedStatus { mut discard, state } = connection.process(window.of(input));
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
                encode(&mut chunk, &mut tls_output.pending);
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Ok(Opened::Closed)),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                (!window.fresh).then_some(Ok(Opened::More))
            }
            // Early data is never offered or accepted; anything new in rustls is not ours to guess.
            Ok(_) => Some(Err(SessionError::Closed)),
            Err(error) => Some(Err(SessionError::Tls(Box::new(error)))),
        };
        window.discard(discard, input, tls_output);
        before = before.saturating_sub(discard);
        match found {
            // No message of a handshake that is over is as long: memory would be held for nothing.
            _ if tls_output.held > C::HELD_BYTES_MAX => {
                let held = input.filled().get(..tls_output.held).unwrap_or_default();
                refuse(connection, held, tls_output, Fault::BrokenMessage);
                return Err(SessionError::Record(Fault::BrokenMessage));
            }
            None => {}
            Some(Err(SessionError::Tls(error))) => {
                return Err(fail(connection, input, tls_output, *error, before));
            }
            Some(Err(error)) => {
                tls_output.failed = true;
                return Err(error);
            }
            Some(Ok(found)) => {
                tls_output.note(input);
                return Ok(found);
            }
        }
    }
}

pub(crate) fn seal(
    connection: &mut impl UnbufferedConnection,
    plain: &[u8],
    tls_output: &mut TlsOutput,
    output: &mut Buffer,
) -> Result<(), SessionError> {
    if tls_output.failed {
        return Err(SessionError::Closed);
    }
    let TlsOutput { pending, unread, .. } = tls_output;
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

pub(crate) fn handshake<C: UnbufferedConnection>(
    connection: &mut C,
    input: &mut Buffer,
    tls_output: &mut TlsOutput,
) -> Result<HandshakeProgress, SessionError> {
    loop {
        let handshaking = connection.handshaking();
        if handshaking && let Some(error) = refuse_header(connection, input, tls_output) {
            return Err(error);
        }
        let window = if handshaking {
            Window::next(input, tls_output, connection)
        } else {
            Window::old(tls_output)
        };
        let mut before = tls_output.held;
        let UnbufferedStatus { discard, state } = connection.process(window.of(input));
        let progress = match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                encode(&mut chunk, &mut tls_output.pending);
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            // A server that asks for no certificate may write before the client has finished.
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                if !handshaking {
                    Some(Ok(HandshakeProgress::Done))
                } else if window.fresh {
                    None
                } else {
                    Some(Ok(HandshakeProgress::NeedsRead))
                }
            }
            // Nobody was shown anything behind the last flight, so there is nothing to read yet.
            Ok(_) => Some(Err(SessionError::Closed)),
            Err(error) => Some(Err(SessionError::Tls(Box::new(error)))),
        };
        window.discard(discard, input, tls_output);
        before = before.saturating_sub(discard);
        match progress {
            None => {}
            Some(Err(SessionError::Tls(error))) => {
                return Err(fail(connection, input, tls_output, *error, before));
            }
            Some(Err(error)) => {
                tls_output.failed = true;
                return Err(error);
            }
            Some(Ok(progress)) => {
                tls_output.note(input);
                return Ok(progress);
            }
        }
    }
}

/// Takes the answer to a `KeyUpdate`, which rustls keeps until there is data to be sent: it is asked for
/// a record in no room, and gets the answer ready before it sees that.
pub(crate) fn queue_due_replies(
    connection: &mut impl UnbufferedConnection,
    tls_output: &mut TlsOutput,
) {
    if !connection.is_tls13() && !connection.has_output() {
        return;
    }
    let TlsOutput { pending, unread, .. } = tls_output;
    let mut asked = false;
    loop {
        match connection.process(unread).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) if !asked => {
                asked = true;
                let nothing = traffic.encrypt(&[0], &mut []);
                debug_assert!(nothing.is_err(), "there was no room");
            }
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => encode(&mut chunk, pending),
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            Ok(_) | Err(_) => return,
        }
    }
}

pub(crate) fn close(connection: &mut impl UnbufferedConnection, tls_output: &mut TlsOutput) {
    if tls_output.failed {
        return;
    }
    let TlsOutput { pending, unread, .. } = tls_output;
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
