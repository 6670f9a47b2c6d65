//! `[[ssls]]`: what we present by server name, and which clients we trust.

use std::path::PathBuf;

use super::{ClientLists, HostPattern};
use crate::pattern::Pattern;
use crate::problem::Place;

/// PEM text, and where the file names it.
#[derive(Clone, Debug)]
pub struct Pem {
    /// Where in the configuration file.
    pub place: Place,
    /// Where the text is.
    pub source: PemSource,
}

/// Where PEM text is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PemSource {
    /// In the configuration file itself.
    Inline(String),
    /// In this file.
    Path(PathBuf),
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The leaf first.
    pub cert: Pem,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: Pem,
}

/// TLS versions we speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protocols {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
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
    /// Offer session tickets.
    pub session_tickets: bool,
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
    /// Accept X.509 v1 leaves issued directly by a listed CA.
    pub allow_v1: bool,
    /// Name the CAs in the `CertificateRequest`.
    pub send_ca_names: bool,
    /// Who is served, and who is not.
    pub lists: ClientLists,
    /// Paths that need no certificate (`skip_mtls_uri_regex`).
    pub exempt: Vec<Pattern>,
}

/// `ssls.client.verify` (nginx's `ssl_verify_client`)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// `ssls.client.reject`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// A TLS alert ends the handshake.
    Handshake,
    /// The handshake completes, and a 400 says why.
    Http,
}
