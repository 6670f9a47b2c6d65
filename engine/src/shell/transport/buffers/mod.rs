//! Fixed-size buffers, which each core rents out and takes back.
//!
//! [`Buffer`] is the memory, in one of five sizes ([`BufferSize`]); [`BufferPool`] is a core's stock of them.
//! Idle connections hold at most one [`BufferSize::Small`].

mod buffer;
mod pool;
mod size;

pub use buffer::{Buffer, give_memory_back};
pub use pool::BufferPool;
pub use size::{BufferSize, PLAIN_BYTES_MAX, RECORD_BYTES_MAX};
