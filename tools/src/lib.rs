//! What the demo, the load generator, the tests and the comparisons share.
//!
//! Nothing in here is part of the proxy: throwaway certificates ([`pki`]), processes that never
//! outlive us ([`process`], [`nginx`], [`redis`], [`gateway`]), blocking TLS ([`tls`]) and just enough HTTP/1.1
//! to talk to a gateway and to stand behind one ([`http`], [`upstream`], [`load`], [`storm`],
//! [`slow`], [`stream`], [`revoke`], [`node`]). [`survey`] measures the sources themselves.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "tools and tests stop at the first surprise, with its text"
)]

pub mod clock;
pub mod gateway;
pub mod haproxy;
pub mod http;
pub mod load;
pub mod nginx;
pub mod node;
pub mod pki;
pub mod process;
pub mod redis;
pub mod revoke;
pub mod slow;
pub mod storm;
pub mod stream;
pub mod survey;
pub mod tls;
pub mod upstream;
