//! Strict DER parsers for certificates, revocation lists and OCSP responses.
//!
//! In: bytes from a peer or a file. Out: what they say, or `None`. Nothing here decides whether to trust
//! anybody.

pub mod alt_names;
pub mod certificate;
pub(crate) mod constraint_match;
pub mod crl;
pub mod distribution_points;
pub mod extensions;
pub(crate) mod folded_dn;
pub mod general_name;
pub mod name;
pub mod name_constraints;
pub mod ocsp;
pub mod raw_certificate;
pub(crate) mod raw_extension;
pub mod short_names;
pub mod signature;
pub mod time;
