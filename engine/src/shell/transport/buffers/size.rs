//! The sizes that buffers have: between what an idle connection holds and what a flowing body needs.
//!
//! A connection that is stalled holds what it has received and no more, so there are sizes in between;
//! each is made for a number of whole TLS records.

use strum::{EnumCount, VariantArray};

use crate::report::BUFFER_SIZES;

/// The largest TLS record on the wire: header, 2^14 bytes, and TLS 1.2's allowance (RFC 5246).
pub const RECORD_BYTES_MAX: usize = 5 + 16_384 + 2_048;
/// The largest plaintext of one record.
pub const PLAIN_BYTES_MAX: usize = 16_384;

/// How much a buffer holds.
#[derive(Clone, Copy, Debug, EnumCount, Eq, Ord, PartialEq, PartialOrd, VariantArray)]
pub enum BufferSize {
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

impl BufferSize {
    /// The smallest size from [`BufferSize::Record`] up that holds so many bytes.
    #[must_use]
    pub fn holding(len: usize) -> Self {
        let fits = |size: &Self| *size != Self::Small && size.bytes() >= len;
        Self::VARIANTS.iter().copied().find(fits).unwrap_or(Self::Body)
    }

    /// The smallest size that holds so many bytes.
    #[must_use]
    pub fn from_small(len: usize) -> Self {
        if len <= Self::Small.bytes() { Self::Small } else { Self::holding(len) }
    }

    /// The largest size of no more than so many bytes, but a record at least.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        let fits = |size: &Self| size.bytes() <= bytes;
        Self::VARIANTS
            .iter()
            .copied()
            .rev()
            .find(fits)
            .map_or(Self::Record, |size| size.max(Self::Record))
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

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Free buffers kept for the next renter; more than these go back to the allocator.
    pub(crate) const fn kept_max(self) -> usize {
        match self {
            Self::Small => 4_096,
            Self::Record => 512,
            Self::Double => 64,
            Self::Quad | Self::Body => 32,
        }
    }
}

const _: () = assert!(BufferSize::COUNT == BUFFER_SIZES.len(), "each has its name");
const _: () =
    assert!(BufferSize::Record.bytes() >= RECORD_BYTES_MAX, "a record must fit its buffer");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::transport::buffers::BufferPool;

    #[test]
    fn sizes_are_rounded_up_for_what_is_there_and_down_for_what_there_is_room_for() {
        for bytes in (0..140 * 1_024).step_by(512) {
            let (holding, within) = (BufferSize::holding(bytes), BufferSize::within(bytes));
            assert!(holding == BufferSize::Body || holding.bytes() >= bytes, "{bytes}");
            assert!(within == BufferSize::Record || within.bytes() <= bytes, "{bytes}");
            assert!(
                within <= holding && holding != BufferSize::Small && within != BufferSize::Small
            );
            assert_eq!(
                BufferSize::from_small(bytes) == BufferSize::Small,
                bytes <= 1_024,
                "{bytes}"
            );
        }
    }

    #[test]
    fn what_is_in_hand_does_not_keep_a_large_buffer() {
        let buffers = BufferPool::default();
        let mut slot = Some(buffers.rent(BufferSize::Body));
        slot.as_mut().unwrap().append(b"ab");
        buffers.resize(&mut slot, BufferSize::Record);
        assert!(slot.is_some_and(|it| it.size() == BufferSize::Record && it.filled() == b"ab"));
    }
}
