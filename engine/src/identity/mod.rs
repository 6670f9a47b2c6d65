//! A client certificate as facts, and the verdict on its chain.
//!
//! A [`ClientIdentity`] is made once per handshake and then only borrowed.

pub mod client;
pub mod crypto;
pub mod der;
pub mod digest;
pub mod failure;
mod name_syntax;
mod unicode;
mod uri;
pub mod verify;
pub mod x509;

pub use client::access_lists::{Access, AccessLists};
pub use client::client_identity::{ClientIdentity, KeptFor};
pub use client::client_value::ClientValue;
pub use client::client_values::ClientValues;
pub use client::identity_cache::{IdentityCache, TrustScope};
pub use client::identity_plan::IdentityPlan;
pub use failure::VerifyFailure;
pub use verify::anchors::AnchorError;
pub use verify::chain::verify_client;
pub use verify::client_policy::ClientPolicy;
pub use verify::verdict::{Verdict, Verification};
pub use verify::verified_path::VerifiedPath;
pub use x509::time::TimeRange;
