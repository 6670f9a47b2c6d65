//! One direction of a body: how its pieces are framed on the way out, and when it is over.
//!
//! In: bytes of a body in whatever pieces they come. Out: which part is data and what goes before
//! and behind it. A piece is never split or held back, so the caller may pass slices on or copy them.

use core::ops::Range;

use crate::wire::body::BodyReader;
use crate::wire::error::WireError;
use crate::wire::framing::BodyLength;

/// How a body goes out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// As it is; its length was told before.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As it is; the end of the connection ends it.
    Raw,
}

/// Why a body cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlowError {
    /// Its bytes are wrong.
    Malformed(WireError),
    /// It is longer than allowed.
    TooLarge,
}

/// What one step of a body is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Piece {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// The part of the input that goes out, within `..consumed`; may be empty.
    pub data: Range<usize>,
    /// What goes out before the data.
    pub before: SizeLine,
    /// What goes out behind the data.
    pub after: &'static [u8],
    /// The body is complete.
    pub done: bool,
}

/// A chunk's size line, on the stack.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SizeLine {
    bytes: [u8; 18],
    len: u8,
}

/// What [`Flow::copy`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// The body is complete.
    pub done: bool,
}

/// One direction of one body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    reader: BodyReader,
    framing: Framing,
    data_bytes: u64,
    data_bytes_max: Option<u64>,
    done: bool,
}

impl SizeLine {
    /// Its bytes; none if there is no chunk.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Flow {
    /// A body that comes in as `length` and goes out as `framing`; more than `data_bytes_max` bytes
    /// of it are refused.
    #[must_use]
    pub fn new(length: BodyLength, framing: Framing, data_bytes_max: Option<u64>) -> Self {
        Self {
            reader: BodyReader::new(length),
            framing,
            data_bytes: 0,
            data_bytes_max,
            done: false,
        }
    }

    /// Takes the next piece off the input. Called again until it consumes nothing or is done.
    ///
    /// # Errors
    /// The body is broken or too long; nothing more of it may go out.
    pub fn step(&mut self, input: &[u8]) -> Result<Piece, FlowError> {
        let _ = (input, self.framing, self.data_bytes_max, &mut self.reader);
        unimplemented!()
    }

    /// Appends everything that the input holds of the body, framed.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn copy(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Copied, FlowError> {
        let _ = (&mut self.reader, input, out);
        unimplemented!()
    }

    /// The sender's connection ended. True if that is where this body ends, and then `out` got what
    /// has to go out last; false if it was cut off, and then the receiver must not take what it has
    /// for the whole: its connection ends without the last chunk.
    pub fn handle_end(&mut self, out: &mut Vec<u8>) -> bool {
        let _ = (&mut self.reader, out);
        unimplemented!()
    }

    /// Is the body complete?
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes of data so far, without framing.
    #[must_use]
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }
}
