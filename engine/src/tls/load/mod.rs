//! Files that a configuration names, loaded and checked: keys, chains, authorities, revocation lists,
//! OCSP responses, ticket keys.
//!
//! `findings` describes what is refused, with the file and the reason, but never with a part of a key.

pub(crate) mod authorities;
pub mod bounded_names;
pub(crate) mod crl_files;
pub(crate) mod crl_kinds;
pub(crate) mod crl_warnings;
pub mod crls;
pub(crate) mod encrypted_key;
pub(crate) mod encryption_names;
pub(crate) mod fetched_crls;
pub(crate) mod findings;
pub(crate) mod keys;
pub mod loaded_crl;
pub(crate) mod loaded_objects;
pub(crate) mod ocsp_stapling;
pub(crate) mod own_certificates;
pub(crate) mod private_key;
pub(crate) mod shared_objects;
pub(crate) mod system_roots;
pub(crate) mod ticket_files;
