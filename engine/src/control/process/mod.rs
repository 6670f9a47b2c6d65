//! What the operating system gives this process: clocks, the limits of the machine, environment variables
//! and the standard streams.

pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod environment;
pub mod machine;
pub(crate) mod port_owners;
pub mod terminal;
