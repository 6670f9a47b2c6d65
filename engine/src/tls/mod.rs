//! rustls settings per server name and per upstream. Resumption never crosses a policy.
//!
//! Shared by everything: the crypto provider and the secrets behind tickets. Shared by nothing:
//! trust, tickets' keys, sessions towards upstreams.

pub mod alert_record;
mod authorities;
pub mod client;
mod crl_files;
mod crl_warnings;
pub mod crls;
mod encrypted_key;
mod encryption_names;
mod findings;
pub mod handshake_notes;
pub mod hello;
pub mod hidden_name;
mod keys;
pub mod loaded_crl;
mod loaded_objects;
mod ocsp_stapling;
pub mod openssl_names;
pub mod peer;
pub mod pem;
mod private_key;
mod provider;
pub mod record;
pub mod server;
mod session_cache;
pub mod session_facts;
mod sessions;
mod settings;
mod signatures;
mod system_roots;
mod ticket_files;
mod ticket_nonces;
mod ticket_secret;
pub mod tickets;
pub mod transcript;

pub use client::{UpstreamFailure, UpstreamTls};
pub use handshake_notes::HandshakeNotes;
pub use hello::{Hello, HelloError, HelloReader};
pub use keys::PEM_BYTES_MAX;
pub use loaded_crl::LoadedCrl;
pub use loaded_objects::{KeptObject, LoadedObjects};
pub use provider::provider;
pub use server::ServerTls;
pub use settings::TlsSettings;
pub use tickets::TicketKeys;
