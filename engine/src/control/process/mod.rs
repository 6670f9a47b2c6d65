//! What the operating system gives this process: clocks, the limits of the machine, environment variables
//! and the standard streams.

pub(crate) mod clock;
pub(crate) mod environment;
pub mod machine;
pub mod terminal;
