//! What the operating system gives this process: its clocks and the limits of the machine.

pub(crate) mod clock;
pub mod machine;
