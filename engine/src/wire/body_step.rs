//! What one step through a body has found: which bytes are data, and which are framing.
//!
//! Out of the readers of [`body`](super::body) and [`chunked`](super::chunked), which agree on it.

use core::ops::Range;

/// What a step through a body has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BodyStep {
    /// Bytes of the input that are done with (framing and data alike).
    pub consumed: usize,
    /// The part of the input that is body data; within `..consumed`.
    pub data: Range<usize>,
    /// The part of the input that belongs to the trailer section, its empty line included; within
    /// `..consumed`, empty nearly always.
    pub trailers: Range<usize>,
    /// The body is complete; what follows `consumed` belongs to the next message.
    pub done: bool,
}
