//! Who may take a route: the lists and demands of the configuration, compiled.
//!
//! Lists are evaluated where an identity is made, once per connection; what is left for a request is
//! to look the answers up. A route asks for more than its server name, never for less.

use ferrule_config::model::{self, ClientRule, ClientTerm, HostPattern, UriRest, UriSegment};
use strum::{EnumCount, EnumDiscriminants, VariantArray};

use super::ids::index;
use crate::identity::client::access_lists::{
    AccessEntry, AccessTerm, PatternRest, PatternSegment, UriPattern,
};
use crate::identity::x509::name::Selector;
use crate::identity::{Access, AccessLists, ClientIdentity, IdentityPlan, Verdict, VerifyFailure};

/// Index of authorities that a route has of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustId(pub u32);

/// What a route demands of a client.
#[derive(Clone, Debug, Default)]
pub struct RouteAccess {
    required: bool,
    lists: Box<[usize]>,
    trust: Option<TrustId>,
}

/// Why a client may not do what it asks for.
#[derive(Clone, Copy, Debug, EnumDiscriminants, Eq, PartialEq)]
#[strum_discriminants(derive(EnumCount, VariantArray), name(ForbiddenKind), vis(pub(crate)))]
pub enum Forbidden {
    /// A verified certificate is required, and none was shown.
    CertificateRequired,
    /// A verified certificate is required, and this one is not.
    NotVerified(VerifyFailure),
    /// It is on no allow list.
    NotAllowed,
    /// It is on a deny list.
    Denied,
}

impl Forbidden {
    /// In one word, for machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CertificateRequired => "client-certificate-required",
            Self::NotVerified(_) => "client-not-verified",
            Self::NotAllowed => "client-not-allowed",
            Self::Denied => "client-denied",
        }
    }

    /// What lists say, as a refusal.
    ///
    /// # Errors
    /// Unless the client is allowed.
    pub const fn check(access: Access) -> Result<(), Self> {
        match access {
            Access::Allowed => Ok(()),
            Access::NotAllowed => Err(Self::NotAllowed),
            Access::Denied => Err(Self::Denied),
        }
    }
}

impl RouteAccess {
    pub(super) fn build(rules: &[ClientRule], wanted: &mut IdentityPlan) -> Self {
        let lists = rules.iter().map(|rule| &rule.lists).filter(|lists| !lists.is_empty());
        Self {
            required: rules.iter().any(|rule| rule.required),
            lists: lists.map(|one| wanted.list(compile(one))).collect(),
            trust: rules.iter().rev().find_map(|rule| rule.trust).map(|at| TrustId(index(at))),
        }
    }

    /// The authorities that a client's chain has to be judged by here, if not those of its server
    /// name.
    #[must_use]
    pub const fn trust(&self) -> Option<TrustId> {
        self.trust
    }

    /// Is anything asked of a client?
    #[must_use]
    pub fn demands(&self) -> bool {
        self.required || self.trust.is_some() || !self.lists.is_empty()
    }

    /// Is nobody served without a verified certificate?
    #[must_use]
    pub const fn requires_certificate(&self) -> bool {
        self.required
    }

    /// May this client take the route? `client` was judged by [`Self::trust`].
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, client: Option<&ClientIdentity>) -> Result<(), Forbidden> {
        if !self.required && self.lists.is_empty() {
            return Ok(());
        }
        let verdict = client.map_or(Verdict::None, |client| client.verdict);
        if self.required {
            match verdict {
                Verdict::None => return Err(Forbidden::CertificateRequired),
                Verdict::Failed(failure) => return Err(Forbidden::NotVerified(failure)),
                Verdict::Success => {}
            }
        }
        // On plain HTTP there is nobody to deny; an allow list has been refused above.
        let Some(client) = client else { return Ok(()) };
        self.lists.iter().try_for_each(|list| Forbidden::check(client.access(*list)))
    }
}

/// Lists as certificates are held against them.
#[must_use]
pub fn compile(lists: &model::ClientLists) -> AccessLists {
    let entries = |list: &[model::ClientMatch]| list.iter().map(entry).collect();
    AccessLists { allow: entries(&lists.allow), deny: entries(&lists.deny) }
}

fn entry(entry: &model::ClientMatch) -> AccessEntry {
    entry.terms.iter().map(term).collect()
}

fn term(term: &ClientTerm) -> AccessTerm {
    let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
    // The configuration knows the same names; what it does not know can hold for nobody.
    let selector =
        |name: &str| Selector::new(name).unwrap_or_else(|| Selector::Dotted(name.into()));
    match term {
        ClientTerm::Uri(uri) => AccessTerm::Uri(UriPattern {
            origin: bytes(&uri.origin),
            rest: match &uri.rest {
                UriRest::Exact(rest) => PatternRest::Exact(bytes(rest)),
                UriRest::Path(segments) => {
                    PatternRest::Path(segments.iter().map(segment).collect())
                }
            },
        }),
        ClientTerm::Dns(HostPattern::Exact(name)) => AccessTerm::Dns(bytes(name), false),
        ClientTerm::Dns(HostPattern::Wildcard(suffix)) => AccessTerm::Dns(bytes(suffix), true),
        ClientTerm::Dns(HostPattern::Any) => AccessTerm::Dns(bytes(""), false),
        ClientTerm::Email { local, domain } => AccessTerm::Email(bytes(local), bytes(domain)),
        ClientTerm::Ip(network) => {
            let bits = network.prefix_len();
            match network.addr() {
                core::net::IpAddr::V4(four) => AccessTerm::Ip(four.octets().into(), bits),
                core::net::IpAddr::V6(six) => AccessTerm::Ip(six.octets().into(), bits),
            }
        }
        ClientTerm::Subject(name, value) => {
            AccessTerm::Subject(selector(name), value.as_str().into())
        }
        ClientTerm::Issuer(name, value) => {
            AccessTerm::Issuer(selector(name), value.as_str().into())
        }
        ClientTerm::SubjectName(name) => AccessTerm::SubjectName(bytes(name)),
        ClientTerm::IssuerName(name) => AccessTerm::IssuerName(bytes(name)),
        ClientTerm::Serial(digits) => AccessTerm::Serial(bytes(digits)),
        ClientTerm::Sha256(digest) => AccessTerm::Sha256(*digest),
        ClientTerm::SpkiSha256(digest) => AccessTerm::SpkiSha256(*digest),
    }
}

fn segment(segment: &UriSegment) -> PatternSegment {
    match segment {
        UriSegment::Exact(text) => PatternSegment::Exact(text.as_bytes().into()),
        UriSegment::One => PatternSegment::One,
        UriSegment::More => PatternSegment::More,
    }
}
