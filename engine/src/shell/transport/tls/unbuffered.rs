//! Drives rustls's unbuffered connections: every handshake, and all of TLS 1.2.
//!
//! rustls is shown one record after the other, never two at once. So it is known what it holds on to
//! (the records of a handshake message that is not whole, and nothing else), and nothing behind the
//! peer's last flight is lost when our own record layer takes over.

use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};

use super::alert::{fail, refuse, refuse_header};
use super::outcome::{HandshakeProgress, Opened, SessionError};
use super::output::{TlsOutput, flush_pending};
use super::rustls_connection::{UnbufferedConnection, Window, encode};
use crate::shell::transport::buffers::Buffer;
use crate::tls::record::RecordError;

/// Opens the next record; see [`Session::open_next`](super::Session::open_next).
pub(super) fn open<C: UnbufferedConnection, R>(
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
        if tls_output.held > C::HELD_BYTES_MAX {
            // No message of a handshake that is over is as long: memory would be held for nothing.
            let held = input.filled().get(..tls_output.held).unwrap_or_default();
            refuse(connection, held, tls_output, RecordError::BrokenMessage);
            return Err(SessionError::Record(RecordError::BrokenMessage));
        }
        if let Some(found) = found {
            return settle(connection, input, tls_output, found, before);
        }
    }
}

/// The last step before the caller is told: a failure has its alert, and what rustls holds is noted.
/// `before`: bytes that it held when it was shown the record.
fn settle<T>(
    connection: &mut impl UnbufferedConnection,
    input: &Buffer,
    tls_output: &mut TlsOutput,
    found: Result<T, SessionError>,
    before: usize,
) -> Result<T, SessionError> {
    match found {
        Ok(found) => {
            tls_output.note(input);
            Ok(found)
        }
        Err(SessionError::Tls(error)) => Err(fail(connection, input, tls_output, *error, before)),
        Err(error) => {
            tls_output.failed = true;
            Err(error)
        }
    }
}

/// Seals `plain`; see [`Session::seal`](super::Session::seal).
pub(super) fn seal(
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

/// Drives a handshake; see [`Session::handshake`](super::Session::handshake).
pub(super) fn handshake<C: UnbufferedConnection>(
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
        if let Some(progress) = progress {
            return settle(connection, input, tls_output, progress, before);
        }
    }
}

/// Takes the answer to a `KeyUpdate`, which rustls keeps until there is data to be sent: it is asked for
/// a record in no room, and gets the answer ready before it sees that.
pub(super) fn queue_due_replies(
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

/// Queues `close_notify`.
pub(super) fn queue_close_notify(
    connection: &mut impl UnbufferedConnection,
    tls_output: &mut TlsOutput,
) {
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
