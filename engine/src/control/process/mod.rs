//! What the operating system gives this process: clocks, the limits of the machine, environment variables
//! and the standard streams.

pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod environment;
pub mod machine;
pub(crate) mod pid_file;
pub(crate) mod port_owners;
pub(crate) mod service_manager;
pub mod terminal;
