//! Turns a file into one generation (plan and TLS settings), or lists every problem at once.
//!
//! A [`Generation`] is immutable, and the cores share it by reference count. Everything else that a core
//! needs to run it (listeners, addresses of nodes) comes with it in a [`Handover`], through the [`CoreLink`]
//! of each core.

pub mod addresses;
mod body_files;
pub mod connection_counts;
mod core_link;
mod driver;
mod error_pages;
mod generation;
mod handover;
#[cfg(feature = "io")]
pub mod inherited;
#[cfg(feature = "io")]
pub mod listeners;
#[cfg(feature = "io")]
pub mod listening_sockets;
mod mailbox;
mod phase;
#[cfg(feature = "io")]
mod port_hold;

pub use addresses::Addresses;
pub use core_link::{CoreLink, LinkCursor, LinkUpdates};
pub use driver::Driver;
pub use generation::{Generation, RefusedFiles, assemble, load};
pub use handover::{Handover, OpenListener};
pub use mailbox::Mailbox;
pub use phase::Phase;
