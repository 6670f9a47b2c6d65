//! The data cores: the only room that knows monoio.

pub mod buffers;
pub mod clock;
pub mod deadlines;
pub mod fd;
pub mod session;
pub mod stream;
