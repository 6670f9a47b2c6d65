//! The sizes that buffers have: between what an idle connection holds and what a flowing body needs.
//!
//! A connection that does not get on holds what it has in hand and no more, so there are sizes in
//! between: each is made for whole TLS records.

use crate::report::BUFFER_SIZES;

/// The largest TLS record on the wire: header, 2^14 bytes, and TLS 1.2's allowance (RFC 5246).
pub const RECORD_BYTES_MAX: usize = 5 + 16_384 + 2_048;
/// The largest plaintext of one record.
pub const PLAIN_BYTES_MAX: usize = 16_384;

/// How many sizes there are.
pub const SIZES: usize = 5;

/// How much a buffer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// What an idle connection keeps posted: most requests fit, and it costs little to hold.
    Small,
    /// One whole TLS record, or a head.
    Record,
    /// Two of them.
    Double,
    /// Four of them.
    Quad,
    /// Eight of them in one send: a flowing body.
    Body,
}

impl Size {
    /// All of them, the smallest first.
    pub const ALL: [Self; SIZES] =
        [Self::Small, Self::Record, Self::Double, Self::Quad, Self::Body];

    /// The smallest one for so many bytes that are worth more than a small one.
    #[must_use]
    pub fn holding(len: usize) -> Self {
        let fits = |size: &Self| *size != Self::Small && size.bytes() >= len;
        Self::ALL.into_iter().find(fits).unwrap_or(Self::Body)
    }

    /// Bytes of a buffer of this size.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => 1_024,
            Self::Record => 20 * 1_024,
            // Full records with their overhead, so that all of them leave in one send.
            Self::Double => 36 * 1_024,
            Self::Quad => 68 * 1_024,
            Self::Body => 132 * 1_024,
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Record => 1,
            Self::Double => 2,
            Self::Quad => 3,
            Self::Body => 4,
        }
    }

    /// Free buffers kept for the next renter; more than these go back to the allocator.
    pub(super) const fn kept_max(self) -> usize {
        match self {
            Self::Small => 4_096,
            Self::Record => 512,
            Self::Double => 64,
            Self::Quad | Self::Body => 32,
        }
    }
}

const _: () = assert!(SIZES == BUFFER_SIZES.len(), "each has its name");
const _: () = assert!(Size::Record.bytes() >= RECORD_BYTES_MAX, "a record must fit its buffer");
