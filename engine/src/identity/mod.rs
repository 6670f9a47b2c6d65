//! A client certificate as facts, and the verdict on its chain.
//!
//! In: a chain as DER, the policy of who asks, the time. Out: a [`ClientIdentity`], made once per
//! handshake and then only borrowed. The folders build on each other: [`crypto`], [`x509`], [`verify`],
//! [`client`].
//!
//! Three things are ours on purpose. The DER reader, because names and dates are printed from their exact
//! bytes. The path builder, because users expect OpenSSL's verdicts and words, v1 leaves included. The CRL
//! reader, because a list of millions must be small and checked by every rule. webpki must agree as well.

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
