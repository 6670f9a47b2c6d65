//! Resumable sessions, as tickets and by id. They are sealed per policy: no session is resumed under another
//! policy.

pub(crate) mod session_cache;
pub(crate) mod sessions;
pub(crate) mod ticket_secret;
pub mod tickets;
