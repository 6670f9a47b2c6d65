//! One reader over the four kinds of body.

use core::ops::Range;

use super::error::WireError;
use super::framing::BodyLength;

/// Reads one body, in whatever pieces it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyReader {
    length: BodyLength,
}

/// What a step found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Step {
    /// Bytes of the input that are done with (framing and data alike).
    pub consumed: usize,
    /// The part of the input that is body data; within `..consumed`.
    pub data: Range<usize>,
    /// The body is complete; what follows `consumed` belongs to the next message.
    pub done: bool,
}

impl BodyReader {
    /// A reader at the start of a body.
    #[must_use]
    pub const fn new(length: BodyLength) -> Self {
        Self { length }
    }

    /// Is the body complete? At once for `None`, never for `UntilClose`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        unimplemented!()
    }

    /// Reads on: at most one contiguous piece of data a step. Called again until it consumes
    /// nothing or is done. With an empty input it consumes nothing.
    ///
    /// # Errors
    /// A broken chunk or trailer; nothing after it may be trusted.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, WireError> {
        let _ = (&mut self.length, input);
        unimplemented!("room wire")
    }

    /// The connection ended: was the body complete (or delimited by just that)?
    #[must_use]
    pub const fn may_end_here(&self) -> bool {
        unimplemented!()
    }
}
