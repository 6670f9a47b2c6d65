//! Sessions that may be resumed, as tickets and by id: sealed by policy, so that no session crosses one.

pub(crate) mod session_cache;
pub(crate) mod sessions;
pub(crate) mod ticket_secret;
pub mod tickets;
