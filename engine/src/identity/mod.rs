//! A client certificate as facts, and the verdict on its chain.
//!
//! A [`ClientIdentity`] is made once per handshake and then only borrowed.

pub mod cache;
pub mod chain;
pub mod variables;

pub use cache::IdentityCache;
pub use chain::{ClientPolicy, Verdict};
pub use variables::{ClientValue, ClientValues, Wanted};

/// Who the client is, as far as its certificate proves it.
#[derive(Debug)]
pub struct ClientIdentity {
    /// What verification said.
    pub verdict: Verdict,
    /// The leaf's `notBefore` and `notAfter`, Unix seconds; both 0 without a certificate.
    pub validity: (i64, i64),
    /// SHA-256 of the leaf's DER; zeros without a certificate.
    pub leaf_sha256: [u8; 32],
    /// Every value that the configuration uses, rendered.
    pub values: ClientValues,
}
