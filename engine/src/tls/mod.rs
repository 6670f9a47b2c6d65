//! rustls settings per server name and per upstream. Resumption never crosses a policy.
//!
//! Shared by everything: the crypto provider and the secrets behind tickets. Shared by nothing:
//! trust, tickets' keys, sessions towards upstreams.

mod authorities;
pub mod client;
pub mod crls;
mod encrypted;
mod encryption;
pub mod facts;
mod findings;
pub mod handshake;
pub mod hello;
pub mod hidden_name;
mod keys;
mod list_files;
mod list_warnings;
pub mod loaded_crl;
mod ocsp;
pub mod openssl_names;
pub mod peer;
pub mod pem;
mod private_key;
mod provider;
pub mod record;
pub mod server;
mod session_cache;
mod sessions;
mod settings;
mod shelf;
mod signatures;
pub mod stand_in;
mod system_roots;
mod ticket_files;
mod ticket_nonces;
mod ticket_secret;
pub mod tickets;
pub mod transcript;

pub use client::{UpstreamFailure, UpstreamTls};
pub use handshake::HandshakeNotes;
pub use hello::{Hello, HelloError, HelloReader};
pub use keys::PEM_BYTES_MAX;
pub use loaded_crl::LoadedCrl;
pub use provider::provider;
pub use server::ServerTls;
pub use settings::TlsSettings;
pub use shelf::{KeptObject, Shelf};
pub use tickets::TicketKeys;
