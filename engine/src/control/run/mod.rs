//! `ferrule run`: startup, signals, and the supervision of the data cores until they have ended.

pub mod boot;
mod core_monitor;
pub mod leaked_sockets;
mod port_monitor;
mod reserved_signals;
pub mod signals;
pub mod supervisor;
