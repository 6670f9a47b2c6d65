//! What may still be said in handshake messages once the handshake is over (RFC 8446, section 4.6).
//!
//! To a server only `KeyUpdate`; to a client tickets too. Everything else is refused as soon as its
//! first bytes show what it is, so a peer cannot make us keep what we will not read.

use super::error::RecordError;

const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE_TYPE: u8 = 24;

/// Type and length.
const MESSAGE_HEADER_BYTES: usize = 4;
/// A ticket's longest body; rustls takes no longer one.
pub(super) const MESSAGE_BYTES_MAX: usize = 0xffff;

/// Ours: new keys follow, and the peer need not change its own (section 4.6.3).
pub(super) const KEY_UPDATE: [u8; 5] = [KEY_UPDATE_TYPE, 0, 0, 1, 0];

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// We answer.
    Server,
    /// We ask.
    Client,
}

/// A whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Message<'a> {
    /// `request_update`, as it was sent.
    KeyUpdate(u8),
    /// The body of a `NewSessionTicket`.
    Ticket(&'a [u8]),
}

/// The first message and what is behind it; `None` if it is not whole.
pub(super) fn first(bytes: &[u8], role: Role) -> Result<Option<(Message<'_>, &[u8])>, RecordError> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    match (*kind, role) {
        (KEY_UPDATE_TYPE, _) | (NEW_SESSION_TICKET, Role::Client) => {}
        _ => return Err(RecordError::UnexpectedMessage),
    }
    let Some(([kind, high, middle, low], rest)) = bytes.split_first_chunk::<MESSAGE_HEADER_BYTES>()
    else {
        return Ok(None);
    };
    let body_bytes = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if *kind == KEY_UPDATE_TYPE && body_bytes != 1 || body_bytes > MESSAGE_BYTES_MAX {
        return Err(RecordError::BrokenMessage);
    }
    let Some((body, rest)) = rest.split_at_checked(body_bytes) else { return Ok(None) };
    let message = match (*kind, body) {
        (KEY_UPDATE_TYPE, [request]) => Message::KeyUpdate(*request),
        _ => Message::Ticket(body),
    };
    Ok(Some((message, rest)))
}
