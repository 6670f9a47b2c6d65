//! `ferrule run`: start, supervision of the cores until they have ended, and signals.

pub mod boot;
pub mod signals;
pub mod supervise;
