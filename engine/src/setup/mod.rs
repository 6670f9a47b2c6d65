//! A file becomes one generation: plan and TLS settings, or every problem at once.
//!
//! A [`Generation`] is immutable and shared by reference count between the cores. What it takes to run
//! it beside that (listeners, addresses of nodes) is handed over in one piece: a [`Handover`], through
//! the [`CoreLink`] of each core.

pub mod addresses;
pub mod connection_counts;
mod core_link;
mod driver;
mod error_pages;
mod generation;
mod handover;
#[cfg(feature = "io")]
pub mod listeners;
mod mailbox;
mod phase;

pub use addresses::Addresses;
pub use core_link::{CoreLink, LinkCursor, LinkUpdates};
pub use driver::Driver;
pub use generation::{Generation, RefusedFiles, assemble, load};
pub use handover::{Handover, OpenListener};
pub use mailbox::Mailbox;
pub use phase::Phase;
