//! rustls settings per server name and per upstream. Resumption never crosses a policy.
//!
//! Shared by everything: the crypto provider and the secrets behind tickets. Shared by nothing:
//! trust, tickets' keys, sessions towards upstreams.

pub mod client;
pub mod handshake;
pub mod load;
pub mod openssl_names;
pub mod peer;
pub mod pem;
mod provider;
pub mod record;
pub mod resumption;
pub mod server;
pub mod session_facts;
mod settings;
mod signatures;

pub use client::{UpstreamFailure, UpstreamTls};
pub use handshake::hello::{Hello, HelloError, HelloReader};
pub use handshake::notes::HandshakeNotes;
pub use load::keys::PEM_BYTES_MAX;
pub use load::loaded_crl::LoadedCrl;
pub use load::loaded_objects::{KeptObject, LoadedObjects};
pub use provider::provider;
pub use resumption::tickets::TicketKeys;
pub use server::ServerTls;
pub use settings::TlsSettings;
