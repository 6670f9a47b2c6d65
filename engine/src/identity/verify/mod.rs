//! The verdict on a chain: its path to a trust anchor, and everything that may be wrong with it.
//!
//! In: a chain and a policy. Out: OpenSSL's verdict, the path, and how long the verdict is valid. Start at
//! [`chain`].

pub mod anchors;
pub mod authorities;
pub mod certificate_policies;
pub mod chain;
pub mod client_policy;
pub mod constraint_check;
pub mod explain;
pub mod path;
pub mod path_search;
pub mod purpose;
pub mod revocation;
pub mod rules;
pub mod server_name;
pub mod signature_budget;
pub mod verdict;
pub mod verdict_cache;
pub mod verified_path;
pub(crate) mod webpki_check;
pub(crate) mod webpki_translation;
