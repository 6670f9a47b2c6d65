//! What a client certificate says, and the verdict on its chain.
//!
//! In: a chain as DER, the policy of the caller, the time. Out: a [`ClientIdentity`], made once per handshake
//! and then only borrowed. The folders build on each other: [`crypto`], [`x509`], [`verify`], [`client`].
//!
//! Three things are implemented here instead of taken from a library. The DER reader, because names and dates
//! are printed from their exact bytes. The path builder, because users expect OpenSSL's verdicts and words,
//! also for v1 leaves. The CRL reader, because a list with millions of entries must take little memory and
//! meet every rule. webpki must agree with each verdict.

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
pub use client::prospects::{Prospects, StoppingIssuer};
pub use failure::VerifyFailure;
pub use verify::anchors::AnchorError;
pub use verify::chain::verify_client;
pub use verify::client_policy::ClientPolicy;
pub use verify::verdict::{Verdict, Verification};
pub use verify::verified_path::VerifiedPath;
pub use x509::time::TimeRange;
