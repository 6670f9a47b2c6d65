//! Which clients may do what: allow and deny lists, and the `client` tables of routes.

use std::fmt;

use ipnet::IpNet;
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::demand::{AddressDemand, Satisfy};
use super::patterns::HostPattern;
use crate::place::Place;
use crate::values::{sha256_base64_text, sha256_hex_text};

/// One `client` table of a route, or of what it is merged from. All of a route's must be passed.
#[derive(Clone, Debug)]
pub struct ClientRule {
    /// Where in the file.
    pub place: Place,
    /// Is nobody served without a verified certificate?
    pub required: bool,
    /// Who is served, and who is not.
    pub lists: ClientLists,
    /// Index into [`Config::trusts`](super::Config::trusts): authorities of its own.
    pub trust: Option<usize>,
    /// Which addresses are served.
    pub addresses: Option<AddressDemand>,
    /// Must address and certificate both be good, or does one do? `required` and the authorities of its own are
    /// demands of the certificate; with [`Satisfy::Any`] `required` is false, and the certificate that does must be a
    /// verified one.
    pub satisfy: Satisfy,
    /// The field that must hold the digest of the client's certificate (RFC 8705).
    pub cnf_header: Option<String>,
}

impl ClientRule {
    /// Is anybody let in for a verified certificate?
    #[must_use]
    pub fn asks_for_certificate(&self) -> bool {
        self.required || self.satisfy == Satisfy::Any
    }

    /// Does it ask nothing but for a verified certificate?
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        let listed = !self.lists.is_empty() || self.cnf_header.is_some();
        !listed && self.trust.is_none() && self.addresses.is_none()
    }
}

/// `allow` and `deny`; what `deny` matches is refused whatever `allow` says.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientLists {
    /// Any of these; empty allows every client.
    pub allow: Vec<ClientMatch>,
    /// None of these.
    pub deny: Vec<ClientMatch>,
}

impl ClientLists {
    /// Does it say nothing?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

/// One entry of a list: a certificate that all of these hold for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientMatch {
    /// At least one.
    pub terms: Vec<ClientTerm>,
}

/// What may be asked of a certificate. Its text reads back.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ClientTerm {
    /// `URI:spiffe://example.com/ns/*`: a URI among the alternative names
    Uri(UriMatch),
    /// `DNS:*.example.com`: a DNS name among them; the wildcard is one label
    Dns(HostPattern),
    /// `email:a@example.com`: an address among them; its domain is lower case
    Email {
        /// In front of the `@`.
        local: String,
        /// Behind it.
        domain: String,
    },
    /// `IP:10.0.0.0/8`: an IP address among them
    Ip(IpNet),
    /// `CN=ops`: a subject attribute, as a whole; OpenSSL's short name in lower case or dotted numbers
    Subject(String, String),
    /// `issuer.O=Acme`: an attribute of the issuer, likewise
    Issuer(String, String),
    /// `subject:CN=ops,O=Acme`: the whole subject, as `$ssl_client_s_dn` has it
    SubjectName(String),
    /// `issuer:CN=Root,O=Acme`: the whole issuer, as `$ssl_client_i_dn` has it
    IssuerName(String),
    /// `serial:0A1F`: the serial number, as `$ssl_client_serial` has it
    Serial(String),
    /// `sha256:...`: the certificate itself
    Sha256([u8; 32]),
    /// `spki-sha256:...`: the key in it
    SpkiSha256([u8; 32]),
}

/// A URI to compare with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UriMatch {
    /// Scheme and authority, lower case: `spiffe://example.com`, or `urn:`.
    pub origin: String,
    /// What follows.
    pub rest: UriRest,
}

/// What follows a URI's authority.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum UriRest {
    /// This, byte for byte.
    Exact(String),
    /// A path of these segments.
    Path(Vec<UriSegment>),
}

/// A segment of a URI's path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum UriSegment {
    /// This one, byte for byte.
    Exact(String),
    /// `*`: any one.
    One,
    /// `**`, the last: one or more.
    More,
}

impl fmt::Display for UriMatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.origin)?;
        match &self.rest {
            UriRest::Exact(rest) => out.write_str(rest),
            UriRest::Path(segments) => segments.iter().try_for_each(|segment| match segment {
                UriSegment::Exact(text) => write!(out, "/{text}"),
                UriSegment::One => out.write_str("/*"),
                UriSegment::More => out.write_str("/**"),
            }),
        }
    }
}

impl fmt::Display for ClientTerm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => write!(out, "URI:{uri}"),
            Self::Dns(name) => write!(out, "DNS:{}", name),
            Self::Email { local, domain } => write!(out, "email:{local}@{domain}"),
            Self::Ip(network) => write!(out, "IP:{network}"),
            Self::Subject(attribute, value) => write!(out, "{attribute}={value}"),
            Self::Issuer(attribute, value) => write!(out, "issuer.{attribute}={value}"),
            Self::SubjectName(name) => write!(out, "subject:{name}"),
            Self::IssuerName(name) => write!(out, "issuer:{name}"),
            Self::Serial(digits) => write!(out, "serial:{digits}"),
            Self::Sha256(digest) => write!(out, "sha256:{}", sha256_hex_text(digest)),
            Self::SpkiSha256(digest) => {
                write!(out, "spki-sha256:{}", sha256_base64_text(digest))
            }
        }
    }
}

/// How an `X-Forwarded-Client-Cert` of the request is treated, in Envoy's words.
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum XfccMode {
    /// It is dropped.
    #[default]
    Sanitize,
    /// It is replaced by an element for the client, if that one is verified.
    SanitizeSet,
    /// If the client is verified it passes, with an element for the client after it.
    AppendForward,
    /// It passes if the client is verified.
    ForwardOnly,
    /// It passes, whoever sends it.
    AlwaysForwardOnly,
}

/// A key of an element of `X-Forwarded-Client-Cert`, in the order they are written in.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub enum XfccKey {
    /// The URIs of our own certificate.
    By,
    /// SHA-256 of the client's certificate, in hexadecimal.
    Hash,
    /// The certificate as PEM, percent-encoded.
    Cert,
    /// The verified path likewise, the certificate first.
    Chain,
    /// The subject by RFC 2253, always in quotation marks.
    Subject,
    /// Its URIs.
    #[strum(serialize = "URI")]
    Uri,
    /// Its DNS names.
    #[strum(serialize = "DNS")]
    Dns,
}

/// `identity_headers.xfcc`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Xfcc {
    /// What happens to the field.
    pub mode: XfccMode,
    /// What an element of ours says.
    pub keys: Vec<XfccKey>,
}

impl Default for Xfcc {
    fn default() -> Self {
        let keys = vec![XfccKey::By, XfccKey::Hash, XfccKey::Subject, XfccKey::Uri, XfccKey::Dns];
        Self { mode: XfccMode::default(), keys }
    }
}
