//! Drives rustls's unbuffered connections: every handshake, and all of TLS 1.2.
//!
//! rustls is shown one record after the other, never two at once. So it is known what it holds on to
//! (the records of a handshake message that is not whole, and nothing else), and nothing behind the
//! peer's last flight is lost when our own record layer takes over.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ProtocolVersion};

use super::buffers::{Buffer, RECORD_BYTES_MAX};
use super::session::{Opened, Progress, Said, SessionError, flush_pending};
use crate::tls::record::Fault;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Both of rustls's unbuffered connections, as one.
pub(super) trait Endpoint {
    type Data;
    /// Bytes of records that rustls may hold on to once the handshake is over.
    const HELD_BYTES_MAX: usize;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn handshaking(&self) -> bool;
    /// Is there something encoded that nobody has taken yet?
    fn has_more_to_say(&self) -> bool;
    /// Is the protocol TLS 1.3?
    fn is_tls13(&self) -> bool;
    /// Is the protocol TLS 1.3, and everything that comes protected, but for what is always plain?
    fn reads_protected(&self) -> bool;
}

impl Endpoint for UnbufferedServerConnection {
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

    fn has_more_to_say(&self) -> bool {
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

impl Endpoint for UnbufferedClientConnection {
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

    fn has_more_to_say(&self) -> bool {
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

/// A record that TLS does not know, or not in this place, is an unexpected message (RFC 8446, section 5).
/// rustls has other words for some of them, so it is shown one that it has this word for: only it can
/// protect the alert. `None` if the next record is as it should be, or not whole.
fn refuse_misplaced(
    connection: &mut impl Endpoint,
    input: &Buffer,
    said: &mut Said,
) -> Option<SessionError> {
    let behind = input.filled().get(said.held..)?;
    let [kind, _, _, high, low] = *behind.first_chunk::<5>()?;
    let empty = [high, low] == [0, 0];
    let known = match kind {
        APPLICATION_DATA => true,
        CHANGE_CIPHER_SPEC => !empty,
        ALERT => !empty && (connection.handshaking() || !connection.is_tls13()),
        HANDSHAKE => !empty && !connection.reads_protected(),
        _ => false,
    };
    if known || connection.has_more_to_say() {
        return None;
    }
    let stand_in: &[u8] = if !connection.handshaking() || said.changed_cipher {
        &[CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1]
    } else if connection.reads_protected() {
        &[CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 2]
    } else {
        &[APPLICATION_DATA, 3, 3, 0, 1, 0]
    };
    refuse_with(connection, input, said, stand_in);
    Some(SessionError::Record(Fault::UnexpectedRecord))
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
    fn next(input: &Buffer, said: &Said, connection: &impl Endpoint) -> Self {
        let held = said.held;
        let filled = input.filled();
        if connection.has_more_to_say() {
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
    const fn old(said: &Said) -> Self {
        Self { shown: said.held, whole: said.held, fresh: false }
    }

    fn of<'b>(&self, input: &'b mut Buffer) -> &'b mut [u8] {
        input.filled_mut().get_mut(..self.shown).unwrap_or_default()
    }

    /// rustls is done with the first `discard` bytes.
    fn discard(self, discard: usize, input: &mut Buffer, said: &mut Said) {
        input.consume(discard);
        said.held = self.whole.saturating_sub(discard);
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
fn fail(connection: &mut impl Endpoint, input: &mut Buffer, said: &mut Said, error: &Error) {
    said.failed = true;
    if connection.has_more_to_say() || !matches!(error, Error::InvalidMessage(_)) {
        while connection.has_more_to_say() {
            let UnbufferedStatus { discard, state } = connection.process(input.filled_mut());
            let Ok(ConnectionState::EncodeTlsData(mut chunk)) = state else { return };
            encode(&mut chunk, &mut said.pending);
            input.consume(discard);
        }
        return;
    }
    // It has none for a message that is too long: the header of a record that cannot be
    // is a decode_error whatever the state, and only rustls can protect that.
    refuse_with(connection, input, said, &[APPLICATION_DATA, 3, 3, 0xff, 0xff]);
}

/// Shows rustls `stand_in` in the place of the next record, which makes it say the alert we want.
fn refuse_with(connection: &mut impl Endpoint, input: &Buffer, said: &mut Said, stand_in: &[u8]) {
    let held = input.filled().get(..said.held).unwrap_or_default();
    let mut shown = [held, stand_in].concat();
    said.failed = true;
    let mut refused = false;
    while !refused || connection.has_more_to_say() {
        let UnbufferedStatus { discard, state } = connection.process(&mut shown);
        match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => encode(&mut chunk, &mut said.pending),
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            Ok(_) | Err(_) => refused = true,
        }
        shown.drain(..discard.min(shown.len()));
    }
}

pub(super) fn open<C: Endpoint, R>(
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
        if let Some(error) = refuse_misplaced(connection, input, said) {
            return Err(error);
        }
        let window = Window::next(input, said, connection);
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
                encode(&mut chunk, &mut said.pending);
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
        window.discard(discard, input, said);
        match found {
            // No message of a handshake that is over is as long: memory would be held for nothing.
            _ if said.held > C::HELD_BYTES_MAX => {
                said.failed = true;
                return Err(SessionError::Closed);
            }
            None => {}
            Some(Err(error)) => {
                if let SessionError::Tls(reason) = &error {
                    fail(connection, input, said, reason);
                }
                said.failed = true;
                return Err(error);
            }
            Some(Ok(found)) => {
                said.note(input);
                return Ok(found);
            }
        }
    }
}

pub(super) fn seal(
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

pub(super) fn handshake<C: Endpoint>(
    connection: &mut C,
    input: &mut Buffer,
    said: &mut Said,
) -> Result<Progress, SessionError> {
    loop {
        let handshaking = connection.handshaking();
        if handshaking && let Some(error) = refuse_misplaced(connection, input, said) {
            return Err(error);
        }
        let window =
            if handshaking { Window::next(input, said, connection) } else { Window::old(said) };
        if window.fresh {
            let kind = input.filled().get(said.held);
            said.changed_cipher =
                !connection.is_tls13() && kind.is_some_and(|kind| *kind == CHANGE_CIPHER_SPEC);
        }
        let UnbufferedStatus { discard, state } = connection.process(window.of(input));
        let progress = match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                encode(&mut chunk, &mut said.pending);
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            // A server that asks for no certificate may write before the client has finished.
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                if !handshaking {
                    Some(Ok(Progress::Done))
                } else if window.fresh {
                    None
                } else {
                    Some(Ok(Progress::NeedsRead))
                }
            }
            // Nobody was shown anything behind the last flight, so there is nothing to read yet.
            Ok(_) => Some(Err(SessionError::Closed)),
            Err(error) => Some(Err(SessionError::Tls(Box::new(error)))),
        };
        window.discard(discard, input, said);
        match progress {
            None => {}
            Some(Err(error)) => {
                if let SessionError::Tls(reason) = &error {
                    fail(connection, input, said, reason);
                }
                said.failed = true;
                return Err(error);
            }
            Some(Ok(progress)) => {
                said.note(input);
                return Ok(progress);
            }
        }
    }
}

/// Takes the answer to a `KeyUpdate`, which rustls keeps until there is data to be sent: it is asked for
/// a record in no room, and gets the answer ready before it sees that.
pub(super) fn say_what_is_due(connection: &mut impl Endpoint, said: &mut Said) {
    if !connection.is_tls13() && !connection.has_more_to_say() {
        return;
    }
    let Said { pending, unread, .. } = said;
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

pub(super) fn close(connection: &mut impl Endpoint, said: &mut Said) {
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
