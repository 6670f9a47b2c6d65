//! One reader over the four kinds of body.
//!
//! In: a [`BodyLength`] and the bytes behind the head, in whatever pieces they come. Out: where the
//! data is in each piece, and where the message ends. It never copies and never looks back.

use core::ops::Range;

use super::chunked::ChunkedReader;
use super::error::WireError;
use super::framing::BodyLength;

/// Reads one body, in whatever pieces it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyReader {
    state: State,
}

/// What a step found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Step {
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

/// What is still to come.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Done,
    /// So many bytes; never 0.
    Length(u64),
    /// Chunks; never complete ones.
    Chunked(ChunkedReader),
    UntilClose,
}

impl BodyReader {
    /// A reader at the start of a body.
    #[must_use]
    pub const fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(remaining) => State::Length(remaining),
            BodyLength::Chunked => State::Chunked(ChunkedReader::new()),
            BodyLength::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Is the body complete? At once for `None` and `Length(0)`, never for `UntilClose`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Reads on: at most one contiguous piece of data a step. Called again until it consumes
    /// nothing or is done. With an empty input it consumes nothing.
    ///
    /// # Errors
    /// A broken chunk or trailer; nothing after it may be trusted. Data before the fault was
    /// handed out by earlier steps, however the input was cut.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, WireError> {
        let step = match &mut self.state {
            State::Done => Step { done: true, ..Step::default() },
            State::Length(remaining) => {
                let take = usize::try_from(*remaining).map_or(input.len(), |n| n.min(input.len()));
                *remaining = remaining.saturating_sub(take as u64);
                Step { consumed: take, data: 0..take, trailers: 0..0, done: *remaining == 0 }
            }
            State::Chunked(chunks) => chunks.step(input)?,
            State::UntilClose => {
                Step { consumed: input.len(), data: 0..input.len(), trailers: 0..0, done: false }
            }
        };
        debug_assert!(step.data.end <= step.consumed && step.consumed <= input.len());
        if step.done {
            self.state = State::Done;
        }
        Ok(step)
    }

    /// The connection ended: was the body complete (or delimited by just that)?
    #[must_use]
    pub const fn may_end_here(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }
}
