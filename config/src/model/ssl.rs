//! `[[ssls]]`: what we present by server name, and which clients we trust.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::access::ClientLists;
use super::cipher_suite::CipherSuite;
use super::files::{FileAt, KeyPair, Pem};
use super::patterns::HostPattern;
use super::trust::Revocation;
use crate::pattern::Pattern;
use crate::place::Place;

/// TLS versions we speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protocols {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

/// A group in which TLS 1.3 and TLS 1.2 exchange keys, by OpenSSL's name.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub enum KeyExchangeGroup {
    /// ML-KEM-768 beside X25519, for TLS 1.3 alone.
    #[strum(serialize = "X25519MLKEM768")]
    X25519MlKem768,
    /// X25519 (RFC 7748).
    #[strum(serialize = "X25519")]
    X25519,
    /// P-256 (FIPS 186-5).
    #[strum(serialize = "prime256v1")]
    P256,
    /// P-384.
    #[strum(serialize = "secp384r1")]
    P384,
}

impl KeyExchangeGroup {
    /// How many there are.
    pub const COUNT: usize = <Self as VariantArray>::VARIANTS.len();
    /// All of them, in the order in which they are preferred where the file names none.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// OpenSSL's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its place in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Can TLS 1.2 exchange keys in it?
    #[must_use]
    pub const fn is_for_tls12(self) -> bool {
        !matches!(self, Self::X25519MlKem768)
    }
}

/// `[[ssls]]` of type `server`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from its position.
    pub id: String,
    /// Server names, exact and wildcard, lower case; `*` alone matches every name.
    pub snis: Vec<HostPattern>,
    /// At least one pair; of each key type the first one offered is used.
    pub pairs: Vec<KeyPair>,
    /// TLS versions.
    pub protocols: Protocols,
    /// Groups, the most wanted first; never empty.
    pub groups: Vec<KeyExchangeGroup>,
    /// Cipher suites, the most wanted first; at least one of each version.
    pub ciphers: Vec<CipherSuite>,
    /// Does the order of `ciphers` decide, and not the client's?
    pub prefer_server_ciphers: bool,
    /// OCSP responses (DER) that are stapled to the pairs: one each, in their order, or none.
    pub stapling_files: Vec<FileAt>,
    /// Offer session tickets.
    pub session_tickets: bool,
    /// Tickets after a TLS 1.3 handshake.
    pub session_ticket_count: u32,
    /// Remember TLS 1.2 sessions by id, for clients without tickets.
    pub session_cache: bool,
    /// Which clients are trusted; `None` asks for no certificate.
    pub client: Option<ClientAuth>,
}

/// `ssls.client`
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Where in the file.
    pub place: Place,
    /// Trust anchors; never empty unless `verify` is `optional_no_ca` or `off`.
    pub ca: Vec<Pem>,
    /// Must there be a certificate, and must it be good?
    pub verify: ClientVerify,
    /// Intermediate certificates allowed (OpenSSL's count: neither leaf nor anchor).
    pub depth: u32,
    /// How a client that fails is told.
    pub reject: Reject,
    /// What becomes of a live connection whose certificate is not good any more.
    pub on_revoke: OnRevoke,
    /// Accept X.509 v1 leaves issued directly by a listed CA.
    pub allow_v1: bool,
    /// What `extKeyUsage` has to allow.
    pub eku: ClientEku,
    /// How far a client's clock and ours may be apart; dates are stretched by it at both ends.
    pub clock_skew: Duration,
    /// Which certificates are revoked; `None` asks nobody.
    pub revocation: Option<Revocation>,
    /// Name the CAs in the `CertificateRequest`.
    pub send_ca_names: bool,
    /// Tell a refused client what it showed, why it was refused and which CAs are trusted.
    pub explain: bool,
    /// Who is served, and who is not.
    pub lists: ClientLists,
    /// Paths that need no certificate (`skip_mtls_uri_regex`).
    pub exempt: Vec<Pattern>,
}

/// `ssls.client.verify` (nginx's `ssl_verify_client`)
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ClientVerify {
    /// Required and verified.
    On,
    /// Asked for; a bad one is refused, none is fine.
    Optional,
    /// Asked for; neither a missing nor an unverifiable one is refused.
    OptionalNoCa,
    /// Not asked for.
    Off,
}

/// `ssls.client.eku`
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ClientEku {
    /// `clientAuth`, where there is an `extKeyUsage` (OpenSSL's purpose `sslclient`, which nginx asks for).
    Client,
    /// Whatever it says (OpenSSL's purpose `any`).
    Any,
}

/// `ssls.client.reject`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Reject {
    /// The handshake completes, and a 400 says why.
    Http,
    /// A TLS alert ends the handshake.
    Handshake,
}

/// `ssls.client.on_revoke`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OnRevoke {
    /// It ends behind the request that is running.
    Close,
    /// It ends at once.
    Cut,
    /// It lives on with the verdict of its handshake.
    Keep,
}
