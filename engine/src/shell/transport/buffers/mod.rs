//! Fixed-size buffers, rented per core and given back.
//!
//! [`Buffer`] is the memory, in one of five sizes ([`Size`]); [`Buffers`] is a core's stock of them.
//! Idle connections hold at most one [`Size::Small`].

mod buffer;
mod pool;
mod size;

pub use buffer::{Buffer, give_memory_back};
pub use pool::Buffers;
pub use size::{PLAIN_BYTES_MAX, RECORD_BYTES_MAX, Size};
