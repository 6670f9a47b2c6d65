//! Signature algorithms and keys: which are verified, and how.
//!
//! ring does what it can; the curves and the RSA forms that it does not know are verified here. Public
//! values only.

pub mod algorithms;
pub mod ecdsa;
pub mod hash;
pub(crate) mod key_type;
pub mod rsa;
