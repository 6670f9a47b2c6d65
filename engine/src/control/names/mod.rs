//! Looks up names as the system would, and says how long an answer is good for.
//!
//! In: a name, and the files and servers that are asked. Out: addresses with their TTL. The order is that of
//! `hosts: files dns` in nsswitch.conf: `/etc/hosts`, then DNS with the search domains of `/etc/resolv.conf`.
//! Lookups block, and belong on threads of their own.

mod exchange;
pub mod hosts;
pub mod lookup;
mod lookup_key;
pub mod message;

pub use lookup::{Found, LookUpError, LookUpSettings, ResolvedName};
pub use lookup_key::LookUpKey;
