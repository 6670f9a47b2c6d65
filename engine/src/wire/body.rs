//! One reader over the four kinds of body.
//!
//! In: a [`BodyLength`] and the bytes behind the head, in whatever pieces they come. Out: where the
//! data is in each piece, and where the message ends. It never copies and never looks back.

use super::body_step::BodyStep;
use super::chunked::ChunkedReader;
use super::error::WireError;
use super::framing::BodyLength;
use super::limits::HeadLimits;

/// Reads one body, in whatever pieces it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyReader {
    state: BodyRemainder,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, Default)]
enum BodyRemainder {
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
            BodyLength::None | BodyLength::Length(0) => BodyRemainder::Done,
            BodyLength::Length(remaining) => BodyRemainder::Length(remaining),
            BodyLength::Chunked => BodyRemainder::Chunked(ChunkedReader::new()),
            BodyLength::UntilClose => BodyRemainder::UntilClose,
        };
        Self { state }
    }

    /// With other bounds for the trailers of a body in chunks than those of a request.
    #[must_use]
    pub const fn with_trailer_limits(self, limits: HeadLimits) -> Self {
        match self.state {
            BodyRemainder::Chunked(reader) => {
                Self { state: BodyRemainder::Chunked(reader.with_trailer_limits(limits)) }
            }
            BodyRemainder::Done | BodyRemainder::Length(_) | BodyRemainder::UntilClose => self,
        }
    }

    /// Is the body complete? At once for `None` and `Length(0)`, never for `UntilClose`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, BodyRemainder::Done)
    }

    /// Reads on: at most one contiguous piece of data a step. Called again until it consumes
    /// nothing or is done. With an empty input it consumes nothing.
    ///
    /// # Errors
    /// A broken chunk or trailer; nothing after it may be trusted. Data before the fault was
    /// handed out by earlier steps, however the input was cut.
    pub fn step(&mut self, input: &[u8]) -> Result<BodyStep, WireError> {
        let step = match &mut self.state {
            BodyRemainder::Done => BodyStep { done: true, ..BodyStep::default() },
            BodyRemainder::Length(remaining) => {
                let take = usize::try_from(*remaining).map_or(input.len(), |n| n.min(input.len()));
                *remaining = remaining.saturating_sub(take as u64);
                BodyStep { consumed: take, data: 0..take, trailers: 0..0, done: *remaining == 0 }
            }
            BodyRemainder::Chunked(chunks) => chunks.step(input)?,
            BodyRemainder::UntilClose => BodyStep {
                consumed: input.len(),
                data: 0..input.len(),
                trailers: 0..0,
                done: false,
            },
        };
        debug_assert!(step.data.end <= step.consumed && step.consumed <= input.len());
        if step.done {
            self.state = BodyRemainder::Done;
        }
        Ok(step)
    }

    /// The connection ended: was the body complete (or delimited by just that)?
    #[must_use]
    pub const fn may_end_here(&self) -> bool {
        matches!(self.state, BodyRemainder::Done | BodyRemainder::UntilClose)
    }
}
