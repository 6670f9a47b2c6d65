//! See the room's `mod.rs`.
