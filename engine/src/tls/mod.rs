//! rustls settings per server name and per upstream. No session is resumed under another policy.
//!
//! In: a checked configuration and its files. Out: [`TlsSettings`]. All settings share the crypto provider
//! and the secrets from which ticket keys are derived; trust, ticket keys and upstream sessions are never
//! shared.
//!
//! rustls does the handshakes. Two things are implemented here: the `ClientHello` reader, because the server
//! name selects the settings before rustls starts; and the record layer, because it decrypts and encrypts in
//! our own buffers, without a copy.

pub mod authority_index;
mod cipher_suites;
pub mod client;
mod client_trust;
pub mod handshake;
mod key_exchange;
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
mod upstream_failure;

pub use client::UpstreamTls;
pub use handshake::hello::{Hello, HelloError, HelloReader};
pub use handshake::notes::HandshakeNotes;
pub use load::keys::PEM_BYTES_MAX;
pub use load::loaded_crl::LoadedCrl;
pub use load::loaded_objects::{KeptObject, LoadedObjects};
pub use provider::provider;
pub use resumption::tickets::TicketKeys;
pub use server::ServerTls;
pub use settings::TlsSettings;
pub(crate) use signatures::{verify_tls12, verify_tls13};
pub use upstream_failure::UpstreamFailure;
