//! A piece of a parsed buffer, as two offsets.

/// Offsets into the buffer that was parsed. Never outlives it; costs eight bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte behind it.
    pub end: u32,
}

impl Span {
    /// The bytes, or nothing if the span is not of this buffer.
    #[must_use]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Is there nothing in it?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}
