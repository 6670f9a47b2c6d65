//! Allow and deny lists of certificates, compiled.

use ferrule_config::model::{self, ClientTerm, HostPattern, UriRest, UriSegment};

use crate::identity::AccessLists;
use crate::identity::client::access_lists::{
    AccessEntry, AccessTerm, PatternRest, PatternSegment, UriPattern,
};
use crate::identity::x509::name::Selector;

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
