//! Signature algorithms and keys: which ones are supported, and how signatures are verified.
//!
//! ring verifies what it supports. The curves and the RSA forms that it does not support are verified here.
//! This code handles public values only.

pub mod algorithms;
pub mod ecdsa;
pub mod hash;
pub(crate) mod key_type;
pub mod rsa;
