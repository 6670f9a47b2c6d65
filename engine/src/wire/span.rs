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
    /// From `start` to before `end`, unless that does not fit into 32 bits or is backwards.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Option<Self> {
        let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
        (start <= end).then_some(Self { start, end })
    }

    /// The bytes, or nothing if the span is not of this buffer.
    #[must_use]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Is there nothing in it?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn a_span_of_another_buffer_is_empty_instead_of_a_panic() {
        let span = Span { start: 4, end: 9 };
        assert_eq!(span.of(b"0123456789"), b"45678");
        assert_eq!(span.of(b"01234567"), b"");
        assert_eq!(Span { start: 9, end: 4 }.of(b"0123456789"), b"");
        assert_eq!(Span { start: 9, end: 4 }.len(), 0);
    }

    #[test]
    fn a_span_is_made_forwards_and_within_32_bits_only() {
        assert_eq!(Span::new(1, 3), Some(Span { start: 1, end: 3 }));
        assert_eq!(Span::new(3, 1), None);
        assert_eq!(Span::new(0, usize::MAX), None);
    }
}
