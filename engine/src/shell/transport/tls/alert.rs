//! How a session of rustls's fails: the alert that tells the peer why.
//!
//! rustls queues an alert for most of what it refuses. Where it has none, or a record cannot be by its
//! header alone, it is made to say the one that the RFC asks for.

use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{Error, PeerMisbehaved};

use super::outcome::SessionError;
use super::output::TlsOutput;
use super::rustls_connection::{UnbufferedConnection, encode};
use crate::shell::transport::buffers::Buffer;
use crate::tls::handshake::alert_record::alert_record;
use crate::tls::record::{CONTENT_BYTES_MAX, RecordError};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Refuses the next record if its header, or so much of it as there is, says that it cannot be: rustls has
/// other words for that, or none.
pub(super) fn refuse_header(
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
        RecordError::UnexpectedRecord
    } else if !handshaking && behind.iter().skip(1).take(2).any(|version| *version != 3) {
        // The version is authenticated, and this is not the one that was agreed on.
        RecordError::Forged
    } else if body_bytes.is_some_and(|bytes| bytes > longest) {
        RecordError::Oversized
    } else {
        return None;
    };
    if connection.has_output() {
        return None;
    }
    refuse(connection, input.filled().get(..tls_output.held)?, tls_output, fault);
    Some(SessionError::Record(fault))
}

/// The session has failed: the alert that rustls has ready is all that may still be said, or the one that
/// it should have had. `before`: bytes that it held when it was shown the record.
pub(super) fn fail(
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
            refuse(connection, held(tls_output.held), tls_output, RecordError::BrokenMessage);
        }
        // These are found before the record counts as read; it would be in the way of another.
        Error::PeerMisbehaved(
            PeerMisbehaved::MessageInterleavedWithHandshakeMessage
            | PeerMisbehaved::TooManyEmptyFragments
            | PeerMisbehaved::IllegalTlsInnerPlaintext,
        ) => refuse(connection, held(before), tls_output, RecordError::UnexpectedRecord),
        Error::PeerMisbehaved(_) => {
            refuse(connection, held(tls_output.held), tls_output, RecordError::UnexpectedRecord);
        }
        _ => {}
    }
    match error {
        Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec) => {
            SessionError::Record(RecordError::UnexpectedRecord)
        }
        error => SessionError::Tls(Box::new(error)),
    }
}

/// Makes rustls say this fault's alert: it is shown `held`, which it knows, and a record that cannot be.
pub(super) fn refuse(
    connection: &mut impl UnbufferedConnection,
    held: &[u8],
    tls_output: &mut TlsOutput,
    fault: RecordError,
) {
    tls_output.failed = true;
    let mut shown = held.to_vec();
    take_alert(connection, &mut shown, tls_output);
    let start = tls_output.pending.len();
    let alert = fault.alert().unwrap_or_default();
    // Before there are keys, a session that has failed already looks at headers only.
    for record in [&alert_record(alert)[..], &[APPLICATION_DATA, 3, 3, 0xff, 0xff]] {
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
