//! Identities of one core and one generation, shared by later connections of the same certificate.

/// Bounded; keyed by server policy and the digest of the whole chain.
#[derive(Debug, Default)]
pub struct IdentityCache {}
