//! Why a connection is over, and what the peer is told (RFC 8446, section 6.2).

/// One cause each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordError {
    /// Not a record of application data on the outside, or none that belongs here on the inside.
    UnexpectedRecord,
    /// Longer than a record may be (sections 5.2 and 5.4).
    Oversized,
    /// It does not authenticate: forged, damaged, repeated, or out of its turn.
    Forged,
    /// A protected record with no content type in it (section 5.4).
    OnlyPadding,
    /// A handshake or alert record without content (section 5.4).
    EmptyFragment,
    /// Another record between the pieces of a handshake message (section 5.1).
    Interleaved,
    /// Too many records without content in a row.
    TooManyEmptyRecords,
    /// A handshake message that does not belong after the handshake (section 4.6).
    UnexpectedMessage,
    /// A handshake message of a length that it cannot have, or that cannot be read.
    BrokenMessage,
    /// A handshake message whose contents contradict each other.
    IllegalMessage,
    /// A `KeyUpdate` that asks for something unknown (section 4.6.3).
    IllegalKeyUpdate,
    /// Something behind a `KeyUpdate` in the same record (section 5.1).
    KeyUpdateNotLast,
    /// Too many key updates without any data.
    TooManyKeyUpdates,
    /// There are no further keys, or no further sequence numbers (section 5.3).
    NoKeys,
    /// An alert that is not two bytes.
    BrokenAlert,
    /// An alert of a level that does not exist.
    AlertLevel,
    /// A warning, which TLS 1.3 does not have (section 6).
    Warning,
    /// Too many of the one warning that is tolerated.
    TooManyWarnings,
    /// The peer has failed, with this alert. It hears nothing from us.
    PeerAlert(u8),
}

const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const BAD_RECORD_MAC: u8 = 20;
pub(crate) const RECORD_OVERFLOW: u8 = 22;
const ILLEGAL_PARAMETER: u8 = 47;
pub(crate) const DECODE_ERROR: u8 = 50;
const INTERNAL_ERROR: u8 = 80;

impl RecordError {
    /// The description of the alert that the peer gets.
    #[must_use]
    pub const fn alert(self) -> Option<u8> {
        match self {
            Self::UnexpectedRecord
            | Self::OnlyPadding
            | Self::EmptyFragment
            | Self::Interleaved
            | Self::TooManyEmptyRecords
            | Self::UnexpectedMessage
            | Self::KeyUpdateNotLast
            | Self::TooManyKeyUpdates
            | Self::TooManyWarnings => Some(UNEXPECTED_MESSAGE),
            Self::Forged => Some(BAD_RECORD_MAC),
            Self::Oversized => Some(RECORD_OVERFLOW),
            Self::IllegalMessage | Self::IllegalKeyUpdate | Self::AlertLevel => {
                Some(ILLEGAL_PARAMETER)
            }
            Self::BrokenMessage | Self::BrokenAlert | Self::Warning => Some(DECODE_ERROR),
            Self::NoKeys => Some(INTERNAL_ERROR),
            Self::PeerAlert(_) => None,
        }
    }

    /// A few words for the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnexpectedRecord => "a record that does not belong there",
            Self::Oversized => "a record that is too long",
            Self::Forged => "a record that does not authenticate",
            Self::OnlyPadding => "a record of nothing but padding",
            Self::EmptyFragment => "a handshake or alert record without content",
            Self::Interleaved => "a record between the pieces of a handshake message",
            Self::TooManyEmptyRecords => "too many records without content",
            Self::UnexpectedMessage => "a handshake message after the handshake",
            Self::BrokenMessage => "a handshake message that cannot be read",
            Self::IllegalMessage => "a handshake message that contradicts itself",
            Self::IllegalKeyUpdate => "a key update that asks for something unknown",
            Self::KeyUpdateNotLast => "a message behind a key update",
            Self::TooManyKeyUpdates => "too many key updates",
            Self::NoKeys => "no further keys",
            Self::BrokenAlert => "an alert that cannot be read",
            Self::AlertLevel => "an alert of an unknown level",
            Self::Warning => "a warning alert",
            Self::TooManyWarnings => "too many warning alerts",
            Self::PeerAlert(_) => "an alert",
        }
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealError {
    /// The room does not suffice; nothing was changed.
    NoRoom,
    /// We have said our last word, or there are no keys any more.
    Ended,
}
